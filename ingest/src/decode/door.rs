//! The generic event of a door (docs/sources/door.md). Its shape brings the keys to ECS; here its action
//! and outcome are told.

use super::{
    Read,
    fields::{add, is_usable, raise, slug},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};

#[derive(Debug)]
pub(super) struct Door {
    time: FieldId,
    /// The plain forms of keys that may also be objects.
    plain: [(FieldId, FieldId); 4],
}

impl Door {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("custos.door_event.{name}"));
        Self {
            time: own("time"),
            plain: [
                (ecs::CUSTOS_DOOR_NAME, own("door")),
                (ecs::CUSTOS_READER_NAME, own("reader")),
                (ecs::CUSTOS_CREDENTIAL_HASH, own("credential")),
                (ecs::USER_NAME, own("person")),
            ],
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        for (ecs, plain) in self.plain {
            raise(event, ecs, plain);
        }
        let has = |field| event.get(field).is_some_and(is_usable);
        if !has(ecs::CUSTOS_DOOR_NAME) && !has(ecs::CUSTOS_DOOR_ID) {
            return Err("no 'door', which every door event has".into());
        }
        add(event, ecs::EVENT_MODULE, "custos");
        add(event, ecs::EVENT_DATASET, "custos.door");
        add(event, ecs::EVENT_KIND, "event");
        let result = event.str(ecs::CUSTOS_ACCESS_RESULT).map(str::to_ascii_lowercase);
        let action = action(event, result.as_deref());
        add(event, ecs::EVENT_ACTION, &action);
        match result.as_deref() {
            Some("granted") => add(event, ecs::EVENT_OUTCOME, "success"),
            Some("denied") => add(event, ecs::EVENT_OUTCOME, "failure"),
            Some(_) | None => {}
        }
        Ok(event.get(self.time).and_then(time::of_value))
    }
}

/// The worst that the event says.
fn action(event: &ParsedEvent, result: Option<&str>) -> String {
    let is = |field| matches!(event.get(field), Some(ValueRef::Bool(true)));
    if is(ecs::CUSTOS_ACCESS_FORCED) {
        return "door-forced".into();
    }
    if is(ecs::CUSTOS_ACCESS_TAMPER) {
        return "reader-tampered".into();
    }
    if is(ecs::CUSTOS_ACCESS_HELD) {
        return "door-held-open".into();
    }
    match result.map(slug).filter(|result| !result.is_empty()) {
        Some(result) => format!("access-{result}"),
        None => "door-event".into(),
    }
}
