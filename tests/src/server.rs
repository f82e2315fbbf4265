//! A server on a folder of its own, with the rules for doors, its API at hand, and doors to ship to it.

use crate::{api::Api, custos::Node, process::free_port, root, wait};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longer than whatever is waited for takes on a busy machine.
pub const LIMIT: Duration = Duration::from_mins(1);

/// A server, and the folder that goes with it.
#[derive(Debug)]
pub struct Server {
    pub node: Node,
    pub api: Api,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn start(config: &str) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, config)
    }

    /// Starts on the folder's `data`, which may be there already.
    pub fn start_in(folder: tempfile::TempDir, config: &str) -> Result<Self> {
        let http = free_port()?;
        let rules = root().join("rules/detections/doors");
        let config = format!("{config}\n[rules]\nfolders = [\"{}\"]\n", rules.display());
        let node = Node::start(folder.path(), http, &config)?;
        let api = Api::new(&node, http)?;
        Ok(Self { node, api, folder })
    }

    /// Something in its folder, beside `data`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks again and again until the answer is as wanted; a failure shows the last one.
    pub fn until(&self, what: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(what, LIMIT, || {
            last = self.api.get(path)?;
            Ok(Some(last.clone()).filter(&wanted))
        });
        found.with_context(|| format!("{last}\n{}", self.node.shown()))
    }

    /// Ships twenty doors, four of which the rules speak of; the id of the incident that has them.
    pub fn incident(&self) -> Result<String> {
        self.api.ship("doors", &doors(0..20))?;
        let alerts = |incident: &Value| incident["alerts"].as_u64() >= Some(4);
        let answer = self.until("an incident of 4 alerts", "/incidents?status=all", |answer| {
            answer["incidents"].as_array().is_some_and(|all| all.iter().any(alerts))
        })?;
        let found = answer["incidents"].as_array().into_iter().flatten().find(|one| alerts(one));
        let id = found.and_then(|incident| incident["id"].as_str()).context("no incident")?;
        Ok(id.to_owned())
    }

    /// What a command that only prints prints on this folder, kept beside it; the server must not run.
    pub fn keep(&self, name: &str, words: &[&str]) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, self.node.run(words)?.done()?.stdout)?;
        Ok(path)
    }

    /// The token of the folder, as `--token` takes it.
    pub fn token(&self) -> Result<String> {
        let token = fs::read_to_string(self.node.data().join("keys/api.token"))?;
        Ok(token.trim().to_owned())
    }
}

/// Opened doors, a second apart; each fifth, always the same one, by force.
pub fn doors(range: Range<u64>) -> String {
    let door = |nth: u64| {
        let (hour, minute, second) = (8 + nth / 3_600 % 12, nth / 60 % 60, nth % 60);
        let (name, forced) = (nth % 5, nth % 5 == 4);
        let time = format!("2026-11-24T{hour:02}:{minute:02}:{second:02}Z");
        format!(r#"{{"time":"{time}","door":"d{name}","reader":"r{nth}","forced":{forced}}}"#)
            + "\n"
    };
    range.map(door).collect()
}

/// Writes doors into a new folder's log without a server: `FOLDER/data`.
pub fn ingest(folder: &Path, range: Range<u64>) -> Result<()> {
    let (file, data) = (folder.join("doors.jsonl"), folder.join("data"));
    fs::write(&file, doors(range))?;
    let words = ["ingest", "--source", "door", text(&file), "--data", text(&data)];
    crate::custos::run(words)?.done().map(drop)
}

/// The log's public keys.
pub fn keys(folder: &Path) -> Result<String> {
    let ran = crate::custos::run(["log", "key", "--data", text(&folder.join("data"))])?.done()?;
    let keys = String::from_utf8(ran.stdout)?;
    ensure!(keys.contains("/telemetry+"), "{keys}");
    Ok(keys)
}

/// Temporary folders have plain names.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
