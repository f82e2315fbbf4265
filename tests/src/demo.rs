//! `custos demo` as a test starts it, and the rules that must find its attacks.

use crate::{
    custos::{Ran, binary, run},
    http,
    process::{Running, free_port},
    wait,
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

/// Each attack of the demo's day with the ids of rules that find it whatever the seed.
pub const STORIES: &[(&str, &[&str])] = &[
    ("password-guessing", &[GUESSED, "a9bd104e-a1b1-42e0-96b4-583cba62a541"]),
    ("wiped-backups", &[COPIES_DELETED, "6ddd22a6-3995-451f-b7bb-c37e76b1a3c6"]),
    (
        "stolen-badge",
        &["cfad1b27-985a-4ba8-8f2b-d43269a33e85", "d5ddcba0-d5ec-46a9-9157-c4931db15c8f"],
    ),
    (
        "remote-desktop",
        &[
            "7aaef7cf-bcc3-45f2-812b-fa5583dcd8ef",
            "fb604cc7-cc36-4cae-895f-ffdf581abc14",
            "acb65b19-f7e1-4fbc-95f1-445e4116ce6c",
        ],
    ),
    (
        "card-testing",
        &[
            CARDS_TESTED,
            CARDS_DECLINED,
            "08f61952-2bc6-466c-b801-3ae2fc4a69a1",
            "07ad791b-3ab5-41ba-9376-b28d3acc04d7",
            "750cd057-16a7-4bc9-ab88-25b4bd8a5852",
        ],
    ),
    ("customer-theft", &[EXPORTED, "173e46e9-5e01-46e8-a87f-2014ac675b14"]),
];

/// Correlations among them, and the export of the customer list.
const GUESSED: &str = "1df14e1e-10f0-4817-91fc-010d78ccb9b1";
const COPIES_DELETED: &str = "796987bb-0756-41a3-b5db-b65a8e36e80a";
const CARDS_TESTED: &str = "1689f2ff-bb43-4113-9da8-6d5a14e2a14a";
const CARDS_DECLINED: &str = "2f45c2e4-7157-4992-91c5-9be3b0800611";
const EXPORTED: &str = "45b885be-bb49-4c1c-912e-029f53a0818a";

/// A debug build on a busy machine.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A running demo in a folder that is kept.
#[derive(Debug)]
pub struct Demo {
    folder: PathBuf,
    http: u16,
    running: Running,
}

impl Demo {
    /// Starts it and waits until the server is ready.
    pub fn start(folder: &Path, words: &[&str]) -> Result<Self> {
        let http = free_port()?;
        let mut command = Command::new(binary());
        command.args(["demo", "--listen", &format!("127.0.0.1:{http}"), "--keep"]);
        command.arg(folder).args(words).stdout(Stdio::null());
        let running = Running::start("custos demo", &mut command)?;
        running.wait_for_line(START_LIMIT, |line| line.contains("Ctrl-C ends the demo"))?;
        Ok(Self { folder: folder.to_owned(), http, running })
    }

    pub fn running(&self) -> &Running {
        &self.running
    }

    pub fn port(&self) -> u16 {
        self.http
    }

    /// The one-time token that the demo printed.
    pub fn setup_token(&self) -> Result<String> {
        let shown = self.running.shown();
        let line = shown.lines().find_map(|line| line.split_once("#setup="));
        let (_, rest) = line.with_context(|| format!("no setup token in: {shown}"))?;
        Ok(rest.split(' ').next().unwrap_or_default().to_owned())
    }

    /// One command of the command line, asked of this demo's server.
    pub fn ask(&self, words: &[&str]) -> Result<Ran> {
        let server = format!("http://127.0.0.1:{}", self.http);
        let data = self.folder.join("data").to_string_lossy().into_owned();
        run(words.iter().copied().chain(["--server", &server, "--data", &data]))?.done()
    }

    /// Ids of the rules that have raised an alert so far.
    pub fn alerting_rules(&self) -> Result<BTreeSet<String>> {
        let alerts = self.ask(&["alerts", "--limit", "0", "--json"])?.json()?;
        Ok(alerts.iter().filter_map(|alert| Some(alert["rule"].as_str()?.to_owned())).collect())
    }

    /// Waits until each attack was found by each of its rules.
    pub fn wait_for_all_attacks(&self, limit: Duration) -> Result<()> {
        let mut missing = Vec::new();
        let found = wait::until("alerts of all six attacks", limit, || {
            let rules = self.alerting_rules()?;
            missing = STORIES
                .iter()
                .flat_map(|(story, wanted)| wanted.iter().map(move |rule| (*story, *rule)))
                .filter(|(_, rule)| !rules.contains(*rule))
                .collect();
            Ok(missing.is_empty().then_some(()))
        });
        found.with_context(|| format!("not found: {missing:?}\n{}", self.running.shown()))
    }

    /// What the intake has counted, at one look: received, stored, rejected.
    pub fn intake(&self) -> Result<(u64, u64, u64)> {
        let answer = http::send(self.http, "GET", "/metrics", &[], b"")?.text()?;
        let sum = |what: &str| {
            let name = format!("custos_ingest_{what}_total{{");
            let of = |line: &str| line.strip_prefix(&name)?.split_once("} ")?.1.parse::<u64>().ok();
            answer.lines().filter_map(of).sum()
        };
        Ok((sum("received"), sum("stored"), sum("rejected")))
    }

    /// How many events the demo says it has sent, once it says that the day is in.
    pub fn wait_for_the_day(&self, limit: Duration) -> Result<(u64, u64)> {
        let line = self.running.wait_for_line(limit, |line| line.starts_with("the day is in"))?;
        let numbers: Vec<u64> =
            line.split([' ', ',', ';']).filter_map(|w| w.parse().ok()).collect();
        let [sent, acknowledged, 0] = numbers[..] else { bail!("not all arrived: {line}") };
        Ok((sent, acknowledged))
    }

    /// SIGTERM; it has to end well within RELIABILITY's 10 s.
    pub fn stop(mut self) -> Result<ExitStatus> {
        let status = self.running.terminate(Duration::from_secs(10))?;
        ensure!(status.success(), "the demo ended with {status}:\n{}", self.running.shown());
        Ok(status)
    }
}

/// The lines of a stand-in's log.
pub fn stand_in_log(folder: &Path, name: &str) -> Result<Vec<Value>> {
    let file = folder.join("stand-ins").join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
