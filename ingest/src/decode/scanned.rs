//! Events read for rules alone: their own values, where they stand, raised to nothing. Only of formats to
//! whose objects a decoder adds no more than ECS fields, and only where reading cannot refuse the event.

use super::{
    Decoder, SourceType,
    fields::is_usable,
    shape,
    sniff::{self, Format},
};
use crate::limit;
use custos_event::{FieldId, FieldTable, Scan, Scanned, ecs};

/// What scanning needs from event to event.
#[derive(Debug)]
pub(super) struct Scanner {
    scan: Scan,
    /// Most events come in runs of one format: that of the event before.
    format: Format,
    sniffed: sniff::Roots,
    scratch: String,
    computer: FieldId,
    provider: FieldId,
    event_name: FieldId,
}

impl Scanner {
    pub(super) fn new(table: &FieldTable) -> Self {
        Self {
            scan: Scan::default(),
            format: Format::Nxlog,
            sniffed: sniff::Roots::default(),
            scratch: String::new(),
            computer: table.intern("winlog.event_data.Computer"),
            provider: table.intern("winlog.event_data.Provider_Name"),
            event_name: table.intern("aws.cloudtrail.eventName"),
        }
    }
}

impl Decoder {
    /// Reads one event for rules alone; `None` where only [`Self::decode`] tells what it is. What comes back
    /// has the values that `decode` would give as the source's own, and of those it would add all that are not
    /// ECS fields.
    pub fn scan<'d>(&'d mut self, raw: &'d [u8]) -> Option<Scanned<'d>> {
        if raw.len() > limit::EVENT_BYTES_MAX {
            return None;
        }
        let text = simdutf8::basic::from_utf8(raw).ok()?;
        let is_auto = self.options.source_type == SourceType::Auto;
        if is_auto && self.mapper.recognise(raw).is_some() {
            return None;
        }
        let format = self.scan_format(text)?;
        if self.options.policy.protects(format.source_type()) {
            return None;
        }
        let own = self.scanner.scan.len();
        self.scanner.complete(format, text)?;
        Some(Scanned { text, shape: shape(format), scan: &self.scanner.scan, own })
    }

    /// Scans the event as one of the format before, and again if it turns out to be of another.
    fn scan_format(&mut self, text: &str) -> Option<Format> {
        let Self { scanner, parser, options, .. } = self;
        let given = match options.source_type {
            SourceType::Auto => None,
            SourceType::WindowsEvtx => Some(Format::Evtx),
            SourceType::WindowsNxlog => Some(Format::Nxlog),
            SourceType::Zeek => Some(Format::Zeek),
            // The others add to their objects, are no objects, or have to be told apart first.
            SourceType::Winlogbeat
            | SourceType::Suricata
            | SourceType::CloudTrail
            | SourceType::Syslog
            | SourceType::Apache
            | SourceType::Door
            | SourceType::Payment
            | SourceType::Crm
            | SourceType::Backup
            | SourceType::Gelf
            | SourceType::Otlp
            | SourceType::Journald
            | SourceType::Keycloak
            | SourceType::Falco
            | SourceType::Trivy
            | SourceType::Gophish
            | SourceType::Json
            | SourceType::Mapped(_) => return None,
        };
        let guess = given.unwrap_or(scanner.format);
        if !parser.scan(shape(guess), text, &mut scanner.scan) {
            return None;
        }
        if given.is_some() {
            return given;
        }
        let format = scanner.sniffed.format(text, scanner.scan.roots());
        if format == guess {
            return Some(format);
        }
        if !SCANNED.contains(&format) {
            return None;
        }
        scanner.format = format;
        parser.scan(shape(format), text, &mut scanner.scan).then_some(format)
    }
}

/// What is scanned where it is told from the event.
const SCANNED: [Format; 5] =
    [Format::Evtx, Format::Nxlog, Format::Winlogbeat6, Format::Zeek, Format::CloudTrail];

