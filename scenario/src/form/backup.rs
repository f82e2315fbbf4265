//! What the backup system says of each job.

use super::json;
use custos_event::Timestamp;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Backup<'a> {
    pub(crate) job: String,
    pub(crate) kind: &'a str,
    pub(crate) result: &'a str,
    pub(crate) bytes: u64,
    pub(crate) target: String,
    /// How many copies this job removed.
    pub(crate) deleted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    system: &'a str,
    #[serde(flatten)]
    backup: &'a Backup<'a>,
}

impl Backup<'_> {
    pub(crate) fn line(&self, time: Timestamp) -> String {
        json(&Line { time, system: "backup-01", backup: self })
    }
}
