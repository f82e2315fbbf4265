//! One event as the API gives it.

use super::State;
use crate::line::fields;
use anyhow::Context as _;
use custos_event::{FieldTable, ParsedEvent, Parser, Position, Timestamp, ValueRef, record};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::ToSchema;

/// Where an event stands in the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Place {
    log: String,
    partition: u16,
    seq: u64,
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        let Position { log, partition, seq } = position;
        Self { log: log.to_string(), partition: partition.0, seq: seq.0 }
    }
}

/// An event: when, from where, its fields and its bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    position: Place,
    /// When it happened.
    #[schema(value_type = String)]
    time: Timestamp,
    #[schema(value_type = String)]
    received: Timestamp,
    source: String,
    /// By name: ECS and the source's own. A field with several values is an array.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    raw: String,
    /// Why no decoder could read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<String>,
}

impl Event {
    pub(crate) fn new(position: Position, event: &ParsedEvent, table: &FieldTable) -> Self {
        let header = &event.header;
        let values = event.iter().filter(|(_, value)| *value != ValueRef::Null);
        Self {
            position: position.into(),
            time: header.time,
            received: header.received,
            source: header.source.to_string(),
            fields: fields(values, table),
            raw: event.raw_text().into_owned(),
            rejected: header.rejection.as_ref().map(ToString::to_string),
        }
    }
}

/// One event of the log, if it is still there; of the past, if it was there.
pub(crate) fn read(state: &State, at: Position) -> anyhow::Result<Option<ParsedEvent>> {
    if !state.was_there(at) {
        return Ok(None);
    }
    let parser = &mut Parser::new(Arc::clone(&state.opened.table));
    let bytes = state.opened.store.read(at)?;
    let event = bytes.map(|bytes| record::decode(&bytes, parser)).transpose();
    event.with_context(|| format!("cannot read {at}"))
}
