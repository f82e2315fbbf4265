//! What leaves a real server to be believed elsewhere: an incident's bundle under the stand-alone verifier, proofs, and
//! checkpoints at four real witnesses; and a reader in another language over the same folder.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    api::Api,
    clients::{self, python},
    custos::{Node, Ran, binary, run},
    process::{Running, free_port},
    root, wait,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(1);

struct Server {
    node: Node,
    api: Api,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(config: &str) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, config)
    }

    fn start_in(folder: tempfile::TempDir, config: &str) -> Result<Self> {
        let http = free_port()?;
        let rules = root().join("rules/detections/doors");
        let config = format!("{config}\n[rules]\nfolders = [\"{}\"]\n", rules.display());
        let node = Node::start(folder.path(), http, &config)?;
        let api = Api::new(&node, http)?;
        Ok(Self { node, api, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn until(&self, what: &str, path: &str, look: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(what, LIMIT, || {
            last = self.api.get(path)?;
            Ok(Some(last.clone()).filter(&look))
        });
        found.with_context(|| last.to_string())
    }

    /// Twenty doors, four of them forced, in an incident; its id.
    fn incident(&self) -> Result<String> {
        self.api.ship("doors", &doors(0..20))?;
        let queue = self.until("4 alerts", "/alerts", |answer| {
            answer["alerts"].as_array().is_some_and(|alerts| alerts.len() == 4)
        })?;
        let incidents = self.until("an incident", "/incidents?status=all", |answer| {
            let incidents = answer["incidents"].as_array();
            incidents.is_some_and(|all| {
                all.iter().map(|one| &one["alerts"]).filter_map(Value::as_u64).sum::<u64>() == 4
            })
        })?;
        ensure!(queue["alerts"][0]["title"] == "Door forced open", "{queue}");
        Ok(incidents["incidents"][0]["id"].as_str().context("no id")?.to_owned())
    }
}

fn doors(range: std::ops::Range<u64>) -> String {
    let door = |nth: u64| {
        let (minute, second, forced) = (nth / 60 % 60, nth % 60, nth % 5 == 4);
        format!(
            r#"{{"time":"2026-11-24T08:{minute:02}:{second:02}Z","door":"d{nth}","forced":{forced}}}"#
        ) + "\n"
    };
    range.map(door).collect()
}

/// The program that auditors get, beside `custos`.
fn verifier(words: &[&str]) -> Result<(Option<i32>, Value)> {
    let mut command = Command::new(binary().with_file_name("custos-verify-evidence"));
    let output = command.args(words).arg("--json").stdin(Stdio::null()).output();
    let output = output.context("`cargo build -p custos-evidence` makes the verifier")?;
    let verdict = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok((output.status.code(), verdict))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn held_by(ran: &Ran) -> Vec<u8> {
    ran.stdout.clone()
}

#[test]
fn an_exported_incident_proves_itself_to_who_has_a_key_and_a_checkpoint_and_no_custos() -> Result<()>
{
    let mut server = Server::start("")?;
    let incident = server.incident()?;
    let (note, key, bundle) =
        (server.path("held.note"), server.path("key.pub"), server.path("bundle.jsonl"));
    server.node.stop()?;
    fs::write(&key, held_by(&server.node.run(&["log", "key"])?.done()?))?;
    fs::write(&note, held_by(&server.node.run(&["log", "checkpoint"])?.done()?))?;
    server.node.restart()?;
    server.api.ship("doors", &doors(20..30))?;

    // Over the API, linked to the held checkpoint; the sizes are those of the held notes.
    let words =
        ["log", "export-incident", &incident, "--out", text(&bundle), "--checkpoint", text(&note)];
    let url = server.api.url();
    let token = fs::read_to_string(server.node.data().join("keys/api.token"))?;
    run(words.into_iter().chain(["--server", &url, "--token", token.trim()]))?.done()?;
    let asked = [text(&bundle), "--key", text(&key), "--checkpoint", text(&note)];
    let (code, verdict) = verifier(&asked)?;
    ensure!(code == Some(0) && verdict["ok"] == true && verdict["held"] == 2, "{verdict}");
    ensure!(verdict["subject"] == json!(incident) && verdict["events"] == 4, "{verdict}");
    ensure!(
        verdict["exported_by"]["kind"] == "token" && verdict["missing"] == json!([]),
        "{verdict}"
    );
    let timeline = server.api.get(&format!("/incidents/{incident}"))?["timeline"].clone();
    let told = timeline
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["kind"] == "evidence_exported"));
    ensure!(told, "the export is not in the timeline: {timeline}");

    // One changed word: the verifier says which line.
    let lines = fs::read_to_string(&bundle)?;
    let changed = server.path("changed.jsonl");
    fs::write(&changed, lines.replacen("forced", "f0rced", 1))?;
    let (code, verdict) = verifier(&[text(&changed), "--key", text(&key)])?;
    ensure!(code == Some(1) && verdict["findings"][0]["kind"] == "shown", "{verdict}");
    ensure!(run(["verify-evidence", text(&changed), "--key", text(&key)])?.code() == Some(1));
    ensure!(run(["verify-evidence", text(&bundle), "--key", "nonsense"])?.code() == Some(3));
    ensure!(run(["verify-evidence", text(&bundle), "--key", "a+b+c"])?.code() == Some(2));

    // The same from the folder alone, and by `custos verify-evidence`; the export before is a fact of it.
    server.node.stop()?;
    let again = server.path("again.jsonl");
    let words = ["log", "export-incident", &incident, "--json", "--out", text(&again)];
    let told = server.node.run(&words)?.done()?.last_json()?;
    ensure!(told["records"].as_u64() > verdict["facts"].as_u64(), "{told}");
    let ran = run(["verify-evidence", "--json", text(&again), "--key", text(&key)])?.done()?;
    ensure!(ran.last_json()?["ok"] == true, "{ran:?}");
    ensure!(server.node.run(&words)?.code() == Some(2), "nothing is overwritten");
    let unlinked = run([
        "verify-evidence",
        "--json",
        text(&again),
        "--key",
        text(&key),
        "--checkpoint",
        text(&note),
    ])?;
    ensure!(
        unlinked.code() == Some(1) && unlinked.last_json()?["findings"][0]["kind"] == "unlinked",
        "{unlinked:?}"
    );
    ensure!(server.node.run(&["log", "export-incident", "INC-000099"])?.code() == Some(2));
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
    let key = server.path("key.pub");
    fs::write(&key, held_by(&server.node.run(&["log", "key"])?.done()?))?;
    let file = server.path("proof.json");
    fs::write(&file, format!("{proof}\n"))?;
    let (code, verdict) = verifier(&[text(&file), "--key", text(&key)])?;
    ensure!(code == Some(0) && verdict["events"] == 1, "{verdict}");
    let ran = server.node.run(&["log", "prove", "telemetry/0/299", "--json"])?.done()?;
    fs::write(&file, &ran.stdout)?;
    ensure!(verifier(&[text(&file), "--key", text(&key)])?.0 == Some(0));
    let changed = String::from_utf8(ran.stdout)?.replace("telemetry/0/299", "telemetry/0/298");
    fs::write(&file, changed)?;
    ensure!(verifier(&[text(&file), "--key", text(&key)])?.0 == Some(1));
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
    server.node.stop()?;
    server.node.restart()?;
    server.until("the last one, after a restart", "/integrity", whole)?;
    server.node.stop()
}

/// moto, a real S3 as far as its wire goes; `None`, and told, where it is not installed.
fn moto(port: u16) -> Result<Option<Running>> {
    let there =
        Command::new(python()).args(["-c", "import moto.server"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: moto is not installed; `bash tests/run.sh` installs it");
        return Ok(None);
    }
    let mut command = Command::new(python());
    command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
    let running = Running::start("moto", command.stdout(Stdio::null()))?;
    wait::until("moto", LIMIT, || {
        Ok(http(port, "PUT", "/notes").ok().filter(|text| text.contains(" 200 ")))
    })?;
    Ok(Some(running))
}

fn http(port: u16, method: &str, path: &str) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/20261125/us-east-1/s3/aws4_request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A folder with a log of 100 doors, its public keys, and the witness that takes its heads.
fn house_and_witness() -> Result<(tempfile::TempDir, String, Server)> {
    let folder = tempfile::tempdir()?;
    let (file, data) = (folder.path().join("doors.jsonl"), folder.path().join("data"));
    fs::write(&file, doors(0..100))?;
    run(["ingest", "--source", "door", text(&file), "--data", text(&data)])?.done()?;
    let keys = String::from_utf8(run(["log", "key", "--data", text(&data)])?.done()?.stdout)?;
    let quoted: Vec<_> = keys.lines().map(|line| format!("\"{line}\"")).collect();
    let witness = Server::start(&format!("[witnessed]\nkeys = [{}]\n", quoted.join(", ")))?;
    Ok((folder, keys, witness))
}

fn port_of(server: &Server) -> String {
    server.api.url()
}

fn lag_is_none(answer: &Value, name: &str) -> bool {
    let witnesses = answer["witnesses"].as_array().cloned().unwrap_or_default();
    let found = witnesses.into_iter().find(|witness| witness["name"] == name).unwrap_or_default();
    let telemetry = |log: &&Value| log["log"] == "telemetry";
    let logs = found["logs"].as_array().cloned().unwrap_or_default();
    logs.iter().find(telemetry).is_some_and(|log| log["lag"] == 0 && log["size"].as_u64() > Some(0))
}

#[test]
fn checkpoints_reach_a_folder_a_bucket_a_mailbox_and_another_custos_and_hold_the_log() -> Result<()>
{
    let (folder, keys, mut witness) = house_and_witness()?;
    let (s3, smtp) = (free_port()?, free_port()?);
    let mails = folder.path().join("mails");
    let (Some(_moto), Some(_mail)) = (moto(s3)?, clients::aiosmtpd(smtp, &mails)?) else {
        return Ok(());
    };
    fs::create_dir(folder.path().join("second"))?;
    fs::write(folder.path().join("secret"), "b\n")?;
    let config = format!(
        r#"
        [respond.mail]
        from = "custos@bank.example"
        smtp = {{ host = "127.0.0.1", port = {smtp}, tls = "off" }}
        [[witness]]
        kind = "folder"
        name = "second disk"
        path = "second"
        every_secs = 1
        [[witness]]
        kind = "s3"
        name = "bucket"
        url = "s3://notes/house"
        endpoint = "http://127.0.0.1:{s3}"
        access_key_id = "a"
        secret_key_file = "secret"
        every_secs = 1
        [[witness]]
        kind = "mail"
        name = "auditor"
        to = ["auditor@bank.example"]
        [[witness]]
        kind = "custos"
        name = "other house"
        url = "{}"
        every_secs = 1
        "#,
        port_of(&witness)
    );
    let mut house = Server::start_in(folder, &config)?;
    house.api.ship("doors", &doors(100..150))?;
    for name in ["second disk", "bucket", "other house"] {
        house.until(name, "/integrity", |answer| lag_is_none(answer, name))?;
    }
    let lag = "custos_witness_lag_records{witness=\"other house\",log=\"telemetry\"}";
    ensure!(
        house.node.metric(lag)? == 0.0
            && house.node.metric("custos_witness_failures{witness=\"bucket\"}")? == 0.0
    );

    // What they hold is the log's own words, each in the form that `log verify --checkpoint` reads.
    let origin = keys.lines().find(|key| key.contains("/telemetry+")).context("no key")?;
    let origin = origin.split('+').next().unwrap_or_default();
    let notes = house.path("second").join(format!("{}.notes", origin.replace('/', ".")));
    let object = http(s3, "GET", &format!("/notes/house/{origin}/{:020}.note", 150))?;
    let object = object.split_once("\r\n\r\n").context("no object")?.1.to_owned();
    ensure!(
        object.starts_with(origin) && fs::read_to_string(&notes)?.contains(&object),
        "{object}"
    );
    let mailed = wait::until("a mail", LIMIT, || {
        Ok(fs::read_dir(mails.join("new"))?.next().transpose()?)
    })?;
    let mailed = fs::read_to_string(mailed.path())?;
    ensure!(
        mailed.contains("To: auditor@bank.example")
            && mailed.contains("Subject: Custos checkpoints of custos-"),
        "{mailed}"
    );
    let there = witness.api.get("/integrity")?;
    ensure!(there["witnessed"].as_array().is_some_and(|all| all.len() == 2), "{there}");
    ensure!(
        there["witnessed"][1]["origin"] == json!(origin) && there["witnessed"][1]["size"] == 150,
        "{there}"
    );

    // A witness that was away is sent what it missed, by a server that was away too.
    witness.node.stop()?;
    house.api.ship("doors", &doors(150..160))?;
    house.until("the failure", "/integrity", |answer| {
        answer["witnesses"][3]["failures"].as_u64() > Some(0)
    })?;
    house.node.stop()?;
    witness.node.restart()?;
    house.node.restart()?;
    house.until("the rest", "/integrity", |answer| lag_is_none(answer, "other house"))?;
    ensure!(witness.api.get("/integrity")?["witnessed"][1]["size"] == 160);
    house.node.stop()?;
    let (key, bucket) = (house.path("key.pub"), house.path("bucket.note"));
    fs::write(&key, &keys)?;
    fs::write(&bucket, &object)?;
    for held in [&notes, &bucket] {
        house
            .node
            .run(&["log", "verify", "--checkpoint", text(held), "--key", text(&key)])?
            .done()?;
    }
    witness.node.stop()
}

/// Whoever has the folder writes the log anew under the same keys. The other Custos refuses it, and shows it.
#[test]
fn a_log_that_was_rewritten_is_refused_by_the_other_custos_and_shown_there() -> Result<()> {
    let (folder, _, mut witness) = house_and_witness()?;
    let to = format!(
        "[[witness]]\nkind = \"custos\"\nname = \"other\"\nurl = \"{}\"\nevery_secs = 1\n",
        port_of(&witness)
    );
    let mut house = Server::start_in(folder, &to)?;
    house.until("the first head", "/integrity", |answer| lag_is_none(answer, "other"))?;
    house.node.stop()?;
    let data = house.node.data().to_path_buf();
    for gone in ["telemetry", "journal", "checkpoints", "catalog", "index"] {
        fs::remove_dir_all(data.join(gone))?;
    }
    let file = house.path("doors.jsonl");
    fs::write(&file, doors(0..120).replace("\"d7\"", "\"d8\""))?;
    run(["ingest", "--source", "door", text(&file), "--data", text(&data)])?.done()?;
    house.node.restart()?;
    let refused = house.until("the refusal", "/integrity", |answer| {
        answer["witnesses"][0]["failures"].as_u64() > Some(0)
    })?;
    ensure!(
        refused["witnesses"][0]["error"].as_str().is_some_and(|text| text.contains("contradicts")),
        "{refused}"
    );
    let shown = witness.until("the refusal", "/integrity", |answer| {
        !answer["refused"].as_array().is_none_or(Vec::is_empty)
    })?;
    let reason =
        shown["refused"].as_array().into_iter().flatten().filter_map(|one| one["reason"].as_str());
    ensure!(
        reason.into_iter().any(|text| text.contains("not those of before") || text.contains("had")),
        "{shown}"
    );
    ensure!(witness.node.metric("custos_witnessed_refused_total")? >= 1.0);
    witness.node.stop()?;
    witness.node.restart()?;
    let after = witness.api.get("/integrity")?;
    ensure!(after["refused"] == shown["refused"], "{after}");
    // A stranger's signature is none.
    let body = json!({"note": "a/b\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} a/b AAAA\n", "old": 0, "path": []});
    ensure!(witness.api.ask("POST", "/witness/checkpoints", Some(&body))?.0 == 403);
    house.node.stop()?;
    witness.node.stop()
}

/// docs/reader is written from FORMAT.md alone: it must come to the same trees.
#[test]
fn a_reader_in_another_language_comes_to_the_same_roots() -> Result<()> {
    let there = Command::new(python())
        .args(["-c", "import cryptography, zstandard"])
        .stderr(Stdio::null())
        .status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!(
            "skipped: cryptography or zstandard is not installed; `bash tests/run.sh` installs them"
        );
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (file, data) = (folder.path().join("doors.jsonl"), folder.path().join("data"));
    let reader = root().join("docs/reader/custos_reader.py");
    ensure!(fs::read_to_string(&reader)?.lines().count() <= 150, "150 lines are the promise");
    fs::write(&file, doors(0..40_000))?;
    for _ in 0..2 {
        run(["ingest", "--source", "door", text(&file), "--data", text(&data)])?.done()?;
    }
    // A server seals what the commands before left, and leaves an open segment with its own few records.
    let mut server = Server::start_in(folder, "")?;
    server.api.ship("doors", &doors(0..10))?;
    wait::until("sealed segments", LIMIT, || {
        let sealed = fs::read_dir(data.join("telemetry"))?.filter(|entry| {
            let bytes = entry.as_ref().ok().and_then(|entry| fs::read(entry.path()).ok());
            bytes.is_some_and(|bytes| bytes.get(10) == Some(&1))
        });
        Ok((sealed.count() >= 2).then_some(()))
    })?;
    server.node.stop()?;
    let key = String::from_utf8(server.node.run(&["log", "key"])?.done()?.stdout)?;
    let logs = server.node.run(&["log", "verify", "--json"])?.done()?.json()?;
    let read = |data: &Path| -> Result<(bool, Vec<Value>)> {
        let mut command = Command::new(python());
        let output = command
            .arg(&reader)
            .arg(data)
            .args(["--key", key.lines().next().unwrap_or_default()])
            .output()?;
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
        Ok((output.status.success(), lines))
    };
    let (whole, lines) = read(&data)?;
    ensure!(whole && lines.len() == 2, "{lines:?}");
    for (line, log) in lines.iter().zip(&logs) {
        ensure!(line["log"] == log["log"] && line["records"] == log["records"], "{line} {log}");
        ensure!(
            line["root"] == log["root"] && line["checkpoints"].as_u64() > Some(0),
            "{line} {log}"
        );
    }
    ensure!(lines[0]["records"] == 80_010, "{lines:?}");
    // It bites: a record that is not there any more.
    fs::remove_file(data.join("telemetry/0000000002.seg"))?;
    let (whole, lines) = read(&data)?;
    ensure!(!whole && lines[0]["faults"] != json!([]), "{lines:?}");
    Ok(())
}
