//! The audit trail of the customer system.

use super::json;
use custos_event::Timestamp;
use serde::Serialize;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Crm<'a> {
    pub(crate) user: &'a str,
    pub(crate) ip: &'a str,
    pub(crate) action: &'a str,
    pub(crate) module: &'a str,
    pub(crate) records: u64,
    pub(crate) result: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    system: &'a str,
    user: &'a str,
    ip: &'a str,
    action: &'a str,
    module: &'a str,
    records: u64,
    result: &'a str,
}

impl Crm<'_> {
    pub(crate) fn line(self, time: Timestamp) -> String {
        let Self { user, ip, action, module, records, result } = self;
        json(&Line { time, system: "crm", user, ip, action, module, records, result })
    }
}
