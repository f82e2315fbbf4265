//! `custos-detect-peer SHAPE EVENTS RULES…`: both engines over the same file in one run, one thread, JSON
//! parsing included, by turns so that a busy machine is the same to both. SHAPE: evtx nxlog cloudtrail
//! zeek. The peer gets the events flat, with the logsource that ours found, neither on its clock.

use bytes::Bytes;
use custos_detect::{Engine, Ruleset};
use custos_event::{
    FieldTable, Header, ParsedEvent, Parser, Scan, Scanned, Shape, Timestamp,
};
use rsigma_eval::event::JsonEvent;
use rsigma_parser::LogSource;
use serde_json::Value;
use std::{path::PathBuf, sync::Arc, time::Instant};

const ROUNDS: usize = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let shape = match args[0].as_str() {
        "evtx" => Shape::EvtxJson,
        "nxlog" => Shape::NxlogFlat,
        "cloudtrail" => Shape::CloudTrail,
        "zeek" => Shape::Zeek,
        other => panic!("shape '{other}'; expected evtx, nxlog, cloudtrail or zeek"),
    };
    let files = rule_files(args[2..].iter().map(PathBuf::from).collect());
    let text = std::fs::read_to_string(&args[1]).unwrap();
    let lines: Vec<Bytes> = text.lines().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect();

    let started = cpu();
    let table = Arc::new(FieldTable::new());
    let rules: Vec<_> =
        files.iter().flat_map(|(path, text)| custos_detect::parse(text, path).rules).collect();
    let ruleset = Arc::new(Ruleset::compile(&rules, &table));
    let mut ours = Engine::new(Arc::clone(&ruleset));
    println!("custos: {} rules in {:.3} s", rules.len(), cpu() - started);
    let mut parser = Parser::new(Arc::clone(&table));

    let started = cpu();
    let mut theirs = rsigma_eval::Engine::new();
    let collections: Vec<_> =
        files.iter().filter_map(|(_, text)| rsigma_parser::parse_sigma_yaml(text).ok()).collect();
    let sigma = collections.iter().flat_map(|collection| &collection.rules);
    let accepted = sigma.clone().count() - theirs.add_rules(sigma).len();
    theirs.set_bloom_prefilter(std::env::var_os("BLOOM").is_some());
    println!("rsigma: {accepted} rules in {:.3} s", cpu() - started);

    let flat: Vec<(String, LogSource)> = lines
        .iter()
        .map(|line| {
            let event = read(line, shape, &mut parser);
            let source = ruleset.source_of(&event);
            let first = |names: &[&str]| names.first().map(|name| (*name).to_owned());
            let mut log = LogSource::default();
            log.product = Some(source.product.to_owned()).filter(|product| !product.is_empty());
            log.service = first(source.services);
            log.category = first(source.categories);
            (flatten(line, shape), log)
        })
        .collect();

    let mut scan = Scan::default();
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        let started = cpu();
        let mut matches = [0; 2];
        for line in &lines {
            matches[0] += matched(&mut ours, line, shape, &mut parser, &mut scan);
        }
        best[0] = best[0].min(cpu() - started);
        let started = cpu();
        for (line, log) in &flat {
            let value: Value = serde_json::from_str(line).unwrap();
            matches[1] += theirs.evaluate_with_logsource(&JsonEvent::borrow(&value), log).len();
        }
        best[1] = best[1].min(cpu() - started);
        println!("matches: custos {}, rsigma {}", matches[0], matches[1]);
    }
    let rate = best.map(|seconds| lines.len() as f64 / seconds);
    println!("custos {:.0} events/s, rsigma {:.0} events/s: {:.2}x", rate[0], rate[1], rate[0] / rate[1]);
}

/// As `custos rules run` does: where the event stands, and whole only where a rule asks for what is added to it.
fn matched(
    engine: &mut Engine,
    line: &Bytes,
    shape: Shape,
    parser: &mut Parser,
    scan: &mut Scan,
) -> usize {
    if let Ok(text) = std::str::from_utf8(line)
        && parser.scan(shape, text, scan)
        && let Some(found) = engine.evaluate_scanned(&Scanned { text, shape, scan, own: scan.len() })
    {
        return found.len();
    }
    engine.evaluate(&read(line, shape, parser)).len()
}

fn read(line: &Bytes, shape: Shape, parser: &mut Parser) -> ParsedEvent {
    let header = Header::new("bench".into(), Timestamp(0), shape, "bench".into());
    ParsedEvent::parse(header, line.clone(), parser).unwrap()
}

/// As the peer's own conversion does: event data and system fields at the top.
fn flatten(line: &Bytes, shape: Shape) -> String {
    let mut value: Value = serde_json::from_slice(line).unwrap();
    if shape != Shape::EvtxJson {
        return value.to_string();
    }
    let event = value["Event"].take();
    let mut flat = serde_json::Map::new();
    let system = &event["System"];
    for name in ["Channel", "Computer", "Level", "Keywords"] {
        flat.insert(name.into(), system[name].clone());
    }
    let id = &system["EventID"];
    flat.insert("EventID".into(), if id.is_object() { id["#text"].clone() } else { id.clone() });
    flat.insert("Provider_Name".into(), system["Provider"]["#attributes"]["Name"].clone());
    for (name, value) in event["EventData"].as_object().into_iter().flatten() {
        flat.insert(name.replace(' ', ""), value.clone());
    }
    Value::Object(flat).to_string()
}

fn rule_files(mut open: Vec<PathBuf>) -> Vec<(String, String)> {
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    files
}

/// Seconds this thread has run, where the system tells: what other processes take does not count.
fn cpu() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let own = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = own.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    nanos.map_or_else(|| START.get_or_init(Instant::now).elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}
