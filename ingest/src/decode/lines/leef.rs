//! The log event extended format of `QRadar`: `LEEF:1.0|vendor|product|version|id|` and pairs between tabs; version 2.0 may name
//! another delimiter, as it is (`^`) or in hexadecimal (`x5E`, `0x09`).

use super::{As, KEY_BYTES_MAX, KEYS_MAX, Lines, Told, outcome, raise};
use crate::decode::{fields::add_some, time};
use custos_event::{ParsedEvent, ValueRef, ecs};

const ROWS: &[(&str, As)] = &[
    ("src", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("srcPort", As::Number(ecs::SOURCE_PORT)),
    ("dst", As::Address(ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS)),
    ("dstPort", As::Number(ecs::DESTINATION_PORT)),
    ("proto", As::Lower(ecs::NETWORK_TRANSPORT)),
    ("usrName", As::Text(ecs::USER_NAME)),
    ("domain", As::Text(ecs::USER_DOMAIN)),
    ("identHostName", As::Text(ecs::HOST_NAME)),
    ("identSrc", As::Text(ecs::HOST_IP)),
    ("sev", As::Number(ecs::EVENT_SEVERITY)),
    ("cat", As::Text(ecs::RULE_CATEGORY)),
    ("action", As::Lower(ecs::EVENT_ACTION)),
    ("resource", As::Text(ecs::FILE_PATH)),
    ("url", As::Text(ecs::URL_ORIGINAL)),
    ("policy", As::Text(ecs::RULE_NAME)),
    ("reason", As::Text(ecs::EVENT_REASON)),
    ("msg", As::Text(ecs::MESSAGE)),
    ("srcBytes", As::Number(ecs::SOURCE_BYTES)),
    ("dstBytes", As::Number(ecs::DESTINATION_BYTES)),
];

pub(super) fn begins(head: &str) -> bool {
    head.trim_start().strip_prefix("LEEF:").is_some_and(|rest| rest.starts_with(['1', '2']))
}

/// `text` is what follows `LEEF:`.
pub(super) fn read(lines: &Lines, event: &mut ParsedEvent, text: &str) -> Option<Told> {
    let mut parts = text.splitn(6, '|');
    let (format, vendor, product) = (parts.next()?, parts.next()?, parts.next()?);
    let (version, id, mut rest) = (parts.next()?, parts.next()?, parts.next()?);
    let mut between = '\t';
    if format.starts_with('2')
        && let Some((delimiter, after)) = rest.split_once('|')
        && let Some(delimiter) = character(delimiter)
    {
        (between, rest) = (delimiter, after);
    }
    for (field, value) in
        [(ecs::OBSERVER_VENDOR, vendor), (ecs::OBSERVER_PRODUCT, product), (ecs::EVENT_CODE, id)]
    {
        add_some(event, field, Some(value));
    }
    lines.own(event, "leef", "version", version);
    let mut time = None;
    let is_key = |key: &str| (1..=KEY_BYTES_MAX).contains(&key.len());
    let pairs = rest.split(between).filter_map(|pair| pair.split_once('='));
    for (key, value) in pairs.filter(|(key, _)| is_key(key.trim())).take(KEYS_MAX) {
        let key = key.trim();
        lines.own(event, "leef", key, value);
        raise(event, ROWS, key, value);
        match key {
            "devTime" => time = time::of_value(ValueRef::Str(value)),
            "action" | "outcome" => outcome(event, value),
            _ => {}
        }
    }
    add_some(event, ecs::EVENT_KIND, Some("event"));
    Some(Told { module: "leef", dataset: "leef.event", time })
}

/// Empty is a tab.
fn character(text: &str) -> Option<char> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (None, _) => Some('\t'),
        (Some(letter), None) => Some(letter),
        _ => {
            let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'))?;
            u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)
        }
    }
}
