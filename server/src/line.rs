//! One event as `custos search --json` prints it and the API sends it.

use custos_event::{FieldId, FieldTable, Timestamp, ValueRef};
use custos_search::Hit;
use serde::Serialize;
use serde_json::{Map, Value, map::Entry};
use std::borrow::Cow;
use utoipa::ToSchema;

/// CLI.md's line of one event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventLine)]
pub(crate) struct Line<'h> {
    log: String,
    partition: u16,
    seq: u64,
    #[schema(value_type = String)]
    time: Timestamp,
    #[schema(value_type = String)]
    received: Timestamp,
    source: &'h str,
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    raw: Cow<'h, str>,
}

impl<'h> Line<'h> {
    pub(crate) fn new(hit: &'h Hit, table: &FieldTable) -> Self {
        let header = &hit.event.header;
        Self {
            log: hit.position.log.to_string(),
            partition: hit.position.partition.0,
            seq: hit.position.seq.0,
            time: header.time,
            received: header.received,
            source: &header.source,
            fields: fields(hit.event.found(), table),
            raw: hit.event.raw_text(),
        }
    }
}

/// Values by the names of their fields; a field with several values is an array.
pub(crate) fn fields<'e>(
    values: impl Iterator<Item = (FieldId, ValueRef<'e>)>,
    table: &FieldTable,
) -> Map<String, Value> {
    let mut fields = Map::new();
    for (field, value) in values {
        let value = Value::from(value);
        match fields.entry(table.name(field).to_string()) {
            Entry::Vacant(place) => {
                place.insert(value);
            }
            Entry::Occupied(mut place) => {
                let held = place.get_mut();
                if let Value::Array(values) = held {
                    values.push(value);
                } else {
                    *held = Value::Array(vec![held.take(), value]);
                }
            }
        }
    }
    fields
}
