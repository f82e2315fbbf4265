//! What docs/sources/ tells people to copy, run as it is written: only ports and places of files are other ones.

use crate::{clients::python, kafka::Libs, process::Running, root, wait};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Longer than any snippet takes on a busy machine; one in Go is compiled first.
const LIMIT: Duration = Duration::from_mins(2);

/// What stands in place of what is written: ports, tokens, files.
#[derive(Debug, Default)]
pub struct Places(Vec<(String, String)>);

impl Places {
    #[must_use]
    pub fn with(mut self, written: &str, here: impl std::fmt::Display) -> Self {
        self.0.push((written.to_owned(), here.to_string()));
        self
    }

    /// The block below the heading `heading` of docs/sources/`page`.
    pub fn snippet(&self, page: &str, heading: &str) -> Result<String> {
        let path = root().join("docs/sources").join(page);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let missing = || format!("{page} has no block below '## {heading}'");
        let (_, below) = text.split_once(&format!("\n## {heading}\n")).with_context(missing)?;
        let section = below.split("\n## ").next().unwrap_or_default();
        let (_, block) = section.split_once("```").with_context(missing)?;
        let (block, _) = block.split_once("\n```").with_context(missing)?;
        let (_, block) = block.split_once('\n').with_context(missing)?;
        Ok(self.here(block) + "\n")
    }

    /// In one pass, so that nothing put in is taken for something written.
    fn here(&self, mut text: &str) -> String {
        let mut here = String::with_capacity(text.len());
        'text: while let Some(next) = text.chars().next() {
            for (written, instead) in &self.0 {
                if let Some(rest) = text.strip_prefix(written.as_str()) {
                    here.push_str(instead);
                    text = rest;
                    continue 'text;
                }
            }
            here.push(next);
            text = text.get(next.len_utf8()..).unwrap_or_default();
        }
        here
    }

    /// Runs a block of shell.
    pub fn sh(&self, page: &str, heading: &str) -> Result<()> {
        let text = self.snippet(page, heading)?;
        ended(heading, Command::new("sh").args(["-euc", &text]))
    }

    /// Runs a block of Python.
    pub fn python(&self, page: &str, heading: &str) -> Result<()> {
        let text = self.snippet(page, heading)?;
        ended(heading, Command::new(python()).args(["-c", &text]))
    }

    /// Runs a block of JavaScript, with the clients of tests/shippers/.
    pub fn node(&self, page: &str, heading: &str) -> Result<()> {
        let text = self.snippet(page, heading)?;
        let clients = root().join(".cache/shippers/node_modules");
        if !clients.exists() {
            bail!("{} is missing; `bash tests/run.sh` installs it", clients.display());
        }
        ended(heading, Command::new("node").env("NODE_PATH", clients).args(["-e", &text]))
    }

    /// Runs a block of shell that calls Kafka's own tools.
    pub fn kafka_tools(&self, libs: &Libs, page: &str, heading: &str) -> Result<()> {
        let text = self.snippet(page, heading)?;
        let folder = tempfile::tempdir()?;
        let path = libs.console_producer(folder.path())?;
        ended(heading, Command::new("sh").env("PATH", path).args(["-euc", &text]))
    }

    /// Runs a block of Go, with the clients of tests/go/. `go` is the system's, or the one that tests/run.sh brought.
    pub fn go(&self, page: &str, heading: &str) -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("main.go"), self.snippet(page, heading)?)?;
        for file in ["go.mod", "go.sum"] {
            fs::copy(root().join("tests/go").join(file), folder.path().join(file))?;
        }
        let brought = root().join(".cache/venv/bin/go");
        let go = if brought.exists() { brought } else { "go".into() };
        ended(heading, Command::new(go).args(["run", "."]).current_dir(folder.path()))
    }

    /// Debian's rsyslog with this block in its configuration, fed over TCP on `port`.
    pub fn rsyslog(&self, page: &str, heading: &str, folder: &Path, port: u16) -> Result<Running> {
        let config = format!(
            "global(workDirectory=\"{}\")\nmodule(load=\"imptcp\")\ninput(type=\"imptcp\" \
             address=\"127.0.0.1\" port=\"{port}\")\n{}",
            folder.display(),
            self.snippet(page, heading)?,
        );
        let file = folder.join(format!("rsyslog-{port}.conf"));
        fs::write(&file, config)?;
        let mut command = Command::new("/usr/sbin/rsyslogd");
        // -n: in the foreground, a child of this test; -i: its process id not in /run.
        let id = folder.join(format!("rsyslog-{port}.pid"));
        command.arg("-n").arg("-f").arg(&file).arg("-i").arg(id).stdout(Stdio::null());
        let running = Running::start(heading, &mut command)?;
        wait::until("rsyslog's port", LIMIT, || Ok(TcpStream::connect(("127.0.0.1", port)).ok()))
            .with_context(|| running.shown())?;
        Ok(running)
    }

    /// Debian's syslog-ng with this block in its configuration, fed over TCP on `port`.
    pub fn syslog_ng(
        &self,
        page: &str,
        heading: &str,
        folder: &Path,
        port: u16,
    ) -> Result<Running> {
        let there = root().join(".cache/syslog-ng");
        if !there.exists() {
            bail!("{} is missing; `bash tests/run.sh` brings it", there.display());
        }
        let own = folder.join(format!("syslog-ng-{port}"));
        fs::create_dir(&own)?;
        let config = format!(
            "@version: 3.38\nsource s_src {{ network(ip(\"127.0.0.1\") port({port}) transport(\"tcp\") keep-hostname(yes)); }};\n{}",
            self.snippet(page, heading)?.replace("/var/lib/syslog-ng", &own.to_string_lossy()),
        );
        fs::write(own.join("conf"), config)?;
        let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
        let libraries = ["usr/lib", "lib"].map(|at| there.join(at).join(&architecture));
        let libraries = libraries.into_iter().chain([there.join("usr/lib/syslog-ng")]);
        let mut command = Command::new(there.join("usr/sbin/syslog-ng"));
        command
            .env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?)
            // In the foreground, a child of this test, with all that it keeps in its own folder.
            .args(["--foreground", "--no-caps", "--cfgfile"])
            .arg(own.join("conf"))
            .arg("--persist-file")
            .arg(own.join("persist"))
            .arg("--pidfile")
            .arg(own.join("pid"))
            .arg("--control")
            .arg(own.join("control"))
            .arg("--module-path")
            .arg(there.join("usr/lib/syslog-ng/3.38"))
            .stdout(Stdio::null());
        let running = Running::start(heading, &mut command)?;
        wait::until("syslog-ng's port", LIMIT, || Ok(TcpStream::connect(("127.0.0.1", port)).ok()))
            .with_context(|| running.shown())?;
        Ok(running)
    }
}

fn ended(name: &str, command: &mut Command) -> Result<()> {
    let mut running = Running::start(name, command.stdout(Stdio::null()))?;
    let status = running.wait(LIMIT)?;
    if !status.success() {
        bail!("the snippet '{name}' ended with {status}:\n{}", running.shown());
    }
    Ok(())
}
