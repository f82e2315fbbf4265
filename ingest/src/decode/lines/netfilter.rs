//! What iptables' and nftables' LOG writes: a prefix of the administrator's, then `IN=eth0 OUT= … SRC=… DST=… PROTO=TCP …`.

use super::{As, KEYS_MAX, Lines, Told, of_network, outcome, pairs::Pairs, raise};
use crate::decode::fields::{add, add_some};
use custos_event::{ParsedEvent, ecs};

const ROWS: &[(&str, As)] = &[
    ("SRC", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("SPT", As::Number(ecs::SOURCE_PORT)),
    ("DST", As::Address(ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS)),
    ("DPT", As::Number(ecs::DESTINATION_PORT)),
    ("PROTO", As::Lower(ecs::NETWORK_TRANSPORT)),
    ("IN", As::Text(ecs::OBSERVER_INGRESS_INTERFACE_NAME)),
];

/// `[  123.456] ` stands before what the kernel says where no daemon has taken it off.
fn without_uptime(text: &str) -> &str {
    let Some((inner, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return text;
    };
    let is_uptime = inner.bytes().all(|byte| byte.is_ascii_digit() || b". ".contains(&byte));
    if is_uptime { rest } else { text }
}

pub(super) fn read(lines: &Lines, event: &mut ParsedEvent, message: &str) -> Option<Told> {
    let at = message.find("IN=")?;
    let (prefix, pairs) = message.split_at_checked(at)?;
    if !(pairs.contains(" OUT=") && pairs.contains(" SRC=") && pairs.contains(" DST=")) {
        return None;
    }
    // `MAC=` and flags without a value part the pairs: each word is read by itself.
    let words = pairs.split_ascii_whitespace().filter(|word| word.contains('='));
    for (key, value) in words.filter_map(|word| Pairs(word).next()).take(KEYS_MAX) {
        lines.own(event, "netfilter", key, &value);
        raise(event, ROWS, key, &value);
    }
    let prefix = without_uptime(prefix).trim_matches([' ', ':', '[', ']']);
    add_some(event, ecs::RULE_NAME, Some(prefix));
    let verdict = prefix.split([' ', '-', '_', ':', '[', ']']);
    for word in verdict.map(str::to_ascii_lowercase) {
        let verdict = match word.as_str() {
            "block" | "blocked" | "drop" | "dropped" | "deny" | "denied" | "reject" => "deny",
            "accept" | "allow" | "allowed" | "pass" => "allow",
            _ => continue,
        };
        add(event, ecs::EVENT_ACTION, verdict);
        outcome(event, verdict);
        break;
    }
    of_network(event);
    Some(Told { module: "netfilter", dataset: "netfilter.log", time: None })
}
