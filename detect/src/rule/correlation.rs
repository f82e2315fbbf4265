//! A correlation block: which rules' matches count together, by what, for how long, and how many.

use super::{
    Problem,
    condition::{self, Expr},
    suggest::did_you_mean,
    yaml::{Node, Place, Value},
};
use custos_event::time::NANOS_PER_SEC;

/// A restart reads the log again this far back (and [`crate::correlate::LATENESS`] more): at 1,000 events/s
/// that is 86 million events for a day, some minutes of work; a week would be an hour.
const TIMESPAN_SECS_MAX: i64 = 86_400;

/// A window never holds more, so no condition may ask for more.
pub(crate) const COUNT_MAX: u32 = 2_000;

/// One bit for each rule is kept with each event.
const RULES_MAX: usize = 64;

const KEYS: [&str; 8] =
    ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "timeframe"];
const TYPES: [&str; 9] = [
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
    "chained",
];
const ORDERS: [(&str, Bound); 6] = [
    ("gt", Bound::Gt),
    ("gte", Bound::Gte),
    ("lt", Bound::Lt),
    ("lte", Bound::Lte),
    ("eq", Bound::Eq),
    ("neq", Bound::Neq),
];

/// A correlation as read.
#[derive(Clone, Debug)]
pub(crate) struct Correlation {
    pub(crate) measure: Measure,
    pub(crate) rules: Vec<Reference>,
    pub(crate) group_by: Vec<String>,
    pub(crate) aliases: Vec<Alias>,
    /// In nanoseconds.
    pub(crate) timespan: i64,
    /// As the rule writes it: `5m`.
    pub(crate) timespan_text: String,
    /// All of them have to hold.
    pub(crate) condition: Vec<(Bound, f64)>,
    /// Whether the rules it refers to raise alerts of their own, too.
    pub(crate) generate: bool,
}

/// What is measured in a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measure {
    Events,
    /// The distinct values of these fields, taken together.
    Values(Vec<String>),
    /// The distinct rules that matched.
    Rules,
    /// How many of the rules, from the first on, matched one after the other.
    RulesInOrder,
    /// One where this holds of the rules that matched, else none.
    RulesThat(Expr),
    /// What the numbers in a field amount to.
    Numbers(Amount, String),
}

/// What many numbers make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    Sum,
    Average,
    /// The one in the middle; of an even count the mean of the two.
    Median,
    /// The least number that so many in a hundred do not exceed.
    Percentile(f64),
}

impl Measure {
    /// The fields whose values are counted or measured.
    pub(crate) fn fields(&self) -> &[String] {
        match self {
            Self::Values(fields) => fields,
            Self::Numbers(_, field) => std::slice::from_ref(field),
            Self::Events | Self::Rules | Self::RulesInOrder | Self::RulesThat(_) => &[],
        }
    }

    pub(crate) fn is_of_numbers(&self) -> bool {
        matches!(self, Self::Numbers(..))
    }
}

/// A rule's id or name, and where it is named.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) at: Place,
}

/// One name for a field that the rules call differently.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    /// A rule's id or name, and that rule's field.
    pub(crate) fields: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

