//! The public Sigma rules over recorded events, by the command line alone: what it accepts, the rules' own
//! regression cases, and a peer's matches with every difference explained in docs/detection.md.

use anyhow::{Context, Result, ensure};
use custos_tests::{custos::run, data};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The rules that the peer's lists were made with.
const FOLDERS: [&str; 3] = ["rules", "rules-emerging-threats", "rules-threat-hunting"];
const DIFFERENCES: &str = include_str!("public_rules.tsv");

/// The data folder and the rules unpacked; `None`, said aloud, where there is no data.
fn corpus() -> Result<Option<(PathBuf, TempDir)>> {
    let Some(data) = data::folder() else { return Ok(None) };
    let unpacked = tempfile::tempdir()?;
    let status = Command::new("tar")
        .arg("xzf")
        .arg(data.join("sigma-rules.tar.gz"))
        .arg("-C")
        .arg(unpacked.path())
        .status()?;
    ensure!(status.success(), "tar ended with {status}");
    Ok(Some((data, unpacked)))
}

/// `custos rules run` with the rules below `rules` over `events`: (line, rule) of each match.
fn matches(rules: &Path, events: &Path) -> Result<BTreeSet<(u64, String)>> {
    let folders = FOLDERS.map(|folder| rules.join(folder).into_os_string());
    let mut words = vec!["rules".into(), "run".into(), "--threads".into(), "2".into()];
    words.push("--rules".into());
    words.extend(folders);
    words.push("--".into());
    words.push(events.into());
    let pair = |line: Value| {
        let rule = line["rule"].as_str().context("no rule")?;
        Ok((line["event"].as_u64().context("no event")?, rule.to_owned()))
    };
    run(words)?.done()?.json()?.into_iter().map(pair).collect()
}

#[test]
fn every_live_public_rule_is_accepted_or_named_with_its_reason() -> Result<()> {
    let Some((_, rules)) = corpus()? else { return Ok(()) };
    let live = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("rules");
    let mut words = vec!["rules".into(), "check".into(), "--json".into()];
    for entry in fs::read_dir(rules.path())? {
        let entry = entry?;
        if live(&entry) {
            words.push(entry.path().into_os_string());
        }
    }
    let ran = run(words)?;
    let mut lines = ran.json()?;
    let totals = lines.pop().context("no totals")?;
    ensure!(totals["files"].as_u64() >= Some(3_780), "{totals}");
    ensure!(totals["accepted"].as_u64() >= Some(3_770), "{totals}");
    for line in lines.iter().filter(|line| line["ok"] == false) {
        ensure!(line["errors"][0]["message"].is_string(), "rejected without a reason: {line}");
    }
    Ok(())
}

#[test]
fn each_regression_case_is_matched_by_its_rule() -> Result<()> {
    let Some((data, rules)) = corpus()? else { return Ok(()) };
    let (mut events, mut wanted) = (Vec::new(), Vec::new());
    let mut line = 0;
    for case in data::lines(&data.join("expected/sigma-regression.jsonl.gz"))? {
        let case: Value = serde_json::from_slice(&case)?;
        let first = line;
        for event in case["events"].as_array().context("a case without events")? {
            events.extend_from_slice(event.to_string().as_bytes());
            events.push(b'\n');
            line += 1;
        }
        wanted.push((case["rule_id"].as_str().context("no rule_id")?.to_owned(), first..line));
    }
    let file = rules.path().join("regression.jsonl");
    fs::write(&file, events)?;
    let found = matches(rules.path(), &file)?;
    let missed = |(rule, lines): &&(String, std::ops::Range<u64>)| {
        !lines.clone().any(|line| found.contains(&(line, rule.clone())))
    };
    let missing: Vec<_> = wanted.iter().filter(missed).collect();
    ensure!(wanted.len() == 98 && missing.is_empty(), "of {}: {missing:?}", wanted.len());
    Ok(())
}

#[test]
fn each_difference_from_the_peer_is_one_that_is_explained() -> Result<()> {
    let Some((data, rules)) = corpus()? else { return Ok(()) };
    for name in ["windows-evtx-raw", "windows-nxlog-flat", "cloudtrail"] {
        let found = matches(rules.path(), &data.join(format!("events/{name}.jsonl.gz")))?;
        let mut peer = BTreeSet::new();
        for line in data::lines(&data.join(format!("expected/{name}.rsigma.tsv.gz")))? {
            let line = String::from_utf8(line)?;
            let (event, rule) = line.split_once('\t').context("not a pair")?;
            peer.insert((event.parse()?, rule.to_owned()));
        }
        let missing: Vec<_> = peer.difference(&found).collect();
        ensure!(missing.is_empty(), "{name}: the peer's alone: {missing:?}");
        let mut only_here = BTreeMap::<&str, usize>::new();
        for (_, rule) in found.difference(&peer) {
            *only_here.entry(rule).or_default() += 1;
        }
        ensure!(only_here == explained(name)?, "{name}: only here: {only_here:?}");
    }
    Ok(())
}

fn explained(name: &str) -> Result<BTreeMap<&'static str, usize>> {
    let mut explained = BTreeMap::new();
    for line in DIFFERENCES.lines().filter(|line| !line.starts_with('#')) {
        let [events, rule, count] = line.split('\t').collect::<Vec<_>>()[..] else {
            anyhow::bail!("not three columns: {line}");
        };
        if events == name {
            explained.insert(rule, count.parse()?);
        }
    }
    Ok(explained)
}
