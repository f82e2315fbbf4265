//! Graylog's extended log format: an application's own message with fields of its own beside it.

use super::{
    fields::{Raises, add, add_all},
    time::{self, SourceTime},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Gelf {
    time: FieldId,
    rows: Raises,
}

impl Gelf {
    pub(super) fn new(table: &FieldTable) -> Self {
        let rows = [
            (ecs::LOG_LOGGER, "gelf.facility"),
            (ecs::LOG_LOGGER, "gelf._logger_name"),
            (ecs::LOG_LOGGER, "gelf._logger"),
            (ecs::PROCESS_PID, "gelf._pid"),
            (ecs::PROCESS_NAME, "gelf._process_name"),
        ];
        Self { time: table.intern("gelf.timestamp"), rows: Raises::new(table, &rows) }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Option<SourceTime> {
        add_all(event, &[(ecs::EVENT_MODULE, "gelf"), (ecs::EVENT_DATASET, "gelf.message")]);
        add(event, ecs::EVENT_KIND, "event");
        self.rows.apply(event);
        event.get(self.time).and_then(time::of_value)
    }
}
