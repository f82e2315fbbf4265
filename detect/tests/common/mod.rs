//! What the tests of this crate share: events from JSON, and the real data beside the repository.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod line;

use bytes::Bytes;
use custos_detect::{Engine, Rule, Ruleset, parse};
use custos_event::{
    FieldTable, Header, LogId, ParsedEvent, Parser, Partition, Position, Seq, Shape, Timestamp,
};
use flate2::read::GzDecoder;
use std::{collections::BTreeMap, fs::File, io::Read, path::PathBuf, sync::Arc};

pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) struct Bench {
    pub(crate) table: Arc<FieldTable>,
    pub(crate) parser: Parser,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let table = Arc::new(FieldTable::new());
        Self { parser: Parser::new(Arc::clone(&table)), table }
    }

    pub(crate) fn event(&mut self, shape: Shape, json: &str) -> ParsedEvent {
        let header = Header::new("test".into(), Timestamp(0), shape, "test".into());
        let raw = Bytes::copy_from_slice(json.as_bytes());
        ParsedEvent::parse(header, raw, &mut self.parser).unwrap()
    }

    pub(crate) fn engine(&self, rules: &[Rule]) -> Engine {
        Engine::new(Arc::new(Ruleset::compile(rules, &self.table)))
    }
}

/// Ids of the rules that match.
pub(crate) fn ids(engine: &mut Engine, event: &ParsedEvent) -> Vec<String> {
    let matched = engine.evaluate(event).to_vec();
    matched.into_iter().map(|rule| engine.ruleset().rule(rule).id.to_string()).collect()
}

/// A rule that has to be right.
pub(crate) fn rule(text: &str) -> Rule {
    let mut parsed = parse(text, "test.yml");
    assert_eq!(parsed.errors, [], "{text}");
    assert_eq!(parsed.rules.len(), 1);
    parsed.rules.remove(0)
}

/// A rule on Windows events with `f: a`, and this in its `custos:` block.
pub(crate) fn with(block: &str) -> String {
    format!(
        "title: T\nid: t\nlogsource: {{product: windows}}\ndetection: {{s: {{f: a}}, condition: s}}\n\
         custos:\n  {block}\n"
    )
}

/// So many seconds after the tests' beginning.
pub(crate) fn second(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_795_507_200 + secs)
}

/// Event number `seq` of the log.
pub(crate) fn at(seq: u64) -> Position {
    Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(seq) }
}

/// The folder of real data; `None`, told on stderr, where it is not.
pub(crate) fn real_data() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("CUSTOS_SHARED_DATA").map_or_else(beside, PathBuf::from);
    if folder.join("README.md").exists() {
        return Some(folder);
    }
    eprintln!("skipped: real data not present");
    None
}

pub(crate) fn unpacked(path: PathBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn lines(path: PathBuf) -> Vec<String> {
    let text = String::from_utf8(unpacked(path)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The live public rule files by path, without the folders that are not counted.
pub(crate) fn public_rules(data: &std::path::Path) -> BTreeMap<String, String> {
    let mut files = tar(&unpacked(data.join("sigma-rules.tar.gz")));
    files.retain(|path, _| path.starts_with("rules") && path.contains(".yml"));
    files
}

/// The detections of the three folders that the peer ran.
pub(crate) fn peer_rules(data: &std::path::Path) -> Vec<Rule> {
    let folders = ["rules/", "rules-emerging-threats/", "rules-threat-hunting/"];
    let files = public_rules(data);
    let chosen = files.iter().filter(|(path, _)| folders.iter().any(|it| path.starts_with(it)));
    chosen.flat_map(|(path, text)| parse(text, path).rules).collect()
}

/// Files of a tar archive by name; enough of the format for the one we have.
fn tar(archive: &[u8]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut long_name = None;
    let mut rest = archive;
    while let Some((head, after)) = rest.split_at_checked(512) {
        let text = |from: usize, to: usize| {
            let field = head[from..to].split(|byte| *byte == 0).next().unwrap();
            String::from_utf8_lossy(field).trim().to_owned()
        };
        let Ok(size) = usize::from_str_radix(&text(124, 136), 8) else { break };
        let body = String::from_utf8_lossy(&after[..size]).into_owned();
        match head[156] {
            b'L' => long_name = Some(body.trim_end_matches('\0').to_owned()),
            b'0' | 0 => {
                let prefix = text(345, 500);
                let name = if prefix.is_empty() || &head[257..263] != b"ustar\0" {
                    text(0, 100)
                } else {
                    format!("{prefix}/{}", text(0, 100))
                };
                let name = long_name.take().unwrap_or(name);
                files.insert(name.trim_start_matches("./").to_owned(), body);
            }
            _ => long_name = None,
        }
        rest = &after[size.next_multiple_of(512)..];
    }
    files
}
