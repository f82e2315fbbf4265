//! Facts as the stream tells them: short, since each has a page of its own.

use crate::projection::board::Status;
use custos_event::{Actor, Fact, Seq, Timestamp, respond::Verdict};
use serde::Serialize;

/// What somebody said of an alert.
#[derive(Serialize)]
pub(super) struct Change {
    id: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    by: Actor,
    at: Timestamp,
}

impl Change {
    pub(super) fn of(fact: &Fact, at: Timestamp, by: &Actor) -> Option<Self> {
        let change = |id: String, status, verdict, reason| {
            Some(Self { id, status, verdict, reason, by: by.clone(), at })
        };
        if let Fact::AlertJudged { alert, verdict, reason } = fact {
            change(alert.to_string(), Status::Closed, Some(*verdict), Some(reason.clone()))
        } else if let Fact::AlertAcknowledged { alert } = fact {
            change(alert.to_string(), Status::Acknowledged, None, None)
        } else {
            None
        }
    }
}

/// That something happened to an incident, a run or a task; what, its own page tells.
#[derive(Serialize)]
pub(super) struct Happened {
    #[serde(rename = "type")]
    what: &'static str,
    id: String,
    kind: String,
    at: Timestamp,
    seq: Seq,
}

impl Happened {
    pub(super) fn of(fact: &Fact, at: Timestamp, seq: Seq) -> Option<Self> {
        let (what, id, event) = if let Fact::Incident { incident, event } = fact {
            ("incident", incident.to_string(), serde_json::to_value(event))
        } else if let Fact::Run { run, event } = fact {
            ("run", run.to_string(), serde_json::to_value(event))
        } else if let Fact::Task { task, event } = fact {
            ("task", task.to_string(), serde_json::to_value(event))
        } else {
            return None;
        };
        let kind = event.ok()?.get("kind")?.as_str()?.to_owned();
        Some(Self { what, id, kind, at, seq })
    }
}
