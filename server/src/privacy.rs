//! Personal values at work: sealed before the log, opened for the rules, sealed again in what the rules say.
//!
//! Decisions are the same live and in replay: both read what the log holds and open it with the keys that
//! are there. Where a key is gone the sealed text stands, and is counted.

pub(crate) mod cases;

use crate::config::Protect;
use custos_detect::{Firings, Memory, Seen, Watch};
use custos_event::{
    Alert, FieldTable, Header, ParsedEvent, Parser, Position, Shape, Timestamp, ValueRef, sealed,
};
use custos_ingest::{
    decode::SourceType,
    protect::{KIND_PERSONAL, Personal, PersonalFields, Sealer},
};
use custos_store::Store;
use std::{collections::BTreeSet, sync::Arc};
use tracing::error;

/// Texts shorter than this are sealed again only where they are all of a value: a name of two letters is in
/// half of all words.
const CONTAINED_CHARS_MIN: usize = 4;
/// Alerts cut values here.
const CUT_CHARS: usize = 256;

struct OfStore(Store);

impl Sealer for OfStore {
    fn seal(&self, subject: &str, field: &str, value: &str) -> Option<String> {
        match self.0.keyring().seal_field(subject, field, value) {
            Ok(text) => Some(text),
            Err(error) => {
                metrics::counter!("custos_personal_withheld_total").increment(1);
                error!(%error, field, "a personal value could not be sealed and is withheld");
                None
            }
        }
    }
}

/// Who seals for intake; none where the configuration turns it off.
pub(crate) fn personal(store: &Store, protect: &Protect) -> Option<Personal> {
    let fields = protect.personal.clone()?;
    Some(Personal::new(fields, Arc::new(OfStore(store.clone()))))
}

/// The names under which sealed values are found in events.
pub(crate) fn field_names(fields: &[PersonalFields], table: &Arc<FieldTable>) -> BTreeSet<String> {
    let mut parser = Parser::new(Arc::clone(table));
    let mut names = BTreeSet::new();
    for (of, path) in fields.iter().flat_map(|of| of.fields.iter().map(move |path| (of, path))) {
        let header = Header::new("".into(), Timestamp(0), shape(of.source_type), "".into());
        let raw = nested(path).to_string();
        if let Ok(event) = ParsedEvent::parse(header, raw.into(), &mut parser) {
            names.extend(event.iter().map(|(field, _)| table.name(field).to_string()));
        }
    }
    names
}

fn shape(of: SourceType) -> Shape {
    match of {
        SourceType::Payment => Shape::Payment,
        SourceType::Crm => Shape::Crm,
        SourceType::CloudTrail => Shape::CloudTrail,
        SourceType::Suricata => Shape::SuricataEve,
        SourceType::Zeek => Shape::Zeek,
        SourceType::Door => Shape::Door,
        SourceType::Backup => Shape::Backup,
        SourceType::Gelf => Shape::Gelf,
        SourceType::Otlp => Shape::Otlp,
        SourceType::Journald => Shape::Journald,
        SourceType::Keycloak => Shape::Keycloak,
        SourceType::Falco => Shape::Falco,
        SourceType::Trivy => Shape::Trivy,
        SourceType::Gophish => Shape::Gophish,
        SourceType::WindowsEvtx => Shape::EvtxJson,
        SourceType::WindowsNxlog => Shape::NxlogFlat,
        SourceType::Winlogbeat => Shape::Ecs,
        SourceType::Auto
        | SourceType::Json
        | SourceType::Mapped(_)
        | SourceType::Syslog
        | SourceType::Apache => Shape::Json,
    }
}

fn nested(path: &str) -> serde_json::Value {
    path.rsplit('.').fold("x".into(), |inner, key| serde_json::json!({ key: inner }))
}

/// An event as the rules see it, and what of it is not to be repeated in clear.
pub(crate) struct Opened {
    pub(crate) event: Arc<ParsedEvent>,
    /// (clear, sealed).
    values: Vec<(String, String)>,
    /// Sealed values whose key is gone.
    pub(crate) unreadable: u64,
}

/// Opens what is sealed in an event.
pub(crate) fn open(store: &Store, event: Arc<ParsedEvent>) -> Opened {
    let is_sealed = event.header.protections.iter().any(|found| found.kind == KIND_PERSONAL);
    if !is_sealed {
        return Opened { event, values: Vec::new(), unreadable: 0 };
    }
    let (mut values, mut unreadable) = (Vec::new(), BTreeSet::new());
    let keyring = store.keyring();
    let clear = event.with_texts(|text| {
        sealed::replace(text, |found| {
            let Some(value) = keyring.open_field(found) else {
                unreadable.insert(found.to_owned());
                return None;
            };
            values.push((value.reveal().clone(), found.to_owned()));
            Some(value.reveal().clone())
        })
    });
    let unreadable = unreadable.len() as u64;
    values.sort();
    values.dedup();
    // The longest first: a part of a value must not be sealed before the whole.
    values.sort_by_key(|(clear, _)| std::cmp::Reverse(clear.len()));
    Opened { event: Arc::new(clear), values, unreadable }
}

