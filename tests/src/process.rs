//! A child process that cannot outlive its test, with its standard error at hand; and free ports.

use crate::wait::Deadline;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

/// Lines kept for the next reader; a process that says more waits until they are read.
const LINES_UNREAD_MAX: usize = 1 << 16;

/// Lines kept to be shown when a wait fails.
const LINES_SHOWN_MAX: usize = 40;

/// A started program. Killed, and waited for, when dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    lines: Receiver<String>,
    last: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts `command` with its standard error read line by line.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let (send, lines) = sync_channel(LINES_UNREAD_MAX);
        let last = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let last = Arc::clone(&last);
            std::thread::spawn(move || {
                for line in read_lines(stderr) {
                    remember(&last, &line);
                    // Nobody may be waiting any more; the lines still have to be taken off the pipe.
                    drop(send.try_send(line));
                }
            });
        }
        Ok(Self { name: name.to_owned(), child, lines, last })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard error that `wanted` accepts.
    pub fn wait_for_line(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Deadline::after(limit);
        loop {
            match self.lines.recv_timeout(deadline.left()) {
                Ok(line) if wanted(&line) => return Ok(line),
                Ok(_) => {}
                Err(_) => bail!("{} did not say what was waited for:\n{}", self.name, self.shown()),
            }
        }
    }

    /// The last lines of standard error.
    pub fn shown(&self) -> String {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("process has no id")?, Signal::TERM)?;
        self.wait(limit)
    }

    /// Waits for the end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end; its last lines:\n{}", self.name, self.shown());
        let child = &mut self.child;
        crate::wait::until(&what, limit, || Ok(child.try_wait()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_lines(from: impl Read) -> impl Iterator<Item = String> {
    let mut from = BufReader::new(from);
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match from.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
        }
    })
}

fn remember(last: &Mutex<Vec<String>>, line: &str) {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if last.len() == LINES_SHOWN_MAX {
        last.remove(0);
    }
    last.push(line.to_owned());
}

/// A loopback port that nobody listens on, below the range the system hands out for outgoing
/// connections (from 32768): a client that retries towards a port of that range while the server is
/// down can end up connected to itself.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    let spread = u16::try_from(std::process::id() % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (spread.wrapping_mul(7).wrapping_add(step)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {}", FIRST + COUNT)
}
