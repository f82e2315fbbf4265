//! The life of a rule, as the journal tells it: what the rule files said, and where people moved a rule to.
//!
//! What runs at a place of the log follows from these facts alone: the texts stand in them.

use crate::id::RuleId;
use serde::{Deserialize, Serialize};

/// How far a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleStage {
    /// Kept, and not run.
    Draft,
    /// Run and counted; no alert comes of it.
    Shadow,
    /// Run, and its matches are alerts.
    Live,
    /// No longer run.
    Retired,
}

impl RuleStage {
    pub const ALL: [Self; 4] = [Self::Draft, Self::Shadow, Self::Live, Self::Retired];

    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Retired => "retired",
        }
    }
}

/// The text of one rule file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// Its first rule's id. A second file with the same first id is called `ID (PATH)`.
    pub rule: RuleId,
    /// Below the folder that was named; it is the id of rules that have none.
    pub path: String,
    /// SHA-256 of what the text means, in hex: comments and layout do not count.
    pub version: String,
    pub text: String,
}
