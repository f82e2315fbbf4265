//! Whether anything can meet a condition: its searches are tried true and false in every way, and those that
//! ask for different values of one field are not true together.

use crate::rule::{Asked, Detection, Item, Part, Test};

/// More searches than this are not tried: 4,096 ways take less than a millisecond.
const SEARCHES_MAX: usize = 12;

/// True where it is not known.
pub(super) fn is_satisfiable(detection: &Detection) -> bool {
    let count = detection.searches.len();
    if count > SEARCHES_MAX {
        return true;
    }
    let parts: Vec<&Part> = detection.searches.iter().map(|search| &search.part).collect();
    let spelled: Vec<String> = parts.iter().map(|part| format!("{part:?}")).collect();
    let never: Vec<bool> = parts.iter().map(|part| is_never(part)).collect();
    (0..1_u32 << count).any(|way| {
        let is_true = |search: usize| way & (1 << search) != 0;
        let agrees = |a: usize, b: usize| {
            let alike = spelled[a] == spelled[b];
            if alike {
                is_true(a) == is_true(b)
            } else {
                !(is_true(a) && is_true(b) && exclude(parts[a], parts[b]))
            }
        };
        (0..count).all(|search| !(is_true(search) && never[search]))
            && (0..count).all(|a| (0..a).all(|b| agrees(a, b)))
            && detection.condition.holds(&is_true)
    })
}

/// Whether a search asks for a placeholder that nothing fills, wherever it may be true.
fn is_never(part: &Part) -> bool {
    match part {
        Part::All(parts) => parts.iter().any(is_never),
        Part::Any(parts) => parts.iter().all(is_never),
        Part::Item(item) => !item.negated && item.asked.iter().all(Asked::is_unfilled),
    }
}

/// Whether two searches ask for different whole values of one field.
fn exclude(a: &Part, b: &Part) -> bool {
    let needed = |part| -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        values(part, &mut found);
        found
    };
    let (a, b) = (needed(a), needed(b));
    a.iter().any(|(field, values)| {
        let other = b.iter().find(|(other, _)| other == field);
        other.is_some_and(|(_, others)| !values.iter().any(|value| others.contains(value)))
    })
}

/// The fields that have to have one of some whole values.
fn values(part: &Part, found: &mut Vec<(String, Vec<String>)>) {
    match part {
        Part::All(parts) => parts.iter().for_each(|part| values(part, found)),
        Part::Item(Item { field: Some(field), asked, negated: false, all: false, modifiers })
            if modifiers.is_empty() =>
        {
            let whole: Option<Vec<String>> = asked.iter().map(whole).collect();
            found.extend(whole.map(|whole| (field.to_string(), whole)));
        }
        Part::Any(_) | Part::Item(_) => {}
    }
}

/// The one value that a question asks for, in lower case.
fn whole(asked: &Asked) -> Option<String> {
    let is_whole = matches!(asked.test, Test::Number(_))
        || matches!(asked.test, Test::Text { .. }) && !asked.text.contains(['*', '?', '\\']);
    is_whole.then(|| asked.text.to_lowercase())
}
