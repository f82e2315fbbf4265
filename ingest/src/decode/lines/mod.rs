//! Formats of one line that come alone or behind a syslog header: CEF, LEEF, auditd, packet filters, key=value.
//!
//! Each keeps all keys of the source below a name of its own (`cef.*`, `leef.*`, `auditd.*`, `netfilter.*`, `kv.*`) and
//! raises those that ECS has.

mod auditd;
mod cef;
mod filterlog;
mod leef;
mod netfilter;
mod pairs;

pub(super) use pairs::quoted;

use super::{
    fields::{add, add_all, is_usable},
    time::SourceTime,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};
use std::{net::IpAddr, sync::Arc};

/// A line has some dozens of keys; who sends more makes them up.
pub(super) const KEYS_MAX: usize = 512;
/// A name longer than this is no key.
pub(super) const KEY_BYTES_MAX: usize = 64;

/// What a line was, and its own time if it has one.
pub(super) struct Told {
    pub(super) module: &'static str,
    pub(super) dataset: &'static str,
    pub(super) time: Option<SourceTime>,
}

#[derive(Debug)]
pub(super) struct Lines {
    table: Arc<FieldTable>,
}

/// Whether a line begins as one of these does, so that it needs no syslog header.
pub(super) fn looks_like(raw: &[u8]) -> bool {
    let head = raw.get(..raw.len().min(256)).unwrap_or_default();
    let head = head.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
    cef::begins(head) || leef::begins(head) || auditd::begins(head) || pairs::looks_like(head)
}

impl Lines {
    pub(super) fn new(table: Arc<FieldTable>) -> Self {
        Self { table }
    }

    /// Reads the message of `program`; `None` where it is none of these.
    pub(super) fn read(
        &self,
        event: &mut ParsedEvent,
        program: Option<&str>,
        message: &str,
    ) -> Option<Told> {
        match program {
            // `CEF:0|…` behind a syslog header reads as the tag `CEF`.
            Some("CEF") => return cef::read(self, event, message),
            Some("LEEF") => return leef::read(self, event, message),
            Some("filterlog") => return filterlog::read(self, event, message),
            Some("audit" | "auditd" | "audisp-syslog" | "audispd" | "kernel") | None => {}
            Some(_) if message.starts_with("CEF:") || message.starts_with("LEEF:") => {}
            Some(_) => return None,
        }
        let message = message.trim_start();
        if let Some(rest) = message.strip_prefix("CEF:") {
            cef::read(self, event, rest)
        } else if let Some(rest) = message.strip_prefix("LEEF:") {
            leef::read(self, event, rest)
        } else if let Some(told) = auditd::read(self, event, message) {
            Some(told)
        } else if let Some(told) = netfilter::read(self, event, message) {
            Some(told)
        } else if program.is_none() && pairs::looks_like(message) {
            Some(pairs::read(self, event, message))
        } else {
            None
        }
    }

    /// The source's own key below its format's name.
    fn own(&self, event: &mut ParsedEvent, format: &str, key: &str, value: &str) {
        event.add(self.table.intern(&format!("{format}.{key}")), ValueRef::Str(value));
    }
}

/// What a value is in ECS.
#[derive(Clone, Copy, Debug)]
enum As {
    Text(FieldId),
    /// An address, or else the second field.
    Address(FieldId, FieldId),
    Number(FieldId),
    Lower(FieldId),
}

/// Adds `value` as what the first row for `key` says, unless the field has a value already.
fn raise(event: &mut ParsedEvent, rows: &[(&str, As)], key: &str, value: &str) {
    if !is_usable(ValueRef::Str(value)) {
        return;
    }
    for (_, meant) in rows.iter().filter(|(name, _)| *name == key) {
        let field = match *meant {
            As::Address(ip, otherwise) => match value.parse::<IpAddr>() {
                Ok(_) => ip,
                Err(_) => otherwise,
            },
            As::Text(field) | As::Number(field) | As::Lower(field) => field,
        };
        if event.get(field).is_some() {
            continue;
        }
        match meant {
            As::Number(_) => {
                if let Ok(number) = value.parse() {
                    event.add(field, ValueRef::Int(number));
                }
            }
            As::Lower(_) => add(event, field, &value.to_lowercase()),
            As::Text(_) | As::Address(..) => add(event, field, value),
        }
    }
}

/// How it ended, in the words that sources have for it.
fn outcome(event: &mut ParsedEvent, word: &str) {
    const GOOD: [&str; 11] = [
        "success",
        "successful",
        "succeeded",
        "allow",
        "allowed",
        "accept",
        "accepted",
        "permit",
        "permitted",
        "pass",
        "passed",
    ];
    const BAD: [&str; 13] = [
        "failure", "failed", "fail", "deny", "denied", "drop", "dropped", "block", "blocked",
        "reject", "rejected", "close", "error",
    ];
    if event.get(ecs::EVENT_OUTCOME).is_some() {
        return;
    }
    let word = word.to_ascii_lowercase();
    if GOOD.contains(&word.as_str()) {
        add(event, ecs::EVENT_OUTCOME, "success");
    } else if BAD.contains(&word.as_str()) {
        add(event, ecs::EVENT_OUTCOME, "failure");
    }
}

fn of_network(event: &mut ParsedEvent) {
    add_all(event, &[(ecs::EVENT_CATEGORY, "network"), (ecs::EVENT_KIND, "event")]);
}

#[cfg(test)]
mod tests;
