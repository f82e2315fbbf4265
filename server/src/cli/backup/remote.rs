//! The same on a running server, which alone may write to its log: it is asked over its API, and watched until it is
//! done.

use super::Teller;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    remote::Remote,
};
use anyhow::anyhow;
use custos_store::backup::Progress;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const PATH: &str = "/api/v1/backups";
/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// So often in a row nothing is under way and nothing came of it: a minute.
const IDLE_LOOKS_MAX: u32 = 120;

/// The backups as they lie at the server's place, the oldest first; true where one does not read.
fn listed(remote: &Remote<'_>) -> Result<(Vec<Value>, bool), Failure> {
    let answer = remote.send("GET", &format!("{PATH}/listed"), &Value::Null)?;
    let mut damaged = false;
    for error in answer["damaged"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        damaged = true;
        eprintln!("custos: {error}");
    }
    Ok((answer["listed"].as_array().cloned().unwrap_or_default(), damaged))
}

pub(super) fn list(remote: &Remote<'_>, json: bool) -> CommandResult {
    let mut output = Output::new();
    let (listed, damaged) = listed(remote)?;
    for backup in listed {
        if json {
            output.json(&backup)?;
            continue;
        }
        let word = |name: &str| backup[name].as_str().unwrap_or("-").to_owned();
        let number = |name: &str| super::size(backup[name].as_u64().unwrap_or(0));
        let parent = backup["parent"].as_str().map_or(String::new(), |id| format!(", on {id}"));
        output.text(&format!(
            "{}  {}  commit {}, {} of {} stored here{parent}",
            word("id"),
            word("kind"),
            backup["commit"],
            number("stored_bytes"),
            number("bytes")
        ))?;
    }
    output.flush()?;
    Ok(Outcome::findings_if(damaged))
}

pub(super) fn create(remote: &Remote<'_>, kind: &str) -> CommandResult {
    let ids = |state: &Value| -> BTreeSet<String> {
        let all = state["backups"].as_array().into_iter().flatten();
        all.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
    };
    let made = watch(remote, ("backup", "create"), ("", json!({"kind": kind})), |before, now| {
        // One that was under way by schedule comes first.
        let others = usize::from(before["running"]["what"] == "create");
        let (known, now) = (ids(before), ids(now));
        now.difference(&known).nth(others).cloned()
    })?;
    let found = listed(remote)?.0.into_iter().find(|backup| backup["id"] == json!(made));
    let gone = || Failure::store(anyhow!("backup {made} was made and is not at its place"));
    let found = found.ok_or_else(gone)?;
    let mut output = Output::new();
    for log in found["logs"].as_array().into_iter().flatten() {
        output.json(log)?;
    }
    output.flush()?;
    let state = remote.send("GET", PATH, &Value::Null)?;
    let damaged = row(&state, &made).is_some_and(|row| row["damaged"].as_u64() > Some(0));
    if damaged {
        eprintln!("a segment is damaged and was taken as it is");
    }
    Ok(Outcome::findings_if(damaged))
}

fn row<'v>(state: &'v Value, id: &str) -> Option<&'v Value> {
    state["backups"].as_array()?.iter().find(|row| row["id"] == id)
}

pub(super) fn verify(remote: &Remote<'_>, id: Option<&str>, json: bool) -> CommandResult {
    let ask = ("/verify", json!({"id": id}));
    let found = watch(remote, ("verify", "verify"), ask, |before, now| {
        let all = now["backups"].as_array()?.iter();
        let fresh = |row: &&Value| {
            let known = row["id"].as_str().and_then(|id| row_at(before, id));
            !row["checked"].is_null() && Some(&row["checked"]["at"]) != known
        };
        let found: Vec<_> = all.filter(fresh).cloned().collect();
        let done = now["running"].is_null() && !found.is_empty();
        done.then_some(found)
    })?;
    let mut output = Output::new();
    let mut damaged = false;
    // The oldest first, as everywhere.
    for row in found.iter().rev() {
        let checked = &row["checked"];
        damaged |= checked["ok"] != true;
        if json {
            output.json(&json!({
                "id": row["id"], "kind": row["kind"], "created_at": row["created_at"],
                "ok": checked["ok"], "proven": checked["proven"], "bytes": row["bytes"],
                "errors": checked["errors"],
            }))?;
            continue;
        }
        let errors = checked["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let verdict = if checked["ok"] == true { "whole" } else { "DAMAGED" };
        let words = [row["id"].as_str(), row["kind"].as_str()].map(Option::unwrap_or_default);
        let first = format!("{}: {verdict}", words.join("  "));
        let lines: Vec<_> = std::iter::once(first.as_str()).chain(errors).collect();
        output.text(&lines.join("; "))?;
    }
    output.flush()?;
    Ok(Outcome::findings_if(damaged))
}

/// When a backup was checked last.
fn row_at<'v>(state: &'v Value, id: &str) -> Option<&'v Value> {
    row(state, id).map(|row| &row["checked"]["at"])
}

/// Asks, and looks until something came of it.
fn watch<T>(
    remote: &Remote<'_>,
    (told, what): (&'static str, &str),
    (path, body): (&str, Value),
    done: impl Fn(&Value, &Value) -> Option<T>,
) -> Result<T, Failure> {
    let before = remote.send("GET", PATH, &Value::Null)?;
    remote.send("POST", &format!("{PATH}{path}"), &body)?;
    let (mut teller, mut idle) = (Teller::new(told), 0);
    while idle < IDLE_LOOKS_MAX {
        let now = remote.send("GET", PATH, &Value::Null)?;
        if let Some(found) = done(&before, &now) {
            return Ok(found);
        }
        let failed = &now["failed"];
        if failed["what"] == what && failed["at"] != before["failed"]["at"] {
            let reason = failed["reason"].as_str().unwrap_or("no reason").to_owned();
            return Err(Failure::store(anyhow!(reason)));
        }
        let running = &now["running"];
        idle = if running.is_null() { idle + 1 } else { 0 };
        if running["what"] == what {
            teller.tell(progress(running));
        }
        std::thread::sleep(LOOK);
    }
    Err(Failure::store(anyhow!(
        "the server does nothing of what it was asked for; see its own log"
    )))
}

fn progress(running: &Value) -> Progress {
    let number = |name: &str| running[name].as_u64().unwrap_or(0);
    Progress {
        parts: number("parts"),
        parts_total: number("parts_total"),
        bytes: number("bytes"),
        bytes_total: number("bytes_total"),
        ..Progress::default()
    }
}
