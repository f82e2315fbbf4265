//! Zeek's conn and dns logs as JSON.

use super::json;
use super::suricata::Ends;
use custos_event::Timestamp;
use serde::Serialize;

/// Seconds with a fraction, as Zeek writes them.
#[expect(clippy::cast_precision_loss, reason = "a double holds microseconds of this century")]
fn stamp(time: Timestamp) -> f64 {
    (time.0 / 1_000) as f64 / 1e6
}

/// How a connection went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conn<'a> {
    pub(crate) service: &'a str,
    pub(crate) state: &'a str,
    pub(crate) millis: u32,
    pub(crate) sent: u64,
    pub(crate) got: u64,
}

#[derive(Serialize)]
struct ConnLine<'a> {
    _path: &'a str,
    ts: f64,
    uid: &'a str,
    #[serde(flatten)]
    id: Id<'a>,
    proto: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    service: &'a str,
    duration: f64,
    orig_bytes: u64,
    resp_bytes: u64,
    conn_state: &'a str,
    missed_bytes: u64,
    history: &'a str,
    orig_pkts: u64,
    resp_pkts: u64,
}

#[derive(Serialize)]
struct Id<'a> {
    #[serde(rename = "id.orig_h")]
    orig_h: &'a str,
    #[serde(rename = "id.orig_p")]
    orig_p: u64,
    #[serde(rename = "id.resp_h")]
    resp_h: &'a str,
    #[serde(rename = "id.resp_p")]
    resp_p: u64,
}

fn id(ends: &Ends) -> Id<'_> {
    Id { orig_h: &ends.from, orig_p: ends.from_port, resp_h: &ends.to, resp_p: ends.to_port }
}

fn proto(ends: &Ends) -> &'static str {
    if ends.to_port == 53 { "udp" } else { "tcp" }
}

pub(crate) fn conn(time: Timestamp, uid: &str, ends: &Ends, conn: Conn<'_>) -> String {
    json(&ConnLine {
        _path: "conn",
        ts: stamp(time),
        uid,
        id: id(ends),
        proto: proto(ends),
        service: conn.service,
        duration: f64::from(conn.millis) / 1e3,
        orig_bytes: conn.sent,
        resp_bytes: conn.got,
        conn_state: conn.state,
        missed_bytes: 0,
        history: if conn.state == "SF" { "ShADadFf" } else { "Sr" },
        orig_pkts: 1 + conn.sent / 800,
        resp_pkts: 1 + conn.got / 1_200,
    })
}

#[derive(Serialize)]
struct DnsLine<'a> {
    _path: &'a str,
    ts: f64,
    uid: &'a str,
    #[serde(flatten)]
    id: Id<'a>,
    proto: &'a str,
    trans_id: u64,
    query: &'a str,
    qclass: u64,
    qclass_name: &'a str,
    qtype_name: &'a str,
    rcode: u64,
    rcode_name: &'a str,
    #[serde(rename = "AA")]
    authoritative: bool,
    rejected: bool,
}

/// The question for `query`, of the type `kind`, and how it was answered.
pub(crate) fn dns(
    time: Timestamp,
    uid: &str,
    ends: &Ends,
    (query, kind, answer): (&str, &str, &str),
) -> String {
    json(&DnsLine {
        _path: "dns",
        ts: stamp(time),
        uid,
        id: id(ends),
        proto: "udp",
        trans_id: ends.from_port,
        query,
        qclass: 1,
        qclass_name: "C_INTERNET",
        qtype_name: kind,
        rcode: if answer == "NXDOMAIN" { 3 } else { 0 },
        rcode_name: answer,
        authoritative: false,
        rejected: false,
    })
}
