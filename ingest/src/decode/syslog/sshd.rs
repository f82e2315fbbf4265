//! What OpenSSH's server says: who came in, who did not, from where.

use super::{add_number, add_peer, says};
use crate::decode::fields::add_some;
use custos_event::{ParsedEvent, ecs};

const LOGIN: &str = "authentication";
const SESSION: &str = "session";

pub(super) fn read(event: &mut ParsedEvent, message: &str) {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    if let Some(repeated) = repeated(message) {
        return read(event, repeated);
    }
    let (first, rest) = message.split_once(' ').unwrap_or((message, ""));
    match first {
        "Accepted" => login(event, rest, true),
        "Failed" => login(event, rest, false),
        "Invalid" => {
            says(event, "ssh-invalid-user", LOGIN, Some(false));
            user_from(event, rest.strip_prefix("user ").unwrap_or(rest));
        }
        "maximum" => {
            says(event, "ssh-attempts-exceeded", LOGIN, Some(false));
            user_from(event, rest.split_once(" for ").map_or("", |(_, rest)| rest));
        }
        "User" if rest.contains(" not allowed because ") => {
            says(event, "ssh-user-not-allowed", LOGIN, Some(false));
            let who = rest.split_once(" not allowed").map_or(rest, |(who, _)| who);
            user_from(event, who);
        }
        _ => connection(event, message),
    }
}

/// `message repeated 3 times: [ … ]` stands for that message.
fn repeated(message: &str) -> Option<&str> {
    let (_, inner) = message.strip_prefix("message repeated ")?.split_once(": [ ")?;
    inner.strip_suffix(']')
}

/// `password for invalid user admin from 10.0.0.1 port 22 ssh2: …`
fn login(event: &mut ParsedEvent, rest: &str, good: bool) {
    let Some((method, rest)) = rest.split_once(" for ") else { return };
    says(event, "ssh-login", LOGIN, Some(good));
    add_some(event, ecs::EVENT_REASON, Some(method));
    user_from(event, rest);
}

/// `[invalid user ]NAME from ADDRESS[ port PORT]`. A name may hold anything, even ` from `; the last one
/// counts.
fn user_from(event: &mut ParsedEvent, text: &str) {
    let Some((user, peer)) = text.rsplit_once(" from ").or_else(|| {
        // An empty name leaves one space only.
        text.strip_prefix("from ").map(|peer| ("", peer))
    }) else {
        return;
    };
    let user = user.strip_prefix("invalid user ").or(user.strip_prefix("illegal user "));
    let user = user.unwrap_or_else(|| text.rsplit_once(" from ").map_or("", |(user, _)| user));
    add_some(event, ecs::USER_NAME, Some(user.trim()).filter(|user| *user != "invalid user"));
    peer_and_port(event, peer);
}

/// `ADDRESS`, `ADDRESS port PORT …`, `ADDRESS: 11: …`.
fn peer_and_port(event: &mut ParsedEvent, text: &str) {
    let peer = text.split_whitespace().next().unwrap_or_default();
    add_peer(event, peer.trim_end_matches([':', ',', '.']));
    if let Some((_, port)) = text.split_once(" port ") {
        add_number(event, ecs::SOURCE_PORT, port);
    }
}

/// Beginnings of messages about connections: what they are called, and whether a user may be named
/// before the address.
const CONNECTIONS: [(&str, &str); 8] = [
    ("Connection from ", "ssh-connected"),
    ("Connection closed by ", "ssh-connection-closed"),
    ("Connection reset by ", "ssh-connection-reset"),
    ("Received disconnect from ", "ssh-disconnected"),
    ("Disconnected from ", "ssh-disconnected"),
    ("Disconnecting ", "ssh-disconnected"),
    ("Did not receive identification string from ", "ssh-no-identification"),
    ("Unable to negotiate with ", "ssh-no-agreement"),
];

fn connection(event: &mut ParsedEvent, message: &str) {
    let known = CONNECTIONS
        .iter()
        .find_map(|(begin, action)| message.strip_prefix(begin).map(|rest| (rest, *action)));
    if let Some((rest, action)) = known {
        says(event, action, SESSION, None);
        let (user, peer) = user_before(rest);
        add_some(event, ecs::USER_NAME, user);
        return peer_and_port(event, peer);
    }
    if message.starts_with("Disconnecting: Too many authentication failures") {
        says(event, "ssh-attempts-exceeded", LOGIN, Some(false));
    } else if message.ends_with("POSSIBLE BREAK-IN ATTEMPT!") {
        says(event, "ssh-reverse-lookup-mismatch", LOGIN, None);
        let words = message.split([' ', '[', ']', ',']);
        for word in words.filter(|word| word.parse::<std::net::IpAddr>().is_ok()).take(1) {
            add_peer(event, word);
        }
    } else if message.starts_with("Server listening on ") {
        says(event, "ssh-server-started", "process", None);
    }
}

/// `invalid user NAME ADDRESS …`, `authenticating user NAME ADDRESS …`, `user NAME ADDRESS …`.
fn user_before(text: &str) -> (Option<&str>, &str) {
    let named = ["invalid user ", "authenticating user ", "user "]
        .iter()
        .find_map(|begin| text.strip_prefix(begin));
    let Some(named) = named else { return (None, text) };
    let head = named.split_once(" port ").map_or(named, |(head, _)| head);
    match head.rsplit_once(' ') {
        Some((user, _)) => (Some(user), named.get(user.len() + 1..).unwrap_or_default()),
        None => (None, named),
    }
}
