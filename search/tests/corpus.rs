//! Real events: what the index counts is what reading them all counts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{World, at};
use custos_event::{Header, ParsedEvent, Shape, Timestamp, ValueRef, ecs};
use custos_search::SearchRequest;
use flate2::read::GzDecoder;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

const FILES: &[(&str, Shape)] = &[
    ("windows-nxlog-flat.jsonl.gz", Shape::NxlogFlat),
    ("windows-evtx-raw.jsonl.gz", Shape::EvtxJson),
    ("zeek.jsonl.gz", Shape::Zeek),
    ("suricata-eve.jsonl.gz", Shape::SuricataEve),
    ("cloudtrail.jsonl.gz", Shape::CloudTrail),
    ("saas-and-cloud.jsonl.gz", Shape::Json),
    ("sshd-auth.log.gz", Shape::Text),
    ("apache-access.log.gz", Shape::Text),
];

/// Enough of each file to fill several runs; all of it takes a minute in a debug build.
const EVENTS_A_FILE: usize = 1_500;

const QUERIES: &[&str] = &[
    "*",
    "winlog.event_id:1",
    "winlog.event_id:(1 or 3 or 4624)",
    "winlog.channel:security",
    "winlog.channel:*sysmon*",
    "host.name:*",
    "message:process",
    "message:\"process create\"",
    "message:powersh*",
    "not message:*",
    "winlog.event_data.Image:*\\\\svchost.exe",
    "winlog.event_data.Image:c:\\windows\\system32\\*",
    "winlog.event_data.LogonType:3",
    "winlog.event_data.TargetUserName:* and not winlog.event_data.TargetUserName:*$",
    "winlog.event_data.DestinationPort >= 400",
    "powershell",
    "mimikatz",
    "\"a privileged service was called\"",
    "sshd failed",
    "\"failed password\"",
    "185.*",
    "source.ip:10.0.0.0/8",
    "zeek.id.orig_h:10.0.0.0/8",
    "zeek.id.resp_p > 1024",
    "suricata.eve.event_type:alert and suricata.eve.alert.severity <= 2",
    "suricata.eve.src_ip:192.168.0.0/16",
    "aws.cloudtrail.eventName:(AssumeRole or List*)",
    "aws.cloudtrail.errorCode:*",
    "json.actor.displayName:*",
    "custos.source:\"file:zeek.jsonl.gz\"",
    "\"GET /favicon.ico\"",
    "Mozilla not Windows",
    "@timestamp >= 1970-01-01T00:20:00Z",
    "event.dataset:apache* or winlog.event_id >= 4000",
    "absent.field:nothing",
];

fn data() -> PathBuf {
    std::env::var_os("CUSTOS_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

fn event(name: &str, shape: Shape, line: String, n: u64, world: &mut World) -> Option<ParsedEvent> {
    let received = Timestamp::from_secs(i64::try_from(n).unwrap());
    let mut header = Header::new(format!("file:{name}").into(), received, shape, "t".into());
    // Out of order by a little, as arrivals are.
    header.time = Timestamp::from_secs(i64::try_from(n ^ 5).unwrap());
    let mut event = ParsedEvent::parse(header, line.into(), &mut world.parser).ok()?;
    event.add(ecs::EVENT_DATASET, ValueRef::Str(name));
    event.alias(ecs::HOST_NAME, ecs::WINLOG_COMPUTER_NAME);
    let source = world.table.intern("zeek.id.orig_h");
    event.alias(ecs::SOURCE_IP, source);
    Some(event)
}

#[test]
fn the_index_counts_real_events_as_a_scan_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    let mut seq = 0;
    for (name, shape) in FILES {
        let Ok(file) = File::open(data().join("events").join(name)) else {
            println!("skipped: real data not present");
            return;
        };
        let lines = BufReader::new(GzDecoder::new(file)).lines().take(EVENTS_A_FILE);
        for line in lines {
            let Some(event) = event(name, *shape, line.unwrap(), seq, &mut world) else { continue };
            world.add(at(seq), event);
            seq += 1;
            if seq % 1_000 == 0 {
                world.commit(seq);
            }
        }
    }
    world.commit(seq);
    world.reopen(dir.path());
    let mut hits = 0;
    for query in QUERIES {
        let all = SearchRequest { limit: 100, ..SearchRequest::default() };
        let found = world.check(query, all);
        hits += usize::from(found > 0);
        println!("{found:6} {query}");
    }
    assert!(hits * 4 > QUERIES.len() * 3, "only {hits} queries found anything");
}
