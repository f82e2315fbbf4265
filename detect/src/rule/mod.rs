//! A Sigma rule as read: what it is called, which events it is for, and what it asks of them.

mod baseline;
mod block;
mod condition;
pub(crate) mod correlation;
mod detection;
mod document;
pub(crate) mod exception;
mod first_seen;
mod legacy;
pub(crate) mod list;
mod modifier;
pub(crate) mod pattern;
mod suppress;
mod test;
mod velocity;

pub(crate) use baseline::Baseline;
pub(crate) use condition::Expr;
pub(crate) use correlation::Correlation;
pub(crate) use detection::{Detection, Item, Part};
pub(crate) use exception::Exception;
pub(crate) use first_seen::FirstSeen;
pub(crate) use suppress::Suppress;
pub(crate) use test::{Affix, Asked, Test};
pub(crate) use velocity::Velocity;

pub use custos_event::yaml::Problem;
use custos_event::{RuleId, suggest, yaml};
use std::sync::Arc;

/// RELIABILITY §4: the largest public rule has 295 KB.
pub const RULE_BYTES_MAX: usize = 1 << 20;

/// What a rule file holds.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    pub rules: Vec<Rule>,
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// A rule that may run.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its own `id`, else its path.
    pub id: RuleId,
    /// What correlations may call it besides its id.
    pub name: Option<String>,
    pub title: String,
    /// `custos.title_zh`; empty where there is none.
    pub title_zh: String,
    pub description: String,
    /// `custos.description_zh`; empty where there is none.
    pub description_zh: String,
    pub status: String,
    /// `informational`, `low`, `medium`, `high`, `critical`; empty where the rule says none.
    pub level: String,
    /// `custos.risk`: what a match weighs for whom it is about, where that is not what its level says.
    pub risk: Option<u32>,
    pub tags: Vec<String>,
    /// Where it was read, as the caller named it.
    pub path: Arc<str>,
    /// SHA-256 of the rule's content, in hex: comments, layout and order of keys do not count.
    pub version: String,
    pub logsource: RuleSource,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) first_seen: Option<FirstSeen>,
    pub(crate) velocity: Option<Velocity>,
    pub(crate) baseline: Option<Baseline>,
    pub(crate) suppress: Option<Suppress>,
    pub(crate) body: Body,
}

/// The logsource block, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleSource {
    pub product: Option<Arc<str>>,
    pub category: Option<Arc<str>>,
    pub service: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Detection(Detection),
    /// Narrows the rules that it names by id or title; all of its logsource when `None`.
    Filter {
        rules: Option<Vec<String>>,
        detection: Detection,
    },
    /// `None` where this version does not evaluate it.
    Correlation(Option<Correlation>),
    /// Values that others ask for by its name.
    List(Arc<[String]>),
}

impl Rule {
    /// Whether this is a detection of its own: not a filter on others, not a correlation.
    pub fn is_detection(&self) -> bool {
        matches!(self.body, Body::Detection(_))
    }

    /// Whether this is a correlation that is evaluated.
    pub fn is_correlation(&self) -> bool {
        self.correlation().is_some()
    }

    /// Whether this narrows other rules.
    pub fn is_filter(&self) -> bool {
        matches!(self.body, Body::Filter { .. })
    }

    /// Whether this is values that others ask for.
    pub fn is_list(&self) -> bool {
        matches!(self.body, Body::List(_))
    }

    /// What its correlation counts, as it names it.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &str> {
        let rules = self.correlation().map_or(&[][..], |it| &it.rules);
        rules.iter().map(|reference| reference.name.as_str())
    }

    /// Whether it is a correlation over this rule.
    pub fn counts(&self, rule: &Self) -> bool {
        self.counted().any(|name| rule.is_called(name))
    }

    /// Whether it takes what was seen before to tell whether a match is raised.
    pub fn minds_the_past(&self) -> bool {
        self.first_seen.is_some() || self.velocity.is_some() || self.baseline.is_some()
    }

    /// The fields whose values its `custos:` block minds.
    pub(crate) fn minded(&self) -> impl Iterator<Item = &str> {
        let first_seen = self.first_seen.iter().flat_map(|it| it.by.iter().chain(&it.value));
        let velocity = self.velocity.iter().flat_map(|it| &it.by);
        let suppress = self.suppress.iter().flat_map(|it| &it.by);
        let baseline = self.baseline.iter().flat_map(|it| it.by.iter().chain(&it.sum));
        first_seen.chain(velocity).chain(baseline).chain(suppress).map(String::as_str)
    }

    pub(crate) fn correlation(&self) -> Option<&Correlation> {
        if let Body::Correlation(correlation) = &self.body { correlation.as_ref() } else { None }
    }

    /// Whether a correlation that refers to `name` means this rule.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        *self.id.0 == *name || self.name.as_deref() == Some(name)
    }
}

/// Reads a rule file: one rule, or several documents.
///
/// A document with an error gives no rule; the others are read on. `path` names the rules that have no
/// id.
pub fn parse(text: &str, path: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if text.len() > RULE_BYTES_MAX {
        let message = format!(
            "file has {} bytes, the limit is {RULE_BYTES_MAX}; split it, or move long lists out",
            text.len()
        );
        parsed.errors.push(Problem { line: 1, column: 1, message });
        return parsed;
    }
    let (documents, broken) = yaml::documents(text);
    for (index, node) in documents.iter().enumerate() {
        document::read(node, path, index, &mut parsed);
    }
    parsed.errors.extend(broken);
    if documents.is_empty() && parsed.errors.is_empty() {
        let message = "no rule in this file".to_owned();
        parsed.errors.push(Problem { line: 1, column: 1, message });
    }
    parsed
}
