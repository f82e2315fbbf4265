//! One YAML document becomes one mapping, or all that is wrong with it and where.

use super::{
    Mapping,
    clock::{self, Clock},
    marks::Marks,
    rows::{Form, Row, Rows},
    split::{Pairs, Pattern, Split},
};
use custos_event::{
    ecs,
    suggest::did_you_mean,
    yaml::{self, Key, Node, Place, Problem, Value},
};
use sha2::{Digest as _, Sha256};

/// Each is tried on each line until one fits: 32 passes over a line at the most.
const PATTERNS_MAX: usize = 32;
const PATTERN_BYTES_MAX: usize = 4 << 10;
/// Of one compiled pattern, and of its cache in each decoder: 32 of them take 64 MiB at the very most.
const PATTERN_MEMORY_MAX: usize = 1 << 20;
/// Each is looked for in each event.
const ROWS_MAX: usize = 128;
const VALUES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 64;

const KEYS: [&str; 11] = [
    "name",
    "title",
    "version",
    "dataset",
    "match",
    "pattern",
    "pairs",
    "json",
    "time",
    "fields",
    "constants",
];

/// What a mapping says of itself: neither a field nor a constant.
const OWN: [&str; 2] = ["event.dataset", "event.module"];

type Problems = Vec<Problem>;

pub(super) fn read(text: &str) -> Result<Mapping, Problems> {
    let (documents, broken) = yaml::documents(text);
    if let Some(problem) = broken {
        return Err(vec![problem]);
    }
    let [document] = &documents[..] else {
        let message = format!("a mapping file is one document, found {}", documents.len());
        return Err(vec![Place { line: 1, column: 1 }.problem(message)]);
    };
    let mut problems = Problems::new();
    let mapping = mapping(document, &mut problems).filter(|_| problems.is_empty());
    let with_digest = |mapping| Mapping { sha256: Sha256::digest(text).into(), ..mapping };
    mapping.map(with_digest).ok_or(problems)
}

fn mapping(node: &Node, problems: &mut Problems) -> Option<Mapping> {
    if !is_map(node, "a mapping", &KEYS, problems) {
        return None;
    }
    let name = needed(node, "name", problems)?;
    let part = |known: &str| known.split('.').next() == Some(&name);
    let is_taken =
        name.parse::<super::SourceType>().is_ok() || ecs::NAMES.iter().copied().any(part);
    if !is_name(&name) || is_taken {
        let message = format!(
            "'{name}' is no name for it: up to {NAME_BYTES_MAX} of a-z 0-9 _ -, and neither a type nor a part of a field that Custos has already"
        );
        problems.push(place(node, "name").problem(message));
    }
    let title = needed(node, "title", problems)?;
    let dataset = text(node, "dataset").unwrap_or_else(|| format!("{name}.log"));
    let version = node.get("version").map_or(Some(1), |version| {
        let Value::Int(number @ 1..) = version.value else { return None };
        u16::try_from(number).ok()
    });
    if version.is_none() {
        problems.push(place(node, "version").problem("'version' is a whole number from 1 on"));
    }
    let split = split(node, &name, problems)?;
    let rows = rows(node, &name, problems);
    let time = node.get("time").map(|node| time(node, problems));
    let mapping = Mapping {
        marks: node.get("match").map(|node| marks(node, &split, problems)).unwrap_or_default(),
        name: name.into(),
        title,
        version: version.unwrap_or(1),
        dataset,
        split,
        time,
        rows,
        sha256: [0; 32],
    };
    check_sources(node, &mapping, problems);
    Some(mapping)
}

fn is_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether `node` is a map that has these keys alone; tells what else it is.
fn is_map(node: &Node, what: &str, keys: &[&str], problems: &mut Problems) -> bool {
    if !matches!(node.value, Value::Map(_)) {
        problems.push(node.at.problem(format!("{what} is a map, found {}", node.kind())));
        return false;
    }
    for (key, _) in node.entries().iter().filter(|(key, _)| !keys.contains(&key.name.as_str())) {
        let hint = did_you_mean(&key.name, keys.iter().copied());
        let message = format!("{what} has no '{}'{hint}; it has {}", key.name, keys.join(", "));
        problems.push(key.at.problem(message));
    }
    true
}

fn place(node: &Node, key: &str) -> Place {
    node.get(key).map_or(node.at, |node| node.at)
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::scalar)
}

