//! Producers that people really use: kcat, and confluent-kafka from Python.

use crate::{process::Running, root};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Sends each of `lines` as one record by Debian's kcat, and waits for every acknowledgement.
pub fn kcat_produce(brokers: &str, topic: &str, lines: &[Vec<u8>]) -> Result<()> {
    let mut kcat = Command::new("kcat")
        .args(["-P", "-b", brokers, "-t", topic, "-X", "acks=all", "-X", "linger.ms=5"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run kcat; `bash tests/run.sh` installs it")?;
    let mut stdin = kcat.stdin.take().context("kcat has no standard input")?;
    stdin.write_all(&lines.join(&b"\n"[..]))?;
    drop(stdin);
    let output = kcat.wait_with_output()?;
    if !output.status.success() {
        bail!("kcat failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// An idempotent confluent-kafka producer at work: `tests/py/produce.py`.
#[derive(Debug)]
pub struct Producer {
    running: Running,
    report: PathBuf,
}

/// Where one line came to lie, as the server acknowledged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub line: usize,
    pub partition: i32,
    pub offset: i64,
}

impl Producer {
    /// Starts sending every line of `file` to `topic`, compressed by `codec`, at most `rate` lines a
    /// second (0: no limit), through any number of restarts of the server.
    pub fn start(
        brokers: &str,
        topic: &str,
        file: &Path,
        codec: &str,
        rate: usize,
    ) -> Result<Self> {
        let report = file.with_extension(format!("{topic}.deliveries"));
        let mut command = Command::new(python());
        command
            .arg(root().join("tests/py/produce.py"))
            .args(["--brokers", brokers, "--topic", topic, "--codec", codec])
            .args(["--rate", &rate.to_string()])
            .arg("--report")
            .arg(&report)
            .arg(file)
            .stdout(Stdio::null());
        let running = Running::start("the Python producer", &mut command)?;
        Ok(Self { running, report })
    }

    /// Waits until every line was acknowledged; says where each came to lie.
    pub fn finish(mut self, limit: Duration) -> Result<Vec<Delivery>> {
        let status = self.running.wait(limit)?;
        if !status.success() {
            bail!("the Python producer ended with {status}:\n{}", self.running.shown());
        }
        let report = fs::read_to_string(&self.report)?;
        report.lines().map(delivery).collect()
    }
}

fn delivery(line: &str) -> Result<Delivery> {
    let mut numbers = line.split(' ');
    let mut next = || numbers.next().with_context(|| format!("odd delivery line '{line}'"));
    let (line, partition, offset) = (next()?, next()?, next()?);
    Ok(Delivery { line: line.parse()?, partition: partition.parse()?, offset: offset.parse()? })
}

/// aiosmtpd, a real mail server, that keeps what it is given in `folder` (which it makes). `None`, and told,
/// where it is not installed.
pub fn aiosmtpd(port: u16, folder: &Path) -> Result<Option<Running>> {
    mail_server(port, folder, &[])
}

/// The same, insisting on TLS: `starttls` or `wrapped`.
pub fn aiosmtpd_with_tls(
    port: u16,
    folder: &Path,
    tls: &str,
    certificate: &Certificate,
) -> Result<Option<Running>> {
    let (file, key) = (certificate.file.to_string_lossy(), certificate.key.to_string_lossy());
    if tls == "wrapped" {
        return mail_server(port, folder, &["--smtpscert", &file, "--smtpskey", &key]);
    }
    mail_server(port, folder, &["--tlscert", &file, "--tlskey", &key])
}

fn mail_server(port: u16, folder: &Path, more: &[&str]) -> Result<Option<Running>> {
    let there =
        Command::new(python()).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: aiosmtpd is not installed; `bash tests/run.sh` installs it");
        return Ok(None);
    }
    let mut command = Command::new(python());
    command.args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")]);
    command.args(more).args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(folder);
    let running = Running::start("aiosmtpd", &mut command)?;
    crate::wait::until("aiosmtpd", Duration::from_secs(30), || {
        Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop))
    })?;
    Ok(Some(running))
}

/// A certificate for 127.0.0.1 that nobody trusts by itself, and its key.
#[derive(Debug)]
pub struct Certificate {
    pub file: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Made by openssl, for a day.
    pub fn make(folder: &Path) -> Result<Self> {
        let made = Self { file: folder.join("peer.pem"), key: folder.join("peer.key") };
        let output = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args(["-days", "1", "-subj", "/CN=127.0.0.1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&made.key)
            .arg("-out")
            .arg(&made.file)
            .output()
            .context("cannot run openssl; `bash tests/run.sh` installs it")?;
        if !output.status.success() {
            bail!("openssl failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(made)
    }
}

/// `$CUSTOS_TEST_PYTHON`, else the virtual environment that tests/run.sh makes.
pub fn python() -> PathBuf {
    std::env::var_os("CUSTOS_TEST_PYTHON")
        .map_or_else(|| root().join(".cache/venv/bin/python"), PathBuf::from)
}
