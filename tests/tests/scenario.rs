//! The demo's day, over many seeds: our rules find each of its six attacks, and nothing else in it.

use anyhow::{Context, Result, ensure};
use custos_tests::{custos::run, demo::STORIES, root};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

const SEEDS: u64 = 20;

/// What our rules say of one seed's day.
struct Said {
    /// Story → ids of the rules that found a part of it.
    found: BTreeMap<String, BTreeSet<String>>,
    /// What rules said of events that belong to no attack.
    wrong: Vec<String>,
}

fn look(seed: u64) -> Result<Said> {
    let seed = seed.to_string();
    let words = ["bench", "day", "--json", "--end", "2026-11-24T18:00:00Z", "--seed", &seed];
    let day = run(words)?.done()?.json()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("day.log");
    let line = |event: &Value| event["line"].as_str().map(str::to_owned);
    let lines: Option<Vec<_>> = day.iter().map(line).collect();
    fs::write(&file, lines.context("an event without a line")?.join("\n"))?;
    let rules = root().join("rules/detections");
    let words = ["rules", "run", "--strict", "--rules"].map(std::path::Path::new);
    let ran = run(words.into_iter().chain([rules.as_path(), file.as_path()]))?.done()?;
    ensure!(!ran.stderr.contains("day.log"), "seed {seed}: {}", ran.stderr);
    let mut said = Said { found: BTreeMap::new(), wrong: Vec::new() };
    for hit in ran.json()? {
        let nth = hit["event"].as_u64().and_then(|nth| usize::try_from(nth).ok());
        let event = nth.and_then(|nth| day.get(nth)).with_context(|| format!("odd hit {hit}"))?;
        match event["story"].as_str() {
            Some(story) => {
                let rule = hit["rule"].as_str().unwrap_or_default().to_owned();
                said.found.entry(story.to_owned()).or_default().insert(rule);
            }
            None => said.wrong.push(format!("seed {seed}: '{}' on {event}", hit["title"])),
        }
    }
    Ok(said)
}

#[test]
fn our_rules_find_every_attack_of_every_seed_and_nothing_else() -> Result<()> {
    for seed in 0..SEEDS {
        let said = look(seed)?;
        ensure!(said.wrong.is_empty(), "false alerts:\n{}", said.wrong.join("\n"));
        for (story, rules) in STORIES {
            let found = said.found.get(*story);
            for rule in *rules {
                ensure!(
                    found.is_some_and(|found| found.contains(*rule)),
                    "seed {seed}: {story} was not found by rule {rule}, only by {found:?}"
                );
            }
        }
    }
    Ok(())
}
