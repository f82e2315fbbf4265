//! Aggregations as Sigma had them before version 2: `selection | count(field) by group > 5` with a
//! `timeframe` is read as the rule without them and a correlation over it.

use super::{
    Problem,
    yaml::{Key, Node, Place, Value},
};

/// What the id of the rule on single events has behind that of the correlation.
const COUNTED: &str = "#counted";

/// The parts of an aggregation.
struct Aggregation<'t> {
    kind: &'static str,
    field: Option<&'t str>,
    group: Vec<&'t str>,
    bound: &'static str,
    number: &'t str,
}

/// The two documents that `node` stands for, and a notice; `None` where its condition aggregates nothing.
/// `id` is what the rule is called where it has none of its own.
pub(crate) fn split(node: &Node, id: &str) -> Option<Result<([Node; 2], Problem), Problem>> {
    let detection = node.get("detection")?;
    let condition = detection.get("condition")?;
    let (selection, aggregation) = condition.as_str()?.split_once('|')?;
    Some(documents(node, detection, condition.at, selection.trim(), aggregation.trim(), id))
}

fn documents(
    node: &Node,
    detection: &Node,
    at: Place,
    selection: &str,
    aggregation: &str,
    id: &str,
) -> Result<([Node; 2], Problem), Problem> {
    let read = read(aggregation, at)?;
    let Some(timeframe) = detection.get("timeframe").and_then(Node::scalar) else {
        let message = format!(
            "'| {aggregation}' has no 'timeframe' beside the condition, as in '5m': how long it counts"
        );
        return Err(at.problem(message));
    };
    let own = node.get("id").and_then(Node::scalar).unwrap_or_else(|| id.to_owned());
    let text = |text: &str| Node { at, value: Value::Str(text.to_owned()) };
    let counted = text(&format!("{own}{COUNTED}"));
    let searches = detection.entries().iter().filter(|(key, _)| key.name != "timeframe");
    let searches = searches.map(|(key, value)| match key.name.as_str() {
        "condition" => (key.clone(), text(selection)),
        _ => (key.clone(), value.clone()),
    });
    let searches = Node { at: detection.at, value: Value::Map(searches.collect()) };
    let kept = |names: &'static [&'static str]| {
        let left = move |(key, _): &&(Key, Node)| !names.contains(&key.name.as_str());
        node.entries().iter().filter(left).cloned()
    };
    let single = kept(&["id", "detection", "level"])
        .chain([entry(at, "id", counted.clone()), entry(at, "detection", searches)]);
    let block = block(&read, counted, &timeframe, at);
    let whole = kept(&["id", "detection", "logsource", "name"])
        .chain([entry(at, "id", text(&own)), entry(at, "correlation", block)]);
    let document = |entries: Vec<(Key, Node)>| Node { at: node.at, value: Value::Map(entries) };
    let message = format!(
        "'| {aggregation}' is Sigma before version 2; read as a correlation of type '{}': write one",
        read.kind
    );
    Ok(([document(single.collect()), document(whole.collect())], at.problem(message)))
}

fn entry(at: Place, name: &str, node: Node) -> (Key, Node) {
    (Key { at, name: name.to_owned() }, node)
}

fn block(read: &Aggregation<'_>, counted: Node, timeframe: &str, at: Place) -> Node {
    let node = |value| Node { at, value };
    let text = |text: &str| node(Value::Str(text.to_owned()));
    let number = match (read.number.parse::<i64>(), read.number.parse::<f64>()) {
        (Ok(number), _) => Value::Int(number),
        (Err(_), Ok(number)) => Value::Float(number),
        (Err(_), Err(_)) => Value::Null,
    };
    let mut condition = vec![entry(at, read.bound, node(number))];
    condition.extend(read.field.map(|field| entry(at, "field", text(field))));
    let group: Vec<Node> = read.group.iter().map(|field| text(field)).collect();
    let mut block = vec![
        entry(at, "type", text(read.kind)),
        entry(at, "rules", node(Value::List(vec![counted]))),
        entry(at, "timespan", text(timeframe)),
        entry(at, "condition", node(Value::Map(condition))),
    ];
    if !group.is_empty() {
        block.push(entry(at, "group-by", node(Value::List(group))));
    }
    node(Value::Map(block))
}

/// `count(field) by group, group > 5`.
fn read(text: &str, at: Place) -> Result<Aggregation<'_>, Problem> {
    let problem = |why: &str| {
        at.problem(format!(
            "aggregation '| {text}': {why}; expected a form like '| count(field) by group > 5', or a \
             correlation rule"
        ))
    };
    let (function, rest) = text.split_once('(').ok_or_else(|| problem("no function"))?;
    let (field, rest) = rest.split_once(')').ok_or_else(|| problem("a '(' is not closed"))?;
    let field = Some(field.trim()).filter(|field| !field.is_empty());
    let kind = match (function.trim().to_ascii_lowercase().as_str(), field) {
        ("count", None) => "event_count",
        ("count", Some(_)) => "value_count",
        ("sum", Some(_)) => "value_sum",
        ("avg", Some(_)) => "value_avg",
        ("sum" | "avg", None) => return Err(problem("the function needs a field")),
        _ => return Err(problem("the function is none of count, sum, avg")),
    };
    let at = rest.find(['<', '>', '=']).ok_or_else(|| problem("it compares with nothing"))?;
    let (by, order) = rest.split_at(at);
    let number = order.trim_start_matches(['<', '>', '=']);
    let bound = match order.strip_suffix(number).unwrap_or_default() {
        ">" => "gt",
        ">=" => "gte",
        "<" => "lt",
        "<=" => "lte",
        "=" | "==" => "eq",
        _ => return Err(problem("it compares by none of > >= < <= =")),
    };
    let number = number.trim();
    if number.parse::<f64>().is_err() {
        return Err(problem("it does not compare with a number"));
    }
    let group = match by.trim() {
        "" => Vec::new(),
        by => {
            let (word, fields) = by.split_at_checked(2).unwrap_or((by, ""));
            if !word.eq_ignore_ascii_case("by") || fields.trim().is_empty() {
                return Err(problem("only 'by' and fields may stand before the comparison"));
            }
            fields.split(',').map(str::trim).collect()
        }
    };
    Ok(Aggregation { kind, field, group, bound, number })
}
