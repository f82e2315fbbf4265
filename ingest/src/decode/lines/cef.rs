//! The common event format of `ArcSight`: `CEF:0|vendor|product|version|id|name|severity|key=value …`. In the header `|` and
//! `\` are escaped, in values `=` and `\`, and a value may hold spaces: it ends where the next key begins.

use super::{As, KEY_BYTES_MAX, KEYS_MAX, Lines, Told, outcome, raise};
use crate::decode::{fields::add_some, time};
use custos_event::{ParsedEvent, ValueRef, ecs};

const ROWS: &[(&str, As)] = &[
    ("src", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("shost", As::Text(ecs::SOURCE_DOMAIN)),
    ("spt", As::Number(ecs::SOURCE_PORT)),
    ("dst", As::Address(ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS)),
    ("dhost", As::Text(ecs::DESTINATION_DOMAIN)),
    ("dpt", As::Number(ecs::DESTINATION_PORT)),
    ("proto", As::Lower(ecs::NETWORK_TRANSPORT)),
    ("app", As::Lower(ecs::NETWORK_PROTOCOL)),
    ("suser", As::Text(ecs::USER_NAME)),
    ("suid", As::Text(ecs::USER_ID)),
    ("duser", As::Text(ecs::USER_TARGET_NAME)),
    ("duid", As::Text(ecs::USER_TARGET_ID)),
    ("dvchost", As::Text(ecs::HOST_NAME)),
    ("act", As::Lower(ecs::EVENT_ACTION)),
    ("externalId", As::Text(ecs::EVENT_ID)),
    ("reason", As::Text(ecs::EVENT_REASON)),
    ("msg", As::Text(ecs::MESSAGE)),
    ("cat", As::Text(ecs::RULE_CATEGORY)),
    ("fname", As::Text(ecs::FILE_NAME)),
    ("filePath", As::Text(ecs::FILE_PATH)),
    ("fsize", As::Number(ecs::FILE_SIZE)),
    ("sproc", As::Text(ecs::PROCESS_NAME)),
    ("spid", As::Number(ecs::PROCESS_PID)),
    ("request", As::Text(ecs::URL_ORIGINAL)),
    ("requestMethod", As::Text(ecs::HTTP_REQUEST_METHOD)),
    ("requestClientApplication", As::Text(ecs::USER_AGENT_ORIGINAL)),
    ("in", As::Number(ecs::DESTINATION_BYTES)),
    ("out", As::Number(ecs::SOURCE_BYTES)),
];

pub(super) fn begins(head: &str) -> bool {
    head.trim_start().strip_prefix("CEF:").is_some_and(|rest| rest.starts_with(['0', '1']))
}

/// `text` is what follows `CEF:`.
pub(super) fn read(lines: &Lines, event: &mut ParsedEvent, text: &str) -> Option<Told> {
    let mut rest = text;
    let mut header = || {
        let (part, after) = until_bar(rest)?;
        rest = after;
        Some(unescaped(part))
    };
    let (_version, vendor, product) = (header()?, header()?, header()?);
    let (version, id, name, severity) = (header()?, header()?, header()?, header()?);
    for (field, value) in [
        (ecs::OBSERVER_VENDOR, &vendor),
        (ecs::OBSERVER_PRODUCT, &product),
        (ecs::EVENT_CODE, &id),
        (ecs::RULE_NAME, &name),
    ] {
        add_some(event, field, Some(value));
    }
    lines.own(event, "cef", "version", &version);
    lines.own(event, "cef", "severity", &severity);
    if let Ok(number) = severity.parse() {
        event.add(ecs::EVENT_SEVERITY, ValueRef::Int(number));
    }
    let mut time = None;
    for (key, value) in extension(rest).into_iter().take(KEYS_MAX) {
        lines.own(event, "cef", key, &value);
        raise(event, ROWS, key, &value);
        match key {
            "rt" => time = time::of_value(ValueRef::Str(&value)).or(time),
            "end" | "start" if time.is_none() => time = time::of_value(ValueRef::Str(&value)),
            "outcome" | "act" => outcome(event, &value),
            _ => {}
        }
    }
    add_some(event, ecs::EVENT_KIND, Some("event"));
    Some(Told { module: "cef", dataset: "cef.event", time })
}

fn until_bar(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'|' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// A key stands at the beginning or behind a space, and an `=` that is not escaped follows it.
fn extension(text: &str) -> Vec<(&str, String)> {
    let mut starts = Vec::new();
    let (mut escaped, mut word) = (false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b' ' => word = at + 1,
            b'=' if text.get(word..at).is_some_and(is_key) => starts.push((word, at)),
            _ => {}
        }
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let pair = |(&(start, at), end): (&(usize, usize), usize)| {
        let value = text.get(at + 1..end).unwrap_or_default().trim_end();
        (text.get(start..at).unwrap_or_default(), unescaped(value))
    };
    starts.iter().zip(ends).map(pair).collect()
}

fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.[]".contains(&byte))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some(next @ ('|' | '=' | '\\')) => plain.push(next),
            Some(next) => plain.extend(['\\', next]),
            None => plain.push('\\'),
        }
    }
    plain
}
