//! JSON objects of no format of their own. Audit trails of well-known services are told by their keys and
//! raised to ECS; every other object keeps its own names below `json`.

mod services;

use super::{
    fields::{Raises, add, raise_ip, slug},
    time::{self, SourceTime},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};
use services::{SERVICES, Service};

#[derive(Debug)]
pub(super) struct Json {
    services: Vec<Known>,
    times: Vec<FieldId>,
    azure_category: FieldId,
    workspace_application: FieldId,
}

/// A service with its names resolved.
#[derive(Debug)]
struct Known {
    service: &'static Service,
    marks: Vec<Vec<FieldId>>,
    rows: Raises,
    addresses: Vec<FieldId>,
    outcome: Option<FieldId>,
}

/// Where the time of an object is looked for, in this order; the first that reads as one counts.
const TIMES: [&str; 22] = [
    "time",
    "timestamp",
    "@timestamp",
    "eventTime",
    "event_time",
    "published",
    "created_at",
    "createdAt",
    "CreationTime",
    "requestReceivedTimestamp",
    "creationDate",
    "date_create",
    "datetime",
    "date",
    "ts",
    "id.time",
    "event_timestamp",
    "utc_time",
    "Timestamp",
    "data.date",
    "receiveTimestamp",
    "p_event_time",
];

impl Json {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &&str| table.intern(&format!("json.{name}"));
        let known = |service: &'static Service| Known {
            service,
            marks: service.marks.iter().map(|set| set.iter().map(own).collect()).collect(),
            rows: Raises::new(table, service.rows),
            addresses: service.addresses.iter().map(own).collect(),
            outcome: service.outcome.as_ref().map(own),
        };
        Self {
            services: SERVICES.iter().map(known).collect(),
            times: TIMES.iter().map(own).collect(),
            azure_category: own(&"category"),
            workspace_application: own(&"id.applicationName"),
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Option<SourceTime> {
        let has = |field: &FieldId| event.get(*field).is_some();
        let has_all = |set: &Vec<FieldId>| set.iter().all(has);
        if let Some(known) = self.services.iter().find(|known| known.marks.iter().any(has_all)) {
            self.raise(event, known);
        } else {
            add(event, ecs::EVENT_MODULE, "json");
            add(event, ecs::EVENT_DATASET, "json.generic");
        }
        self.time(event)
    }

    fn raise(&self, event: &mut ParsedEvent, known: &Known) {
        add(event, ecs::EVENT_MODULE, known.service.module);
        let dataset = self.dataset(event, known.service);
        add(event, ecs::EVENT_DATASET, &dataset);
        add(event, ecs::EVENT_KIND, "event");
        known.rows.apply(event);
        for address in &known.addresses {
            if raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, *address) {
                break;
            }
        }
        let outcome = known.outcome.and_then(|field| event.get(field)).and_then(outcome);
        if let Some(outcome) = outcome {
            add(event, ecs::EVENT_OUTCOME, outcome);
        }
    }

    /// Two services hold several logs that only a value tells apart.
    fn dataset(&self, event: &ParsedEvent, service: &Service) -> String {
        match service.dataset {
            "azure." => {
                let category = event.str(self.azure_category).unwrap_or_default();
                let log = match category {
                    "SignInLogs" | "NonInteractiveUserSignInLogs" => "signinlogs",
                    "AuditLogs" => "auditlogs",
                    "RiskyUsers" | "UserRiskEvents" => "riskdetection",
                    _ => "activitylogs",
                };
                format!("azure.{log}")
            }
            "google_workspace." => {
                let application = event.str(self.workspace_application).unwrap_or("admin");
                format!("google_workspace.{}", slug(application))
            }
            dataset => dataset.into(),
        }
    }

    fn time(&self, event: &ParsedEvent) -> Option<SourceTime> {
        self.times.iter().find_map(|field| event.get(*field).and_then(time::of_value))
    }
}

/// The words and codes that services have for how something ended.
fn outcome(value: ValueRef<'_>) -> Option<&'static str> {
    match value {
        ValueRef::Bool(true) | ValueRef::Int(0 | 200..=299) => Some("success"),
        ValueRef::Bool(false) | ValueRef::Int(_) => Some("failure"),
        ValueRef::Str(text) => match text.to_ascii_lowercase().as_str() {
            "success" | "succeeded" | "allow" | "true" | "0" | "partiallysucceeded" => {
                Some("success")
            }
            "failure" | "failed" | "deny" | "false" => Some("failure"),
            _ => None,
        },
        ValueRef::Null | ValueRef::UInt(_) | ValueRef::Float(_) => None,
    }
}
