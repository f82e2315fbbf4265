//! The network sensor's EVE events.

use super::json;
use crate::random::Random;
use custos_event::Timestamp;
use serde::Serialize;
use serde_json::json as value;

/// EVE writes microseconds and a zone without a colon.
fn stamp(time: Timestamp) -> String {
    let secs = time.0.div_euclid(1_000_000_000);
    let micros = time.0.rem_euclid(1_000_000_000) / 1_000;
    let text = Timestamp::from_secs(secs).to_string();
    format!("{}.{micros:06}+0000", text.trim_end_matches('Z'))
}

/// Two ends of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    pub(crate) from: String,
    pub(crate) from_port: u64,
    pub(crate) to: String,
    pub(crate) to_port: u64,
}

impl Ends {
    pub(crate) fn new(random: &mut Random, from: &str, to: &str, to_port: u64) -> Self {
        let from_port = 32_768 + random.below(28_000);
        Self { from: from.to_owned(), from_port, to: to.to_owned(), to_port }
    }
}

/// What a signature found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) id: u64,
    pub(crate) text: &'static str,
    pub(crate) category: &'static str,
    pub(crate) severity: u64,
    pub(crate) action: &'static str,
}

#[derive(Serialize)]
struct Head<'a> {
    timestamp: String,
    flow_id: u64,
    in_iface: &'a str,
    event_type: &'a str,
    src_ip: &'a str,
    src_port: u64,
    dest_ip: &'a str,
    dest_port: u64,
    proto: &'a str,
    app_proto: &'a str,
    #[serde(flatten)]
    rest: serde_json::Value,
    host: &'a str,
}

fn head<'a>(
    time: Timestamp,
    flow_id: u64,
    event_type: &'a str,
    ends: &'a Ends,
    rest: serde_json::Value,
) -> Head<'a> {
    Head {
        timestamp: stamp(time),
        flow_id,
        in_iface: "eth1",
        event_type,
        src_ip: &ends.from,
        src_port: ends.from_port,
        dest_ip: &ends.to,
        dest_port: ends.to_port,
        proto: if ends.to_port == 53 { "UDP" } else { "TCP" },
        app_proto: app_proto(ends.to_port),
        rest,
        host: "sensor-1",
    }
}

fn app_proto(port: u64) -> &'static str {
    match port {
        22 => "ssh",
        53 => "dns",
        80 => "http",
        443 | 8443 => "tls",
        445 => "smb",
        3389 => "rdp",
        _ => "failed",
    }
}

/// The signature `found` something between `ends`.
pub(crate) fn alert(time: Timestamp, flow_id: u64, ends: &Ends, found: Signature) -> String {
    let alert = value!({"alert": {
        "action": found.action, "gid": 1, "signature_id": found.id, "rev": 3,
        "signature": found.text, "category": found.category, "severity": found.severity,
    }});
    json(&head(time, flow_id, "alert", ends, alert))
}

/// A connection ended.
pub(crate) fn flow(time: Timestamp, flow_id: u64, ends: &Ends, sent: u64, got: u64) -> String {
    let rest = value!({
        "flow": {"pkts_toserver": 1 + sent / 800, "pkts_toclient": 1 + got / 1_200,
            "bytes_toserver": sent, "bytes_toclient": got, "start": stamp(time), "end": stamp(time),
            "age": 1 + got / 100_000, "state": "closed", "reason": "timeout", "alerted": false},
        "tcp": {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1b", "syn": true,
            "fin": true, "psh": true, "ack": true, "state": "closed"},
    });
    json(&head(time, flow_id, "flow", ends, rest))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_time_is_written_as_eve_writes_it() {
        let time = "2026-11-24T14:00:00.0421Z".parse().unwrap();
        assert_eq!(super::stamp(time), "2026-11-24T14:00:00.042100+0000");
        let whole = "2026-11-24T14:00:00Z".parse().unwrap();
        assert_eq!(super::stamp(whole), "2026-11-24T14:00:00.000000+0000");
    }
}
