//! Syslog lines (RFC 3164 and 5424, and what Unix hosts write into files), and the messages of the
//! programs that matter for security.

mod account;
mod header;
mod pam;
mod sshd;
mod sudo;

use super::{
    fields::{add, add_all, add_some, slug},
    lines::{self, Lines},
    time::SourceTime,
};
use bytes::Bytes;
use custos_event::{FieldTable, Flags, ParsedEvent, Timestamp, ValueRef, ecs};
use header::Header;
use std::{borrow::Cow, net::IpAddr, sync::Arc};

/// Whether a line begins as syslog does, or as one of the formats that come by syslog.
pub(super) fn looks_like(raw: &[u8]) -> bool {
    header::looks_like(raw) || lines::looks_like(raw)
}

/// What stands before the message of a line, where there is any of it.
pub(super) fn header(text: &str, received: Timestamp, year: Option<i16>) -> Option<Header<'_>> {
    let begins = header::looks_like(text.as_bytes());
    begins.then(|| Header::parse(text, received, year))
}

/// The program whose line this is, by its header.
pub(super) fn program(head: &str) -> Option<&str> {
    // The time is not asked for, so that any year does.
    header(head, Timestamp(0), Some(2_000))?.program
}

/// A name longer than this is no program's name.
const PROGRAM_BYTES_MAX: usize = 48;

#[derive(Debug)]
pub(super) struct Syslog {
    dataset: String,
    lines: Lines,
}

impl Syslog {
    pub(super) fn new(table: Arc<FieldTable>) -> Self {
        Self { dataset: String::new(), lines: Lines::new(table) }
    }

    pub(super) fn read(
        &mut self,
        event: &mut ParsedEvent,
        received: Timestamp,
        year: Option<i16>,
    ) -> Option<SourceTime> {
        let raw = event.raw.clone();
        let text = line_of(event, &raw);
        let header = Header::parse(&text, received, year);
        // Without a header, its first key may look like a program's name.
        let (program, said) = if lines::looks_like(text.as_bytes()) {
            (None, &*text)
        } else {
            (header.program, header.message)
        };
        if let Some(told) = self.lines.read(event, program, said) {
            let datasets = [(ecs::EVENT_MODULE, told.module), (ecs::EVENT_DATASET, told.dataset)];
            add_all(event, &datasets);
            header.add_missing_to(event);
            return told.time.or(header.time);
        }
        let dataset = self.dataset(header.program);
        add_all(event, &[(ecs::EVENT_MODULE, "linux"), (ecs::EVENT_DATASET, dataset)]);
        add(event, ecs::EVENT_KIND, "event");
        header.add_to(event);
        add_some(event, ecs::MESSAGE, Some(header.message));
        message(event, header.program.unwrap_or_default(), header.message);
        header.time
    }

    /// Reads what `program` said, where its header came another way.
    pub(super) fn said(&mut self, event: &mut ParsedEvent, program: Option<&str>, said: &str) {
        if let Some(told) = self.lines.read(event, program, said) {
            let datasets = [(ecs::EVENT_MODULE, told.module), (ecs::EVENT_DATASET, told.dataset)];
            return add_all(event, &datasets);
        }
        let dataset = self.dataset(program);
        add_all(event, &[(ecs::EVENT_MODULE, "linux"), (ecs::EVENT_DATASET, dataset)]);
        message(event, program.unwrap_or_default(), said);
    }

    fn dataset(&mut self, program: Option<&str>) -> &str {
        self.dataset.clear();
        self.dataset.push_str("linux.");
        let before = self.dataset.len();
        if let Some(program) = program.filter(|program| program.len() <= PROGRAM_BYTES_MAX) {
            let program = if SSHD.contains(&program) { "sshd" } else { program };
            self.dataset.push_str(&slug(program).replace('.', "-"));
        }
        if self.dataset.len() == before {
            self.dataset.push_str("syslog");
        }
        &self.dataset
    }
}

/// The raw bytes as one line of text; what is not UTF-8 is read with replacement characters and flagged.
pub(super) fn line_of<'a>(event: &mut ParsedEvent, raw: &'a Bytes) -> Cow<'a, str> {
    let text = String::from_utf8_lossy(raw);
    if matches!(text, Cow::Owned(_)) {
        event.header.flags = event.header.flags.with(Flags::NOT_UTF8);
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
        owned @ Cow::Owned(_) => owned,
    }
}

/// OpenSSH's server: since 9.8 in several programs.
const SSHD: [&str; 3] = ["sshd", "sshd-session", "sshd-auth"];

/// What the message says, by the program that wrote it. PAM speaks through many programs.
fn message(event: &mut ParsedEvent, program: &str, message: &str) {
    if pam::read(event, message) {
        return;
    }
    match program {
        name if SSHD.contains(&name) => sshd::read(event, message),
        "sudo" => sudo::sudo(event, message),
        "su" => sudo::su(event, message),
        "CRON" | "cron" | "crond" | "CROND" => sudo::cron(event, message),
        "useradd" | "adduser" | "userdel" | "usermod" | "groupadd" | "groupdel" | "passwd"
        | "chpasswd" | "chage" | "gpasswd" => account::read(event, message),
        "systemd-logind" => account::logind(event, message),
        _ => {}
    }
}

/// What a message says in one word, its kind and how it ended.
fn says(event: &mut ParsedEvent, action: &str, category: &str, outcome: Option<bool>) {
    add_all(event, &[(ecs::EVENT_ACTION, action), (ecs::EVENT_CATEGORY, category)]);
    if let Some(good) = outcome {
        add(event, ecs::EVENT_OUTCOME, if good { "success" } else { "failure" });
    }
}

/// The other end: an address, or the name of a host.
fn add_peer(event: &mut ParsedEvent, peer: &str) {
    if peer.parse::<IpAddr>().is_ok() {
        add(event, ecs::SOURCE_IP, peer);
    } else {
        add_some(event, ecs::SOURCE_ADDRESS, Some(peer));
    }
}

fn add_number(event: &mut ParsedEvent, field: custos_event::FieldId, text: &str) {
    let digits = text.trim_start();
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(Ok(number)) = digits.get(..len).map(str::parse) {
        event.add(field, ValueRef::Int(number));
    }
}
