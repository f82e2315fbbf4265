//! A log record of OpenTelemetry, as `shippers::otlp` keeps it. Its attributes stay below `otel`.

use super::{
    fields::{Raises, add, add_all},
    time::{self, SourceTime},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Otlp {
    time: FieldId,
    rows: Raises,
}

impl Otlp {
    pub(super) fn new(table: &FieldTable) -> Self {
        let rows = [
            (ecs::HOST_NAME, "otel.resource.host.name"),
            (ecs::HOST_ID, "otel.resource.host.id"),
            (ecs::SERVICE_NAME, "otel.resource.service.name"),
            (ecs::PROCESS_PID, "otel.resource.process.pid"),
            (ecs::PROCESS_EXECUTABLE, "otel.resource.process.executable.path"),
            (ecs::LOG_LOGGER, "otel.scope.name"),
            (ecs::LOG_FILE_PATH, "otel.attributes.log.file.path"),
            (ecs::SOURCE_IP, "otel.attributes.client.address"),
            (ecs::SOURCE_IP, "otel.attributes.source.address"),
            (ecs::DESTINATION_IP, "otel.attributes.destination.address"),
            (ecs::USER_NAME, "otel.attributes.user.name"),
            (ecs::USER_ID, "otel.attributes.user.id"),
            (ecs::HTTP_REQUEST_METHOD, "otel.attributes.http.request.method"),
            (ecs::HTTP_RESPONSE_STATUS_CODE, "otel.attributes.http.response.status_code"),
            (ecs::URL_PATH, "otel.attributes.url.path"),
            (ecs::URL_FULL, "otel.attributes.url.full"),
            (ecs::USER_AGENT_ORIGINAL, "otel.attributes.user_agent.original"),
            (ecs::ERROR_TYPE, "otel.attributes.exception.type"),
            (ecs::ERROR_MESSAGE, "otel.attributes.exception.message"),
        ];
        Self { time: table.intern("otel.timeUnixNano"), rows: Raises::new(table, &rows) }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Option<SourceTime> {
        add_all(event, &[(ecs::EVENT_MODULE, "otel"), (ecs::EVENT_DATASET, "otel.log")]);
        add(event, ecs::EVENT_KIND, "event");
        self.rows.apply(event);
        event.get(self.time).and_then(time::of_value)
    }
}