fn needed(node: &Node, key: &str, problems: &mut Problems) -> Option<String> {
    let found = text(node, key).filter(|text| !text.is_empty());
    if found.is_none() {
        problems.push(place(node, key).problem(format!("'{key}' is missing; it is a text")));
    }
    found
}

/// A text, or a list of them.
fn texts(node: &Node, what: &str, problems: &mut Problems) -> Vec<String> {
    let mut texts = Vec::new();
    for item in node.items() {
        match item.scalar() {
            Some(text) => texts.push(text),
            None => {
                problems.push(item.at.problem(format!("{what} is a text, found {}", item.kind())));
            }
        }
    }
    texts
}

fn marks(node: &Node, split: &Split, problems: &mut Problems) -> Marks {
    if !is_map(node, "'match'", &["program", "pattern", "keys"], problems) {
        return Marks::default();
    }
    let mut of = |key| node.get(key).map(|node| texts(node, key, problems)).unwrap_or_default();
    let (programs, keys) = (of("program"), of("keys"));
    let is_json = matches!(split, Split::Json);
    if is_json && !programs.is_empty() {
        problems.push(place(node, "program").problem("an object has no syslog header; use 'keys'"));
    }
    if !is_json && !keys.is_empty() {
        problems.push(
            place(node, "keys")
                .problem("only an object has keys; say 'json: true', or use 'pattern'"),
        );
    }
    let pattern = node.get("pattern").and_then(|node| {
        let regex = builder(node, problems)?.build();
        // The same pattern over bytes: a line is told before it is known to be UTF-8.
        regex.map_err(|error| problems.push(node.at.problem(no_pattern(&error)))).ok()
    });
    let marks = Marks { programs, pattern, keys };
    if marks.is_empty() && problems.is_empty() {
        problems.push(node.at.problem("'match' names no mark: program, pattern or keys"));
    }
    marks
}

fn no_pattern(error: &regex::Error) -> String {
    // The crate draws the pattern over several lines; the last one says what is wrong.
    let error = error.to_string();
    let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    format!("no pattern: {last}")
}

fn builder(node: &Node, problems: &mut Problems) -> Option<regex::bytes::RegexBuilder> {
    let text = pattern_text(node, problems)?;
    let mut builder = regex::bytes::RegexBuilder::new(&text);
    builder.size_limit(PATTERN_MEMORY_MAX).dfa_size_limit(PATTERN_MEMORY_MAX);
    Some(builder)
}

fn pattern_text(node: &Node, problems: &mut Problems) -> Option<String> {
    match node.scalar() {
        Some(text) if text.len() <= PATTERN_BYTES_MAX => return Some(text),
        Some(text) => problems.push(node.at.problem(format!(
            "the pattern has {} bytes; {PATTERN_BYTES_MAX} are possible",
            text.len()
        ))),
        None => {
            problems.push(node.at.problem(format!("a pattern is a text, found {}", node.kind())));
        }
    }
    None
}

/// What stands under `json`, `pattern` and `pairs`.
fn split(node: &Node, name: &str, problems: &mut Problems) -> Option<Split> {
    if let Some(json) = node.get("json") {
        if !matches!(json.value, Value::Bool(true)) {
            problems.push(json.at.problem("say 'json: true', or leave it out"));
        }
        if let Some(other) = node.get("pattern").or(node.get("pairs")) {
            problems
                .push(other.at.problem("an object is not split again; leave out 'json' or this"));
        }
        return Some(Split::Json);
    }
    let patterns = node.get("pattern").map(|node| patterns(node, name, problems));
    let pairs = node.get("pairs").map(|node| pairs(node, problems));
    if patterns.is_none() && pairs.is_none() {
        problems.push(
            node.at.problem("nothing says how a line is split: 'pattern', 'pairs' or 'json: true'"),
        );
        return None;
    }
    let (patterns, pairs) = (patterns.unwrap_or_default(), pairs.flatten());
    if let Some(group) = pairs.as_ref().and_then(|pairs| pairs.within.as_ref()) {
        let has = |pattern: &Pattern| pattern.groups().any(|name| name == group);
        if !patterns.iter().any(has) {
            let message = format!("no pattern has a group '{group}' for the pairs to stand in");
            problems.push(place(node, "pairs").problem(message));
        }
    }
    Some(Split::Text { patterns, pairs })
}

