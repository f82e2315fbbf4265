//! A running server: what is shipped to it is found, trips its rules, and is shown only to who may see it.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    clients::kcat_produce,
    custos::{Node, run},
    process::free_port,
    root, wait,
};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

/// Arrival to alert takes about a second; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);
const FORCED: &str = r#"{"time":"2026-11-24T02:13:07Z","door":"cash-office","forced":true}"#;
const QUIET: &str =
    r#"{"time":"2026-11-24T02:13:09Z","door":"lobby","forced":false,"message":"门已关闭"}"#;

struct Running {
    node: Node,
    http: String,
    kafka: String,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (http, kafka) = (free_port()?, free_port()?);
        let config = format!(
            "[listener]\nlisten = \"127.0.0.1:{kafka}\"\n[[listener.topics]]\nname = \"doors\"\n\
             source = \"door\"\n[rules]\nfolders = [\"{}\"]\n",
            root().join("rules/detections").display(),
        );
        let node = Node::start(folder.path(), http, &config)?;
        let (http, kafka) = (format!("http://127.0.0.1:{http}"), format!("127.0.0.1:{kafka}"));
        Ok(Self { node, http, kafka, _folder: folder })
    }

    /// One command of the command line, asked of the server.
    fn ask(&self, words: &[&str]) -> Result<Vec<Value>> {
        let data = self.node.data().to_string_lossy().into_owned();
        let all = words.iter().copied().chain(["--server", &self.http, "--data", &data]);
        run(all)?.done()?.json()
    }
}

#[test]
fn what_is_shipped_is_found_and_trips_its_rule_while_the_server_runs() -> Result<()> {
    let mut running = Running::start()?;
    kcat_produce(&running.kafka, "doors", &[FORCED.into(), QUIET.into()])?;
    let alerts = wait::until("the alert", LIMIT, || {
        let alerts = running.ask(&["alerts"])?;
        Ok((!alerts.is_empty()).then_some(alerts))
    })?;
    ensure!(alerts.len() == 1, "{alerts:?}");
    ensure!(alerts[0]["title"] == "Door forced open", "{}", alerts[0]);
    ensure!(alerts[0]["events"][0] == "telemetry/0/0", "{}", alerts[0]);
    let found = wait::until("the event", LIMIT, || {
        let found = running.ask(&["search", "关闭"])?;
        Ok((!found.is_empty()).then_some(found))
    })?;
    ensure!(found.len() == 1 && found[0]["fields"]["custos.door.name"] == "lobby", "{found:?}");
    let counted = running.ask(&["search", "--count", "custos.access.forced:*"])?;
    ensure!(counted[0]["count"] == 2 && counted[0]["exact"] == true, "{counted:?}");
    running.node.stop()
}

#[test]
fn nothing_is_shown_without_the_token_and_only_its_owner_reads_it() -> Result<()> {
    let mut running = Running::start()?;
    for path in ["/api/v1/alerts", "/api/v1/search?query=*", "/api/v1/count?query=*"] {
        let answer = running.node.get(path)?;
        ensure!(answer.starts_with("HTTP/1.0 401"), "{path}: {answer}");
        ensure!(answer.contains("keys/api.token"), "the mend is not named: {answer}");
    }
    let token = running.node.data().join("keys/api.token");
    let mode = fs::metadata(&token)?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "the token's mode is {mode:o}");
    let data = running.node.data().to_string_lossy().into_owned();
    let wrong = ["alerts", "--server", &running.http, "--data", &data, "--token", "guessed"];
    let ran = run(wrong)?;
    ensure!(ran.code() == Some(2) && ran.stderr.contains("401"), "{}: {}", ran.status, ran.stderr);
    running.node.stop()
}

#[test]
fn a_folder_that_a_server_holds_names_the_server_and_the_way_to_ask_it() -> Result<()> {
    let mut running = Running::start()?;
    let data = running.node.data().to_string_lossy().into_owned();
    let ran = run(["search", "--data", &data, "*"])?;
    let holder = running.node.process_id()?.to_string();
    ensure!(ran.code() == Some(4), "{}: {}", ran.status, ran.stderr);
    ensure!(ran.stderr.contains(&holder) && ran.stderr.contains("--server"), "{}", ran.stderr);
    let verified = run(["log", "verify", "--json", "--data", &data])?.done()?.json()?;
    let logs = verified.first().context("no log was verified")?;
    ensure!(logs["ok"] == true, "beside a running server: {logs}");
    running.node.stop()
}
