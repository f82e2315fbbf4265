//! Mappings read, refused, and used by the decoder.

use super::{Mappings, cases};
use crate::decode::{DecodeOptions, Decoder, SourceType};
use custos_event::{FieldTable, Flags, ParsedEvent, Timestamp};
use proptest::prelude::*;
use std::sync::Arc;

const GATE: &str = r"
name: gate
title: A gate of the user's own
version: 3
dataset: gate.log
match: {pattern: '^GATE '}
pattern:
  - pattern: '^GATE (?<at>\S+ \S+) (?<verdict>[A-Z]+) (?<who>\S+) from (?<client>\S+):(?<port>\S+) (?<rest>.*)$'
    fields: {user.name: who}
    constants: {event.category: [authentication, network]}
  - '^GATE (?<at>\S+ \S+) (?<said>.*)$'
pairs: {in: rest, between: ' ', equals: ':'}
time: {field: at, format: '%d.%m.%Y %H:%M:%S', zone: '+02:00'}
fields:
  source.ip: client
  source.port: port
  event.action: {from: verdict, as: lower}
  event.outcome: {from: verdict, values: {PASS: success, DENY: failure}, otherwise: unknown}
  http.request.method: verb
  message: said
constants: {observer.vendor: Gate}
";

const CRANE: &str = r"
name: crane
title: JSON of a crane
match: {keys: [crane, op]}
json: true
time: {field: at.epoch, format: epoch-millis}
fields:
  user.name: [driver.login, driver.id]
  event.action: op
  source.ip: from
";

const LINE: &str = "GATE 01.03.2026 10:00:00 DENY ann from 10.1.2.3:4433 verb:GET zone:\"a b\" -";

fn mappings(texts: &[&str]) -> Arc<Mappings> {
    let files = texts.iter().map(|text| ("test.yml".to_owned(), (*text).to_owned()));
    Arc::new(Mappings::read(files).unwrap())
}

fn read_as(source: &str, line: &str) -> (ParsedEvent, Arc<FieldTable>) {
    let mappings = mappings(&[GATE, CRANE]);
    let source = mappings.source_type(source).unwrap();
    let options = DecodeOptions::new(source, "test".into()).with_mappings(mappings);
    let table = Arc::new(FieldTable::new());
    let mut decoder = Decoder::new(Arc::clone(&table), options);
    let received = "2026-03-02T00:00:00Z".parse().unwrap();
    (decoder.decode(line.as_bytes().to_vec().into(), received), table)
}

/// The values of a field, as text.
fn values((event, table): &(ParsedEvent, Arc<FieldTable>), name: &str) -> String {
    let all = table.get(name).map(|field| event.all(field).map(serde_json::Value::from));
    let text = |value: serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
    all.into_iter().flatten().map(text).collect::<Vec<_>>().join(",")
}

#[test]
fn a_line_is_split_and_raised_as_its_mapping_says() {
    let read = read_as("auto", LINE);
    for (name, expected) in [
        ("event.dataset", "gate.log"),
        ("event.module", "gate"),
        ("event.kind", "event"),
        ("event.category", "authentication,network"),
        ("event.action", "deny"),
        ("event.outcome", "failure"),
        ("source.ip", "10.1.2.3"),
        ("source.port", "4433"),
        ("user.name", "ann"),
        ("http.request.method", "GET"),
        ("observer.vendor", "Gate"),
        ("gate.zone", "a b"),
        ("gate.who", "ann"),
        ("message", LINE),
    ] {
        assert_eq!(values(&read, name), expected, "{name}");
    }
    let header = &read.0.header;
    assert_eq!((&*header.decoder, header.decoder_version), ("gate", 3));
    assert_eq!(header.time, "2026-03-01T08:00:00Z".parse().unwrap());
    assert_eq!(header.flags, Flags(0));
    assert_eq!(
        read.0.get(read.1.get("source.port").unwrap()).unwrap(),
        custos_event::ValueRef::Int(4433)
    );
}

#[test]
fn the_first_pattern_that_fits_counts_and_a_value_out_of_form_is_left_out() {
    let said = read_as("gate", "GATE 01.03.2026 10:00:00 restarted");
    assert_eq!(values(&said, "message"), "restarted");
    assert_eq!(values(&said, "event.category"), "");
    let odd = read_as("gate", "GATE 01.03.2026 10:00:00 HOLD bob from gate-7:x verb:-");
    assert_eq!(values(&odd, "event.outcome"), "unknown");
    assert_eq!(values(&odd, "source.ip"), "");
    assert_eq!(values(&odd, "source.address"), "gate-7");
    assert_eq!(values(&odd, "source.port"), "");
    assert_eq!(values(&odd, "http.request.method"), "");
}

