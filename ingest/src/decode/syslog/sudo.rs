//! Programs that run others under another name: sudo, su, cron.

use super::says;
use crate::decode::fields::add_some;
use custos_event::{ParsedEvent, ecs};

/// `alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id -u`, with a refusal such as
/// `3 incorrect password attempts ;` before the pairs.
pub(super) fn sudo(event: &mut ParsedEvent, message: &str) {
    let Some((user, rest)) = message.trim_start().split_once(" : ") else { return };
    let (pairs, command) = match rest.split_once("COMMAND=") {
        Some((pairs, command)) => (pairs, Some(command)),
        None => (rest, None),
    };
    let mut refusal = None;
    for part in pairs.split(" ; ").map(str::trim).filter(|part| !part.is_empty()) {
        match part.trim_end_matches(" ;").split_once('=') {
            Some(("USER", name)) => add_some(event, ecs::USER_EFFECTIVE_NAME, Some(name)),
            Some(("PWD", folder)) => add_some(event, ecs::PROCESS_WORKING_DIRECTORY, Some(folder)),
            Some(_) => {}
            None => refusal = Some(part),
        }
    }
    says(event, "sudo-command", "process", Some(refusal.is_none()));
    add_some(event, ecs::EVENT_REASON, refusal);
    add_some(event, ecs::USER_NAME, Some(user.trim()));
    add_command(event, command);
}

/// `Successful su for root by alice`, `FAILED SU (to root) alice on pts/0`, `(to root) alice on pts/0`.
pub(super) fn su(event: &mut ParsedEvent, message: &str) {
    let has_failed = message.starts_with("FAILED") || message.starts_with('-');
    let (target, user) = if let Some((_, rest)) = message.split_once(" su for ") {
        rest.split_once(" by ").unwrap_or((rest, ""))
    } else if let Some((_, rest)) = message.split_once("(to ") {
        let (target, rest) = rest.split_once(") ").unwrap_or((rest, ""));
        (target, rest.split(' ').next().unwrap_or_default())
    } else {
        return;
    };
    says(event, "su", "authentication", Some(!has_failed));
    add_some(event, ecs::USER_NAME, Some(user));
    add_some(event, ecs::USER_EFFECTIVE_NAME, Some(target));
}

/// `(root) CMD (test -x /usr/sbin/anacron)`
pub(super) fn cron(event: &mut ParsedEvent, message: &str) {
    let Some((user, command)) = message.strip_prefix('(').and_then(|m| m.split_once(") CMD ("))
    else {
        return;
    };
    says(event, "cron-command", "process", None);
    add_some(event, ecs::USER_NAME, Some(user));
    add_command(event, Some(command.strip_suffix(')').unwrap_or(command).trim()));
}

fn add_command(event: &mut ParsedEvent, command: Option<&str>) {
    add_some(event, ecs::PROCESS_COMMAND_LINE, command);
    add_some(event, ecs::PROCESS_EXECUTABLE, command.and_then(|line| line.split(' ').next()));
}
