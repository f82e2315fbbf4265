//! What leaves a real server to be believed elsewhere: an incident's bundle and the proof of an event, under the
//! stand-alone verifier; and each way to falsify them.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    custos::{binary, run},
    server::{Server, doors, text},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// The program that auditors get, beside `custos`: its exit code and its verdict.
fn verifier(words: &[&str]) -> Result<(Option<i32>, Value)> {
    let mut command = Command::new(binary().with_file_name("custos-verify-evidence"));
    let output = command.args(words).arg("--json").stdin(Stdio::null()).output();
    let output = output.context("`cargo build -p custos-evidence` makes the verifier")?;
    let verdict = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok((output.status.code(), verdict))
}

/// A stopped server with an exported incident: its keys, a checkpoint from before the export, the bundle.
struct Exported {
    server: Server,
    incident: String,
    key: String,
    note: String,
    bundle: String,
}

impl Exported {
    fn make() -> Result<Self> {
        let mut server = Server::start("")?;
        let incident = server.incident()?;
        server.node.stop()?;
        let key = server.keep("key.pub", &["log", "key"])?;
        let note = server.keep("held.note", &["log", "checkpoint"])?;
        server.node.restart()?;
        server.api.ship("doors", &doors(20..24))?;
        let bundle = server.path("bundle.jsonl");
        // Over the API, linked to the held checkpoint.
        let (url, token) = (server.api.url(), server.token()?);
        let words = ["log", "export-incident", &incident, "--checkpoint", text(&note)];
        let words = words.into_iter().chain(["--out", text(&bundle)]);
        run(words.chain(["--server", &url, "--token", &token]))?.done()?;
        let [key, note, bundle] = [key, note, bundle].map(|path| text(&path).to_owned());
        Ok(Self { server, incident, key, note, bundle })
    }
}

#[test]
fn an_exported_incident_proves_itself_to_who_has_a_key_and_a_checkpoint_and_no_custos() -> Result<()>
{
    let Exported { mut server, incident, key, note, bundle } = Exported::make()?;
    let (code, verdict) = verifier(&[&bundle, "--key", &key, "--checkpoint", &note])?;
    ensure!(code == Some(0) && verdict["ok"] == true && verdict["held"] == 2, "{verdict}");
    ensure!(verdict["subject"] == json!(incident) && verdict["events"] == 4, "{verdict}");
    ensure!(verdict["exported_by"]["kind"] == "token", "{verdict}");
    ensure!(verdict["missing"] == json!([]), "{verdict}");
    let timeline = server.api.get(&format!("/incidents/{incident}"))?["timeline"].clone();
    let told = |all: &Vec<Value>| all.iter().any(|one| one["kind"] == "evidence_exported");
    ensure!(timeline.as_array().is_some_and(told), "no export in the timeline: {timeline}");
    ensure!(run(["verify-evidence", &bundle, "--key", "nonsense"])?.code() == Some(3));
    ensure!(run(["verify-evidence", &bundle, "--key", "a+b+c"])?.code() == Some(2));

    // The same from the folder alone, and by `custos verify-evidence`; the export before is a fact of it.
    server.node.stop()?;
    let again = server.path("again.jsonl");
    let words = ["log", "export-incident", &incident, "--json", "--out", text(&again)];
    let told = server.node.run(&words)?.done()?.last_json()?;
    ensure!(told["records"].as_u64() > verdict["facts"].as_u64(), "{told}");
    let ran = run(["verify-evidence", "--json", text(&again), "--key", &key])?.done()?;
    ensure!(ran.last_json()?["ok"] == true, "{ran:?}");
    ensure!(server.node.run(&words)?.code() == Some(2), "nothing is overwritten");
    let (code, verdict) = verifier(&[text(&again), "--key", &key, "--checkpoint", &note])?;
    ensure!(code == Some(1) && verdict["findings"][0]["kind"] == "unlinked", "{verdict}");
    ensure!(server.node.run(&["log", "export-incident", "INC-000099"])?.code() == Some(2));
    Ok(())
}

/// A bundle's lines, to be falsified.
struct Lines(Vec<String>);

impl Lines {
    fn read(bundle: &str) -> Result<Self> {
        Ok(Self(fs::read_to_string(bundle)?.lines().map(str::to_owned).collect()))
    }

    /// Where the lines of a type are, the first being 1.
    fn of(&self, kind: &str) -> Vec<usize> {
        let begins = format!("{{\"type\":\"{kind}\"");
        let found = self.0.iter().enumerate().filter(|(_, line)| line.starts_with(&begins));
        found.map(|(at, _)| at + 1).collect()
    }

    /// By who can compute a hash: the end line fits again.
    fn sealed(mut self) -> Result<Self> {
        let end = self.0.pop().context("no end")?;
        let before: String = self.0.iter().map(|line| line.clone() + "\n").collect();
        let mut end: Value = serde_json::from_str(&end)?;
        end["lines"] = json!(self.0.len());
        end["sha256"] = json!(sha256(&before)?);
        let (lines, sha256) = (&end["lines"], &end["sha256"]);
        self.0.push(format!(r#"{{"type":"end","lines":{lines},"sha256":{sha256}}}"#));
        Ok(self)
    }

    fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, self.0.iter().map(|line| line.clone() + "\n").collect::<String>())?)
    }
}

