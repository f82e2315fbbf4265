//! What PAM says through the programs that use it: sessions, refusals, changed passwords.

use super::{add_peer, says};
use crate::decode::fields::add_some;
use custos_event::{ParsedEvent, ecs};

/// Reads a message of PAM; false if it is none.
pub(super) fn read(event: &mut ParsedEvent, message: &str) -> bool {
    if let Some(rest) = message.strip_prefix("PAM ") {
        return more_failures(event, rest);
    }
    let Some((module, said)) = message.split_once("): ").filter(|(module, _)| is_module(module))
    else {
        return false;
    };
    let service = module.split_once('(').map_or("", |(_, service)| service);
    add_some(event, ecs::SERVICE_NAME, service.split(':').next());
    if let Some(rest) = said.strip_prefix("session opened for user ") {
        says(event, "session-opened", "session", Some(true));
        session(event, rest);
    } else if let Some(rest) = said.strip_prefix("session closed for user ") {
        says(event, "session-closed", "session", None);
        session(event, rest);
    } else if let Some(rest) = said.strip_prefix("authentication failure;") {
        says(event, "authentication-failed", "authentication", Some(false));
        pairs(event, rest);
    } else if let Some(user) = said.strip_prefix("password changed for ") {
        says(event, "password-changed", "iam", Some(true));
        add_some(event, ecs::USER_NAME, Some(user));
    } else if said.starts_with("check pass; user unknown") {
        says(event, "authentication-failed", "authentication", Some(false));
        add_some(event, ecs::EVENT_REASON, Some("unknown user"));
    }
    true
}

fn is_module(text: &str) -> bool {
    text.starts_with("pam_") && text.contains('(') && !text.contains(' ')
}

/// `2 more authentication failures; logname= … rhost=… user=…`
fn more_failures(event: &mut ParsedEvent, rest: &str) -> bool {
    let Some((count, rest)) = rest.split_once(" more authentication failure") else { return false };
    says(event, "authentication-failed", "authentication", Some(false));
    add_some(event, ecs::EVENT_REASON, Some(count).filter(|count| count.parse::<u32>().is_ok()));
    pairs(event, rest.split_once(';').map_or(rest, |(_, rest)| rest));
    true
}

/// `root by ubuntu(uid=0)`, `root(uid=0) by (uid=0)`, `root`.
fn session(event: &mut ParsedEvent, text: &str) {
    let (user, by) = text.split_once(" by ").unwrap_or((text, ""));
    let name = |text: &str| text.split('(').next().unwrap_or_default().trim().to_owned();
    let (user, by) = (name(user), name(by));
    if by.is_empty() || by == user {
        add_some(event, ecs::USER_NAME, Some(&user));
    } else {
        add_some(event, ecs::USER_NAME, Some(&by));
        add_some(event, ecs::USER_EFFECTIVE_NAME, Some(&user));
    }
}

/// `logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=root`
fn pairs(event: &mut ParsedEvent, text: &str) {
    for (name, value) in text.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        match name {
            "rhost" => add_peer(event, value),
            "user" => add_some(event, ecs::USER_NAME, Some(value)),
            _ => {}
        }
    }
}
