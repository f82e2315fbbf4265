//! Every detection of ours holds, says what it must, fires on each of its cases and on no near miss.

use anyhow::{Context, Result, ensure};
use custos_tests::{custos::run, root};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

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
    let words = ["rules", "check", "--strict", "--json", &folder.to_string_lossy()];
    let told = run(words)?.done()?.json()?;
    for verdict in &told[..told.len() - 1] {
        ensure!(verdict["warnings"] == serde_json::json!([]), "{verdict}");
    }
    let accepted = told.last().and_then(|totals| totals["accepted"].as_u64());
    ensure!(accepted == Some(u64::try_from(rules()?.len())?), "{told:?}");
    Ok(())
}

#[test]
fn every_detection_fires_on_its_cases_and_on_no_near_miss() -> Result<()> {
    let folder = root().join("rules/detections");
    let words = ["rules", "test", "--strict", "--json", &folder.to_string_lossy()];
    let told = run(words)?.done()?.json()?;
    let (sums, verdicts) = told.split_last().context("nothing was told")?;
    ensure!(sums["passed"] == rules()?.len(), "{sums}");
    for verdict in verdicts {
        let (fires, misses) = (verdict["fires"].as_u64(), verdict["near_misses"].as_u64());
        ensure!(fires >= Some(1) && misses >= Some(2), "too few cases: {verdict}");
    }
    Ok(())
}

/// What a rule's cases must not let pass: each of these is broken in another way.
#[test]
fn a_rule_that_stands_its_cases_otherwise_is_told_with_the_case() -> Result<()> {
    const RULE: &str = "title: t\nid: a\nlogsource: {product: custos, category: physical_access}\n\
        detection: {s: {custos.access.forced: true}, condition: s}\nlevel: low\n";
    let folder = tempfile::tempdir()?;
    let door = |forced: bool| format!("'{{\"door\":\"d\",\"forced\":{forced}}}'");
    let cases = [
        (format!("fires: [{}]\nnear_misses: [{}]\n", door(true), door(false)), ""),
        (
            format!("fires:\n    - {}\n", door(false)),
            "line 2: it does not fire: 's': custos.access.forced is 'false'; asked for 'true'",
        ),
        (
            "source: syslog\nfires: ['<38>Nov 24 03:14:15 gate sudo[7]: x']\n".to_owned(),
            "(product: custos, category: physical_access) does not take this event, which is of product: linux, \
             service: sudo or auth or syslog",
        ),
        (
            format!("fires: [[{0}, {1}, {1}]]\n", door(true), door(false)),
            "it fires on events [1], not on the last one (3) alone",
        ),
        (
            format!("near_misses:\n    - {}\n", door(true)),
            "line 2: a near miss, but it fires on events [1]: 's': custos.access.forced 'true' by 'true'",
        ),
        (format!("fires: [[{}, {}]]\n", door(true), door(false)), "not on the last one (2) alone"),
        ("source: moon\nfires: ['a']\n".to_owned(), "moon"),
        ("fire: ['a']\n".to_owned(), "did you mean 'fires'?"),
    ];
    for (nth, (cases, expected)) in cases.iter().enumerate() {
        let rule = folder.path().join(format!("r{nth}.yml"));
        fs::write(&rule, RULE)?;
        fs::write(rule.with_extension("cases.yml"), cases)?;
        let ran = run(["rules".as_ref(), "test".as_ref(), rule.as_os_str()])?;
        ensure!(ran.code() == Some(i32::from(!expected.is_empty())), "{cases}: {}", ran.stderr);
        ensure!(ran.stderr.contains(expected), "{cases}: {}", ran.stderr);
    }
    Ok(())
}

/// What `--strict` adds: too few cases, what a rule lacks, what no event has.
#[test]
fn what_is_doubtful_is_a_finding_where_it_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rule = folder.path().join("r.yml");
    let text = "title: t\nid: a\nlogsource: {product: custos, category: physical_access}\n\
                detection: {s: {custos.access.forcd: true}, condition: s}\nlevel: low\n";
    fs::write(&rule, text)?;
    let case = "fires: ['{\"door\":\"d\",\"custos.access.forcd\":true,\"forced\":true}']\n";
    fs::write(rule.with_extension("cases.yml"), case)?;
    let file = rule.to_string_lossy();
    for (words, code, told) in [
        (&["check"][..], 0, &["1 accepted, 0 rejected"][..]),
        (&["check", "--strict"], 1, &["id 'a' is no UUID", "no 'title_zh'", "1 with warnings"]),
        (&["test", "--strict"], 1, &["at least 1 and 2 are asked for"]),
    ] {
        let ran = run(["rules"].iter().chain(words).chain([&&*file]))?;
        ensure!(ran.code() == Some(code), "{words:?}: {}", ran.stderr);
        for told in told {
            ensure!(ran.stderr.contains(told), "{words:?}: {told} is not in {}", ran.stderr);
        }
    }
    // Two files with one id: the second would take the first one's place.
    fs::write(folder.path().join("s.yml"), text)?;
    let ran = run(["rules", "check", &folder.path().to_string_lossy()])?;
    ensure!(ran.code() == Some(1) && ran.stderr.contains("r.yml too"), "{}", ran.stderr);
    // The same file by two ways is one.
    let ran = run(["rules", "check", &file, &file])?;
    ensure!(ran.code() == Some(0) && ran.stderr.contains("1 files, 1 accepted"), "{}", ran.stderr);
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
