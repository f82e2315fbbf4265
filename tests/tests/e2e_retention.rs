//! Retention, legal hold, scrub and repair on the real server: what is too old goes by name and what is held stays, and
//! a flipped bit is found and mended from the backup.

use anyhow::{Context, Result, ensure};
use custos_tests::{api::Api, custos::Node, process::free_port, wait};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);

fn lines(source: &str, range: std::ops::Range<u64>) -> String {
    let line = |n| format!("{{\"message\":\"{source} event {n}\",\"user\":\"user{}\"}}\n", n % 7);
    range.map(line).collect()
}

struct Server {
    node: Node,
    api: Api,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(config: &str) -> Result<Self> {
        let (folder, http) = (tempfile::tempdir()?, free_port()?);
        let backup = format!(
            "[backup]\nto = \"{}\"\nfull_every = \"never\"\ndifferential_every = \"never\"\n\
             incremental_every = \"never\"\ndrill_every = \"never\"\n",
            folder.path().join("backups").display()
        );
        let node = Node::start(folder.path(), http, &(config.to_owned() + &backup))?;
        let api = Api::new(&node, http)?;
        Ok(Self { node, api, folder })
    }

    /// Ships, waits until all of it is found, and begins a new segment: a start does.
    fn segment(&mut self, source: &str, range: std::ops::Range<u64>) -> Result<()> {
        let end = range.end;
        self.api.ship(source, &lines(source, range))?;
        self.until("indexed", &format!("/events?query=\"event {}\"", end - 1), |page| {
            page["events"].as_array().is_some_and(|events| !events.is_empty())
        })?;
        self.node.stop()?;
        self.node.restart()
    }

    fn until(&self, what: &str, path: &str, look: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, LIMIT, || Ok(Some(self.api.get(path)?).filter(&look)))
    }

    fn count(&self) -> Result<u64> {
        let counted = self.api.get("/count?query=*")?;
        counted["count"].as_u64().context("no count")
    }

    /// `custos log verify`, which runs beside the server.
    fn verify(&self) -> Result<Vec<Value>> {
        self.node.run(&["log", "verify", "--json"])?.done()?.json()
    }
}

fn event(seq: u64) -> String {
    format!("/events/telemetry/0/{seq}")
}

#[test]
fn what_is_too_old_goes_by_name_and_what_is_held_stays_until_it_is_lifted() -> Result<()> {
    let mut server = Server::start("[retention]\nkeep = \"1s\"\nevery = \"1s\"\n")?;
    server.api.ship("held", &lines("held", 0..20))?;
    let source = server.api.get(&event(0))?["source"].as_str().context("no source")?.to_owned();
    let hold = json!({"scope": {"kind": "source", "source": source}, "reason": "case 4711"});
    let placed = server.api.post("/retention/holds", &hold)?;
    ensure!(placed["hold"] == "HOLD-000001" && placed["held_segments"] == 0, "{placed}");
    server.segment("held", 20..40)?;
    for n in 1..4 {
        server.segment("plain", n * 40..n * 40 + 40)?;
    }
    // Of 160 events the 40 that are held stay, and the newest segment, which has 40.
    let gone = |answer: &Value| {
        let dropped = answer["dropped"].as_array().into_iter().flatten();
        let count = |d: &Value| Some(d["last"].as_u64()? - d["first"].as_u64()? + 1);
        dropped.filter_map(count).sum::<u64>() == 80
    };
    let answer = server.until("80 events to go", "/retention", gone)?;
    ensure!(answer["keep"] == "1s", "{answer}");
    // Counted anew by the first look after a start.
    let counted = |answer: &Value| answer["holds"][0]["held_segments"] == 1;
    server.until("the hold to keep its segment", "/retention", counted)?;
    server.api.get(&event(0))?;
    server.api.get(&event(159))?;
    let (status, problem) = server.api.ask("GET", &event(60), None)?;
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(status == 410 && detail.contains("dropped by retention on"), "{status} {problem}");
    let (status, _) = server.api.ask("GET", &format!("{}/proof", event(60)), None)?;
    ensure!(status == 410, "a proof of it: {status}");
    ensure!(server.api.get(&format!("{}/proof", event(5)))?["index"] == 5, "a held one is proven");
    wait::until("the index to let go", LIMIT, || Ok((server.count()? == 80).then_some(())))?;
    let page = server.api.get("/events?query=event")?;
    ensure!(page["notes"].to_string().contains("dropped by retention"), "{}", page["notes"]);
    let reports = server.verify()?;
    let telemetry = reports.iter().find(|report| report["log"] == "telemetry");
    let telemetry = telemetry.context("no telemetry")?;
    ensure!(telemetry["ok"] == true && telemetry["records"] == 80, "{telemetry}");
    ensure!(telemetry["dropped"].as_array().is_some_and(|d| !d.is_empty()), "{telemetry}");
    let lift = json!({"reason": "settled"});
    let lifted = server.api.post("/retention/holds/HOLD-000001/lift", &lift)?;
    ensure!(lifted["lifted"]["reason"] == "settled", "{lifted}");
    let (status, _) = server.api.ask("POST", "/retention/holds/HOLD-000001/lift", Some(&lift))?;
    ensure!(status == 409, "lifted twice: {status}");
    wait::until("the held events to go", LIMIT, || {
        Ok((server.api.ask("GET", &event(0), None)?.0 == 410).then_some(()))
    })?;
    // A killed server comes back to the same.
    server.node.kill()?;
    server.node.restart()?;
    ensure!(server.api.ask("GET", &event(0), None)?.0 == 410, "it stays dropped");
    ensure!(server.verify()?.iter().all(|report| report["ok"] == true), "verified");
    Ok(())
}