impl Opened {
    /// Shows the event to `watch`, which keeps of somebody's values their sealed form alone.
    pub(crate) fn show(
        &self,
        (position, clock): (Position, Timestamp),
        watch: &mut Watch,
        memory: &mut Memory,
        alerts: &mut Vec<Alert>,
    ) {
        let kept = |value: &str| self.sealed(value);
        let seen = Seen { kept: &kept, ..Seen::new(position, clock, &self.event) };
        watch.see(&seen, memory, alerts);
    }

    /// Takes the event in again: it was shown before.
    pub(crate) fn recall(
        &self,
        (position, clock): (Position, Timestamp),
        watch: &mut Watch,
        memory: &mut Memory,
        firings: &Firings,
    ) {
        let kept = |value: &str| self.sealed(value);
        let seen = Seen { kept: &kept, ..Seen::new(position, clock, &self.event) };
        watch.recall(&seen, memory, firings);
    }

    /// Seals again what the rules repeat of the event.
    pub(crate) fn seal(&self, mut alert: Alert) -> Alert {
        if self.values.is_empty() {
            return alert;
        }
        let seal = |text: &mut String| {
            if let Some(sealed) = self.sealed(text) {
                *text = sealed;
            }
        };
        seal(&mut alert.title);
        for matched in &mut alert.matched {
            // The pattern is the rule's own text.
            seal(&mut matched.value);
        }
        for entity in &mut alert.entities {
            seal(&mut entity.value);
        }
        alert
    }

    fn sealed(&self, text: &str) -> Option<String> {
        let mut out: Option<String> = None;
        for (clear, sealed) in &self.values {
            let now = out.as_deref().unwrap_or(text);
            if sealed::is_sealed(now) {
                break;
            }
            let is_cut = now.chars().count() >= CUT_CHARS - 1
                && clear.starts_with(now.trim_end_matches('…'));
            if now.eq_ignore_ascii_case(clear) || is_cut {
                out = Some(sealed.clone());
            } else if clear.chars().count() >= CONTAINED_CHARS_MIN && now.contains(clear.as_str()) {
                out = Some(now.replace(clear.as_str(), sealed));
            }
        }
        out
    }
}

/// A query as the journal may hold it: a value that is somebody's is named by what its sealed texts begin with,
/// which finds the same.
pub(crate) fn recorded(store: &Store, query: &str) -> String {
    let keyring = store.keyring();
    let stem = |word: &str| keyring.find_value(word).first().map(|stem| format!("{stem}*"));
    let mut out = String::with_capacity(query.len());
    for (nth, quoted) in query.split('"').enumerate() {
        if nth % 2 == 1 {
            let stem = stem(quoted);
            out.push_str(&stem.unwrap_or_else(|| format!("\"{quoted}\"")));
            continue;
        }
        let is_end = |c: char| c.is_whitespace() || "():<>=|,".contains(c);
        for piece in quoted.split_inclusive(is_end) {
            let word = piece.trim_end_matches(is_end);
            out.push_str(stem(word).as_deref().unwrap_or(word));
            out.push_str(piece.get(word.len()..).unwrap_or_default());
        }
    }
    out
}

/// The sealed values of an event by field, in clear where their key is there.
pub(crate) fn reveal(
    store: &Store,
    event: &ParsedEvent,
    table: &FieldTable,
) -> Vec<(String, String, Option<String>)> {
    let mut found = Vec::new();
    for (field, value) in event.iter() {
        let ValueRef::Str(text) = value else { continue };
        for range in sealed::find(text) {
            let Some(sealed) = text.get(range) else { continue };
            let clear = store.keyring().open_field(sealed).map(|value| value.reveal().clone());
            found.push((table.name(field).to_string(), sealed.to_owned(), clear));
        }
    }
    found
}

#[cfg(test)]
mod canary;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_alert_repeats_is_sealed_and_the_rest_left() {
        let values = vec![
            ("anna@example.org".to_owned(), "prv_mail".to_owned()),
            ("Al".to_owned(), "prv_name".to_owned()),
        ];
        let event = ParsedEvent::text(
            Header::new("s".into(), Timestamp(0), Shape::Text, "d".into()),
            bytes::Bytes::new(),
        );
        let opened = Opened { event: Arc::new(event), values, unreadable: 0 };
        let sealed = |text: &str| opened.sealed(text);
        assert_eq!(sealed("Anna@example.org").as_deref(), Some("prv_mail"));
        assert_eq!(sealed("from anna@example.org!").as_deref(), Some("from prv_mail!"));
        assert_eq!(sealed("Al").as_deref(), Some("prv_name"));
        assert_eq!(sealed("Also"), None);
    }
}
