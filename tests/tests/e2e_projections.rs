//! The index and the catalog are made from the log: deleted or damaged, they give the same answers again.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    custos::{run, run_with},
    root,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A small generator of places, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }
}

fn answers(data: &str) -> Result<Vec<Vec<Value>>> {
    let questions: [&[&str]; 4] = [
        &["search", "--json", "--count", "*"],
        &["search", "--json", "--limit", "50", "*"],
        &["search", "--json", "--count", "custos.door.name:lobby"],
        &["alerts", "--json"],
    ];
    let ask = |words: &[&str]| run(words.iter().chain(&["--data", data]))?.done()?.json();
    let answers = questions.into_iter().map(ask).collect::<Result<Vec<_>>>()?;
    // How long it took is another each time.
    let timed = |mut value: Value| {
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !name.contains("took") && !name.contains("elapsed"));
        }
        value
    };
    Ok(answers.into_iter().map(|lines| lines.into_iter().map(timed).collect()).collect())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    found.sort();
    Ok(())
}

/// Deletes a projection, or damages one of its files: bytes changed, cut short, or gone.
fn harm(data: &Path, dice: &mut Dice) -> Result<String> {
    let folder = data.join(["catalog", "index"][dice.roll(2)]);
    let mut all = Vec::new();
    files(&folder, &mut all)?;
    if dice.roll(4) == 0 || all.is_empty() {
        fs::remove_dir_all(&folder)?;
        return Ok(format!("{} deleted", folder.display()));
    }
    let path = &all[dice.roll(all.len())];
    let mut bytes = fs::read(path)?;
    let what = match (dice.roll(3), bytes.len()) {
        (0, _) | (_, 0) => {
            fs::remove_file(path)?;
            return Ok(format!("{} removed", path.display()));
        }
        (1, length) => {
            bytes.truncate(dice.roll(length));
            "cut"
        }
        (_, length) => {
            let at = dice.roll(length);
            bytes[at..length.min(at + 64)].iter_mut().for_each(|byte| *byte ^= 0x5a);
            "changed"
        }
    };
    fs::write(path, bytes)?;
    Ok(format!("{} {what}", path.display()))
}

#[test]
fn damaged_projections_give_the_same_answers_again() -> Result<()> {
    let rounds = if std::env::var_os("CUSTOS_LONG").is_some() { 50 } else { 4 };
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let name = data.to_str().context("a path in UTF-8")?;
    let line = |n: u32| {
        let door = ["lobby", "vault", "cash-office"][n as usize % 3];
        let forced = n.is_multiple_of(97);
        format!(
            "{{\"time\":\"2026-11-24T02:{:02}:{:02}Z\",\"door\":\"{door}\",\"forced\":{forced},\"n\":{n}}}\n",
            n / 60 % 60,
            n % 60
        )
    };
    let lines: String = (0..2_000).map(line).collect();
    let rules = root().join("rules/detections");
    let rules = rules.to_str().context("a path in UTF-8")?;
    run_with(["ingest", "--data", name, "--source", "door", "--rules", rules, "-"], &lines)?
        .done()?;
    let before = answers(name)?;
    ensure!(before[0][0]["count"] == 2_000, "{:?}", before[0]);
    ensure!(!before[3].is_empty(), "no alerts to compare");
    let mut dice = Dice(50);
    for round in 0..rounds {
        let harmed = harm(&data, &mut dice)?;
        run(["rebuild", "--data", name])?.done().with_context(|| harmed.clone())?;
        let after = answers(name).with_context(|| format!("round {round}: {harmed}"))?;
        ensure!(after == before, "round {round}: {harmed}: other answers\n{after:?}");
    }
    println!("projections: {rounds} times deleted or damaged, the same answers");
    Ok(())
}
