//! One file a source: its events as structures, and their lines as the source writes them.

pub(crate) mod backup;
pub(crate) mod crm;
pub(crate) mod door;
pub(crate) mod payment;
pub(crate) mod suricata;
pub(crate) mod syslog;
pub(crate) mod windows;
pub(crate) mod zeek;

use serde::Serialize;

/// The line of an event that consists of texts, numbers and flags, which is never without one.
fn json(event: &impl Serialize) -> String {
    serde_json::to_string(event).unwrap_or_default()
}