fn sha256(text: &str) -> Result<String> {
    let mut command = Command::new("sha256sum");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(text.as_bytes())?;
    let output = String::from_utf8(child.wait_with_output()?.stdout)?;
    Ok(output.split(' ').next().unwrap_or_default().to_owned())
}

/// A way to falsify, and the kind and line of a finding that tells of it. 0: of the bundle as a whole.
type Forgery = (&'static str, fn(&mut Lines, usize), &'static str, fn(usize, usize) -> usize);

/// `at` is a record's line, `last` the end's.
const FORGERIES: [Forgery; 10] = [
    ("a word beside it", |it, at| swap_word(it, at, "reader", "leader"), "shown", |at, _| at),
    (
        "its bytes",
        |it, at| swap_word(it, at, "\"bytes\":\"AQ", "\"bytes\":\"BQ"),
        "leaf",
        |at, _| at,
    ),
    (
        "its place",
        |it, at| swap_word(it, at, "telemetry/0/", "telemetry/0/1"),
        "inclusion",
        |at, _| at,
    ),
    ("its leaf", |it, at| swap_word(it, at, "\"leaf\":\"", "\"leaf\":\"0"), "leaf", |at, _| at),
    (
        "more beside it",
        |it, at| swap_word(it, at, "\"size\"", "\"seen\":\"by all\",\"size\""),
        "form",
        |at, _| at,
    ),
    (
        "said twice",
        |it, at| swap_word(it, at, "\"raw\":", "\"raw\":\"nothing\",\"raw\":"),
        "form",
        |at, _| at,
    ),
    ("taken out", |it, at| drop(it.0.remove(at - 1)), "incomplete", |_, _| 0),
    ("put in twice", |it, at| it.0.insert(at, it.0[at - 1].clone()), "incomplete", |_, _| 0),
    ("in another order", |it, at| it.0.swap(at - 1, at - 2), "incomplete", |_, _| 0),
    ("by another", |it, _| swap_word(it, 1, "token", "person"), "export", |_, _| 0),
];

fn swap_word(lines: &mut Lines, at: usize, from: &str, to: &str) {
    if let Some(line) = lines.0.get_mut(at - 1) {
        *line = line.replacen(from, to, 1);
    }
}

fn tells(verdict: &Value, kind: &str, line: usize) -> bool {
    let line = if line == 0 { Value::Null } else { json!(line) };
    let found = |one: &Value| one["kind"] == kind && one["line"] == line;
    verdict["findings"].as_array().is_some_and(|all| all.iter().any(found))
}

#[test]
fn each_way_to_falsify_a_bundle_is_found_and_its_line_named() -> Result<()> {
    let Exported { server, key, note, bundle, .. } = Exported::make()?;
    let (forged, whole) = (server.path("forged.jsonl"), Lines::read(&bundle)?);
    let at = *whole.of("record").get(1).context("no second record")?;
    ensure!(whole.0[at - 1].contains("\"raw\":"), "not an event: {}", whole.0[at - 1]);
    Lines::read(&bundle)?.sealed()?.write(&forged)?;
    ensure!(fs::read(&forged)? == fs::read(&bundle)?, "the forger writes as Custos does");
    let check = |what: &str, kind: &str, line: usize| -> Result<()> {
        let (code, verdict) = verifier(&[text(&forged), "--key", &key])?;
        let told = code == Some(1) && tells(&verdict, kind, line);
        ensure!(told, "{what}: {kind} of line {line} is not told: {code:?} {verdict}");
        Ok(())
    };
    for (what, forge, kind, line) in FORGERIES {
        let mut lines = Lines::read(&bundle)?;
        forge(&mut lines, at);
        lines.write(&forged)?;
        let last = lines.0.len();
        ensure!(fs::read(&forged)? != fs::read(&bundle)?, "{what}: nothing was changed");
        check(what, "digest", last)?;
        // The same by one who fits the hash at the end.
        lines.sealed()?.write(&forged)?;
        check(what, kind, line(at, last))?;
    }
    let mut lines = Lines::read(&bundle)?;
    lines.0.pop();
    lines.write(&forged)?;
    check("cut off", "digest", lines.0.len())?;
    // Without its link, who holds the checkpoint is told so.
    let mut lines = Lines::read(&bundle)?;
    lines.0.retain(|line| !line.starts_with("{\"type\":\"consistency\""));
    lines.sealed()?.write(&forged)?;
    let (code, verdict) = verifier(&[text(&forged), "--key", &key, "--checkpoint", &note])?;
    ensure!(code == Some(1) && tells(&verdict, "unlinked", 0), "{verdict}");
    // Signed by another house.
    let other = tempfile::tempdir()?;
    custos_tests::server::ingest(other.path(), 0..1)?;
    fs::write(server.path("other.pub"), custos_tests::server::keys(other.path())?)?;
    let (code, verdict) = verifier(&[&bundle, "--key", text(&server.path("other.pub"))])?;
    ensure!(
        code == Some(1) && tells(&verdict, "signature", whole.of("checkpoint")[0]),
        "{verdict}"
    );
    Ok(())
}

