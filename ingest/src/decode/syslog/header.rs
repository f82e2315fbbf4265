//! What stands before a syslog message: priority, time, host, program.

use super::{add_number, add_some};
use crate::decode::time::{SourceTime, iso, iso_prefix, without_year};
use custos_event::{ParsedEvent, Timestamp, ValueRef, ecs};

#[derive(Debug, Default)]
pub(in crate::decode) struct Header<'a> {
    priority: Option<u16>,
    pub(in crate::decode) time: Option<SourceTime>,
    host: Option<&'a str>,
    pub(in crate::decode) program: Option<&'a str>,
    process: Option<&'a str>,
    message_id: Option<&'a str>,
    pub(in crate::decode) message: &'a str,
}

/// Whether a line begins as syslog does: a priority, or a time of one of its two forms.
pub(crate) fn looks_like(raw: &[u8]) -> bool {
    let head = raw.get(..raw.len().min(64)).unwrap_or_default();
    let head = head.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
    if priority(head).is_some() || without_year(head, Timestamp(0), Some(2_000)).is_some() {
        return true;
    }
    head.get(10..11) == Some("T")
        && iso_prefix(head).is_some_and(|(time, rest)| !time.completed && rest.starts_with(' '))
}

impl<'a> Header<'a> {
    /// Reads what is there; a line without any of it is all message.
    pub(in crate::decode) fn parse(text: &'a str, received: Timestamp, year: Option<i16>) -> Self {
        let (priority, rest) = match priority(text) {
            Some((priority, rest)) => (Some(priority), rest),
            None => (None, text),
        };
        if let Some(rest) = rest.strip_prefix("1 ").filter(|_| priority.is_some()) {
            return Self::rfc5424(priority, rest);
        }
        let (time, rest) = match without_year(rest, received, year).or_else(|| iso_prefix(rest)) {
            Some((time, rest)) if rest.is_empty() || rest.starts_with([' ', ':']) => {
                (Some(time), rest.trim_start_matches([' ', ':']))
            }
            _ => (None, rest),
        };
        let mut header = Self { priority, time, ..Self::default() };
        // Without a time there is no host either: `<13>su[7]: …`.
        let rest = if time.is_some() { header.host_of(rest) } else { rest };
        header.tag(rest);
        header
    }

    /// `TIME HOST APP PROCID MSGID SD MSG`, `-` for what is missing.
    fn rfc5424(priority: Option<u16>, text: &'a str) -> Self {
        let mut words = text.splitn(6, ' ');
        let mut word = || words.next().filter(|word| *word != "-" && !word.is_empty());
        let (time, host, program, process) = (word(), word(), word(), word());
        let message_id = word();
        let rest = words.next().unwrap_or_default();
        let message = after_structured_data(rest).trim_start_matches([' ', '\u{feff}']);
        let time = time.and_then(iso);
        Self { priority, time, host, program, process, message_id, message }
    }

    /// Takes the host off, unless the first word is a program's tag already.
    fn host_of(&mut self, text: &'a str) -> &'a str {
        match text.split_once(' ') {
            Some((host, rest)) if !host.ends_with(':') && !host.contains('[') => {
                self.host = Some(host);
                rest.trim_start()
            }
            _ => text,
        }
    }

    /// `program[pid]: message`, `program: message`; else all is message.
    fn tag(&mut self, text: &'a str) {
        self.message = text;
        let end = text.find(['[', ':', ' ']).unwrap_or(text.len());
        let Some((program, rest)) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())
        else {
            return;
        };
        let (process, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((process, rest)) => (Some(process), rest),
            None => (None, rest),
        };
        if let Some(message) = rest.strip_prefix(':') {
            self.program = Some(program);
            self.process = process;
            self.message = message.strip_prefix(' ').unwrap_or(message);
        }
    }

    /// Beside a message that has fields of its own: what it does not say of host and program.
    pub(in crate::decode) fn add_missing_to(&self, event: &mut ParsedEvent) {
        if event.get(ecs::HOST_NAME).is_none() {
            add_some(event, ecs::HOST_NAME, self.host);
        }
        if event.get(ecs::MESSAGE).is_none() {
            add_some(event, ecs::MESSAGE, Some(self.message));
        }
        add_some(event, ecs::SYSLOG_APPNAME, self.program);
    }

    pub(in crate::decode) fn add_to(&self, event: &mut ParsedEvent) {
        if let Some(priority) = self.priority {
            let number = |field, number: u16| (field, ValueRef::Int(number.into()));
            for (field, value) in [
                number(ecs::SYSLOG_PRIORITY, priority),
                number(ecs::SYSLOG_FACILITY, priority / 8),
                number(ecs::SYSLOG_SEVERITY, priority % 8),
            ] {
                event.add(field, value);
            }
        }
        add_some(event, ecs::HOST_NAME, self.host);
        add_some(event, ecs::HOST_HOSTNAME, self.host);
        add_some(event, ecs::PROCESS_NAME, self.program);
        add_some(event, ecs::SYSLOG_APPNAME, self.program);
        add_some(event, ecs::SYSLOG_PROCID, self.process);
        add_some(event, ecs::SYSLOG_MSGID, self.message_id);
        if let Some(process) = self.process {
            add_number(event, ecs::PROCESS_PID, process);
        }
    }
}

/// `<134>`: at most 191, which is facility 23, severity 7.
fn priority(text: &str) -> Option<(u16, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let number = number.parse().ok().filter(|number| *number <= 191)?;
    Some((number, rest))
}

/// What follows `-` or any number of `[id name="value" …]`, in whose values `]` is escaped.
fn after_structured_data(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('-') {
        return rest;
    }
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix('[') {
        let Some(end) = element_end(inner) else { return rest };
        rest = inner.get(end + 1..).unwrap_or_default();
    }
    rest
}

fn element_end(inner: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}