impl Scanner {
    /// Adds what the decoder adds beyond ECS; `None` where it would refuse the event.
    fn complete(&mut self, format: Format, text: &str) -> Option<()> {
        let scan = &mut self.scan;
        if format == Format::Evtx {
            scan.find(ecs::WINLOG_EVENT_ID).or_else(|| scan.find(ecs::WINLOG_CHANNEL))?;
        } else if format == Format::CloudTrail {
            scan.find(self.event_name)?;
        } else if format == Format::Nxlog {
            for (missing, from) in [
                (ecs::WINLOG_COMPUTER_NAME, self.computer),
                (ecs::WINLOG_PROVIDER_NAME, self.provider),
            ] {
                if scan.find(missing).is_some() {
                    continue;
                }
                let usable = |at: &usize| is_usable(scan.value(*at, text, &mut self.scratch));
                if let Some(at) = scan.find(from).filter(usable) {
                    scan.alias(missing, at);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::DecodeOptions;
    use custos_event::{Timestamp, Values as _};
    use std::sync::Arc;

    const LINES: [&str; 5] = [
        r#"{"Event":{"System":{"EventID":"1","Channel":"Security","Computer":"a"},"EventData":{"A B":"x\\y"}}}"#,
        r#"{"EventID":1,"Image":"a","Channel":"Security","Computer":"c","Provider_Name":"p","Hostname":""}"#,
        r#"{"@stream":"conn","@system":"s","ts":1.5,"id_orig_h":"10.0.0.1"}"#,
        r#"{"eventVersion":"1","eventSource":"s3","eventName":"Get","awsRegion":"x","n":{"a":[1,2]}}"#,
        r#"{"@timestamp":"2026-01-01T00:00:00Z","event_id":1,"log_name":"Security","event_data":{"a":1}}"#,
    ];

    fn decoder(source_type: SourceType) -> Decoder {
        let options = DecodeOptions::new(source_type, "test".into()).without_protection();
        Decoder::new(Arc::new(FieldTable::new()), options)
    }

    #[test]
    fn a_scanned_event_has_what_the_source_said_and_what_is_not_ecs() {
        let mut decoder = decoder(SourceType::Auto);
        // By turns, so that each is first taken for another.
        for line in LINES.iter().cycle().take(15) {
            let whole = decoder.decode(line.as_bytes().to_vec().into(), Timestamp(0));
            let scanned = decoder.scan(line.as_bytes()).unwrap();
            assert_eq!(scanned.shape, whole.header.shape, "{line}");
            let expected: Vec<String> = whole.native().map(|value| format!("{value:?}")).collect();
            let mut scratch = String::new();
            let found = (0..scanned.own).map(|at| format!("{:?}", scanned.value(at, &mut scratch)));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{line}");
            for field in [ecs::WINLOG_COMPUTER_NAME, ecs::WINLOG_PROVIDER_NAME] {
                let mut own = String::new();
                let at = scanned.scan.find(field);
                let value = at.map(|at| scanned.value(at, &mut own));
                assert_eq!(value, whole.get(field), "{line}");
            }
        }
    }

    #[test]
    fn what_only_the_whole_reading_tells_is_not_scanned() {
        let mut auto = decoder(SourceType::Auto);
        for line in [
            "free text",
            "{",
            r#"{"a":1}"#,
            r#"{"Records":[{"eventVersion":"1"}]}"#,
            r#"{"door":"a","result":"denied"}"#,
            r#"{"Event":{"EventData":{}}}"#,
            r#"{"\u0045ventID":1,"Channel":"Security"}"#,
        ] {
            assert!(auto.scan(line.as_bytes()).is_none(), "{line}");
        }
        assert!(decoder(SourceType::Syslog).scan(LINES[0].as_bytes()).is_none());
        assert!(decoder(SourceType::WindowsNxlog).scan(br#"{"a":1}"#).is_some());
        let long = format!(r#"{{"EventID":1,"Channel":"{}"}}"#, "x".repeat(limit::EVENT_BYTES_MAX));
        assert!(auto.scan(long.as_bytes()).is_none());
    }
}
