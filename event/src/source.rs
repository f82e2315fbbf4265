//! Sources in people's hands while Custos runs: who may send under which name, when that ended, and what is paused.

use serde::{Deserialize, Serialize};

/// What happened to such a source. Its token is known by its digest alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SourceEvent {
    /// Whoever shows this token sends under the source's name. The one before it no longer holds.
    TokenIssued {
        /// What its events are, as the configuration's `type` names it.
        kind: String,
        /// In hex.
        sha256: String,
    },
    /// Its token no longer holds. What it sent stays.
    Closed {
        reason: String,
    },
    /// A topic of Kafka, or `kafka` for all, is not read until it is resumed.
    Paused {
        reason: String,
    },
    Resumed,
}
