//! Signed heads at four real witnesses: a folder, a bucket, a mailbox and another Custos. One that was away gets what
//! it missed; a log that was cut back or written anew is found by what they hold.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    clients::aiosmtpd,
    custos::run,
    process::free_port,
    s3::{ACCESS_KEY_ID, Bucket, SECRET},
    server::{LIMIT, Server, doors, ingest, keys, text},
    wait,
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// A folder with a log of 100 doors, its public keys, and the other house that takes its heads.
fn house_and_witness() -> Result<(tempfile::TempDir, String, Server)> {
    let folder = tempfile::tempdir()?;
    ingest(folder.path(), 0..100)?;
    let keys = keys(folder.path())?;
    let quoted: Vec<_> = keys.lines().map(|line| format!("\"{line}\"")).collect();
    let witness = Server::start(&format!("[witnessed]\nkeys = [{}]\n", quoted.join(", ")))?;
    Ok((folder, keys, witness))
}

fn other_house(witness: &Server) -> String {
    let url = witness.api.url();
    format!(
        "[[witness]]\nkind = \"custos\"\nname = \"other house\"\nurl = \"{url}\"\nevery_secs = 1\n"
    )
}

fn four_witnesses(smtp: u16, bucket: &Bucket, witness: &Server) -> String {
    format!(
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
        endpoint = "{}"
        access_key_id = "{ACCESS_KEY_ID}"
        secret_key_file = "secret"
        every_secs = 1
        [[witness]]
        kind = "mail"
        name = "auditor"
        to = ["auditor@bank.example"]
        {}"#,
        bucket.endpoint(),
        other_house(witness),
    )
}

fn state(answer: &Value, name: &str) -> Value {
    let witnesses = answer["witnesses"].as_array().cloned().unwrap_or_default();
    witnesses.into_iter().find(|witness| witness["name"] == name).unwrap_or_default()
}

/// Whether a witness has the telemetry up to its last record.
fn has_all(answer: &Value, name: &str) -> bool {
    let logs = state(answer, name)["logs"].as_array().cloned().unwrap_or_default();
    let telemetry = logs.iter().find(|log| log["log"] == "telemetry");
    telemetry.is_some_and(|log| log["lag"] == 0 && log["size"].as_u64() > Some(0))
}

/// The telemetry's row of what is witnessed there.
fn witnessed(witness: &Server) -> Result<Value> {
    let all = witness.api.get("/integrity")?["witnessed"].as_array().cloned().unwrap_or_default();
    let of = |one: &Value| one["origin"].as_str().is_some_and(|name| name.ends_with("/telemetry"));
    all.into_iter().find(of).context("no telemetry is witnessed")
}

/// What `log verify` finds when it holds a folder against a note.
fn verify(server: &Server, note: &Path, keys: &Path) -> Result<(Option<i32>, Vec<Value>)> {
    let words = ["log", "verify", "--json", "--checkpoint", text(note), "--key", text(keys)];
    let ran = server.node.run(&words)?;
    let logs = ran.json()?;
    let errors = logs.iter().filter_map(|log| log["errors"].as_array()).flatten();
    Ok((ran.code(), errors.map(|error| error["kind"].clone()).collect()))
}

