//! Accounts: who may sign in, in which roles.

use serde::{Deserialize, Serialize};

/// What somebody is here to do. Which permissions follow is `server`'s table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees alerts and sources.
    Viewer,
    /// Reads events and judges alerts.
    Analyst,
    /// Runs playbooks.
    Responder,
    /// Approves effects.
    Lead,
    /// Reads everything, changes nothing.
    Auditor,
    /// Manages people and rules.
    Admin,
}

impl Role {
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::Analyst, Self::Responder, Self::Lead, Self::Auditor, Self::Admin];
}
