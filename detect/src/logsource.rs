//! Which Sigma logsource an event belongs to: one product, several services, several categories.
//!
//! Decided from what the event itself says (channel and event id, Zeek's path, the decoder's dataset),
//! never from hints that a converter may have left in it.

mod named;
mod sources;
mod windows;

use crate::rule::RuleSource;
use custos_event::{FieldId, FieldTable, ParsedEvent, Shape, ValueRef, Values, Written, ecs};

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

/// Numbers of the fields that decide, and what rules call the sources that are not known.
#[derive(Clone, Debug)]
pub(crate) struct Deciding {
    named: named::Named,
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
    /// One of them is written with escapes, and not known therefore.
    escaped: bool,
}

impl Deciding {
    pub(crate) fn new<'r>(table: &FieldTable, rules: impl Iterator<Item = &'r RuleSource>) -> Self {
        Self {
            named: named::Named::new(rules),
            zeek_path: table.intern("zeek._path"),
            registry_event: table.intern("winlog.event_data.EventType"),
        }
    }

    /// Every source that an event may turn out to be of.
    pub(crate) fn all(&self) -> impl Iterator<Item = EventSource> {
        all().into_iter().chain(self.named.all())
    }

    /// The source of `event`.
    pub(crate) fn source(&self, event: &ParsedEvent) -> EventSource {
        self.known_source(event).unwrap_or_default()
    }

    /// The same; `None` where what decides it is held with escapes in it.
    pub(crate) fn known_source<E: Values>(&self, event: &E) -> Option<EventSource> {
        let shape = event.shape();
        if let Some((_, source)) = BY_SHAPE.iter().find(|(known, _)| *known == shape) {
            return Some(*source);
        }
        let clues = self.clues(event);
        if clues.escaped {
            return None;
        }
        Some(if clues.channel.is_some() || WINDOWS.contains(&shape) {
            windows::source(&clues)
        } else if shape == Shape::Zeek {
            sources::zeek(clues.zeek_path.unwrap_or_default())
        } else {
            let dataset = clues.dataset.unwrap_or_default();
            sources::dataset(dataset).or_else(|| self.named.dataset(dataset)).unwrap_or_default()
        })
    }

    fn clues<'e, E: Values>(&self, event: &'e E) -> Clues<'e> {
        let mut clues = Clues::default();
        for at in 0..event.count() {
            let clue = match event.field(at) {
                ecs::EVENT_DATASET => &mut clues.dataset,
                ecs::WINLOG_CHANNEL => &mut clues.channel,
                ecs::WINLOG_PROVIDER_NAME => &mut clues.provider,
                ecs::WINLOG_EVENT_ID => {
                    clues.event_id = clues.event_id.or_else(|| number(event, at));
                    continue;
                }
                field if field == self.registry_event => &mut clues.registry_event,
                field if field == self.zeek_path => &mut clues.zeek_path,
                _ => continue,
            };
            let written = event.written(at);
            clues.escaped |= matches!(written.kind, Written::ESCAPED | Written::SPELLED);
            if written.kind == Written::TEXT {
                clue.get_or_insert(written.text);
            }
        }
        clues
    }
}

fn number<E: Values>(event: &E, at: usize) -> Option<i64> {
    match event.value(at, &mut String::new()) {
        ValueRef::Int(number) => Some(number),
        ValueRef::Str(text) => text.parse().ok(),
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::UInt(_) | ValueRef::Float(_) => None,
    }
}

/// The source of an event as a rule with this logsource sees it.
pub(crate) fn source_for(
    rule: &RuleSource,
    event: &ParsedEvent,
    table: &FieldTable,
) -> EventSource {
    Deciding::new(table, [rule].into_iter()).source(event)
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
            sources::dataset("linux.sshd").unwrap(),
            sources::zeek("dns"),
            sources::DOOR,
        ] {
            assert_eq!(all.iter().filter(|known| **known == source).count(), 1, "{source:?}");
        }
    }
}