#[test]
fn heads_reach_a_folder_a_bucket_a_mailbox_and_another_custos_and_hold_the_log() -> Result<()> {
    let (folder, keys, witness) = house_and_witness()?;
    let (smtp, mails) = (free_port()?, folder.path().join("mails"));
    let (Some(bucket), Some(_mail)) = (Bucket::start("notes")?, aiosmtpd(smtp, &mails)?) else {
        return Ok(());
    };
    fs::create_dir(folder.path().join("second"))?;
    fs::write(folder.path().join("secret"), format!("{SECRET}\n"))?;
    let mut house = Server::start_in(folder, &four_witnesses(smtp, &bucket, &witness))?;
    house.api.ship("doors", &doors(100..150))?;
    for name in ["second disk", "bucket", "other house"] {
        house.until(name, "/integrity", |answer| has_all(answer, name))?;
    }
    let lag = "custos_witness_lag_records{witness=\"other house\",log=\"telemetry\"}";
    ensure!(house.node.metric(lag)? < 1.0, "the metric of the lag");
    ensure!(house.node.metric("custos_witness_failures{witness=\"bucket\"}")? < 1.0);

    // What they hold is the log's own words, each in the form that `log verify --checkpoint` reads.
    let origin = keys.lines().find(|key| key.contains("/telemetry+")).context("no key")?;
    let origin = origin.split('+').next().unwrap_or_default();
    let object = bucket.get(&format!("house/{origin}/{:020}.note", 150))?;
    let notes = house.path("second").join(format!("{}.notes", origin.replace('/', ".")));
    ensure!(object.starts_with(origin), "{object}");
    ensure!(fs::read_to_string(&notes)?.contains(&object), "the folder has another note");
    let mailed = wait::until("a mail", LIMIT, || {
        Ok(fs::read_dir(mails.join("new"))?.next().transpose()?)
    })?;
    let mailed = fs::read_to_string(mailed.path())?;
    ensure!(mailed.contains("To: auditor@bank.example"), "{mailed}");
    ensure!(mailed.contains("Subject: Custos checkpoints of custos-"), "{mailed}");
    let there = witnessed(&witness)?;
    ensure!(there["origin"] == json!(origin) && there["size"] == 150, "{there}");

    house.node.stop()?;
    let (key, one) = (house.path("key.pub"), house.path("one.note"));
    fs::write(&key, &keys)?;
    // A mail as a mail program saves it: decoded, behind its headers.
    let text = "import email, email.policy, sys; m = email.message_from_file(open(sys.argv[1]), \
                policy=email.policy.default); sys.stdout.write(m.get_content())";
    let mail = fs::read_dir(mails.join("new"))?.next().context("no mail")??.path();
    let mail =
        Command::new(custos_tests::clients::python()).args(["-c", text]).arg(mail).output()?;
    for held in [fs::read_to_string(&notes)?, object, String::from_utf8(mail.stdout)?] {
        fs::write(&one, &held)?;
        let found = verify(&house, &one, &key)?;
        ensure!(found == (Some(0), Vec::new()), "{found:?} against:\n{held}");
    }
    Ok(())
}

#[test]
fn a_witness_that_was_away_gets_what_it_missed() -> Result<()> {
    let (folder, _, mut witness) = house_and_witness()?;
    let second = folder.path().join("second");
    fs::create_dir(&second)?;
    let disk =
        "[[witness]]\nkind = \"folder\"\nname = \"disk\"\npath = \"second\"\nevery_secs = 1\n";
    let mut house = Server::start_in(folder, &(other_house(&witness) + disk))?;
    let all = |answer: &Value| has_all(answer, "other house") && has_all(answer, "disk");
    house.until("the first heads", "/integrity", all)?;
    // Both go, records come, and both come back beside the running server.
    witness.node.stop()?;
    fs::rename(&second, house.path("unplugged"))?;
    house.api.ship("doors", &doors(100..160))?;
    let failing = |answer: &Value, name: &str| {
        let state = state(answer, name);
        state["failures"].as_u64() > Some(0) && state["error"].is_string() && !has_all(answer, name)
    };
    let answer = house.until("the failures", "/integrity", |answer| {
        failing(answer, "other house") && failing(answer, "disk")
    })?;
    let error = state(&answer, "disk")["error"].to_string();
    ensure!(error.contains("mounted"), "{error}");
    ensure!(!second.exists(), "nothing is written beside where the disk was");
    witness.node.restart()?;
    fs::rename(house.path("unplugged"), &second)?;
    house.until("the rest", "/integrity", all)?;
    ensure!(witnessed(&witness)?["size"] == 160);
    ensure!(state(&house.api.get("/integrity")?, "disk")["error"].is_null());
    // Away again, over a restart of the house.
    witness.node.stop()?;
    house.api.ship("doors", &doors(160..170))?;
    house.until("the failure", "/integrity", |answer| failing(answer, "other house"))?;
    house.node.stop()?;
    witness.node.restart()?;
    house.node.restart()?;
    house.until("the rest again", "/integrity", all)?;
    ensure!(witnessed(&witness)?["size"] == 170);
    house.node.stop()
}

