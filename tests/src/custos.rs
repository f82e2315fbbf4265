//! The binary under test: run once from the command line, or kept as a server that is killed and
//! started again on the same folder and ports.

use crate::{http, process::Running, root, wait};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

/// The first start of a debug build on a busy machine; a start after a kill has to recover too.
const START_LIMIT: Duration = Duration::from_mins(1);

/// RELIABILITY's promise for a clean stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// `$CUSTOS_BIN`, else the workspace's debug build.
pub fn binary() -> PathBuf {
    std::env::var_os("CUSTOS_BIN").map_or_else(|| target().join("debug/custos"), PathBuf::from)
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What one run of the command line gave.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The JSON values of standard output, one a line.
    pub fn json(&self) -> Result<Vec<Value>> {
        let lines = self.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let read = |line| serde_json::from_slice(line).context("standard output is not JSON lines");
        lines.map(read).collect()
    }

    /// The only, or last, JSON value of standard output.
    pub fn last_json(&self) -> Result<Value> {
        self.json()?.pop().with_context(|| format!("no output; standard error: {}", self.stderr))
    }

    /// Fails unless it exited 0.
    pub fn done(self) -> Result<Self> {
        if self.code() != Some(0) {
            bail!("custos ended with {}: {}", self.status, self.stderr);
        }
        Ok(self)
    }
}

/// Runs `custos` with these words, without standard input.
pub fn run<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Result<Ran> {
    run_in(words, &[])
}

/// The same with variables of its own in its environment.
pub fn run_in<W: AsRef<OsStr>>(
    words: impl IntoIterator<Item = W>,
    environment: &[(String, String)],
) -> Result<Ran> {
    let mut command = Command::new(binary());
    command.args(words).stdin(Stdio::null());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().with_context(|| {
        format!("cannot run {}; `cargo build -p custos-server` makes it", binary().display())
    })?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Ran { status: output.status, stdout: output.stdout, stderr })
}

/// Runs `custos` with these words and this standard input.
pub fn run_with<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>, input: &str) -> Result<Ran> {
    let mut command = Command::new(binary());
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().with_context(|| format!("cannot run {}", binary().display()))?;
    // Who needs no input may have ended before it is written.
    drop(child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Ran { status: output.status, stdout: output.stdout, stderr })
}

/// After this many kills or fewer the whole log is verified after each one; after more, which read a log that grows
/// to a million records again and again, after every tenth.
const VERIFIED_KILLS: u64 = 50;
const VERIFIED_EVERY: u64 = 10;

/// When something else may happen on the way from kill to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Of the nth kill, from 0.
    BeforeKill(u64),
    AfterStart,
}

/// A server on a folder and a configuration of its own.
#[derive(Debug)]
pub struct Node {
    config: PathBuf,
    data: PathBuf,
    http: u16,
    environment: Vec<(String, String)>,
    running: Option<Running>,
}

impl Node {
    /// Writes `config` (its part below `data` and `[http]`) and starts a server on `folder`.
    pub fn start(folder: &Path, http: u16, config: &str) -> Result<Self> {
        Self::start_with(folder, http, config, Vec::new())
    }

    /// The same with variables of its own in its environment.
    pub fn start_with(
        folder: &Path,
        http: u16,
        config: &str,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        let data = folder.join("data");
        let file = folder.join("custos.toml");
        let head =
            format!("data = \"{}\"\n[http]\nlisten = \"127.0.0.1:{http}\"\n", data.display());
        fs::write(&file, head + config)?;
        let mut node = Self { config: file, data, http, environment, running: None };
        node.restart()?;
        Ok(node)
    }

