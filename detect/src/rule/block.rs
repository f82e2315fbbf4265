//! What the blocks of `custos:` have in common: a map of known keys, lists of fields, spans of time.

use super::{
    Problem,
    correlation::timespan_secs,
    suggest::did_you_mean,
    yaml::{Node, Value},
};
use custos_event::time::NANOS_PER_SEC;

/// Alike in more fields than these is hardly alike.
const FIELDS_MAX: usize = 8;

/// Why a rule that correlations count has none: they count all that it matches.
pub(super) const NOT_COUNTED: &str = "have it in a rule that the correlation does not count";

/// Seconds as a rule writes them: `90s`, `5m`, `1h`, `30d`.
pub(super) fn span_text(secs: i64) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let fits = units.into_iter().find(|(of, _)| secs > 0 && secs % of == 0);
    let (of, unit) = fits.unwrap_or((1, 's'));
    format!("{}{unit}", secs / of)
}

/// A block while it is read, and what is wrong with it.
pub(super) struct Block<'n> {
    name: &'static str,
    node: &'n Node,
    problems: Vec<Problem>,
}

impl<'n> Block<'n> {
    /// `custos.<name>` of a rule on single events, if it has one. `because`: why other rules cannot have it.
    pub(super) fn find(
        document: &'n Node,
        name: &'static str,
        because: &str,
        keys: &[&str],
    ) -> Result<Option<Self>, Vec<Problem>> {
        let Some(node) = document.get("custos").and_then(|own| own.get(name)) else {
            return Ok(None);
        };
        if document.get("correlation").is_some() || document.get("filter").is_some() {
            let message = format!("'{name}' is for rules on single events; {because}");
            return Err(vec![node.at.problem(message)]);
        }
        if !matches!(node.value, Value::Map(_)) {
            let message =
                format!("'{name}' is a map of {}, found {}", keys.join(", "), node.kind());
            return Err(vec![node.at.problem(message)]);
        }
        let slips = node.entries().iter().filter(|(key, _)| !keys.contains(&key.name.as_str()));
        let problems = slips.map(|(key, _)| {
            let hint = did_you_mean(&key.name, keys.iter().copied());
            key.at.problem(format!("unknown key '{}' in {name}{hint}", key.name))
        });
        Ok(Some(Self { name, node, problems: problems.collect() }))
    }

    /// What was read, if nothing is wrong with it.
    pub(super) fn done<T>(self, read: T) -> Result<Option<T>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(Some(read)) } else { Err(self.problems) }
    }

    /// The Sigma fields under `key`; none where it is not there.
    pub(super) fn fields(&mut self, key: &str) -> Vec<String> {
        let Some(node) = self.node.get(key) else { return Vec::new() };
        let names: Option<Vec<String>> = node.items().iter().map(Node::scalar).collect();
        let message = match names {
            Some(names) if names.len() <= FIELDS_MAX => return names,
            Some(_) => format!("'{key}' has more than {FIELDS_MAX} fields"),
            None => format!("'{key}' is a list of fields, as in '[user.name, source.ip]'"),
        };
        self.problems.push(node.at.problem(message));
        Vec::new()
    }

    /// The same, at least one.
    pub(super) fn some_fields(&mut self, key: &str) -> Vec<String> {
        let fields = self.fields(key);
        if fields.is_empty() {
            let at = self.node.get(key).map_or(self.node.at, |node| node.at);
            let message = format!("'{}' has no '{key}', as in '[source.ip]'", self.name);
            self.problems.push(at.problem(message));
        }
        fields
    }

    /// A span of time in nanoseconds, at most `most` (seconds, and as it is written) because of `why`;
    /// `default` in seconds where the key is not there, which without one is a mistake, as 0 is.
    pub(super) fn span(
        &mut self,
        key: &str,
        default: Option<i64>,
        (most, most_text): (i64, &str),
        why: &str,
    ) -> i64 {
        let Some(node) = self.node.get(key) else {
            if default.is_none() {
                let message = format!("'{}' has no '{key}', as in '1h'", self.name);
                self.problems.push(self.node.at.problem(message));
            }
            return default.unwrap_or_default().saturating_mul(NANOS_PER_SEC);
        };
        let text = node.scalar().unwrap_or_default();
        if default.is_some() && ["0", "0s", "0d"].contains(&text.as_str()) {
            return 0;
        }
        let message = match timespan_secs(&text) {
            Some(secs) if secs <= most => return secs * NANOS_PER_SEC,
            Some(_) => format!("'{key}' is at most {most_text}, not '{text}': {why}"),
            None => format!(
                "'{text}' is no time span; expected a count and one of s, m, h, d, as in '1h'"
            ),
        };
        self.problems.push(node.at.problem(message));
        0
    }

    /// Notes what is wrong between what was read.
    pub(super) fn unless(&mut self, holds: bool, message: &str) {
        if !holds && self.problems.is_empty() {
            self.problems.push(self.node.at.problem(message));
        }
    }

    /// A whole number from 1 to `most`; `default` where the key is not there.
    pub(super) fn number(&mut self, key: &str, default: u32, most: u32) -> u32 {
        let Some(node) = self.node.get(key) else { return default };
        if let Value::Int(number) = node.value
            && let Ok(number) = u32::try_from(number)
            && (1..=most).contains(&number)
        {
            return number;
        }
        let message = format!("'{key}' is a whole number from 1 to {most}");
        self.problems.push(node.at.problem(message));
        default
    }
}
