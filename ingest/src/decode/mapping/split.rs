//! How a line becomes values under its source's own names.

use super::rows::{Resolved, Rows};
use crate::decode::{
    fields::is_usable,
    lines::{KEY_BYTES_MAX, KEYS_MAX, quoted},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef};
use regex::{Captures, Regex};
use std::borrow::Cow;

#[derive(Debug)]
pub(super) enum Split {
    /// One object; its keys are paths below `json`.
    Json,
    /// The first pattern that the line fits, and key=value.
    Text { patterns: Vec<Pattern>, pairs: Option<Pairs> },
}

/// A kind of line.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// What is so of this kind of line alone.
    pub(super) rows: Rows,
}

/// key=value.
#[derive(Debug)]
pub(super) struct Pairs {
    /// The group of the pattern that holds them; without one, the whole line does.
    pub(super) within: Option<String>,
    /// Any of these stands between two pairs.
    pub(super) between: Vec<char>,
    pub(super) equals: char,
    pub(super) quotes: Vec<char>,
}

impl Pattern {
    /// Its groups that have names.
    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        self.regex.capture_names().flatten()
    }

    pub(super) fn resolve(&self, table: &FieldTable, prefix: &str) -> Kind {
        let own = |name: Option<&str>| name.map(|name| table.intern(&format!("{prefix}.{name}")));
        // A regex's own clone has caches of its own: threads do not wait for each other.
        let regex = self.regex.clone();
        let groups = regex.capture_names().map(own).collect();
        Kind { regex, groups, rows: self.rows.resolve(table, prefix) }
    }
}

/// A pattern with its names resolved.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) regex: Regex,
    /// Of each group: its own field.
    groups: Vec<Option<FieldId>>,
    pub(super) rows: Resolved,
}

impl Kind {
    /// Adds what was captured.
    pub(super) fn take(&self, event: &mut ParsedEvent, captures: &Captures<'_>) {
        for (field, group) in self.groups.iter().zip(captures.iter()) {
            let value = group.map(|group| ValueRef::Str(group.as_str()));
            if let (Some(field), Some(value)) = (field, value.filter(|value| is_usable(*value))) {
                event.add(*field, value);
            }
        }
    }
}

impl Pairs {
    /// Adds the pairs of `text` below `prefix`; how many there were.
    pub(super) fn take(
        &self,
        event: &mut ParsedEvent,
        text: &str,
        table: &FieldTable,
        prefix: &str,
    ) -> usize {
        let mut count = 0;
        for (key, value) in self.iter(text).take(KEYS_MAX) {
            count += 1;
            if is_usable(ValueRef::Str(&value)) {
                event.add(table.intern(&format!("{prefix}.{key}")), ValueRef::Str(&value));
            }
        }
        count
    }

    /// The pairs of a text; words that are none are passed over.
    fn iter<'t>(&self, text: &'t str) -> impl Iterator<Item = (&'t str, Cow<'t, str>)> {
        let mut rest = text;
        std::iter::from_fn(move || {
            loop {
                rest = rest.trim_start_matches(&*self.between);
                let end = rest.find(|c| c == self.equals || self.between.contains(&c))?;
                let (key, after) = rest.split_at_checked(end)?;
                let Some(value) = after.strip_prefix(self.equals) else {
                    rest = after;
                    continue;
                };
                let (value, after) = self.value(value);
                rest = after;
                if (1..=KEY_BYTES_MAX).contains(&key.len()) {
                    return Some((key, value));
                }
            }
        })
    }

    fn value<'t>(&self, text: &'t str) -> (Cow<'t, str>, &'t str) {
        let quote = text.chars().next().filter(|first| self.quotes.contains(first));
        // Quotes are ASCII: `document` accepts no others.
        let quoting = quote.and_then(|quote| Some((u8::try_from(quote).ok()?, text.get(1..)?)));
        if let Some((quote, text)) = quoting {
            return quoted(text, quote);
        }
        let end = text.find(&*self.between).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        (value.into(), rest)
    }
}
