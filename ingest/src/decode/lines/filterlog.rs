//! `filterlog` of `pfSense` and `OPNsense`: values between commas, their places told by the version of IP and the protocol.

use super::{As, Lines, Told, of_network, outcome, raise};
use crate::decode::fields::{add, add_some};
use custos_event::{ParsedEvent, ecs};

/// The first nine are the same for all.
const COMMON: [&str; 9] = [
    "rule",
    "sub_rule",
    "anchor",
    "tracker",
    "interface",
    "reason",
    "action",
    "direction",
    "ip_version",
];
const V4: [&str; 11] = [
    "tos",
    "ecn",
    "ttl",
    "id",
    "offset",
    "flags",
    "protocol_id",
    "protocol",
    "length",
    "source",
    "destination",
];
const V6: [&str; 8] = [
    "class",
    "flow_label",
    "hop_limit",
    "protocol",
    "protocol_id",
    "length",
    "source",
    "destination",
];
const PORTS: [&str; 3] = ["source_port", "destination_port", "data_length"];

const ROWS: &[(&str, As)] = &[
    ("tracker", As::Text(ecs::RULE_ID)),
    ("interface", As::Text(ecs::OBSERVER_INGRESS_INTERFACE_NAME)),
    ("reason", As::Text(ecs::EVENT_REASON)),
    ("action", As::Lower(ecs::EVENT_ACTION)),
    ("protocol", As::Lower(ecs::NETWORK_TRANSPORT)),
    ("source", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("destination", As::Address(ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS)),
    ("source_port", As::Number(ecs::SOURCE_PORT)),
    ("destination_port", As::Number(ecs::DESTINATION_PORT)),
];

pub(super) fn read(lines: &Lines, event: &mut ParsedEvent, message: &str) -> Option<Told> {
    let values: Vec<&str> = message.split(',').collect();
    let of_ip: &[&str] = match *values.get(8)? {
        "4" => &V4,
        "6" => &V6,
        _ => return None,
    };
    let names = COMMON.iter().chain(of_ip).chain(&PORTS);
    let mut has_ports = true;
    for (name, value) in names.zip(&values) {
        if *name == "protocol" {
            has_ports = matches!(value.to_ascii_lowercase().as_str(), "tcp" | "udp");
        }
        if PORTS.contains(name) && !has_ports {
            break;
        }
        lines.own(event, "filterlog", name, value);
        raise(event, ROWS, name, value);
    }
    let direction = match values.get(7).copied() {
        Some("in") => Some("inbound"),
        Some("out") => Some("outbound"),
        _ => None,
    };
    add_some(event, ecs::NETWORK_DIRECTION, direction);
    if let Some(action) = values.get(6) {
        outcome(event, action);
    }
    add(event, ecs::OBSERVER_TYPE, "firewall");
    of_network(event);
    Some(Told { module: "pfsense", dataset: "pfsense.filterlog", time: None })
}
