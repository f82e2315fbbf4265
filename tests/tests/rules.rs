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
    fires: Vec<Case>,
    near_misses: Vec<Case>,
}

/// The lines of one case: one, or for a correlation those that count together.
type Case = Vec<String>;

/// When the first event of a correlation's case happens: 2026-11-10T10:00:00Z. All of a case's events have to
/// be past: those to come count as five minutes ahead.
const FIRST_AT: i64 = 1_794_304_800;

impl Cases {
    /// Reads the three keys, and lists of single-quoted lines and of steps; nothing else of YAML.
    fn parse(text: &str) -> Result<Self> {
        let mut cases = Self::default();
        let (mut list, mut several, mut secs) = ("", false, 0);
        for line in text.lines() {
            let words = line.trim();
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            if let Some(source) = words.strip_prefix("source: ") {
                source.clone_into(&mut cases.source);
                continue;
            }
            let Some(item) = words.strip_prefix('-').map(str::trim) else {
                list = words.strip_suffix(':').with_context(|| format!("cannot read: {line}"))?;
                several = false;
                continue;
            };
            let known = match list {
                "fires" => &mut cases.fires,
                "near_misses" => &mut cases.near_misses,
                _ => anyhow::bail!("unknown list '{list}' before: {line}"),
            };
            if item.is_empty() {
                known.push(Case::new());
                (several, secs) = (true, 0);
                continue;
            }
            let case = match known.last_mut().filter(|_| several) {
                Some(case) => case,
                None => known.push_mut(Case::new()),
            };
            step(item, case, &mut secs).with_context(|| format!("cannot read: {line}"))?;
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

/// Adds the lines of `'LINE'` or of `N times, S seconds apart: 'LINE'`. In the latter, `{time}` and
/// `{epoch}` stand for each event's time and `{n}` for its number in the case; `secs` is the next one's.
fn step(item: &str, case: &mut Case, secs: &mut i64) -> Result<()> {
    let (how, line) = item.split_once('\'').context("no quoted line")?;
    let line = line.strip_suffix('\'').context("no closing quote")?.replace("''", "'");
    if how.is_empty() {
        case.push(line);
        return Ok(());
    }
    let words: Vec<&str> = how.split_whitespace().collect();
    let [times, "times,", apart, "seconds", "apart:"] = words[..] else {
        anyhow::bail!("neither a line nor 'N times, S seconds apart'");
    };
    for _ in 0..times.parse::<u32>()? {
        let at = FIRST_AT + *secs;
        let day = FIRST_AT.div_euclid(86_400) * 86_400;
        let (days, of_day) = ((at - day) / 86_400, (at - day) % 86_400);
        let (hour, minute) = (of_day / 3_600, of_day / 60 % 60);
        let time = format!("2026-11-{:02}T{hour:02}:{minute:02}:{:02}Z", 10 + days, of_day % 60);
        let number = (case.len() + 1).to_string();
        let line = line.replace("{time}", &time).replace("{epoch}", &format!("{at}.0"));
        case.push(line.replace("{n}", &number));
        *secs += apart.parse::<i64>()?;
    }
    Ok(())
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
    ensure!(ids.len() >= 60, "only {} detections", ids.len());
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
        let hits = cases.fires.iter().map(|case| (case, true));
        for (case, is_hit) in hits.chain(cases.near_misses.iter().map(|case| (case, false))) {
            fs::write(&file, case.join("\n"))?;
            let words = ["rules", "run", "--source", &cases.source, "--rules"].map(Path::new);
            let words = words.into_iter().chain([rule.as_path(), Path::new("--strict"), &file]);
            let ran = run(words)?.done()?;
            let undecodable = ran.stderr.lines().filter(|line| line.contains("events.log"));
            findings.extend(undecodable.map(|line| format!("{name}: {line}")));
            let fired: Vec<_> =
                ran.json()?.iter().filter_map(|hit| hit["event"].as_u64()).collect();
            // Exactly the last line makes it fire, and not one line less.
            let last = u64::try_from(case.len())? - 1;
            if fired != [last][..usize::from(is_hit)] {
                let first = &case[0];
                findings.push(format!("{name} fires on lines {fired:?} of the case of {first}"));
            }
        }
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

#[test]
fn a_correlation_names_its_events_and_threads_change_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for (file, source) in [("a.log", "203.0.113.7"), ("b.log", "203.0.113.8")] {
        let lines = (0..400).map(|n| {
            let user = ["mia", "root", "li"][n % 3];
            let time = format!("2026-11-10T10:{:02}:{:02}Z", n / 60, n % 60);
            format!(
                "{time} web-01 sshd[7]: Failed password for {user} from {source} port {n} ssh2\n"
            )
        });
        let path = folder.path().join(file);
        fs::write(&path, lines.collect::<String>())?;
        files.push(path.into_os_string());
    }
    let rules = root().join("rules/detections/accounts");
    let ran = |threads: &str| -> Result<_> {
        let words = ["rules", "run", "--threads", threads, "--rules"].map(Into::into);
        let words = words.into_iter().chain([rules.clone().into_os_string(), "--".into()]);
        run(words.chain(files.iter().cloned()))?.done()?.json()
    };
    let alone = ran("1")?;
    ensure!(alone == ran("3")?, "three threads say something else");
    // Each account's tenth guess, then one alert a time span; in both files.
    let lines: Vec<_> = alone.iter().filter_map(|hit| hit["event"].as_u64()).collect();
    ensure!(lines == [27, 28, 29, 330, 331, 332].repeat(2), "{lines:?}");
    let expected: Vec<u64> = (0..10).map(|n| n * 3).collect();
    ensure!(alone[0]["events"] == serde_json::json!(expected), "{}", alone[0]);
    Ok(())
}