fn patterns(node: &Node, name: &str, problems: &mut Problems) -> Vec<Pattern> {
    if node.items().len() > PATTERNS_MAX {
        let message = format!("{} patterns; {PATTERNS_MAX} are possible", node.items().len());
        problems.push(node.at.problem(message));
    }
    node.items().iter().filter_map(|item| pattern(item, name, problems)).collect()
}

/// A pattern alone, or one with what is so of its lines.
fn pattern(node: &Node, name: &str, problems: &mut Problems) -> Option<Pattern> {
    let is_alone = !matches!(node.value, Value::Map(_));
    if !is_alone {
        is_map(node, "a pattern", &["pattern", "fields", "constants"], problems);
    }
    let rows = if is_alone { Rows::default() } else { rows(node, name, problems) };
    let Some(at) = node.get("pattern").or(is_alone.then_some(node)) else {
        problems.push(node.at.problem("'pattern' is missing; it is a text"));
        return None;
    };
    let text = pattern_text(at, problems)?;
    let mut builder = regex::RegexBuilder::new(&text);
    builder.size_limit(PATTERN_MEMORY_MAX).dfa_size_limit(PATTERN_MEMORY_MAX);
    let regex = builder.build();
    let regex = regex.map_err(|error| problems.push(at.at.problem(no_pattern(&error)))).ok()?;
    let pattern = Pattern { regex, rows };
    if pattern.groups().count() > ROWS_MAX {
        problems.push(at.at.problem(format!("more than {ROWS_MAX} groups with names")));
    }
    Some(pattern)
}

fn pairs(node: &Node, problems: &mut Problems) -> Option<Pairs> {
    let mut pairs = Pairs {
        within: None,
        between: vec![' ', '\t', ',', ';'],
        equals: '=',
        quotes: vec!['"', '\''],
    };
    if matches!(node.value, Value::Bool(true)) {
        return Some(pairs);
    }
    if !is_map(node, "'pairs'", &["in", "between", "equals", "quotes"], problems) {
        return None;
    }
    pairs.within = text(node, "in");
    if let Some(between) = text(node, "between") {
        pairs.between = between.chars().collect();
    }
    if let Some(quotes) = text(node, "quotes") {
        pairs.quotes = quotes.chars().collect();
    }
    if !pairs.quotes.iter().all(char::is_ascii_punctuation) {
        problems.push(place(node, "quotes").problem("'quotes' are signs such as \" and '"));
    }
    if let Some(equals) = text(node, "equals") {
        let mut signs = equals.chars();
        match (signs.next(), signs.next()) {
            (Some(sign), None) => pairs.equals = sign,
            _ => {
                problems
                    .push(place(node, "equals").problem("'equals' is one sign, such as = or :"));
            }
        }
    }
    if pairs.between.is_empty() || pairs.between.contains(&pairs.equals) {
        let message =
            "'between' is one or several signs, and not the one that stands within a pair";
        problems.push(place(node, "between").problem(message));
    }
    Some(pairs)
}

fn rows(node: &Node, name: &str, problems: &mut Problems) -> Rows {
    let mut rows = Rows::default();
    for (key, value) in map_of(node, "fields", problems) {
        if is_target(key, name, problems) {
            rows.fields.push(row(key, value, problems));
        }
    }
    for (key, value) in map_of(node, "constants", problems) {
        if is_target(key, name, problems) {
            rows.constants.push((key.name.clone(), texts(value, "a constant", problems)));
        }
    }
    rows
}

fn map_of<'n>(node: &'n Node, key: &str, problems: &mut Problems) -> &'n [(Key, Node)] {
    let Some(node) = node.get(key) else { return &[] };
    let entries = node.entries();
    if !matches!(node.value, Value::Map(_)) {
        problems.push(node.at.problem(format!("'{key}' is a map, found {}", node.kind())));
    } else if entries.len() > ROWS_MAX {
        let message = format!("{} rows in '{key}'; {ROWS_MAX} are possible", entries.len());
        problems.push(node.at.problem(message));
    }
    entries
}

fn is_target(key: &Key, mapping: &str, problems: &mut Problems) -> bool {
    let name = key.name.as_str();
    let is_own =
        name.strip_prefix(mapping).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'));
    if OWN.contains(&name) {
        let message = format!("'{name}' follows from 'dataset'; leave it out here");
        problems.push(key.at.problem(message));
    } else if !is_own && !ecs::NAMES.contains(&name) {
        let hint = did_you_mean(name, ecs::NAMES.iter().copied());
        let message = format!(
            "Custos knows no field '{name}'{hint}; a field of your own begins with '{mapping}.'"
        );
        problems.push(key.at.problem(message));
    } else {
        return true;
    }
    false
}