#[test]
fn an_object_is_told_by_its_keys_and_read_by_paths() {
    let line = r#"{"op":"lift","crane":4,"driver":{"id":"d7"},"from":"::ffff:10.0.0.9","at":{"epoch":1772352000250}}"#;
    let read = read_as("auto", line);
    assert_eq!(&*read.0.header.decoder, "crane");
    assert_eq!(read.0.header.time, "2026-03-01T08:00:00.25Z".parse().unwrap());
    for (name, expected) in [
        ("event.dataset", "crane.log"),
        ("user.name", "d7"),
        ("source.ip", "10.0.0.9"),
        ("event.action", "lift"),
        ("json.crane", "4"),
    ] {
        assert_eq!(values(&read, name), expected, "{name}");
    }
    assert_eq!(&*read_as("auto", r#"{"op":"lift"}"#).0.header.decoder, "json");
}

#[test]
fn what_does_not_fit_is_rejected_where_it_was_configured_and_read_otherwise_where_not() {
    let configured = read_as("gate", "Mar  1 10:00:00 host sshd[1]: hello").0.header;
    assert!(configured.flags.has(Flags::REJECTED));
    assert_eq!(
        configured.rejection.as_deref(),
        Some("no line of 'gate': it fits none of its patterns")
    );
    let marked = read_as("auto", "GATE broken").0.header;
    assert_eq!((&*marked.decoder, marked.flags.has(Flags::REJECTED)), ("auto", true));
    assert_eq!(&*read_as("auto", "Mar  1 10:00:00 host sshd[1]: hello").0.header.decoder, "syslog");
}

#[test]
fn behind_a_syslog_header_the_message_is_read_and_host_and_time_are_its() {
    let text = "name: tool\ntitle: t\nmatch: {program: tool}\npattern: '^(?<a>\\w+)$'\nfields: {event.action: a}";
    let mappings = mappings(&[text]);
    let options = DecodeOptions::new(SourceType::Auto, "t".into()).with_mappings(mappings);
    let table = Arc::new(FieldTable::new());
    let mut decoder = Decoder::new(Arc::clone(&table), options);
    let received: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let event = decoder.decode("<13>Mar  1 10:00:00 box tool[7]: start".into(), received);
    let read = (event, table);
    assert_eq!(&*read.0.header.decoder, "tool");
    assert_eq!(values(&read, "event.action"), "start");
    assert_eq!(values(&read, "host.name"), "box");
    assert_eq!(values(&read, "message"), "start");
    assert_eq!(read.0.header.time, "2026-03-01T10:00:00Z".parse().unwrap());
}

/// `text` is read as a mapping with this line in it.
fn refused(more: &str) -> String {
    let text = format!("name: x\ntitle: t\n{more}");
    let faults = Mappings::read([("x.yml".to_owned(), text)]).unwrap_err();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bad_file_is_told_with_place_and_mend() {
    for (more, parts) in [
        ("", &["line 1", "'pattern', 'pairs' or 'json: true'"][..]),
        ("patern: a", &["line 3, column 1", "did you mean 'pattern'?"]),
        ("pattern: '('", &["line 3, column 10", "no pattern: unclosed group"]),
        ("pattern: '(?<a>\\w{1000}){900}'", &["no pattern", "size limit"]),
        (
            "pattern: '(?<ab>a)'\nfields: {source.ipp: ab}",
            &["line 4, column 10", "did you mean 'source.ip'?"],
        ),
        (
            "pattern: '(?<client>a)'\nfields: {source.ip: cliemt}",
            &["line 4, column 21", "did you mean 'client'?"],
        ),
        ("json: true\npairs: true", &["line 4", "not split again"]),
        ("json: true\nfields: {event.dataset: a}", &["follows from 'dataset'"]),
        ("json: true\nmatch: {program: a}", &["line 4", "use 'keys'"]),
        ("pairs: true\nmatch: {keys: a}", &["json: true"]),
        ("pairs: {in: rest}", &["no pattern has a group 'rest'"]),
        ("pairs: {equals: ' '}", &["'between' is"]),
        ("pairs: true\nmatch: {}", &["names no mark"]),
        (
            "json: true\ntime: {field: t, format: epooch}",
            &["line 4, column 26", "did you mean 'epoch'?"],
        ),
        ("json: true\ntime: {field: t, format: '%H:%M'}", &["day and clock"]),
        ("json: true\ntime: {field: t, format: '%d %!'}", &["no pattern of a time"]),
        ("json: true\ntime: {field: t, zone: Berlin}", &["'zone' is the distance from UTC"]),
        ("json: true\nfields: {event.action: {from: a, as: nummer}}", &["text, lower, number, ip"]),
        ("json: true\nfields: {event.action: {from: a, otherwise: b}}", &["needs 'values'"]),
        ("json: true\nversion: 0", &["from 1 on"]),
    ] {
        let told = refused(more);
        for part in parts {
            assert!(told.contains(part), "{part} in: {told}");
        }
    }
    let taken = Mappings::read([("y.yml".into(), "name: syslog\ntitle: t\njson: true".into())]);
    assert!(taken.unwrap_err()[0].to_string().contains("neither a type nor a part of a field"));
    let twice = [GATE, GATE].map(|text| ("g.yml".to_owned(), text.to_owned()));
    assert!(Mappings::read(twice).unwrap_err()[0].to_string().contains("another mapping"));
    let unknown = mappings(&[GATE]).source_type("gatte").unwrap_err().to_string();
    assert!(unknown.ends_with("json, gate"), "{unknown}");
}

#[test]
fn times_are_read_in_the_form_and_zone_that_the_mapping_says() {
    for (format, zone, text, expected, completed) in [
        ("auto", None, "2026-03-01 10:00:00", "2026-03-01T10:00:00Z", true),
        ("auto", Some("+01:00"), "2026-03-01 10:00:00", "2026-03-01T09:00:00Z", false),
        ("auto", Some("+01:00"), "2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z", false),
        ("epoch", None, "1772359200.5", "2026-03-01T10:00:00.5Z", false),
        ("epoch-millis", None, "1772359200500", "2026-03-01T10:00:00.5Z", false),
        ("apache", None, "01/Mar/2026:10:00:00 +0100", "2026-03-01T09:00:00Z", false),
        ("syslog", Some("-0530"), "Mar  1 10:00:00", "2026-03-01T15:30:00Z", true),
        ("%Y/%m/%d %H:%M:%S%.f", None, "2026/03/01 10:00:00.25", "2026-03-01T10:00:00.25Z", true),
        (
            "%d/%b/%Y:%H:%M:%S %z",
            Some("+09:00"),
            "01/Mar/2026:10:00:00 -0500",
            "2026-03-01T15:00:00Z",
            false,
        ),
        ("%b %d %H:%M:%S", Some("Z"), "Feb 29 10:00:00", "2024-02-29T10:00:00Z", true),
        ("%s", None, "1772359200", "2026-03-01T10:00:00Z", false),
    ] {
        let zone = zone.map(|zone| format!(", zone: '{zone}'")).unwrap_or_default();
        let text = format!("name: t\ntitle: t\ncases: 0\npattern: '^(?<t>.*)$'\ntime: {{field: t, format: '{format}'{zone}}}")
            .replace("cases: 0\n", "") + &format!("\n# {text}");
        let mappings = mappings(&[&text]);
        let source = mappings.source_type("t").unwrap();
        let options = DecodeOptions::new(source, "t".into()).with_mappings(mappings);
        let mut decoder = Decoder::new(Arc::new(FieldTable::new()), options);
        let line = text.rsplit("# ").next().unwrap().to_owned();
        let received = "2026-03-02T00:00:00Z".parse().unwrap();
        let header = decoder.decode(line.into_bytes().into(), received).header;
        assert_eq!(header.time, expected.parse().unwrap(), "{format}");
        assert!(!header.flags.has(Flags::NO_TIME), "{format}");
        assert_eq!(header.flags.has(Flags::TIME_COMPLETED), completed, "{format}");
    }
}

#[test]
fn a_case_says_what_is_read_otherwise_and_where() {
    let good = format!(
        "cases:\n  - line: '{LINE}'\n    taken_for: gate\n    time: 2026-03-01T08:00:00Z\n    fields: {{source.port: 4433, event.category: [authentication, network]}}\n    absent: url.path"
    );
    assert_eq!(cases::check(&good, &mappings(&[GATE])), Ok(1));
    for (from, to, part) in [
        ("port: 4433", "port: 4434", "source.port is 4433, not 4434"),
        ("taken_for: gate", "taken_for: syslog", "taken for 'gate'"),
        ("T08", "T09", "the time is 2026-03-01T08:00:00Z"),
        ("url.path", "user.name", "user.name is \"ann\", not absent"),
        ("absent:", "absend:", "did you mean 'absent'?"),
        ("GATE 01", "GAT 01", "the line is rejected"),
    ] {
        let found = cases::check(&good.replace(from, to), &mappings(&[GATE])).unwrap_err();
        assert!(found.iter().any(|it| it.message.contains(part)), "{part} in {found:?}");
    }
}

proptest! {
    // Each case makes three decoders.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_bytes_make_a_mapping_panic(bytes: Vec<u8>, line in "(GATE )?[0-9]{2}.03.2026 10:00:00 [A-Z\"':= a-zü]{0,60}") {
        for source in ["auto", "gate", "crane"] {
            read_as(source, &line);
            read_as(source, &String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn no_text_makes_the_reading_of_a_mapping_panic(text in "(name: [a-z:]*\n|title: t\n|pattern: .{0,20}\n|fields: \\{.{0,20}\\}\n|time: .{0,20}\n){0,5}") {
        drop(Mappings::read([("x.yml".to_owned(), text)]));
    }
}
