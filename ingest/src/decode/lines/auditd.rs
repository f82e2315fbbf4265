//! Linux' audit trail: `type=SYSCALL msg=audit(1364481363.243:24287): key=value …`, one record a line. Records of one
//! event share time and serial number, kept as `event.id`; a serial number alone begins anew with each boot. They are
//! not joined (docs/decisions/0037). Values that hold more than printable letters come in hexadecimal.

use super::{As, KEYS_MAX, Lines, Told, pairs::Pairs, raise};
use crate::decode::{
    fields::{add, add_all, add_some, base_name, slug},
    time::SourceTime,
};
use custos_event::{ParsedEvent, Timestamp, ValueRef, ecs};
use std::borrow::Cow;

const ROWS: &[(&str, As)] = &[
    ("exe", As::Text(ecs::PROCESS_EXECUTABLE)),
    ("comm", As::Text(ecs::PROCESS_NAME)),
    ("pid", As::Number(ecs::PROCESS_PID)),
    ("ppid", As::Number(ecs::PROCESS_PARENT_PID)),
    ("uid", As::Text(ecs::USER_ID)),
    ("euid", As::Text(ecs::USER_EFFECTIVE_ID)),
    ("gid", As::Text(ecs::GROUP_ID)),
    ("cwd", As::Text(ecs::PROCESS_WORKING_DIRECTORY)),
    ("proctitle", As::Text(ecs::PROCESS_COMMAND_LINE)),
    ("name", As::Text(ecs::FILE_PATH)),
    ("acct", As::Text(ecs::USER_NAME)),
    ("addr", As::Address(ecs::SOURCE_IP, ecs::SOURCE_ADDRESS)),
    ("node", As::Text(ecs::HOST_NAME)),
    ("key", As::Text(ecs::RULE_NAME)),
];

/// Fields that the kernel writes in hexadecimal where they are not plain.
const ENCODED: [&str; 12] = [
    "proctitle",
    "comm",
    "exe",
    "name",
    "cwd",
    "cmd",
    "acct",
    "key",
    "data",
    "path",
    "file",
    "dir",
];

pub(super) fn begins(head: &str) -> bool {
    let head = head.trim_start();
    (head.starts_with("type=") || head.starts_with("node=")) && head.contains("msg=audit(")
        || head.starts_with("audit(")
}

pub(super) fn read(lines: &Lines, event: &mut ParsedEvent, message: &str) -> Option<Told> {
    let (before, rest) = message.split_once("audit(")?;
    let is_record = before.contains("type=") || before.is_empty() || before.starts_with("audit: ");
    let (stamp, rest) = rest.split_once(')').filter(|_| is_record)?;
    let (secs, serial) = stamp.split_once(':')?;
    let time = Timestamp::from_secs_f64(secs.parse().ok()?)?;
    add(event, ecs::EVENT_ID, stamp);
    if let Ok(serial) = serial.parse() {
        event.add(ecs::EVENT_SEQUENCE, ValueRef::Int(serial));
    }
    let mut kind = None;
    for (key, value) in Pairs(before) {
        match key {
            "type" => kind = Some(value.into_owned()),
            "node" => raise(event, ROWS, "node", &value),
            _ => {}
        }
    }
    let kind = kind.unwrap_or_else(|| "UNKNOWN".into());
    lines.own(event, "auditd", "type", &kind);
    add_some(event, ecs::EVENT_ACTION, Some(&slug(&kind)));
    let rest = rest.trim_start_matches([':', ' ']);
    let mut arguments = Vec::new();
    pairs(lines, event, rest, kind == "EXECVE", &mut arguments);
    if !arguments.is_empty() {
        add(event, ecs::PROCESS_COMMAND_LINE, &arguments.join(" "));
    }
    if let Some(name) = event.str(ecs::PROCESS_EXECUTABLE).map(|path| base_name(path).to_owned())
        && event.get(ecs::PROCESS_NAME).is_none()
    {
        add(event, ecs::PROCESS_NAME, &name);
    }
    add_all(event, &[(ecs::EVENT_KIND, "event"), (ecs::EVENT_CATEGORY, category(&kind))]);
    let time = Some(SourceTime { at: time, completed: false });
    Some(Told { module: "auditd", dataset: "auditd.log", time })
}

/// `msg='op=login acct="root" res=failed'` holds pairs of its own.
fn pairs(
    lines: &Lines,
    event: &mut ParsedEvent,
    text: &str,
    is_execve: bool,
    arguments: &mut Vec<String>,
) {
    for (key, value) in Pairs(text).take(KEYS_MAX) {
        if key == "msg" && value.contains('=') {
            for (key, value) in Pairs(&value).take(KEYS_MAX) {
                pair(lines, event, key, &decoded(text, key, &value));
            }
            continue;
        }
        let is_argument = is_execve && is_argument(key);
        let value = if is_argument { plain(text, key, &value) } else { decoded(text, key, &value) };
        if is_argument {
            arguments.push(value.clone().into_owned());
        }
        pair(lines, event, key, &value);
    }
}

fn pair(lines: &Lines, event: &mut ParsedEvent, key: &str, value: &str) {
    lines.own(event, "auditd", key, value);
    if !matches!(value, "?" | "(none)" | "(null)") {
        raise(event, ROWS, key, value);
    }
    let good = match (key, value) {
        ("success", "yes") | ("res", "success" | "1") => Some("success"),
        ("success", "no") | ("res", "failed" | "0") => Some("failure"),
        _ => None,
    };
    if let Some(good) = good.filter(|_| event.get(ecs::EVENT_OUTCOME).is_none()) {
        add(event, ecs::EVENT_OUTCOME, good);
    }
}

fn is_argument(key: &str) -> bool {
    key.strip_prefix('a')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn decoded<'v>(text: &str, key: &str, value: &'v str) -> Cow<'v, str> {
    if ENCODED.contains(&key) { plain(text, key, value) } else { Cow::Borrowed(value) }
}

/// A value without quotes whose letters are all hexadecimal pairs is the bytes they stand for; zero bytes, which part
/// the words of a command, become spaces.
fn plain<'v>(text: &str, key: &str, value: &'v str) -> Cow<'v, str> {
    let is_quoted = text.contains(&format!("{key}=\"{value}"));
    let is_hex = value.len() >= 2
        && value.len().is_multiple_of(2)
        && value.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
    if is_quoted || !is_hex {
        return Cow::Borrowed(value);
    }
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok().map(|byte| if byte == 0 { b' ' } else { byte })
    };
    let bytes: Option<Vec<u8>> = value.as_bytes().chunks(2).map(byte).collect();
    bytes.map_or(Cow::Borrowed(value), |bytes| {
        Cow::Owned(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    })
}

fn category(kind: &str) -> &'static str {
    match kind {
        "USER_AUTH" | "USER_LOGIN" | "USER_START" | "USER_END" | "USER_ACCT" | "CRED_ACQ"
        | "LOGIN" | "USER_ERR" => "authentication",
        "ADD_USER" | "DEL_USER" | "ADD_GROUP" | "DEL_GROUP" | "USER_CHAUTHTOK" | "USER_MGMT" => {
            "iam"
        }
        "PATH" | "CWD" => "file",
        "CONFIG_CHANGE" => "configuration",
        _ => "process",
    }
}