/// `source.ip: client`, or a map that says more.
fn row(key: &Key, node: &Node, problems: &mut Problems) -> Row {
    let target = key.name.clone();
    let mut row = Row {
        form: Form::of(&target),
        target,
        from: Vec::new(),
        values: Vec::new(),
        otherwise: None,
    };
    if !matches!(node.value, Value::Map(_)) {
        row.from = texts(node, "a field", problems);
        return row;
    }
    is_map(node, "a field", &["from", "as", "values", "otherwise"], problems);
    match node.get("from") {
        Some(from) => row.from = texts(from, "'from'", problems),
        None => {
            problems.push(node.at.problem("'from' is missing: the source's own name of the value"));
        }
    }
    if let Some(form) = node.get("as") {
        match form.as_str() {
            Some("text") => row.form = Form::Same,
            Some("lower") => row.form = Form::Lower,
            Some("number") => row.form = Form::Number,
            Some("ip") => row.form = Form::Ip,
            _ => problems.push(form.at.problem("'as' is one of text, lower, number, ip")),
        }
    }
    if let Some(values) = node.get("values") {
        row.values = value_table(values, problems);
    }
    row.otherwise = text(node, "otherwise");
    if row.otherwise.is_some() && row.values.is_empty() {
        problems.push(place(node, "otherwise").problem("'otherwise' needs 'values' beside it"));
    }
    row
}

fn value_table(node: &Node, problems: &mut Problems) -> Vec<(String, String)> {
    let entries = node.entries();
    if entries.is_empty() || entries.len() > VALUES_MAX {
        let message =
            format!("'values' is a map of 1 to {VALUES_MAX} values, such as DENY: failure");
        problems.push(node.at.problem(message));
    }
    let mut values = Vec::new();
    for (key, value) in entries {
        match value.scalar() {
            Some(text) => values.push((key.name.clone(), text)),
            None => problems
                .push(value.at.problem(format!("a value is a text, found {}", value.kind()))),
        }
    }
    values
}

/// `time: stamp`, or a map that says more.
fn time(node: &Node, problems: &mut Problems) -> Clock {
    let mut clock = Clock { fields: Vec::new(), form: clock::Form::Auto, zone: None };
    if !matches!(node.value, Value::Map(_)) {
        clock.fields = texts(node, "'time'", problems);
        return clock;
    }
    is_map(node, "'time'", &["field", "format", "zone"], problems);
    match node.get("field") {
        Some(field) => clock.fields = texts(field, "'field'", problems),
        None => {
            problems.push(node.at.problem("'field' is missing: the source's own name of the time"));
        }
    }
    if let Some(format) = node.get("format") {
        match clock::Form::parse(&format.scalar().unwrap_or_default()) {
            Ok(form) => clock.form = form,
            Err(message) => problems.push(format.at.problem(message)),
        }
    }
    if let Some(zone) = node.get("zone") {
        clock.zone = clock::zone(&zone.scalar().unwrap_or_default());
        if clock.zone.is_none() {
            let message = "'zone' is the distance from UTC, in quotes: '+02:00', or 'Z'";
            problems.push(zone.at.problem(message));
        }
    }
    clock
}

/// What is asked for by name has to be in a pattern, where patterns alone give names.
fn check_sources(node: &Node, mapping: &Mapping, problems: &mut Problems) {
    let Split::Text { patterns, pairs: None } = &mapping.split else { return };
    let of_all: Vec<&str> = patterns.iter().flat_map(Pattern::groups).collect();
    let mut check = |at: Place, names: &[String], known: &[&str]| {
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let hint = did_you_mean(name, known.iter().copied());
            problems.push(at.problem(format!("no pattern has a group '{name}'{hint}")));
        }
    };
    let mut check_rows = |node: &Node, rows: &Rows, known: &[&str]| {
        for row in &rows.fields {
            let fields = node.get("fields").unwrap_or(node);
            check(place(fields, &row.target), &row.from, known);
        }
    };
    check_rows(node, &mapping.rows, &of_all);
    let items = node.get("pattern").map(Node::items).unwrap_or_default();
    for (item, pattern) in items.iter().zip(patterns) {
        check_rows(item, &pattern.rows, &pattern.groups().collect::<Vec<_>>());
    }
    if let Some(time) = &mapping.time {
        check(place(node, "time"), &time.fields, &of_all);
    }
}
