//! What happens to an incident.

use super::{RunId, TaskId};
use crate::{
    fact::Entity,
    id::{AlertId, Position, RuleId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// One thing that happened to an incident; the fact around it names the incident, who and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum IncidentEvent {
    /// By an alert, or by a person, who may name several or none.
    Opened {
        title: String,
        /// In Chinese; empty where nobody wrote one.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        title_zh: String,
        /// Sigma's levels: informational, low, medium, high, critical.
        level: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alerts: Vec<AlertRef>,
    },
    /// Grouping, or a person, found that the alert belongs here.
    AlertAdded {
        alert: AlertRef,
    },
    Assigned {
        owner: String,
    },
    Commented {
        text: String,
    },
    TaskAttached {
        task: TaskId,
    },
    RunAttached {
        run: RunId,
    },
    EvidenceAttached {
        evidence: Evidence,
    },
    /// The attack goes on no further.
    Contained {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Closed {
        /// Given where tasks or effects were still open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Reopened {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// What an incident keeps of an alert: enough to group by and to show in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRef {
    pub id: AlertId,
    /// Where the alert stands in the journal.
    pub at: Position,
    pub rule: RuleId,
    pub title: String,
    /// In Chinese; empty where nobody wrote one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title_zh: String,
    pub level: String,
    /// Event time of its last event.
    pub time: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
}

/// The answer of a query, kept with the incident by the places of its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub title: String,
    /// In Chinese; empty where nobody wrote one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title_zh: String,
    pub query: String,
    /// Event time, half-open.
    pub from: Timestamp,
    pub to: Timestamp,
    /// All that matched.
    pub count: u64,
    /// The newest of them, as many as the step asked for.
    pub events: Vec<Position>,
    /// SHA-256 over the named events' stored bytes, in order; hex.
    pub sha256: String,
}
