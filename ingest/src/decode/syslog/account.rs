//! Accounts and groups made, changed and removed; sessions of the login manager.

use super::says;
use crate::decode::fields::add_some;
use custos_event::{ParsedEvent, ecs};

/// useradd and its kin. The account is the one that the change is about.
pub(super) fn read(event: &mut ParsedEvent, message: &str) {
    if let Some(rest) = message.strip_prefix("new user: ") {
        says(event, "user-added", "iam", Some(true));
        add_some(event, ecs::USER_NAME, pair(rest, "name"));
        add_some(event, ecs::USER_ID, pair(rest, "UID"));
        add_some(event, ecs::GROUP_ID, pair(rest, "GID"));
    } else if let Some(rest) = message.strip_prefix("new group: ") {
        says(event, "group-added", "iam", Some(true));
        add_some(event, ecs::GROUP_NAME, pair(rest, "name"));
        add_some(event, ecs::GROUP_ID, pair(rest, "GID"));
    } else if let Some((action, user, group)) = membership(message) {
        says(event, action, "iam", Some(true));
        add_some(event, ecs::USER_NAME, Some(user));
        add_some(event, ecs::GROUP_NAME, Some(group));
    } else {
        named(event, message);
    }
}

/// `add 'kim' to group 'sudo'` of usermod, `user kim added by root to group sudo` of gpasswd; out of one likewise. What
/// usermod says of the shadow group is the same deed once more.
fn membership(message: &str) -> Option<(&'static str, &str, &str)> {
    const IN: &str = "user-added-to-group";
    const OUT: &str = "user-removed-from-group";
    for (begin, middle, end, action) in [
        ("add '", "' to group '", "'", IN),
        ("delete '", "' from group '", "'", OUT),
        ("user ", " to group ", "", IN),
        ("user ", " from group ", "", OUT),
    ] {
        let parts = message.strip_prefix(begin).and_then(|rest| rest.split_once(middle));
        let Some((user, group)) = parts else { continue };
        let by = if action == IN { " added by " } else { " removed by " };
        let user = if end.is_empty() { user.split_once(by)?.0 } else { user };
        return Some((action, user, group.strip_suffix(end).unwrap_or(group)));
    }
    None
}

/// Messages told by their beginning, whose first quoted word is the account.
const NAMED: [(&str, &str, bool); 5] = [
    ("delete user", "user-deleted", true),
    ("failed adding user", "user-added", false),
    ("failed adding group", "group-added", false),
    ("change user", "user-changed", true),
    ("password for", "password-changed", true),
];

fn named(event: &mut ParsedEvent, message: &str) {
    let Some((_, action, good)) = NAMED.iter().find(|(begin, ..)| message.starts_with(begin))
    else {
        return;
    };
    says(event, action, "iam", Some(*good));
    let field = if *action == "group-added" { ecs::GROUP_NAME } else { ecs::USER_NAME };
    add_some(event, field, quoted(message).next());
}

/// `New session 7 of user alice.`, `Removed session 7.`
pub(super) fn logind(event: &mut ParsedEvent, message: &str) {
    if let Some(rest) = message.strip_prefix("New session ") {
        says(event, "session-opened", "session", None);
        let user = rest.split_once(" of user ").map(|(_, user)| user.trim_end_matches('.'));
        add_some(event, ecs::USER_NAME, user);
    } else if message.starts_with("Removed session ") {
        says(event, "session-closed", "session", None);
    }
}

/// The value in `name=x, UID=1000`.
fn pair<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.split(", ").filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The words in single quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('\'').skip(1).step_by(2)
}
