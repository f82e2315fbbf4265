//! Which Sigma logsource an event belongs to: one product, several services, several categories.
//!
//! Decided from what the event itself says (channel and event id, Zeek's path, the decoder's dataset),
//! never from hints that a converter may have left in it.

mod sources;
mod windows;

use crate::rule::RuleSource;
use custos_event::{FieldId, FieldTable, ParsedEvent, Shape, ValueRef, ecs};

/// What an event is to Sigma. Two events of one source ask the same rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventSource {
    /// Empty when nothing is known of the event.
    pub product: &'static str,
    pub services: &'static [&'static str],
    pub categories: &'static [&'static str],
}

impl EventSource {
    /// Whether a rule with this logsource sees events of this source. What the rule leaves out, it does
    /// not ask for.
    pub fn serves(&self, rule: &RuleSource) -> bool {
        let product = rule.product.as_deref().is_none_or(|product| product == self.product);
        let within = |wanted: Option<&str>, own: &[&str]| wanted.is_none_or(|it| own.contains(&it));
        product
            && within(rule.service.as_deref(), self.services)
            && within(rule.category.as_deref(), self.categories)
    }
}

/// Every source that an event may turn out to be of, each once.
pub(crate) fn all() -> Vec<EventSource> {
    let mut all: Vec<_> = windows::all().chain(sources::all()).collect();
    let mut seen = hashbrown::HashSet::new();
    all.retain(|source| seen.insert(*source));
    all
}

const WINDOWS: [Shape; 2] = [Shape::EvtxJson, Shape::NxlogFlat];

/// Shapes that only one source has.
const BY_SHAPE: [(Shape, EventSource); 6] = [
    (Shape::SuricataEve, sources::SURICATA),
    (Shape::CloudTrail, sources::CLOUDTRAIL),
    (Shape::Door, sources::DOOR),
    (Shape::Payment, sources::PAYMENT),
    (Shape::Crm, sources::CRM),
    (Shape::Backup, sources::BACKUP),
];

/// Numbers of the fields that decide.
#[derive(Clone, Debug)]
pub(crate) struct Deciding {
    zeek_path: FieldId,
    registry_event: FieldId,
}

/// The deciding values of one event, collected in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clues<'e> {
    pub(crate) dataset: Option<&'e str>,
    pub(crate) channel: Option<&'e str>,
    pub(crate) provider: Option<&'e str>,
    pub(crate) event_id: Option<i64>,
    pub(crate) registry_event: Option<&'e str>,
    pub(crate) zeek_path: Option<&'e str>,
}

impl Deciding {
    pub(crate) fn new(table: &FieldTable) -> Self {
        Self {
            zeek_path: table.intern("zeek._path"),
            registry_event: table.intern("winlog.event_data.EventType"),
        }
    }

    /// The source of `event`.
    pub(crate) fn source(&self, event: &ParsedEvent) -> EventSource {
        let shape = event.header.shape;
        if let Some((_, source)) = BY_SHAPE.iter().find(|(known, _)| *known == shape) {
            return *source;
        }
        let clues = self.clues(event);
        if clues.channel.is_some() || WINDOWS.contains(&shape) {
            return windows::source(&clues);
        }
        if shape == Shape::Zeek {
            return sources::zeek(clues.zeek_path.unwrap_or_default());
        }
        sources::dataset(clues.dataset.unwrap_or_default())
    }

    fn clues<'e>(&self, event: &'e ParsedEvent) -> Clues<'e> {
        let mut clues = Clues::default();
        for (field, value) in event.iter() {
            match field {
                ecs::EVENT_DATASET => keep(&mut clues.dataset, value),
                ecs::WINLOG_CHANNEL => keep(&mut clues.channel, value),
                ecs::WINLOG_PROVIDER_NAME => keep(&mut clues.provider, value),
                ecs::WINLOG_EVENT_ID => clues.event_id = clues.event_id.or_else(|| number(value)),
                field if field == self.registry_event => keep(&mut clues.registry_event, value),
                field if field == self.zeek_path => keep(&mut clues.zeek_path, value),
                _ => {}
            }
        }
        clues
    }
}

fn keep<'e>(clue: &mut Option<&'e str>, value: ValueRef<'e>) {
    *clue = clue.or(value.as_str());
}

fn number(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Int(number) => Some(number),
        ValueRef::Str(text) => text.parse().ok(),
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::UInt(_) | ValueRef::Float(_) => None,
    }
}

/// The source of an event, for callers outside the engine: coverage pages, `doctor`.
pub fn source_of(event: &ParsedEvent, table: &FieldTable) -> EventSource {
    Deciding::new(table).source(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_can_be_of_is_known_beforehand() {
        let all = all();
        let sysmon = |categories: &'static [&'static str]| EventSource {
            product: "windows",
            services: &["sysmon"],
            categories,
        };
        for source in [
            sysmon(&["process_creation"]),
            sysmon(&["registry_event", "registry_add"]),
            sysmon(&["registry_event", "registry_add", "registry_delete"]),
            sources::dataset("linux.sshd"),
            sources::zeek("dns"),
            sources::DOOR,
        ] {
            assert_eq!(all.iter().filter(|known| **known == source).count(), 1, "{source:?}");
        }
    }
}