    /// Starts it, again, and waits until it says that it is ready.
    pub fn restart(&mut self) -> Result<()> {
        self.running = None;
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(&self.config).stdout(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let running = Running::start("custos serve", &mut command)?;
        running.wait_for_line(START_LIMIT, |line| line.contains("ready"))?;
        self.running = Some(running);
        Ok(())
    }

    /// The token that a start prints while there is no account; the lines before it are passed over.
    pub fn setup_token(&self) -> Result<String> {
        let running = self.running.as_ref().context("the server does not run")?;
        let line = running.wait_for_line(START_LIMIT, |line| line.starts_with("setup: "))?;
        let (_, token) = line.split_once("#setup=").context("no token in the line")?;
        Ok(token.to_owned())
    }

    /// The next line of standard error that `wanted` accepts; those before it are passed over.
    pub fn wait_for_line(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.running.as_ref().context("the server does not run")?.wait_for_line(limit, wanted)
    }

    /// What it has said last on standard error.
    pub fn shown(&self) -> String {
        self.running.as_ref().map(Running::shown).unwrap_or_default()
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    pub fn process_id(&self) -> Result<u32> {
        Ok(self.running.as_ref().context("the server does not run")?.id())
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.running.take().context("the server does not run")?.kill()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.running.take().context("the server does not run")?.wait(limit)
    }

    /// SIGTERM; fails unless it ends with 0 in time.
    pub fn stop(&mut self) -> Result<()> {
        let mut running = self.running.take().context("the server does not run")?;
        let status = running.terminate(STOP_LIMIT)?;
        if !status.success() {
            bail!("custos ended with {status}:\n{}", running.shown());
        }
        Ok(())
    }

    /// Runs a command on this node's folder; the server must not hold it.
    pub fn run(&self, words: &[&str]) -> Result<Ran> {
        let data = self.data.to_string_lossy();
        run(words.iter().copied().chain(["--data", &data]))
    }

    /// The same for output of any length: takes the JSON values line by line as they come.
    pub fn each_line(
        &self,
        words: &[&str],
        mut take: impl FnMut(Value) -> Result<()>,
    ) -> Result<()> {
        let mut command = Command::new(binary());
        command.args(words).arg("--data").arg(&self.data);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("custos has no standard output")?;
        for line in BufReader::new(stdout).lines() {
            take(serde_json::from_str(&line?).context("standard output is not JSON lines")?)?;
        }
        let status = child.wait()?;
        ensure!(status.success(), "custos {words:?} ended with {status}");
        Ok(())
    }

    /// Kills the server `kills` times, each when it has gone an even share of the way that is left to `total`
    /// stored records, and starts it again after each. Says how many kills left the count strictly between what it was at
    /// that start and `total`: those that came in mid-progress.
    pub fn kill_on_the_way(&mut self, total: u64, kills: u64, limit: Duration) -> Result<u64> {
        self.kill_on_the_way_and(total, kills, limit, |_, _| Ok(()))
    }

    /// The same with what `also` does before each kill, and after the start that follows.
    pub fn kill_on_the_way_and(
        &mut self,
        total: u64,
        kills: u64,
        limit: Duration,
        mut also: impl FnMut(&Self, Moment) -> Result<()>,
    ) -> Result<u64> {
        let (mut before, mut mid_progress) = (0, 0);
        for kill in 0..kills {
            let due = before + total.saturating_sub(before) / (kills - kill + 1);
            self.wait_for_stored(due, limit)?;
            also(self, Moment::BeforeKill(kill))?;
            self.kill()?;
            let verified = (kills <= VERIFIED_KILLS || kill.is_multiple_of(VERIFIED_EVERY))
                .then(|| self.stored_after_kill())
                .transpose()?;
            self.restart()?;
            // Just after a start this counts what was durable, and at most what came in an instant.
            let now = verified.map_or_else(|| self.counted(), Ok)?;
            ensure!(now >= due, "{due} records were durable before the kill, {now} are after it");
            if now > before && now < total {
                mid_progress += 1;
            }
            before = now;
            also(self, Moment::AfterStart)?;
        }
        Ok(mid_progress)
    }

    /// Waits until the running server counts `at_least` durable records; fails when none has come for `limit`.
    pub fn wait_for_stored(&self, at_least: u64, limit: Duration) -> Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let wanted = at_least as f64;
        let mut stored = -1.0;
        while stored < wanted {
            let what = format!("{at_least} stored records, behind {stored}");
            stored = wait::until(&what, limit, || {
                let now = self.metric("custos_log_records{log=\"telemetry\"}")?;
                Ok((now > stored).then_some(now))
            })
            .with_context(|| format!("custos said last:\n{}", self.shown()))?;
        }
        Ok(())
    }

    /// How many durable records the running server counts.
    fn counted(&self) -> Result<u64> {
        let now = self.metric("custos_log_records{log=\"telemetry\"}")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count far below 2^52"
        )]
        Ok(now as u64)
    }

    /// How many records the telemetry log holds, by `custos log verify`; the server must not run. Everything
    /// has to be whole.
    pub fn stored(&self) -> Result<u64> {
        telemetry_records(&self.run(&["log", "verify", "--json"])?.done()?.json()?)
    }

    /// The same after a kill, which may have cut a write short: that, and nothing else, may be at fault.
    pub fn stored_after_kill(&self) -> Result<u64> {
        let ran = self.run(&["log", "verify", "--json"])?;
        let logs = ran.json()?;
        let errors = logs.iter().filter_map(|log| log["errors"].as_array()).flatten();
        for error in errors {
            let cut_short = error["kind"] == "torn" || error["kind"] == "undecided";
            ensure!(cut_short, "after a kill: {error}");
        }
        telemetry_records(&logs)
    }

    /// A metric, named with its labels as the server prints them; 0 where it has not been counted yet.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let body = self.get("/metrics")?;
        let mut values = body.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(values.next().map(str::parse).transpose()?.unwrap_or(0.0))
    }

    /// The answer to a GET, head and body together.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut reply = http::send(self.http, "GET", path, &[], b"")?;
        let body = reply.text()?;
        Ok(reply.head + &body)
    }
}

fn telemetry_records(logs: &[Value]) -> Result<u64> {
    let telemetry = logs.iter().find(|log| log["log"] == "telemetry");
    telemetry.map_or(Some(0), |log| log["records"].as_u64()).context("no number of records")
}
