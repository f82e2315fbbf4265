//! The recorded events of the shared data folder, each read as `auto`: told apart rightly, rejected only
//! for a known reason, no card number seen where there is none, and the same after a trip through bytes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what it skips and counts"
)]

use bytes::Bytes;
use custos_event::{FieldTable, Flags, ParsedEvent, Parser, Timestamp, ecs, record};
use custos_ingest::{
    decode::{DecodeOptions, Decoder, SourceType},
    file::{self, Unit},
    protect::{Cards, Policy},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The file and its events, or nothing where the data is not there.
fn units(name: &str) -> Option<impl Iterator<Item = Unit>> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("CUSTOS_SHARED_DATA").map_or_else(default, PathBuf::from);
    match file::open(&folder.join("events").join(name)) {
        Ok(units) => Some(units.map(Result::unwrap)),
        Err(error) => {
            println!("skipped: real data not present ({name}: {error})");
            None
        }
    }
}

struct Reader {
    decoder: Decoder,
    parser: Parser,
    received: Timestamp,
}

impl Reader {
    fn new() -> Self {
        let table = Arc::new(FieldTable::new());
        let policy = Policy::new(Cards::Always, b"a key of the tests");
        let options = DecodeOptions::new(SourceType::Auto, "file:test".into()).with_policy(policy);
        let decoder = Decoder::new(Arc::clone(&table), options);
        let received = "2026-11-24T08:00:00Z".parse().unwrap();
        Self { decoder, parser: Parser::new(table), received }
    }

    fn read(&mut self, raw: &Bytes) -> ParsedEvent {
        let event = self.decoder.decode(raw.clone(), self.received);
        assert_eq!(&event.raw, raw, "changed: {:?}", event.header.protections);
        self.check_replay(&event);
        event
    }

    fn check_replay(&mut self, event: &ParsedEvent) {
        let mut bytes = Vec::new();
        record::encode(event, self.parser.table(), &mut bytes);
        let replayed = record::decode(&bytes.into(), &mut self.parser).unwrap();
        assert_eq!(replayed.header, event.header);
        assert!(replayed.iter().eq(event.iter()), "{:?}", event.raw_text());
    }
}

/// Reads a file and checks what holds for each; `decoders` are those that its events may be given to.
fn check(name: &str, decoders: &[&str]) -> BTreeMap<String, u64> {
    let mut datasets = BTreeMap::new();
    let Some(units) = units(name) else { return datasets };
    let mut reader = Reader::new();
    let (mut all, mut right, mut rejected, mut without_time) = (0_u64, 0_u64, 0_u64, 0_u64);
    for unit in units {
        let event = reader.read(&unit.bytes);
        all += 1;
        right += u64::from(decoders.contains(&&*event.header.decoder));
        without_time += u64::from(event.header.flags.has(Flags::NO_TIME));
        if event.header.flags.has(Flags::REJECTED) {
            rejected += 1;
            println!(
                "{name}:{}: {:?}: {:.200}",
                unit.line,
                event.header.rejection,
                event.raw_text()
            );
        }
        let dataset = event.str(ecs::EVENT_DATASET).unwrap_or("none");
        assert!(event.str(ecs::EVENT_MODULE).is_some(), "{:.300}", event.raw_text());
        *datasets.entry(dataset.to_owned()).or_insert(0) += 1;
    }
    println!(
        "{name}: {all} events, {rejected} rejected, {without_time} without a time, {right} by {decoders:?}"
    );
    println!("{datasets:?}");
    assert!(all > 500);
    assert!(rejected * 100 <= all, "{name}: {rejected} of {all} rejected");
    assert!(right * 100 >= all * 99, "{name}: only {right} of {all} by {decoders:?}");
    datasets
}

#[test]
fn raw_windows_events_are_read() {
    check("windows-evtx-raw.jsonl.gz", &["windows-evtx"]);
}

/// 1,233 of them are of winlogbeat 6, which others put into the same collection.
#[test]
fn flat_windows_events_are_read() {
    let datasets = check("windows-nxlog-flat.jsonl.gz", &["windows-nxlog", "winlogbeat"]);
    assert!(datasets.is_empty() || datasets["windows.sysmon"] >= 37_016, "{datasets:?}");
}

#[test]
fn zeek_logs_are_read() {
    let datasets = check("zeek.jsonl.gz", &["zeek"]);
    assert!(datasets.is_empty() || datasets["zeek.conn"] == 1_785, "{datasets:?}");
}

#[test]
fn suricata_alerts_are_read() {
    check("suricata-eve.jsonl.gz", &["suricata"]);
}

#[test]
fn cloudtrail_records_are_read() {
    check("cloudtrail.jsonl.gz", &["cloudtrail"]);
}

#[test]
fn the_auth_log_of_a_linux_host_is_read() {
    let datasets = check("sshd-auth.log.gz", &["syslog"]);
    assert!(datasets.is_empty() || datasets["linux.sshd"] == 4_095, "{datasets:?}");
}

#[test]
fn the_access_log_of_a_web_server_is_read() {
    check("apache-access.log.gz", &["apache"]);
}

#[test]
fn samples_of_cloud_services_are_read_as_json() {
    check("saas-and-cloud.jsonl.gz", &["json"]);
}

/// The samples themselves, out of their wrapping: what each is called by who collected it, and by us. Some
/// were cut down to two or three keys, or put into lower case, by those who wrote them.
#[test]
fn unwrapped_samples_are_told_apart() {
    let Some(units) = units("saas-and-cloud.jsonl.gz") else { return };
    let mut reader = Reader::new();
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    for unit in units {
        let wrapped: serde_json::Value = serde_json::from_slice(&unit.bytes).unwrap();
        let kind = wrapped["log_types"][0].as_str().unwrap_or_default().to_owned();
        let log = serde_json::to_vec(&wrapped["log"]).unwrap();
        let event = reader.decoder.decode(log.into(), reader.received);
        reader.check_replay(&event);
        let dataset = event.str(ecs::EVENT_DATASET).unwrap_or_default().to_owned();
        *found.entry((kind, dataset)).or_insert(0) += 1;
    }
    for (kind, dataset) in [
        ("Okta.SystemLog", "okta.system"),
        ("GCP.AuditLog", "gcp.audit"),
        ("GitHub.Audit", "github.audit"),
        ("AWS.CloudTrail", "aws.cloudtrail"),
    ] {
        let of_kind = found.iter().filter(|((of, _), _)| of == kind).map(|(_, n)| n).sum::<u64>();
        let right = found.get(&(kind.to_owned(), dataset.to_owned())).copied().unwrap_or(0);
        println!("{kind}: {right} of {of_kind} as {dataset}");
        assert!(
            right * 10 >= of_kind * 8,
            "{kind}: {:?}",
            found.iter().filter(|((of, _), _)| of == kind).collect::<Vec<_>>()
        );
    }
}
