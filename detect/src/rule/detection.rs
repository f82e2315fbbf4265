//! The detection block: named searches, each a tree of items, and the condition over them.

use super::{
    Problem,
    condition::{self, Expr, one_or},
    modifier::Modifiers,
    test::Asked,
    yaml::{Key, Node, Place, Value},
};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct Detection {
    pub(crate) searches: Vec<Search>,
    pub(crate) condition: Expr,
}

#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) name: String,
    pub(crate) part: Part,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    All(Vec<Self>),
    Any(Vec<Self>),
    Item(Item),
}

/// One field and what is asked of it; a keyword where there is no field.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) field: Option<Arc<str>>,
    /// As written: `endswith`, `contains|all`.
    pub(crate) modifiers: String,
    pub(crate) asked: Vec<Asked>,
    /// All of the questions, not just one, have to be answered by yes.
    pub(crate) all: bool,
    /// `neq`: the answer is turned round.
    pub(crate) negated: bool,
}

impl Item {
    /// Whether this item stands for a placeholder that nobody has filled, so that it never holds.
    pub(crate) fn is_unfilled(&self) -> bool {
        self.asked.iter().any(Asked::is_unfilled)
    }
}

impl Part {
    pub(crate) fn items(&self) -> Vec<&Item> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::items).collect(),
            Self::Item(item) => vec![item],
        }
    }
}

/// Reads the block; warnings go to `warnings`.
pub(crate) fn read(node: &Node, warnings: &mut Vec<Problem>) -> Result<Detection, Vec<Problem>> {
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("'detection' has to be a map of searches, found {}", node.kind());
        return Err(vec![node.at.problem(message)]);
    }
    let mut searches = Vec::new();
    let mut places = Vec::new();
    let mut problems = Vec::new();
    let mut condition = None;
    for (key, value) in node.entries() {
        match key.name.as_str() {
            "condition" => condition = Some(value),
            "timeframe" => problems.push(key.at.problem(
                "'timeframe' is no longer Sigma; write a correlation rule with a 'timespan'",
            )),
            name => match part(value) {
                Ok(part) => {
                    searches.push(Search { name: name.to_owned(), part });
                    places.push(key.at);
                }
                Err(problem) => problems.push(problem),
            },
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let names: Vec<String> = searches.iter().map(|search| search.name.clone()).collect();
    let condition = match condition {
        Some(node) => conditions(node, &names).map_err(|problem| vec![problem])?,
        None => return Err(vec![node.at.problem("detection has no 'condition'")]),
    };
    warn(&searches, &places, &condition, warnings);
    Ok(Detection { searches, condition })
}

/// One condition, or a list of which any may hold.
fn conditions(node: &Node, names: &[String]) -> Result<Expr, Problem> {
    let mut any = Vec::new();
    for item in node.items() {
        let Some(text) = item.as_str() else {
            return Err(item
                .at
                .problem(format!("condition: expected text, found {}", item.kind())));
        };
        any.push(condition::read(text, names, item.at)?);
    }
    if any.is_empty() {
        return Err(node.at.problem("condition: the list is empty"));
    }
    Ok(one_or(any, Expr::Any))
}

fn warn(searches: &[Search], places: &[Place], condition: &Expr, warnings: &mut Vec<Problem>) {
    for ((index, search), at) in searches.iter().enumerate().zip(places) {
        if !uses(condition, index) {
            let message = format!("search '{}' is not used in the condition", search.name);
            warnings.push(at.problem(message));
        }
    }
}

fn uses(expr: &Expr, search: usize) -> bool {
    match expr {
        Expr::Search(index) => *index == search,
        Expr::All(terms) | Expr::Any(terms) => terms.iter().any(|term| uses(term, search)),
        Expr::Not(inner) => uses(inner, search),
    }
}

/// A search: a map (all items), a list (any of its maps and keywords), or one keyword.
pub(crate) fn part(node: &Node) -> Result<Part, Problem> {
    match &node.value {
        Value::Map(entries) if entries.is_empty() => Err(node.at.problem("the map is empty")),
        Value::Map(entries) => {
            let items: Result<Vec<Part>, Problem> =
                entries.iter().map(|(key, value)| item(key, value).map(Part::Item)).collect();
            items.map(|items| one_or(items, Part::All))
        }
        Value::List(nodes) if nodes.is_empty() => Err(node.at.problem("the list is empty")),
        Value::List(nodes) => {
            let (maps, words): (Vec<&Node>, Vec<&Node>) =
                nodes.iter().partition(|node| matches!(node.value, Value::Map(_) | Value::List(_)));
            let mut any = maps.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
            if !words.is_empty() {
                any.push(Part::Item(keywords(&words)?));
            }
            Ok(one_or(any, Part::Any))
        }
        Value::Null => Err(node.at.problem("the search is empty")),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {
            keywords(&[node]).map(Part::Item)
        }
    }
}

fn keywords(words: &[&Node]) -> Result<Item, Problem> {
    let modifiers = Modifiers::default();
    let mut asked = Vec::new();
    for word in words {
        asked.extend(modifiers.ask(word, true)?);
    }
    Ok(Item { field: None, modifiers: String::new(), asked, all: false, negated: false })
}

fn item(key: &Key, node: &Node) -> Result<Item, Problem> {
    let (field, names) = key.name.split_once('|').unwrap_or((&key.name, ""));
    let keyword = field.is_empty();
    let given = (!names.is_empty()).then(|| names.split('|'));
    let modifiers = Modifiers::read(given.into_iter().flatten(), key.at)?;
    let values = node.items();
    if values.is_empty() {
        return Err(node.at.problem(format!("field '{field}' has an empty list of values")));
    }
    let mut asked = Vec::new();
    for value in values {
        let forms = modifiers.ask(value, keyword)?;
        if modifiers.all && forms.len() > 1 {
            let message = "'all' with 'base64offset' asks for all three alignments at once; \
                           write one item for each value";
            return Err(key.at.problem(message));
        }
        asked.extend(forms);
    }
    Ok(Item {
        field: (!keyword).then(|| field.into()),
        modifiers: names.to_owned(),
        asked,
        all: modifiers.all,
        negated: modifiers.negated,
    })
}