/// One that takes the connection and says nothing more.
#[test]
fn a_witness_that_never_answers_keeps_neither_the_others_waiting_nor_the_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    ingest(folder.path(), 0..100)?;
    fs::create_dir(folder.path().join("second"))?;
    let mute = std::net::TcpListener::bind(("127.0.0.1", free_port()?))?;
    let port = mute.local_addr()?.port();
    let config = format!(
        "[[witness]]\nkind = \"custos\"\nname = \"mute\"\nurl = \"http://127.0.0.1:{port}\"\nevery_secs = 1\n\
         [[witness]]\nkind = \"folder\"\nname = \"disk\"\npath = \"second\"\nevery_secs = 1\n"
    );
    let mut house = Server::start_in(folder, &config)?;
    let _open = mute.accept()?;
    for nth in 0..2 {
        house.api.ship("doors", &doors(100 + nth * 10..110 + nth * 10))?;
        house.until("the disk", "/integrity", |answer| has_all(answer, "disk"))?;
    }
    let answer = house.api.get("/integrity")?;
    ensure!(state(&answer, "mute")["failures"] == 0, "it had its time before the disk: {answer}");
    house.node.stop()
}

/// The reason of the first head that the other Custos refuses.
fn refused(witness: &Server) -> Result<String> {
    let refused = |answer: &Value| answer["refused"][0]["reason"].is_string();
    let answer = witness.until("the refusal", "/integrity", refused)?;
    ensure!(witness.node.metric("custos_witnessed_refused_total")? >= 1.0);
    Ok(answer["refused"][0]["reason"].as_str().unwrap_or_default().to_owned())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    ensure!(Command::new("cp").arg("-a").arg(from).arg(to).status()?.success());
    Ok(())
}

/// Somebody puts an older copy of the data folder in the place of the newer one: in itself it is perfect.
#[test]
fn a_log_that_was_cut_back_behind_a_witnessed_head_is_found_everywhere() -> Result<()> {
    let (folder, keys, witness) = house_and_witness()?;
    let mut house = Server::start_in(folder, &other_house(&witness))?;
    let incident = house.incident()?;
    house.node.stop()?;
    let (data, old) = (house.node.data().to_path_buf(), house.path("old"));
    copy(&data, &old)?;
    house.node.restart()?;
    house.api.ship("doors", &doors(120..150))?;
    house.until("the head", "/integrity", |answer| has_all(answer, "other house"))?;
    house.node.stop()?;
    let (held, key) = (house.keep("held.note", &["log", "checkpoint"])?, house.path("key.pub"));
    fs::write(&key, keys)?;
    ensure!(verify(&house, &held, &key)? == (Some(0), Vec::new()));
    fs::remove_dir_all(&data)?;
    fs::rename(&old, &data)?;

    // By itself nothing is wrong with it.
    house.node.run(&["log", "verify"])?.done()?;
    let (code, kinds) = verify(&house, &held, &key)?;
    ensure!(code == Some(1) && kinds == ["truncated", "truncated"], "{kinds:?}");
    let bundle = house.path("bundle.jsonl");
    let words = ["log", "export-incident", &incident, "--checkpoint", text(&held)];
    house.node.run(&[&words[..], &["--out", text(&bundle)]].concat())?.done()?;
    let asked = ["verify-evidence", "--json", text(&bundle), "--key", text(&key)];
    run(asked)?.done()?;
    let ran = run(asked.into_iter().chain(["--checkpoint", text(&held)]))?;
    let verdict = ran.last_json()?;
    ensure!(ran.code() == Some(1) && verdict["findings"][0]["kind"] == "unlinked", "{verdict}");
    let said = verdict["findings"].to_string();
    ensure!(said.contains("newer than the bundle"), "{said}");
    house.node.restart()?;
    let reason = refused(&witness)?;
    ensure!(reason.contains("the log was cut back"), "{reason}");
    let told = |answer: &Value| state(answer, "other house")["failures"].as_u64() > Some(0);
    let answer = house.until("the refusal", "/integrity", told)?;
    let error = state(&answer, "other house")["error"].to_string();
    ensure!(error.contains("contradicts what was witnessed"), "{error}");
    ensure!(witnessed(&witness)?["size"] == 150, "the witness keeps the higher head");
    let open = witness.api.get("/integrity")?["refused"][0].clone();
    let body = json!({"origin": open["origin"], "size": open["size"], "reason": " "});
    let mute = witness.api.ask("POST", "/integrity/refused/accept", Some(&body))?;
    ensure!(mute.0 == 400 && mute.1.to_string().contains("say why"), "{mute:?}");
    vouch_for(&witness, &house)?;
    house.api.ship("doors", &doors(150..155))?;
    house.until("the newer head", "/integrity", |answer| has_all(answer, "other house"))?;
    ensure!(witnessed(&witness)?["size"] == 125, "it goes on from the head that was accepted");
    Ok(())
}

