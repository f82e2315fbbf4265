//! The journal of systemd as JSON (`journalctl -o json`, systemd.journal-fields(7)). What a program says in `MESSAGE` is
//! read as if it had come by syslog, so that a rule for sshd sees it the same.

use super::{
    fields::{Raises, add, add_some, is_usable, raise},
    syslog::Syslog,
    time::{self, SourceTime},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};

#[derive(Debug)]
pub(super) struct Journald {
    message: FieldId,
    /// What the program calls itself, else the kernel's name for it.
    programs: [FieldId; 2],
    /// When the message was made, else when the journal took it: microseconds.
    times: [FieldId; 2],
    numbers: [(FieldId, FieldId); 4],
    unit: FieldId,
    rows: Raises,
}

impl Journald {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("journald.{name}"));
        let rows = [
            (ecs::HOST_NAME, "journald._HOSTNAME"),
            (ecs::HOST_HOSTNAME, "journald._HOSTNAME"),
            (ecs::HOST_ID, "journald._MACHINE_ID"),
            (ecs::EVENT_ID, "journald.__CURSOR"),
            (ecs::PROCESS_EXECUTABLE, "journald._EXE"),
            (ecs::PROCESS_NAME, "journald.SYSLOG_IDENTIFIER"),
            (ecs::PROCESS_NAME, "journald._COMM"),
            (ecs::SYSLOG_APPNAME, "journald.SYSLOG_IDENTIFIER"),
            (ecs::SYSLOG_MSGID, "journald.MESSAGE_ID"),
        ];
        Self {
            message: own("MESSAGE"),
            programs: [own("SYSLOG_IDENTIFIER"), own("_COMM")],
            times: [own("_SOURCE_REALTIME_TIMESTAMP"), own("__REALTIME_TIMESTAMP")],
            numbers: [
                (ecs::PROCESS_PID, own("_PID")),
                (ecs::PROCESS_PID, own("SYSLOG_PID")),
                (ecs::SYSLOG_SEVERITY, own("PRIORITY")),
                (ecs::SYSLOG_FACILITY, own("SYSLOG_FACILITY")),
            ],
            unit: own("_SYSTEMD_UNIT"),
            rows: Raises::new(table, &rows),
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent, syslog: &mut Syslog) -> Option<SourceTime> {
        let usable = |field: &&FieldId| event.get(**field).is_some_and(is_usable);
        let program = self.programs.iter().find(usable).and_then(|field| event.str(*field));
        let program = program.map(str::to_owned);
        let message = self.message(event);
        syslog.said(event, program.as_deref(), &message);
        if event.get(ecs::MESSAGE).is_none() && !raise_text(event, self.message) {
            add_some(event, ecs::MESSAGE, Some(&message));
        }
        self.rows.apply_missing(event);
        for (field, native) in self.numbers {
            let number = event.get(native).and_then(|value| value.to_string().parse().ok());
            if let Some(number) = number.filter(|_| event.get(field).is_none()) {
                event.add(field, ValueRef::Int(number));
            }
        }
        // PAM names its service itself.
        if event.get(ecs::SERVICE_NAME).is_none() {
            raise(event, ecs::SERVICE_NAME, self.unit);
        }
        if event.get(ecs::EVENT_KIND).is_none() {
            add(event, ecs::EVENT_KIND, "event");
        }
        self.times.iter().find_map(|field| event.get(*field).and_then(time::of_value))
    }

    /// A message that is no UTF-8, or has control characters, comes as an array of its bytes.
    fn message(&self, event: &ParsedEvent) -> String {
        if let Some(text) = event.str(self.message) {
            return text.to_owned();
        }
        let byte = |value| match value {
            ValueRef::Int(number) => u8::try_from(number).ok(),
            ValueRef::Null
            | ValueRef::Bool(_)
            | ValueRef::UInt(_)
            | ValueRef::Float(_)
            | ValueRef::Str(_) => None,
        };
        let bytes: Vec<u8> = event.all(self.message).filter_map(byte).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn raise_text(event: &mut ParsedEvent, native: FieldId) -> bool {
    event.str(native).is_some() && raise(event, ecs::MESSAGE, native)
}
