//! Golden lines of each format, and what holds for all of them.

mod machines;
mod people;
mod reports;
mod text;

use super::*;
use crate::protect::Cards;
use custos_event::{ValueRef, record};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn received() -> Timestamp {
    at("2026-11-24T08:00:00Z")
}

fn decoder(source_type: SourceType) -> Decoder {
    let options = DecodeOptions::new(source_type, "test".into());
    let options = options.with_policy(Policy::new(Cards::BySource, b"key"));
    Decoder::new(Arc::new(FieldTable::new()), options)
}

/// All values of a field, `a, b`.
fn all(decoder: &Decoder, event: &ParsedEvent, name: &str) -> String {
    let Some(field) = decoder.parser.table().get(name) else { return String::new() };
    event.all(field).map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

/// Reads one line as `auto` and as its own type, and compares what the fields hold; `time` is the
/// header's.
fn check(of: SourceType, raw: &str, time: &str, expected: &[(&str, &str)]) {
    for source_type in [SourceType::Auto, of] {
        let mut decoder = decoder(source_type);
        let event = decoder.decode(Bytes::copy_from_slice(raw.as_bytes()), received());
        assert_eq!(event.header.rejection, None, "{raw}");
        assert_eq!(&*event.header.decoder, of.name(), "{raw}");
        assert_eq!(event.header.time, at(time), "{raw}");
        for (field, value) in expected {
            assert_eq!(all(&decoder, &event, field), *value, "{field} of {raw}");
        }
        let mut bytes = Vec::new();
        record::encode(&event, decoder.parser.table(), &mut bytes);
        let replayed = record::decode(&bytes.into(), &mut decoder.parser).unwrap();
        assert!(replayed.iter().eq(event.iter()), "{raw}");
    }
}

fn rejection(of: SourceType, raw: &str) -> String {
    let event = decoder(of).decode(Bytes::copy_from_slice(raw.as_bytes()), received());
    assert_eq!(event.header.shape, Shape::Text);
    event.header.rejection.as_deref().unwrap_or("accepted").to_owned()
}

#[test]
fn what_cannot_be_read_says_why() {
    for (of, raw, reason) in [
        (SourceType::Auto, "", "empty"),
        (SourceType::Auto, " \t", "empty"),
        (SourceType::Auto, "no log line", "neither a JSON object nor a line of syslog"),
        (SourceType::Auto, r#"{"a":"#, "not a JSON object: EOF"),
        (SourceType::Auto, r#"{"a":1} trailing"#, "not a JSON object: trailing characters"),
        (SourceType::Json, "[1]", "not a JSON object: invalid type: sequence"),
        (SourceType::WindowsEvtx, r#"{"a":1}"#, "no Event.System with an EventID"),
        (SourceType::Suricata, r#"{"a":1}"#, "no event_type"),
        (SourceType::CloudTrail, r#"{"a":1}"#, "no eventName"),
        (SourceType::Auto, r#"{"Records":[{"eventName":"a"}]}"#, "many records in one object"),
        (SourceType::CloudTrail, r#"{"Records":[]}"#, "many records in one object"),
        (SourceType::Door, r#"{"site":"A"}"#, "no 'door'"),
        (SourceType::Payment, r#"{"site":"A"}"#, "neither 'amount' nor 'kind' nor 'id'"),
        (SourceType::Crm, r#"{"module":"A"}"#, "no 'action'"),
        (SourceType::Backup, r#"{"system":"A"}"#, "no 'job'"),
        (SourceType::Keycloak, r#"{"realmId":"A"}"#, "neither 'type' nor 'operationType'"),
        (SourceType::Falco, r#"{"output":"A"}"#, "no 'rule'"),
        (SourceType::Trivy, r#"{"PkgName":"A"}"#, "neither a report of Trivy nor a finding"),
        (SourceType::Gophish, r#"{"email":"A"}"#, "no 'message' or no 'email'"),
        (SourceType::Apache, "a b c", "no access line"),
    ] {
        let got = rejection(of, raw);
        assert!(got.starts_with(reason), "{raw}: {got}");
    }
    let event =
        decoder(SourceType::Auto).decode(Bytes::from_static(b"{\"a\":\"\xff\"}"), received());
    assert_eq!(event.header.rejection.as_deref(), Some("not UTF-8 from byte 6"));
    assert!(event.header.flags.has(Flags::NOT_UTF8));
}

#[test]
fn too_long_an_object_is_kept_as_rejected_and_too_long_a_line_is_cut() {
    let long = "x".repeat(limit::EVENT_BYTES_MAX);
    let reason = rejection(SourceType::Auto, &format!(r#"{{"a":"{long}"}}"#));
    assert!(reason.starts_with("longer than 256 KiB (262152 bytes)"), "{reason}");
    let line = format!("Mar 27 13:06:56 host app: {long}");
    let event = decoder(SourceType::Auto).decode(line.clone().into(), received());
    assert_eq!(event.header.rejection, None);
    assert!(event.header.flags.has(Flags::TRUNCATED));
    assert_eq!(event.raw.len(), limit::EVENT_BYTES_MAX);
    assert_eq!(event.header.whole, Some(limit::whole(line.as_bytes())));
}

#[test]
fn a_card_at_the_cut_is_not_kept_in_half() {
    let padding = "x".repeat(limit::EVENT_BYTES_MAX - 40);
    let line = format!("Mar 27 13:06:56 host app: {padding} 4111111111111111 y");
    let event = decoder(SourceType::Syslog).decode(line.into(), received());
    assert!(!event.raw_text().contains("4111"));
    let unit = Unit {
        line: 1,
        bytes: format!("Mar 27 13:06:56 host app: {padding} 41111").into(),
        whole: Some(Whole { bytes: 9_000_000, sha256: [7; 32] }),
    };
    let event = decoder(SourceType::Syslog).decode_unit(unit, received());
    assert_eq!(event.header.whole.as_ref().map(|whole| whole.bytes), Some(9_000_000));
    assert!(event.header.flags.has(Flags::TRUNCATED));
}

#[test]
fn cards_are_replaced_where_the_source_may_hold_them() {
    let raw = r#"{"time":"2026-11-24T08:00:00Z","amount":5,"currency":"EUR","card":{"number":4111111111111111}}"#;
    let mut decoder = decoder(SourceType::Auto);
    let event = decoder.decode(raw.into(), received());
    assert_eq!(event.header.protections.len(), 1);
    let token = all(&decoder, &event, "custos.payment.card.token");
    assert!(token.starts_with("tok_") && token.len() == 36, "{token}");
    assert!(!event.raw_text().contains("4111"));
    let door = r#"{"time":"2026-11-24T08:00:00Z","door":"A","credential":"4111111111111111"}"#;
    assert_eq!(decoder.decode(door.into(), received()).raw_text(), door);
}

#[test]
fn a_year_that_is_given_is_taken() {
    let options = DecodeOptions::new(SourceType::Auto, "test".into()).with_year(Some(2017));
    let mut decoder = Decoder::new(Arc::new(FieldTable::new()), options);
    let event = decoder.decode("Mar 27 13:06:56 h sshd[1]: x".into(), received());
    assert_eq!(event.header.time, at("2017-03-27T13:06:56Z"));
    assert_eq!(event.header.flags, Flags::TIME_COMPLETED.with(Flags::TIME_OLD));
}

/// Seeds that reach into each decoder, to be changed at random.
const SEEDS: [&str; 19] = [
    r#"{"Event":{"System":{"EventID":4688,"Channel":"Security","Keywords":"0x8020000000000000"},"EventData":{"NewProcessId":"0x1","NewProcessName":"C:\\a.exe"}}}"#,
    r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Image":"C:\\a","Hashes":"MD5=1,=","User":"a\\b","UtcTime":"2020-01-01 00:00:00"}"#,
    r#"{"@timestamp":"2020-01-01T00:00:00Z","winlog":{"channel":"Security","event_id":1}}"#,
    r#"{"_path":"conn","ts":1.5,"id.orig_h":"1.2.3.4","success":true}"#,
    r#"{"timestamp":"2020-01-01T00:00:00Z","event_type":"alert","src_ip":"::ffff:1.2.3.4","proto":"TCP"}"#,
    r#"{"eventVersion":"1","eventSource":"s3.amazonaws.com","eventName":"x","sourceIPAddress":"y"}"#,
    r#"{"door":{"name":"x"},"result":"granted","forced":true,"time":1600000000}"#,
    r#"{"amount":1,"currency":"EUR","result":"declined","card":"4111111111111111"}"#,
    r#"{"actor":{"alternateId":"x"},"published":"2020-01-01 00:00:00","outcome":{"result":"DENY"}}"#,
    r#"{"__REALTIME_TIMESTAMP":"1600000000000000","SYSLOG_IDENTIFIER":"sudo","PRIORITY":"5","MESSAGE":[97,98,255],"_PID":"1"}"#,
    r#"{"time":1600000000000,"type":"LOGIN_ERROR","realmId":"r","ipAddress":"::1","details":{"username":"a"},"error":"b"}"#,
    r#"{"rule":"r","output":"o","priority":"p","tags":["T1059"],"output_fields":{"fd.name":"/a","container.id":"b","evt.type":"c"}}"#,
    r#"{"VulnerabilityID":"CVE-1","PkgName":"p","Severity":"LOW","CVSS":{"nvd":{"V3Score":1.5}},"ArtifactType":"container_image","ArtifactName":"a"}"#,
    r#"{"campaign_id":1,"email":"a@b","message":"Clicked Link","details":"{\"browser\":{\"address\":\"1.2.3.4\"}}"}"#,
    r#"{"ecs.version":"1","@timestamp":"2020-01-01T00:00:00Z","log.level":"a","host.name":"b"}"#,
    "<34>1 2020-01-01T00:00:00Z h app 1 ID [a b=\"]\\\"\"] message",
    "<34>Oct 11 22:14:15 h sshd[1]: Failed password for invalid user a from 1.2.3.4 port 22 ssh2",
    "Oct 11 22:14:15 h sudo:  a : 3 incorrect password attempts ; TTY=x ; USER=root ; COMMAND=/b c",
    "h:80 1.2.3.4 - u [17/May/2015:10:05:03 +0000] \"GET /a?b HTTP/1.1\" 200 - \"r\\\"\" \"ua",
];

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic_and_none_are_lost(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        of in proptest::sample::select(SourceType::ALL.to_vec()),
    ) {
        holds(of, bytes)?;
    }

    #[test]
    fn no_change_to_a_line_makes_a_decoder_panic(
        seed in proptest::sample::select(SEEDS.to_vec()),
        at in 0_usize..250,
        cut in 0_usize..20,
        put in proptest::collection::vec(prop_oneof![any::<u8>(), b' '..b'~'], 0..8),
        of in proptest::sample::select(SourceType::ALL.to_vec()),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put);
        holds(SourceType::Auto, bytes.clone())?;
        holds(of, bytes)?;
    }
}

/// The raw bytes are what came, but for the tokens; a rejection is flagged, explained and readable; the
/// record reads back as it is.
fn holds(of: SourceType, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let raw = Bytes::from(bytes);
    let mut decoder = decoder(of);
    let event = decoder.decode(raw.clone(), received());
    if event.header.protections.is_empty() {
        prop_assert_eq!(&event.raw, &raw);
    }
    let reason = event.header.rejection.as_deref();
    prop_assert_eq!(event.header.flags.has(Flags::REJECTED), reason.is_some());
    let error = all(&decoder, &event, "error.message");
    prop_assert!(reason.is_none_or(|reason| reason == error));
    prop_assert!(event.iter().any(|(_, value)| value != ValueRef::Null));
    let mut encoded = Vec::new();
    record::encode(&event, decoder.parser.table(), &mut encoded);
    let replayed = record::decode(&encoded.into(), &mut decoder.parser).unwrap();
    prop_assert_eq!(&replayed.header, &event.header);
    prop_assert_eq!(
        format!("{:?}", replayed.iter().collect::<Vec<_>>()),
        format!("{:?}", event.iter().collect::<Vec<_>>())
    );
    Ok(())
}
