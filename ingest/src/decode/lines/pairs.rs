//! `key=value key2="a value"`, as firewalls and programs write it.

use super::{As, KEY_BYTES_MAX, KEYS_MAX, Lines, Told, outcome, raise};
use crate::decode::{
    fields::add,
    time::{self, SourceTime},
};
use custos_event::{ParsedEvent, ecs};
use std::borrow::Cow;

/// So many at the beginning of a line tell the format.
const PAIRS_MIN: usize = 3;

const ROWS: &[(&str, As)] = &[
    ("srcip", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("src_ip", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("src", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("client_ip", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("remip", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("ip", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("srcport", As::Number(ecs::SOURCE_PORT)),
    ("src_port", As::Number(ecs::SOURCE_PORT)),
    ("spt", As::Number(ecs::SOURCE_PORT)),
    ("dstip", As::Address(ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS)),
    ("dst_ip", As::Address(ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS)),
    ("dst", As::Address(ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS)),
    ("dstport", As::Number(ecs::DESTINATION_PORT)),
    ("dst_port", As::Number(ecs::DESTINATION_PORT)),
    ("dpt", As::Number(ecs::DESTINATION_PORT)),
    ("user", As::Text(ecs::USER_NAME)),
    ("username", As::Text(ecs::USER_NAME)),
    ("userId", As::Text(ecs::USER_ID)),
    ("uid", As::Text(ecs::USER_ID)),
    ("ipAddress", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("devname", As::Text(ecs::HOST_NAME)),
    ("host", As::Text(ecs::HOST_NAME)),
    ("hostname", As::Text(ecs::HOST_NAME)),
    ("action", As::Lower(ecs::EVENT_ACTION)),
    ("act", As::Lower(ecs::EVENT_ACTION)),
    ("service", As::Text(ecs::SERVICE_NAME)),
    ("level", As::Text(ecs::LOG_LEVEL)),
    ("logid", As::Text(ecs::EVENT_CODE)),
    ("reason", As::Text(ecs::EVENT_REASON)),
    ("error", As::Text(ecs::ERROR_MESSAGE)),
    ("msg", As::Text(ecs::MESSAGE)),
    ("message", As::Text(ecs::MESSAGE)),
    ("url", As::Text(ecs::URL_ORIGINAL)),
    ("method", As::Text(ecs::HTTP_REQUEST_METHOD)),
    ("path", As::Text(ecs::URL_PATH)),
    ("status", As::Number(ecs::HTTP_RESPONSE_STATUS_CODE)),
    ("sentbyte", As::Number(ecs::SOURCE_BYTES)),
    ("rcvdbyte", As::Number(ecs::DESTINATION_BYTES)),
];

/// Where the line says when it was.
const TIMES: [&str; 6] = ["time", "ts", "timestamp", "eventtime", "@timestamp", "datetime"];

pub(super) fn looks_like(text: &str) -> bool {
    let mut pairs = Pairs(text);
    let taken = pairs.by_ref().take(PAIRS_MIN).count();
    taken == PAIRS_MIN
}

pub(super) fn read(lines: &Lines, event: &mut ParsedEvent, message: &str) -> Told {
    let (mut time, mut date) = (None, None);
    for (key, value) in Pairs(message).take(KEYS_MAX) {
        lines.own(event, "kv", key, &value);
        raise(event, ROWS, key, &value);
        match key {
            "date" => date = Some(value.clone().into_owned()),
            "time" if date.is_some() => {
                time = date.as_ref().and_then(|date| time::iso(&format!("{date}T{value}")));
            }
            _ if time.is_none() && TIMES.contains(&key) => time = of(&value),
            _ => {}
        }
        if matches!(key, "action" | "act" | "outcome" | "result" | "status") {
            outcome(event, &value);
        }
    }
    if event.get(ecs::EVENT_KIND).is_none() {
        add(event, ecs::EVENT_KIND, "event");
    }
    Told { module: "kv", dataset: "kv.generic", time }
}

fn of(value: &str) -> Option<SourceTime> {
    time::of_value(custos_event::ValueRef::Str(value))
}

/// The pairs of a text, up to what is none.
pub(super) struct Pairs<'t>(pub(super) &'t str);

impl<'t> Iterator for Pairs<'t> {
    type Item = (&'t str, Cow<'t, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches([' ', ',', ';', '\t']);
        let (key, rest) = text.split_once('=')?;
        let is_key = (1..=KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte));
        if !is_key {
            return None;
        }
        let (value, rest) = if let Some(quote @ (b'"' | b'\'')) = rest.as_bytes().first() {
            quoted(rest.get(1..)?, *quote)
        } else {
            let end = rest.find([' ', '\t', ',', ';']).unwrap_or(rest.len());
            let (value, rest) = rest.split_at_checked(end)?;
            (Cow::Borrowed(value), rest)
        };
        self.0 = rest;
        Some((key, value))
    }
}

/// Up to the closing quote, escapes of it and of `\` taken off; a text that was cut goes to its end.
pub(in crate::decode) fn quoted(text: &str, quote: u8) -> (Cow<'_, str>, &str) {
    let mut escaped = false;
    let mut has_escapes = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => (escaped, has_escapes) = (true, true),
            byte if byte == quote => {
                let (inner, rest) = text.split_at_checked(at).unwrap_or((text, ""));
                return (unescaped(inner, has_escapes), rest.get(1..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (unescaped(text, has_escapes), "")
}

fn unescaped(text: &str, has_escapes: bool) -> Cow<'_, str> {
    if !has_escapes {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(next @ ('"' | '\'' | '\\')) => plain.push(next),
                Some(next) => plain.extend(['\\', next]),
                None => plain.push('\\'),
            },
            letter => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}
