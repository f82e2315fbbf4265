//! Every detection of ours holds, says what it must, fires on each of its cases and on no near miss.

use anyhow::{Context, Result, ensure};
use custos_tests::{custos::run, root};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A rule's cases: `<rule>.cases.yml`, in the plain form that rules/README.md shows.
#[derive(Debug, Default)]
struct Cases {
    source: String,
    fires: Vec<String>,
    near_misses: Vec<String>,
}

impl Cases {
    /// Reads the three keys, and lists of single-quoted lines; nothing else of YAML.
    fn parse(text: &str) -> Result<Self> {
        let mut cases = Self::default();
        let mut list = "";
        for line in text.lines() {
            let words = line.trim();
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            if let Some(event) = words.strip_prefix("- '").and_then(|rest| rest.strip_suffix('\''))
            {
                let event = event.replace("''", "'");
                match list {
                    "fires" => cases.fires.push(event),
                    "near_misses" => cases.near_misses.push(event),
                    _ => anyhow::bail!("an event stands below no list: {line}"),
                }
            } else if let Some(source) = words.strip_prefix("source: ") {
                source.clone_into(&mut cases.source);
            } else {
                list = words.strip_suffix(':').with_context(|| format!("cannot read: {line}"))?;
                ensure!(["fires", "near_misses"].contains(&list), "unknown key: {line}");
            }
        }
        Ok(cases)
    }

    fn of(rule: &Path) -> Result<Self> {
        let file = rule.with_extension("cases.yml");
        let name = || format!("the cases of {}", rule.display());
        let text = fs::read_to_string(&file).with_context(name)?;
        Self::parse(&text).with_context(name)
    }
}

/// Every rule file, in order.
fn rules() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(&root().join("rules/detections"), &mut found)?;
    found.retain(|file| !file.to_string_lossy().ends_with(".cases.yml"));
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// The value of a top-level key that stands on one line.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

#[test]
fn every_detection_says_what_a_reader_needs() -> Result<()> {
    let mut ids = BTreeSet::new();
    for rule in rules()? {
        let name = rule.display();
        let text = fs::read_to_string(&rule)?;
        let id = value(&text, "id").with_context(|| format!("{name} has no id"))?;
        ensure!(id.len() == 36 && id.as_bytes()[14] == b'4', "{name}: {id} is no random UUID");
        ensure!(ids.insert(id.to_owned()), "{name}: the id {id} stands twice");
        for part in ["title: ", "description: ", "    - attack.t", "falsepositives:", "title_zh: "]
        {
            ensure!(text.contains(part), "{name} has no '{}'", part.trim());
        }
        let level = value(&text, "level").with_context(|| format!("{name} has no level"))?;
        ensure!(["low", "medium", "high", "critical"].contains(&level), "{name}: level {level}");
    }
    ensure!(ids.len() >= 12, "only {} detections", ids.len());
    Ok(())
}

#[test]
fn every_detection_is_accepted_without_a_warning() -> Result<()> {
    let folder = root().join("rules/detections");
    let told = run(["rules", "check", "--json", &folder.to_string_lossy()])?.done()?.json()?;
    for verdict in &told[..told.len() - 1] {
        ensure!(verdict["warnings"] == serde_json::json!([]), "{verdict}");
    }
    let accepted = told.last().and_then(|totals| totals["accepted"].as_u64());
    ensure!(accepted == Some(u64::try_from(rules()?.len())?), "{told:?}");
    Ok(())
}

#[test]
fn every_detection_fires_on_its_cases_and_on_no_near_miss() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut findings = Vec::new();
    for rule in rules()? {
        let cases = Cases::of(&rule)?;
        let name = rule.display();
        ensure!(!cases.fires.is_empty(), "{name} has no case that fires");
        ensure!(cases.near_misses.len() >= 2, "{name} has fewer than two near misses");
        let file = folder.path().join("events.log");
        let lines: Vec<_> =
            cases.fires.iter().chain(&cases.near_misses).map(String::as_str).collect();
        fs::write(&file, lines.join("\n"))?;
        let words = ["rules", "run", "--source", &cases.source, "--rules"].map(Path::new);
        let ran =
            run(words.into_iter().chain([rule.as_path(), Path::new("--strict"), &file]))?.done()?;
        let undecodable = ran.stderr.lines().filter(|line| line.contains("events.log"));
        findings.extend(undecodable.map(|line| format!("{name}: {line}")));
        let fired: Vec<_> = ran.json()?.iter().filter_map(|hit| hit["event"].as_u64()).collect();
        let expected: Vec<_> = (0..u64::try_from(cases.fires.len())?).collect();
        if fired != expected {
            findings.push(format!("{name} fires on lines {fired:?}, not {expected:?}"));
        }
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}
