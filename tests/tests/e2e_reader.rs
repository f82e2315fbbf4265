//! `docs/reader` is written from FORMAT.md alone, in another language: over a real folder it must come to the same
//! records and roots as Custos, and never to another answer without a fault.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    clients::python,
    custos::run,
    root,
    server::{LIMIT, Server, doors, ingest, keys},
    wait,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The reader over a folder: how it ended, its lines, and what it said on standard error.
struct Read {
    whole: bool,
    lines: Vec<Value>,
    stderr: String,
}

fn read(data: &Path, keys: &str) -> Result<Read> {
    let records = data.with_file_name("records");
    let key = keys.lines().next().unwrap_or_default();
    read_with(data, &["--key", key, "--records", &records.to_string_lossy()])
}

fn read_with(data: &Path, more: &[&str]) -> Result<Read> {
    let mut command = Command::new(python());
    command.arg(root().join("docs/reader/custos_reader.py")).arg(data).args(more);
    let output = command.output()?;
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Read { whole: output.status.success(), lines, stderr })
}

/// Whether the reader's record, in hex, is the one that Custos proves, in base64.
fn same_bytes(server: &Server, nth: usize) -> Result<bool> {
    let ran = server.node.run(&["log", "prove", &format!("telemetry/0/{nth}"), "--json"])?;
    let proven = ran.done()?.last_json()?;
    let records = fs::read_to_string(server.path("records"))?;
    let record = records.lines().nth(nth).context("no such record")?;
    let compare =
        "import base64, sys; sys.exit(bytes.fromhex(sys.argv[1]) != base64.b64decode(sys.argv[2]))";
    let bytes = proven["bytes"].as_str().context("no bytes")?;
    Ok(Command::new(python()).args(["-c", compare, record, bytes]).status()?.success())
}

/// What of a line is the same whichever notes it was held against.
fn answer(line: &Value) -> Value {
    json!([line["log"], line["records"], line["root"]])
}

fn segments(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for log in ["telemetry", "journal"] {
        for entry in fs::read_dir(data.join(log))? {
            found.push(entry?.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Sealed segments with a dictionary, an open one, a retired master key, sealed personal values, both logs.
fn folder() -> Result<(Server, String)> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    for _ in 0..2 {
        ingest(folder.path(), 0..4_000)?;
    }
    run(["key", "rotate", "--data", data.to_str().unwrap_or_default()])?.done()?;
    let keys = keys(folder.path())?;
    let mut server = Server::start_in(folder, "")?;
    server.api.ship("doors", &doors(0..10))?;
    let payment =
        r#"{"id":"p1","amount":5,"customer":{"id":"c1","name":"Anna Amsel"},"message":"m"}"#;
    server.api.ship("payment", payment)?;
    wait::until("two sealed segments", LIMIT, || {
        let sealed = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.get(10) == Some(&1));
        let telemetry =
            segments(&data)?.into_iter().filter(|path| path.starts_with(data.join("telemetry")));
        Ok((telemetry.filter(sealed).count() >= 2).then_some(()))
    })?;
    server.node.stop()?;
    Ok((server, keys))
}

#[test]
fn a_reader_in_another_language_comes_to_the_same_roots() -> Result<()> {
    let mut there = Command::new(python());
    let there = there.args(["-c", "import cryptography, zstandard"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!(
            "skipped: cryptography or zstandard is not installed; `bash tests/run.sh` installs them"
        );
        return Ok(());
    }
    let text = fs::read_to_string(root().join("docs/reader/custos_reader.py"))?;
    ensure!(text.lines().count() <= 150, "150 lines are the promise");
    // Its first 48 records were dropped by retention, and its journal says so.
    let dropped = read_with(&root().join("store/golden/store-v1"), &[])?;
    ensure!(dropped.whole && dropped.lines[0]["records"] == 72, "{:?}", dropped.lines);
    let (server, keys) = folder()?;
    let data = server.node.data();
    let logs = server.node.run(&["log", "verify", "--json"])?.done()?.json()?;
    let heads = server.node.run(&["log", "checkpoint", "--json"])?.done()?.json()?;
    let found = read(data, &keys)?;
    ensure!(found.whole && found.lines.len() == 2, "{:?} {}", found.lines, found.stderr);
    for line in &found.lines {
        let log = logs.iter().find(|log| log["log"] == line["log"]).context("no such log")?;
        ensure!(answer(line) == answer(log), "{line} {log}");
        let head = heads.iter().find(|head| head["log"] == line["log"]).context("no head")?;
        ensure!(line["root"] == head["root"] && line["records"] == head["size"], "{line} {head}");
        ensure!(line["checkpoints"].as_u64() > Some(0), "{line}");
    }
    ensure!(found.lines[0]["records"] == 8_011, "{:?}", found.lines);
    for nth in [0, 17, 3_999, 4_000, 8_010] {
        ensure!(same_bytes(&server, nth)?, "record {nth} has other bytes");
    }
    let other = tempfile::tempdir()?;
    ingest(other.path(), 0..1)?;
    ensure!(!read(data, &custos_tests::server::keys(other.path())?)?.whole, "another house's key");

    // One bit, at places spread over every segment: a fault, or (of what is written twice) the same answer.
    let (mut flips, mut faults) = (0, 0);
    let long = std::env::var_os("CUSTOS_LONG").is_some();
    let (steps, files) = if long { (40, 100) } else { (3, 3) };
    // The newest last: an open segment, and before it sealed ones.
    for path in segments(data)?.into_iter().rev().take(files) {
        let good = fs::read(&path)?;
        for nth in 0..steps {
            let at = (good.len() - 1) * nth / (steps - 1);
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes)?;
            let now = read(data, &keys)?;
            let same = now.lines.iter().map(answer).eq(found.lines.iter().map(answer));
            ensure!(!now.whole || same, "byte {at} of {}: {:?}", path.display(), now.lines);
            flips += 1;
            faults += usize::from(!now.whole);
        }
        fs::write(&path, good)?;
    }
    eprintln!("reader: {flips} flips, {faults} faults, the others changed no record");
    ensure!(faults * 2 > flips, "{faults} faults of {flips} flips");
    ensure!(read(data, &keys)?.whole, "every byte is back");
    // A segment, or the front of the records, that is not there any more.
    for name in ["0000000001.seg", "0000000002.seg"] {
        let path = data.join("telemetry").join(name);
        let good = fs::read(&path)?;
        fs::remove_file(&path)?;
        let gone = read(data, &keys)?;
        ensure!(!gone.whole && gone.lines[0]["faults"] != json!([]), "{name}: {:?}", gone.lines);
        fs::write(&path, good)?;
    }
    Ok(())
}
