//! The generic event of a backup job (docs/sources/backup.md). Its shape brings the keys to ECS; here its
//! action and outcome are told.

use super::{
    Read,
    fields::{add, is_usable, raise},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Backup {
    time: FieldId,
    /// The plain form of `user`, which may also be an object.
    user: FieldId,
}

impl Backup {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("custos.backup_event.{name}"));
        Self { time: own("time"), user: own("user") }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        if !event.get(ecs::CUSTOS_BACKUP_JOB).is_some_and(is_usable) {
            return Err("no 'job', which every backup event has".into());
        }
        raise(event, ecs::USER_NAME, self.user);
        add(event, ecs::EVENT_MODULE, "custos");
        add(event, ecs::EVENT_DATASET, "custos.backup");
        add(event, ecs::EVENT_KIND, "event");
        let result = event.str(ecs::CUSTOS_BACKUP_RESULT).map(str::to_ascii_lowercase);
        add(event, ecs::EVENT_ACTION, action(event, result.as_deref()));
        match result.as_deref() {
            Some("ok" | "success") => add(event, ecs::EVENT_OUTCOME, "success"),
            Some("failed" | "error") => add(event, ecs::EVENT_OUTCOME, "failure"),
            Some(_) | None => {}
        }
        Ok(event.get(self.time).and_then(time::of_value))
    }
}

/// Copies that went say more than how the job ended.
fn action(event: &ParsedEvent, result: Option<&str>) -> &'static str {
    let deleted = event.get(ecs::CUSTOS_BACKUP_DELETED).and_then(custos_event::ValueRef::as_f64);
    match result {
        _ if deleted.is_some_and(|copies| copies > 0.0) => "backup-deleted",
        Some("ok" | "success") => "backup-completed",
        Some("failed" | "error") => "backup-failed",
        Some(_) | None => "backup-event",
    }
}