/// The log was restored to an earlier point on purpose: somebody at the witness says so, of each of its logs.
fn vouch_for(witness: &Server, house: &Server) -> Result<()> {
    wait::until("every head to be accepted", LIMIT, || {
        let answer = witness.api.get("/integrity")?;
        let open = answer["refused"].as_array().context("none refused")?.iter();
        for head in open.filter(|head| head["accepted"].is_null()) {
            let reason = "restored on purpose";
            let body = json!({"origin": head["origin"], "size": head["size"], "reason": reason});
            let answer = witness.api.post("/integrity/refused/accept", &body)?;
            let same =
                |one: &&Value| one["origin"] == head["origin"] && one["size"] == head["size"];
            let told = answer["refused"].as_array().into_iter().flatten().find(same);
            ensure!(told.is_some_and(|one| one["accepted"]["reason"] == reason), "{answer}");
        }
        let state = house.api.get("/integrity")?;
        Ok(has_all(&state, "other house").then_some(()))
    })
}

/// Whoever has the folder, keys and all, writes the log anew. The other Custos refuses it, and shows it.
#[test]
fn a_log_that_was_written_anew_is_refused_by_the_other_custos_and_shown_there() -> Result<()> {
    let (folder, keys, mut witness) = house_and_witness()?;
    let mut house = Server::start_in(folder, &other_house(&witness))?;
    house.until("the head", "/integrity", |answer| has_all(answer, "other house"))?;
    house.node.stop()?;
    let (held, key) = (house.keep("held.note", &["log", "checkpoint"])?, house.path("key.pub"));
    fs::write(&key, keys)?;
    let data = house.node.data().to_path_buf();
    for gone in ["telemetry", "journal", "checkpoints", "catalog", "index"] {
        fs::remove_dir_all(data.join(gone))?;
    }
    let file = house.path("doors.jsonl");
    fs::write(&file, doors(0..120).replace("\"r7\"", "\"r8\""))?;
    run(["ingest", "--source", "door", text(&file), "--data", text(&data)])?.done()?;
    house.node.run(&["log", "verify"])?.done()?;
    let (code, kinds) = verify(&house, &held, &key)?;
    ensure!(code == Some(1) && kinds.contains(&json!("mismatch")), "{kinds:?}");
    house.node.restart()?;
    let reason = refused(&witness)?;
    ensure!(reason.contains("not those of before") || reason.contains("cut back"), "{reason}");
    let shown = witness.api.get("/integrity")?["refused"].clone();
    witness.node.stop()?;
    witness.node.restart()?;
    ensure!(witness.api.get("/integrity")?["refused"] == shown, "it is a fact");
    // A stranger's signature is none.
    let note = "a/b\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} a/b AAAA\n";
    let body = json!({"note": note, "old": 0, "path": []});
    ensure!(witness.api.ask("POST", "/witness/checkpoints", Some(&body))?.0 == 403);
    Ok(())
}