impl Bound {
    #[expect(clippy::float_cmp, reason = "equality is what is asked")]
    pub(crate) fn holds(self, measured: f64, number: f64) -> bool {
        match self {
            Self::Gt => measured > number,
            Self::Gte => measured >= number,
            Self::Lt => measured < number,
            Self::Lte => measured <= number,
            Self::Eq => measured == number,
            Self::Neq => measured != number,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        ORDERS.iter().find(|(_, bound)| *bound == self).map_or("", |(word, _)| word)
    }

    fn is_lower(self) -> bool {
        matches!(self, Self::Gt | Self::Gte | Self::Eq)
    }
}

impl Correlation {
    pub(crate) fn holds(&self, measured: f64) -> bool {
        self.condition.iter().all(|(bound, number)| bound.holds(measured, *number))
    }
}

/// Reads a block; `None`, with a warning, for what is right but not evaluated by this version.
pub(crate) fn read(
    block: &Node,
    generate: bool,
    warnings: &mut Vec<Problem>,
) -> Result<Option<Correlation>, Vec<Problem>> {
    check(block)?;
    if let Some(what) = not_evaluated(block) {
        let message = what.message + "; this version does not evaluate it: the rule never matches";
        warnings.push(Problem { message, ..what });
        return Ok(None);
    }
    let (timespan_text, secs) = timespan_of(block);
    let rules: Vec<Reference> = block.get("rules").map_or_else(Vec::new, references);
    let measure = measure(block, &rules).map_err(|problem| vec![problem])?;
    if let (Measure::RulesThat(expr), Some(node)) = (&measure, block.get("condition"))
        && expr.holds(&|_| false)
    {
        let message = "a condition that holds where no rule matches is asked of no event; this \
                       version does not evaluate it: the rule never matches";
        warnings.push(node.at.problem(message));
        return Ok(None);
    }
    let condition = match (block.get("condition"), &measure) {
        (_, Measure::RulesThat(_)) => vec![(Bound::Gte, 1.0)],
        (Some(node), _) if node.as_str().is_none() => {
            bounds(node).map(|(bound, number, _)| (bound, number)).collect()
        }
        (Some(_) | None, _) => {
            vec![(Bound::Gte, f64::from(u32::try_from(rules.len()).unwrap_or(u32::MAX)))]
        }
    };
    Ok(Some(Correlation {
        measure,
        rules,
        group_by: block.get("group-by").map_or_else(Vec::new, texts),
        aliases: block.get("aliases").map_or_else(Vec::new, aliases),
        timespan: secs.unwrap_or(0).saturating_mul(NANOS_PER_SEC),
        timespan_text,
        condition,
        generate: generate || is_true(block.get("generate")),
    }))
}

pub(crate) fn is_true(node: Option<&Node>) -> bool {
    node.is_some_and(|node| matches!(node.value, Value::Bool(true)))
}

/// The first thing in a right block that this version does not evaluate.
fn not_evaluated(block: &Node) -> Option<Problem> {
    let kind = kind_of(block);
    if kind == "chained" {
        let at = block.get("type").map_or(block.at, |node| node.at);
        let message = "correlations of type 'chained' (let one of another type name a correlation)";
        return Some(at.problem(message));
    }
    let (text, secs) = timespan_of(block);
    if secs.is_none_or(|secs| secs > TIMESPAN_SECS_MAX) {
        return Some(block.at.problem(format!("'{text}' is longer than a day")));
    }
    let rules = block.get("rules").map_or(0, |rules| rules.items().len());
    if rules > RULES_MAX {
        return Some(block.at.problem(format!("{rules} rules are more than {RULES_MAX}")));
    }
    let condition = block.get("condition")?;
    if condition.as_str().is_some() {
        let ordered = kind == "temporal_ordered" && !is_all_of(condition, block);
        let message = "an order of only some of the rules";
        return ordered.then(|| condition.at.problem(message));
    }
    if is_of_numbers(&kind) {
        let lacks = kind == "value_percentile" && condition.get("percentile").is_none();
        let message = "a percentile without its 'percentile', as in 'percentile: 95',";
        return lacks.then(|| condition.at.problem(message));
    }
    let too_many = |number: f64| number > f64::from(COUNT_MAX);
    if let Some((_, number, at)) = bounds(condition).find(|(_, number, _)| too_many(*number)) {
        return Some(at.problem(format!("{number} is more than the {COUNT_MAX} that are kept")));
    }
    if !bounds(condition).any(|(bound, ..)| bound.is_lower()) {
        let message = "a condition without gt, gte or eq would hold at a group's first event";
        return Some(condition.at.problem(message));
    }
    None
}

/// Whether the condition is a plain `a and b and c` of all the rules.
fn is_all_of(condition: &Node, block: &Node) -> bool {
    let rules = block.get("rules").map_or_else(Vec::new, texts);
    let text = condition.as_str().unwrap_or_default();
    let words: Vec<&str> =
        text.split_whitespace().filter(|word| !word.eq_ignore_ascii_case("and")).collect();
    rules.iter().all(|rule| words.contains(&rule.as_str())) && words.len() == rules.len()
}

fn kind_of(block: &Node) -> String {
    block.get("type").and_then(Node::scalar).unwrap_or_default()
}

fn is_of_numbers(kind: &str) -> bool {
    matches!(kind, "value_sum" | "value_avg" | "value_median" | "value_percentile")
}

fn measure(block: &Node, rules: &[Reference]) -> Result<Measure, Problem> {
    let condition = block.get("condition");
    let fields = condition.and_then(|it| it.get("field")).map_or_else(Vec::new, texts);
    let one = fields.first().cloned().unwrap_or_default();
    let percentile = condition.and_then(|it| it.get("percentile")).and_then(number);
    Ok(match kind_of(block).as_str() {
        "value_count" => Measure::Values(fields),
        "value_sum" => Measure::Numbers(Amount::Sum, one),
        "value_avg" => Measure::Numbers(Amount::Average, one),
        "value_median" => Measure::Numbers(Amount::Median, one),
        "value_percentile" => Measure::Numbers(Amount::Percentile(percentile.unwrap_or(0.0)), one),
        "temporal_ordered" => Measure::RulesInOrder,
        "temporal" => match condition.and_then(|node| Some((node.as_str()?, node.at))) {
            Some((text, at)) => {
                let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
                Measure::RulesThat(condition::read(text, &names, at)?)
            }
            None => Measure::Rules,
        },
        _ => Measure::Events,
    })
}

fn texts(node: &Node) -> Vec<String> {
    node.items().iter().filter_map(Node::scalar).collect()
}

fn references(node: &Node) -> Vec<Reference> {
    let one = |item: &Node| item.scalar().map(|name| Reference { name, at: item.at });
    node.items().iter().filter_map(one).collect()
}

fn aliases(node: &Node) -> Vec<Alias> {
    let field = |(rule, field): &(super::yaml::Key, Node)| {
        field.scalar().map(|field| (rule.name.clone(), field))
    };
    let alias = |(key, fields): &(super::yaml::Key, Node)| Alias {
        name: key.name.clone(),
        fields: fields.entries().iter().filter_map(field).collect(),
    };
    node.entries().iter().map(alias).collect()
}

fn bounds(condition: &Node) -> impl Iterator<Item = (Bound, f64, Place)> {
    condition.entries().iter().filter_map(|(key, value)| {
        let (_, bound) = ORDERS.iter().find(|(word, _)| *word == key.name)?;
        Some((*bound, number(value)?, value.at))
    })
}

fn whole(node: &Node) -> Option<u32> {
    if let Value::Int(number) = node.value { u32::try_from(number).ok() } else { None }
}

fn number(node: &Node) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "bounds stay below 2^53")]
    match node.value {
        Value::Int(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        Value::Null | Value::Bool(_) | Value::Str(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn check(block: &Node) -> Result<(), Vec<Problem>> {
    if !matches!(block.value, Value::Map(_)) {
        return Err(vec![
            block.at.problem(format!("'correlation' is a map, found {}", block.kind())),
        ]);
    }
    let mut problems = Vec::new();
    for (key, _) in block.entries() {
        if !KEYS.contains(&key.name.as_str()) {
            let hint = did_you_mean(&key.name, KEYS);
            problems
                .push(key.at.problem(format!("unknown key '{}' in correlation{hint}", key.name)));
        }
    }
    let kind = kind(block, &mut problems);
    if block.get("rules").is_none_or(|rules| rules.scalar().is_none() && rules.items().is_empty()) {
        problems.push(block.at.problem("correlation has no 'rules': the ids or names it counts"));
    }
    timespan(block, &mut problems);
    condition(block, &kind, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn kind(block: &Node, problems: &mut Vec<Problem>) -> String {
    let Some(node) = block.get("type") else {
        problems.push(block.at.problem("correlation has no 'type'"));
        return String::new();
    };
    let kind = node.scalar().unwrap_or_default();
    if !TYPES.contains(&kind.as_str()) {
        let hint = did_you_mean(&kind, TYPES);
        problems.push(node.at.problem(format!("unknown correlation type '{kind}'{hint}")));
    }
    kind
}

/// The time span as written, and in seconds if it is one.
fn timespan_of(block: &Node) -> (String, Option<i64>) {
    let node = block.get("timespan").or_else(|| block.get("timeframe"));
    let text = node.and_then(Node::scalar).unwrap_or_default();
    let secs = timespan_secs(&text);
    (text, secs)
}

/// Sigma's time spans: a count and a unit.
pub(crate) fn timespan_secs(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'M' => 30 * 86_400,
        'y' => 365 * 86_400,
        _ => return None,
    };
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    (count > 0).then(|| i64::from(count).saturating_mul(secs))
}

fn timespan(block: &Node, problems: &mut Vec<Problem>) {
    let Some(node) = block.get("timespan").or_else(|| block.get("timeframe")) else {
        problems.push(block.at.problem("correlation has no 'timespan', as in '5m'"));
        return;
    };
    let (text, secs) = timespan_of(block);
    if secs.is_none() {
        problems.push(node.at.problem(format!(
            "'{text}' is no time span; expected a count and one of s, m, h, d, w, M, y, as in '5m'"
        )));
    }
}

fn condition(block: &Node, kind: &str, problems: &mut Vec<Problem>) {
    let temporal = kind.starts_with("temporal") || kind == "chained";
    let Some(node) = block.get("condition") else {
        if !temporal {
            problems.push(block.at.problem("correlation has no 'condition', as in 'gte: 10'"));
        }
        return;
    };
    if node.as_str().is_some() {
        if !temporal {
            let message = format!("'{kind}' takes a map as condition, as in 'gte: 10'");
            problems.push(node.at.problem(message));
        }
        return;
    }
    let known = |name: &str| ORDERS.iter().any(|(word, _)| *word == name);
    for (key, _) in node.entries() {
        if !known(&key.name) && !["field", "percentile"].contains(&key.name.as_str()) {
            let hint = did_you_mean(&key.name, ORDERS.map(|(word, _)| word));
            let message = format!("unknown key '{}' in condition{hint}", key.name);
            problems.push(key.at.problem(message));
        }
    }
    let orders = node.entries().iter().filter(|(key, _)| known(&key.name));
    let mut numbers = orders.map(|(_, value)| value).peekable();
    if numbers.peek().is_none() {
        problems.push(node.at.problem("condition compares with none of gt, gte, lt, lte, eq, neq"));
    }
    for value in numbers {
        let found = match value.value {
            Value::Int(_) | Value::Float(_) if is_of_numbers(kind) || whole(value).is_some() => {
                continue;
            }
            Value::Int(_) | Value::Float(_) => "one that counts nothing",
            Value::Null | Value::Bool(_) | Value::Str(_) | Value::List(_) | Value::Map(_) => {
                value.kind()
            }
        };
        problems.push(value.at.problem(format!("condition: expected a number, found {found}")));
    }
    if kind.starts_with("value_") {
        fields(node, kind, problems);
    }
}

/// The fields whose values a condition is about.
fn fields(node: &Node, kind: &str, problems: &mut Vec<Problem>) {
    let fields = node.get("field").map_or_else(Vec::new, texts);
    if fields.is_empty() {
        problems.push(node.at.problem(format!("'{kind}' needs the 'field' whose values it takes")));
    } else if fields.len() > 1 && is_of_numbers(kind) {
        problems.push(node.at.problem(format!("'{kind}' takes one 'field', not several")));
    }
    if let Some(percentile) = node.get("percentile")
        && number(percentile).is_none_or(|it| !(0.0..=100.0).contains(&it))
    {
        problems.push(percentile.at.problem("'percentile' is a number from 0 to 100"));
    }
}