const CLASSES: &str = "[retention]
every = \"1s\"
[[retention.class]]
name = \"noise\"
log = \"telemetry-2\"
sources = [\"http:noise-*\"]
keep = \"1s\"
";

#[test]
fn a_class_of_sources_goes_by_its_own_time_and_all_others_stay() -> Result<()> {
    let mut server = Server::start(CLASSES)?;
    server.segment("doors", 0..30)?;
    let then = server.api.get("/overview")?["as_of"].as_u64().context("no commit")?;
    for n in 0..3 {
        server.segment("noise-web", 30 + n * 30..60 + n * 30)?;
    }
    server.segment("doors", 120..150)?;
    // Of 90 of the class the last segment stays; of the others all do.
    let gone = |answer: &Value| answer["dropped"][0]["last"] == 59;
    let answer = server.until("60 events to go", "/retention", gone)?;
    ensure!(answer["dropped"][0]["log"] == "telemetry-2", "{answer}");
    let logs = answer["logs"].as_array().context("no logs")?;
    let classes: Vec<_> = logs.iter().map(|log| (&log["log"], &log["class"]["name"])).collect();
    let expected = [(&json!("telemetry"), &Value::Null), (&json!("telemetry-2"), &json!("noise"))];
    ensure!(classes == expected, "{answer}");
    wait::until("the index to let go", LIMIT, || Ok((server.count()? == 90).then_some(())))?;
    let total = server.api.get("/overview")?["events"]["total"].clone();
    ensure!(total == 150, "as many as there ever were: {total}");
    let (status, _) = server.api.ask("GET", "/events/telemetry-2/0/59", None)?;
    ensure!(status == 410, "the class's 60th: {status}");
    ensure!(server.api.get("/events/telemetry-2/0/60")?["source"] == "http:noise-web", "the 61st");
    server.api.get(&event(59))?;
    // Of the past what was there then is found, whatever place others have in their log.
    let past = server.api.get(&format!("/events?query=event&limit=100&as_of={then}"))?;
    let found = past["events"].as_array().context("no events")?;
    ensure!(found.len() == 30 && found.iter().all(|e| e["source"] == "http:doors"), "{past}");
    let total = server.api.get(&format!("/overview?as_of={then}"))?["events"]["total"].clone();
    ensure!(total == 30, "then: {total}");
    let reports = server.verify()?;
    let names: Vec<_> = reports.iter().filter_map(|report| report["log"].as_str()).collect();
    ensure!(names == ["telemetry", "journal", "telemetry-2"], "{reports:?}");
    ensure!(reports.iter().all(|report| report["ok"] == true), "{reports:?}");
    Ok(())
}

fn flip(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Ok(fs::write(path, bytes)?)
}

#[test]
fn a_flipped_bit_is_found_by_the_scrub_told_and_mended_from_the_backup() -> Result<()> {
    let mut server = Server::start("")?;
    for n in 0..3 {
        server.segment("app", n * 50..n * 50 + 50)?;
    }
    server.api.post("/backups", &json!({"kind": "full"}))?;
    server.until("a backup", "/backups", |answer| answer["backups"][0]["id"].is_string())?;
    let segment = server.node.data().join("telemetry/0000000002.seg");
    let whole = fs::read(&segment)?;
    flip(&segment)?;
    server.api.post("/retention/scrub", &json!({}))?;
    let told = |answer: &Value| answer["last"]["damaged"] == 1;
    let state = server.until("the damage to be found", "/retention/scrub", told)?;
    ensure!(state["damages"][0]["log"] == "telemetry" && state["repairable"] == true, "{state}");
    ensure!(state["damages"][0]["repaired"].is_null(), "{state}");
    server.api.post("/retention/repair", &json!({}))?;
    let mended = |answer: &Value| answer["damages"][0]["repaired"]["backup"].is_string();
    server.until("the repair", "/retention/scrub", mended)?;
    ensure!(fs::read(&segment)? == whole, "the very bytes are back");
    server.api.get(&event(75))?;
    ensure!(server.verify()?.iter().all(|report| report["ok"] == true), "verified");
    // The same at the command line, on a folder that nobody writes to.
    server.node.stop()?;
    flip(&segment)?;
    let scrub = server.node.run(&["log", "scrub", "--json"])?;
    ensure!(scrub.code() == Some(1) && scrub.last_json()?["damaged"] == 1, "{}", scrub.stderr);
    let from = server.folder.path().join("backups").display().to_string();
    let repair = server.node.run(&["log", "repair", "--from", &from, "--json"])?.done()?;
    ensure!(repair.last_json()?["backup"].is_string() && fs::read(&segment)? == whole, "mended");
    ensure!(server.node.run(&["log", "scrub"])?.code() == Some(0), "whole again");
    let time = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z"];
    let place = [["hold", "place", "--reason", "audit"].as_slice(), &time].concat();
    let hold = String::from_utf8(server.node.run(&place)?.done()?.stdout)?;
    ensure!(hold.trim() == "HOLD-000001", "{hold}");
    server.node.run(&["hold", "lift", "HOLD-000001", "--reason", "over"])?.done()?;
    let again = server.node.run(&["hold", "lift", "HOLD-000001", "--reason", "over"])?;
    ensure!(again.code() == Some(2), "{}", again.stderr);
    let list = server.node.run(&["hold", "list", "--json"])?.done()?.last_json()?;
    ensure!(list["lifted"]["reason"] == "over" && list["scope"]["kind"] == "received", "{list}");
    Ok(())
}
