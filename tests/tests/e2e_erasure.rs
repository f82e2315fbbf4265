//! The erasure of a person by two people on a real server; and a copy of the keyring from before it, which brings
//! the key back for no longer than to the next start, whatever the server is for.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    browser::Browser,
    custos::{binary, run},
    process::{Running, free_port},
    server::{LIMIT, Server, text},
};
use serde_json::{Value, json};
use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

const PASSWORD: &str = "correct horse lamp river";
const STOP: Duration = Duration::from_secs(10);

fn payment(person: &str) -> String {
    let customer =
        json!({"id": person, "name": "Anna Amsel", "email": format!("{person}@example.org")});
    json!({"id": "p1", "amount": 5, "customer": customer, "message": "m"}).to_string()
}

/// How many people have a key in the folder.
fn people(server: &Server) -> Result<u64> {
    let lines = server.node.run(&["key", "list", "--json"])?.done()?.json()?;
    let people = lines.iter().find(|line| line["kind"] == "subject");
    people.and_then(|line| line["count"].as_u64()).context("no count of people")
}

/// Erases a person: asked for by one, approved by another.
fn erase(server: &Server, lead: &Browser, person: &str) -> Result<()> {
    let body = json!({"subject": person, "reason": "asked for by letter"});
    let (status, case) = server.api.ask("POST", "/privacy/erasures", Some(&body))?;
    ensure!(status == 201 && case["stage"] == "requested", "{status} {case}");
    let subject = case["subject"].as_str().context("no subject")?;
    let path = format!("/privacy/erasures/{subject}/approve");
    ensure!(server.api.ask("POST", &path, None)?.0 == 409, "nobody approves their own");
    let case = lead.post(&path, &Value::Null)?.with(200)?.body;
    ensure!(case["stage"] == "erased", "{case}");
    Ok(())
}

#[test]
fn a_destroyed_key_that_comes_back_is_destroyed_again_without_an_api_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, data) = (folder.path().join("payments"), folder.path().join("data"));
    fs::write(&file, payment("c-1") + "\n" + &payment("c-2") + "\n")?;
    run(["ingest", "--source", "payment", text(&file), "--data", text(&data)])?.done()?;
    let mut server = Server::start_in(folder, "")?;
    let mut lead = Browser::at(server.api.port());
    lead.set_up(&server.node.setup_token()?, "lin", PASSWORD)?.with(200)?;
    server.node.stop()?;
    let before = people(&server)?;
    let (copy, under) = (server.path("copy"), server.path("copy.key"));
    let key_file = ["--key-file", text(&under)];
    let words = ["key", "backup", "--to", text(&copy), "--expires", "1"];
    server.node.run(&[&words[..], &key_file].concat())?.done()?;
    server.node.restart()?;
    lead.sign_in("lin", PASSWORD)?.with(200)?;
    erase(&server, &lead, "c-1")?;
    server.node.stop()?;
    let left = people(&server)?;
    ensure!(left + 1 == before, "{before} people had a key, {left} have one after an erasure");
    let root = server.node.run(&["log", "verify", "--json"])?.done()?.json()?;

    for name in ["keyring", "subjects"] {
        fs::remove_file(server.node.data().join("keys").join(name))?;
    }
    let words = ["key", "restore", "--from", text(&copy)];
    server.node.run(&[&words[..], &key_file].concat())?.done()?;
    ensure!(people(&server)? == before, "the copy has the key of who was erased");
    // A server that only takes records in, without an API.
    let config = server.path("intake.toml");
    let (data, port) = (server.node.data().display(), free_port()?);
    let intake = format!(
        "data = \"{data}\"\n[listener]\nlisten = \"127.0.0.1:{port}\"\nauto_create = true\n"
    );
    fs::write(&config, intake)?;
    let mut command = Command::new(binary());
    command.args(["serve", "--config", text(&config)]).stdout(Stdio::null());
    let mut running = Running::start("custos serve", &mut command)?;
    running.wait_for_line(LIMIT, |line| line.starts_with("ready"))?;
    ensure!(running.terminate(STOP)?.success(), "{}", running.shown());
    ensure!(people(&server)? == left, "the key is still there:\n{}", running.shown());
    // The proofs of before hold: a start adds facts, and nothing else.
    let after = server.node.run(&["log", "verify", "--json"])?.done()?.json()?;
    ensure!(after[0]["root"] == root[0]["root"], "{after:?} {root:?}");
    Ok(())
}

#[test]
fn a_copy_of_the_keys_is_for_thirty_days_at_most() -> Result<()> {
    let folder = tempfile::tempdir()?;
    custos_tests::server::ingest(folder.path(), 0..1)?;
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let words = ["key", "backup", "--data", text(&data), "--to", text(&copy), "--expires"];
    for days in ["0", "31"] {
        let ran = run(words.into_iter().chain([days]))?;
        ensure!(ran.code() == Some(2) && ran.stderr.contains("1 to 30 days"), "{ran:?}");
    }
    let to = folder.path().join("to");
    run(["backup", "create", "--to", text(&to), "--data", text(&data)])?.done()?;
    let ran = run(["backup", "prune", "--from", text(&to), "--keys-days", "31"])?;
    ensure!(ran.code() == Some(2) && ran.stderr.contains("1 to 30"), "{ran:?}");
    Ok(())
}