#[test]
fn a_proof_of_one_event_is_a_file_that_the_verifier_reads() -> Result<()> {
    let mut server = Server::start("")?;
    server.api.ship("doors", &doors(0..300))?;
    let proof = server.api.get("/events/telemetry/0/17/proof")?;
    ensure!(proof["index"] == 17 && proof["size"] == 300, "{proof}");
    ensure!(proof["path"].as_array().map(Vec::len) == Some(9), "{proof}");
    let (status, _) = server.api.ask("GET", "/events/telemetry/0/300/proof", None)?;
    ensure!(status == 404);
    server.node.stop()?;
    let (key, file) = (server.keep("key.pub", &["log", "key"])?, server.path("proof.json"));
    fs::write(&file, format!("{proof}\n"))?;
    let (code, verdict) = verifier(&[text(&file), "--key", text(&key)])?;
    ensure!(code == Some(0) && verdict["events"] == 1, "{verdict}");
    let ran = server.node.run(&["log", "prove", "telemetry/0/299", "--json"])?.done()?;
    fs::write(&file, &ran.stdout)?;
    ensure!(verifier(&[text(&file), "--key", text(&key)])?.0 == Some(0));
    let proof = String::from_utf8(ran.stdout)?;
    for (from, to) in [
        ("telemetry/0/299", "telemetry/0/298"),
        ("\"index\":299", "\"index\":298"),
        ("\"root\":\"", "\"root\":\"0"),
        ("\"size\":", "\"seen\":\"by all\",\"size\":"),
        ("r299", "r298"),
    ] {
        ensure!(proof.contains(from), "{from} is not in {proof}");
        fs::write(&file, proof.replace(from, to))?;
        let (code, verdict) = verifier(&[text(&file), "--key", text(&key)])?;
        ensure!(code == Some(1) && verdict["findings"][0]["line"] == 1, "{from}: {verdict}");
    }
    ensure!(server.node.run(&["log", "prove", "telemetry/0/9999"])?.code() == Some(2));
    let words = server.node.run(&["log", "prove", "telemetry/0/0"])?.done()?;
    ensure!(String::from_utf8(words.stdout)?.contains("number 0 of 300"));
    Ok(())
}

#[test]
fn a_verification_runs_beside_the_server_and_its_outcome_is_a_fact() -> Result<()> {
    let mut server = Server::start("")?;
    server.api.ship("doors", &doors(0..50))?;
    server.api.post("/integrity/verification", &Value::Null)?;
    let whole = |answer: &Value| answer["verification"]["last"]["ok"] == true;
    let answer = server.until("a verification", "/integrity", whole)?;
    ensure!(answer["verification"]["last"]["by"] == "api", "{answer}");
    let log = |answer: &Value, name: &str| {
        let logs = answer["logs"].as_array().cloned().unwrap_or_default();
        logs.into_iter().find(|log| log["log"] == name).unwrap_or_default()
    };
    ensure!(log(&answer, "telemetry")["records"] == 50, "{answer}");
    // An auditor's checkpoint and key, taken from the running server; they hold beside it and after.
    let (url, token) = (server.api.url(), server.token()?);
    let take = |name: &str| -> Result<String> {
        let ran = run(["log", name, "--server", &url, "--token", &token])?.done()?;
        let path = server.path(name);
        fs::write(&path, ran.stdout)?;
        Ok(text(&path).to_owned())
    };
    let (note, key) = (take("checkpoint")?, take("key")?);
    let held = ["log", "verify", "--checkpoint", &note, "--key", &key];
    server.node.run(&held)?.done()?;
    server.node.stop()?;
    server.node.run(&held)?.done()?;
    let own = server.keep("own.pub", &["log", "key"])?;
    ensure!(fs::read(&own)? == fs::read(&key)?, "another key");
    server.node.restart()?;
    server.until("the last one, after a restart", "/integrity", whole)?;
    // A byte of a segment that is changed beside the server: told by the command line, and by the server.
    let segment = server.node.data().join("telemetry/0000000001.seg");
    let mut bytes = fs::read(&segment)?;
    *bytes.get_mut(600).context("a short segment")? ^= 1;
    fs::write(&segment, bytes)?;
    let ran = server.node.run(&["log", "verify", "--json"])?;
    let told = ran.json()?.iter().any(|log| {
        let error = &log["errors"][0];
        error["kind"] == "corrupt" && error["segment"] == "0000000001.seg"
    });
    ensure!(ran.code() == Some(1) && told, "{ran:?}");
    server.api.post("/integrity/verification", &Value::Null)?;
    let damaged = |answer: &Value| answer["verification"]["last"]["ok"] == false;
    let answer = server.until("the damage", "/integrity", damaged)?;
    let faults = answer["verification"]["last"]["faults"].to_string();
    ensure!(faults.contains("0000000001.seg"), "{faults}");
    Ok(())
}
