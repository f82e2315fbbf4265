//! The generic audit event of a customer system (docs/sources/crm.md). Its shape brings the keys to ECS; here
//! its action and outcome are told.

use super::{
    Read,
    fields::{add, is_usable, raise, raise_ip, slug},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Crm {
    time: FieldId,
    ip: FieldId,
    result: FieldId,
    /// The plain form of `user`, which may also be an object.
    user: FieldId,
}

impl Crm {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("custos.crm_event.{name}"));
        Self { time: own("time"), ip: own("ip"), result: own("result"), user: own("user") }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        if !event.get(ecs::CUSTOS_CRM_ACTION).is_some_and(is_usable) {
            return Err("no 'action', which every event of a customer system has".into());
        }
        raise(event, ecs::USER_NAME, self.user);
        raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, self.ip);
        add(event, ecs::EVENT_MODULE, "custos");
        add(event, ecs::EVENT_DATASET, "custos.crm");
        add(event, ecs::EVENT_KIND, "event");
        let action = event.str(ecs::CUSTOS_CRM_ACTION).map(slug).unwrap_or_default();
        let action = if action.is_empty() { "event" } else { &action };
        add(event, ecs::EVENT_ACTION, &format!("crm-{action}"));
        let result = event.str(self.result).map(str::to_ascii_lowercase);
        match result.as_deref() {
            Some("ok" | "success") => add(event, ecs::EVENT_OUTCOME, "success"),
            Some("denied" | "failed" | "error") => add(event, ecs::EVENT_OUTCOME, "failure"),
            Some(_) | None => {}
        }
        Ok(event.get(self.time).and_then(time::of_value))
    }
}
