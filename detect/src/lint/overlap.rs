//! Rules that find the same, or all that another finds: for conditions that are one row of `and`.

use crate::rule::{Body, Expr, Item, Part, Rule, RuleSource};
use custos_event::RuleId;
use std::{collections::BTreeSet, sync::Arc};

/// Another rule that finds all that one finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    pub rule: RuleId,
    /// And nothing else.
    pub same: bool,
}

/// One demand of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Demand {
    /// A field, how it is asked, and values of which one is enough.
    OneOf(String, BTreeSet<String>),
    /// Anything else, spelled out.
    Other(String),
}

/// Those of `others` that find all that `rule` finds. Only rules that demand one thing *and* another are
/// compared, and only what is written alike is known to be alike.
pub fn overlaps(rule: &Rule, others: &[&Rule]) -> Vec<Overlap> {
    let Some(own) = demands(rule) else { return Vec::new() };
    let other = |other: &&Rule| {
        if !is_within(&rule.logsource, &other.logsource) || !other.exceptions.is_empty() {
            return None;
        }
        let theirs = demands(other)?;
        let covers = theirs.iter().all(|wide| own.iter().any(|narrow| implies(narrow, wide)));
        let same = own == theirs && rule.logsource == other.logsource;
        covers.then(|| Overlap { rule: other.id.clone(), same })
    };
    others.iter().filter_map(other).collect()
}

/// Whether every event of `narrow` is one of `wide`.
fn is_within(narrow: &RuleSource, wide: &RuleSource) -> bool {
    let within =
        |narrow: &Option<Arc<str>>, wide: &Option<Arc<str>>| wide.is_none() || narrow == wide;
    within(&narrow.product, &wide.product)
        && within(&narrow.category, &wide.category)
        && within(&narrow.service, &wide.service)
}

fn implies(narrow: &Demand, wide: &Demand) -> bool {
    match (narrow, wide) {
        (Demand::OneOf(field, few), Demand::OneOf(other, many)) => {
            field == other && few.is_subset(many)
        }
        _ => narrow == wide,
    }
}

fn demands(rule: &Rule) -> Option<BTreeSet<Demand>> {
    let Body::Detection(detection) = &rule.body else { return None };
    let terms = match &detection.condition {
        Expr::All(terms) => terms.as_slice(),
        Expr::Any(_) => return None,
        one @ (Expr::Search(_) | Expr::Not(_)) => std::slice::from_ref(one),
    };
    let mut demands = BTreeSet::new();
    for term in terms {
        match term {
            Expr::Search(index) => of_part(&detection.searches.get(*index)?.part, &mut demands),
            Expr::Not(inner) => {
                let Expr::Search(index) = &**inner else { return None };
                let part = &detection.searches.get(*index)?.part;
                demands.insert(Demand::Other(format!("not {part:?}")));
            }
            Expr::All(_) | Expr::Any(_) => return None,
        }
    }
    Some(demands)
}

fn of_part(part: &Part, demands: &mut BTreeSet<Demand>) {
    match part {
        Part::All(parts) => parts.iter().for_each(|part| of_part(part, demands)),
        Part::Item(Item { field: Some(field), modifiers, asked, all: false, negated: false }) => {
            let values = asked.iter().map(|asked| asked.text.to_lowercase()).collect();
            demands.insert(Demand::OneOf(format!("{field}|{modifiers}"), values));
        }
        Part::Item(_) | Part::Any(_) => {
            demands.insert(Demand::Other(format!("{part:?}")));
        }
    }
}
