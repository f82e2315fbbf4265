//! One decoder's means of reading lines by mappings, every name resolved.

use super::super::{
    Read, Reason,
    fields::{add, add_all},
    syslog::{self, line_of},
};
use super::{
    Mapping, MappingId, Mappings,
    rows::Resolved,
    split::{Kind, Pairs, Split},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, Timestamp, ecs};
use std::sync::Arc;

#[derive(Debug)]
pub(in crate::decode) struct Mapper {
    mappings: Arc<Mappings>,
    table: Arc<FieldTable>,
    own: Vec<Own>,
}

/// Of one mapping.
#[derive(Debug)]
struct Own {
    kinds: Vec<Kind>,
    rows: Resolved,
    time: Vec<FieldId>,
    module: String,
}

impl Mapper {
    pub(in crate::decode) fn new(mappings: Arc<Mappings>, table: Arc<FieldTable>) -> Self {
        let own = mappings.0.iter().map(|mapping| {
            let (prefix, patterns) = match &mapping.split {
                Split::Json => ("json", &[][..]),
                Split::Text { patterns, .. } => (&*mapping.name, &patterns[..]),
            };
            let module = mapping.dataset.split('.').next().unwrap_or_default();
            Own {
                kinds: patterns.iter().map(|pattern| pattern.resolve(&table, prefix)).collect(),
                rows: mapping.rows.resolve(&table, prefix),
                time: mapping
                    .time
                    .as_ref()
                    .map(|time| time.resolve(&table, prefix))
                    .unwrap_or_default(),
                module: module.to_owned(),
            }
        });
        let own = own.collect();
        Self { mappings, table, own }
    }

    /// The first mapping whose marks this line has.
    pub(in crate::decode) fn recognise(&self, raw: &[u8]) -> Option<MappingId> {
        let is_object = raw.trim_ascii_start().first() == Some(&b'{');
        let mut all = self.mappings.0.iter().enumerate();
        let found = all.find(|(_, mapping)| {
            matches!(mapping.split, Split::Json) == is_object && mapping.marks.hold(raw)
        });
        found.and_then(|(number, _)| self.mappings.id(number))
    }

    /// Name and version, for the header.
    pub(in crate::decode) fn named(&self, id: MappingId) -> Option<(Arc<str>, u16)> {
        self.mappings.get(id).map(|mapping| (Arc::clone(&mapping.name), mapping.version))
    }

    pub(in crate::decode) fn read(
        &self,
        id: MappingId,
        event: &mut ParsedEvent,
        received: Timestamp,
        year: Option<i16>,
    ) -> Read {
        let mapping = self.mappings.get(id);
        let Some((mapping, own)) = mapping.zip(self.own.get(usize::from(id.number))) else {
            return Err("its mapping is not configured any more".into());
        };
        let header_time = match &mapping.split {
            Split::Json => {
                mapping.rows.apply(&own.rows, event);
                None
            }
            Split::Text { .. } => self.text((mapping, own), event, received, year)?,
        };
        add_all(event, &[(ecs::EVENT_MODULE, &own.module), (ecs::EVENT_DATASET, &mapping.dataset)]);
        if event.get(ecs::EVENT_KIND).is_none() {
            add(event, ecs::EVENT_KIND, "event");
        }
        let time = mapping.time.as_ref();
        Ok(time.and_then(|time| time.read(event, &own.time, received, year)).or(header_time))
    }

    /// Reads a line; the time of its syslog header, if it has one.
    fn text(
        &self,
        (mapping, own): (&Mapping, &Own),
        event: &mut ParsedEvent,
        received: Timestamp,
        year: Option<i16>,
    ) -> Read {
        let raw = event.raw.clone();
        let text = line_of(event, &raw);
        let header = syslog::header(&text, received, year)
            .filter(|header| header.program.is_some_and(|program| mapping.marks.names(program)));
        let said = header.as_ref().map_or(&*text, |header| header.message);
        self.split((mapping, own), event, said)?;
        mapping.rows.apply(&own.rows, event);
        if let Some(header) = &header {
            header.add_missing_to(event);
        } else if event.get(ecs::MESSAGE).is_none() {
            add(event, ecs::MESSAGE, said);
        }
        Ok(header.and_then(|header| header.time))
    }

    fn split(
        &self,
        (mapping, own): (&Mapping, &Own),
        event: &mut ParsedEvent,
        said: &str,
    ) -> Result<(), Reason> {
        let Split::Text { patterns, pairs } = &mapping.split else { return Ok(()) };
        let name = &mapping.name;
        let take = |pairs: &Pairs, event: &mut ParsedEvent, text: &str| {
            pairs.take(event, text, &self.table, name)
        };
        let fits = own.kinds.iter().zip(patterns).find_map(|(kind, pattern)| {
            kind.regex.captures(said).map(|captures| (kind, pattern, captures))
        });
        match (fits, pairs) {
            (Some((kind, pattern, captures)), pairs) => {
                kind.take(event, &captures);
                if let Some(pairs) = pairs {
                    let group = |name: &String| captures.name(name).map(|group| group.as_str());
                    let text = pairs.within.as_ref().map_or(Some(said), group);
                    take(pairs, event, text.unwrap_or_default());
                }
                pattern.rows.apply(&kind.rows, event);
                Ok(())
            }
            (None, Some(pairs)) if patterns.is_empty() => match take(pairs, event, said) {
                0 => Err(format!("no line of '{name}': it has no pair of key and value").into()),
                _ => Ok(()),
            },
            (None, _) => Err(format!("no line of '{name}': it fits none of its patterns").into()),
        }
    }
}
