//! Customer systems: asked by the real binary, which is killed on the way, while the system fails in every way it knows.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    clients::python,
    crm::{LIMIT, Peer, SECRET_PART, config, counted, same, stored, tells_no_secret},
    custos::Node,
    process::free_port,
    root, wait,
};
use serde_json::Value;
use std::{fs, process::Command};

/// A new token is asked for no sooner than six seconds after the last: what spoils tokens is for the long form.
const ZOHO_FAULTS: [&str; 10] = [
    "error200@token",
    "elsewhere@token",
    "401@export",
    "429@export",
    "endless@auditlog",
    "500@auditlog+1",
    "redirect@auditlog",
    "expire@auditlog",
    "redirect@auditlog+1",
    "503@export+1",
];

const FXIAOKE_FAULTS: [&str; 8] = [
    "503@query",
    "code14001@query",
    "change@getNewLog",
    "code30004@query",
    "429@getNewLog",
    "code20016@query",
    "expire@getNewLog",
    "code14001@token",
];

fn is_long() -> bool {
    std::env::var_os("CUSTOS_LONG").is_some()
}

/// What a source of the page of sources says; received = stored + rejected.
fn balance(api: &Api, source: &str) -> Result<(u64, u64)> {
    let answer = api.get("/sources")?;
    let one = answer["sources"].as_array().into_iter().flatten().find(|one| one["name"] == source);
    let number = |name: &str| one.and_then(|one| one[name].as_u64()).unwrap_or_default();
    ensure!(number("received") == number("stored") + number("rejected"), "{answer}");
    Ok((number("stored"), number("rejected")))
}

fn connector(api: &Api, source: &str) -> Result<Value> {
    let answer = api.get("/sources")?;
    let all = answer["connectors"].as_array().context("no connectors")?;
    all.iter().find(|one| one["source"] == source).cloned().with_context(|| answer.to_string())
}

#[test]
fn every_row_of_zohos_audit_log_is_stored_once_whatever_fails_and_however_often_we_are_killed()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let faults = if is_long() { &ZOHO_FAULTS[..] } else { &ZOHO_FAULTS[3..7] };
    let peer = Peer::start("zoho", faults)?;
    let expected = peer.expected()?;
    let total = expected.values().sum::<usize>() as u64;
    let http = free_port()?;
    let mut node = Node::start(folder.path(), http, &config("zoho", &peer, folder.path())?)?;
    let mid_progress = node.kill_on_the_way(total, if is_long() { 10 } else { 2 }, LIMIT)?;
    ensure!(mid_progress >= 1, "no kill came on the way");
    node.wait_for_stored(total, LIMIT)?;
    peer.wait_for_faults(faults.len())?;
    let api = Api::new(&node, http)?;
    wait::until("a round without trouble", LIMIT, || {
        let one = connector(&api, "crm:zoho")?;
        Ok((one["trouble"].is_null() && one["read_up_to"].is_string()).then_some(()))
    })?;
    ensure!(balance(&api, "crm:zoho")? == (total, 0), "{:?}", balance(&api, "crm:zoho")?);
    tells_no_secret(&node)?;
    node.stop()?;
    let rows = stored(&node, "crm:zoho")?;
    let name = |row: &Value| {
        let value = |names: &[&str]| {
            let found = names.iter().find_map(|name| row["row"][*name].as_str());
            found.unwrap_or_default().to_owned()
        };
        let record = row["record"].as_str().unwrap_or_default();
        let new = value(&["New Value", "NEW VALUE"]);
        format!("{record} {new} {}", value(&["Record Name", "RECORD NAME", "record name"]))
    };
    same(&expected, &counted(rows.iter().map(name)))?;
    let found = node.run(&[
        "search",
        "--json",
        "--count",
        "event.action:crm-updated and user.name:mia and custos.crm.module:Leads",
    ])?;
    let mias = rows.iter().filter(|row| row["user"] == "mia").count() as u64;
    ensure!(
        found.done()?.last_json()?["count"].as_u64() == Some(mias),
        "not read as who did what in which module"
    );
    let report = peer.ask("/stand-in/report")?;
    ensure!(
        report["overlaps"] == 0 && report["wrong"].as_array().is_some_and(Vec::is_empty),
        "{report}"
    );
    Ok(())
}

#[test]
fn every_change_at_fxiaoke_is_stored_once_whatever_fails_and_however_often_we_are_killed()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let faults = if is_long() { &FXIAOKE_FAULTS[..] } else { &FXIAOKE_FAULTS[..5] };
    let peer = Peer::start("fxiaoke", faults)?;
    let http = free_port()?;
    let mut node = Node::start(folder.path(), http, &config("fxiaoke", &peer, folder.path())?)?;
    let before = peer.expected()?.values().sum::<usize>() as u64;
    let mid_progress = node.kill_on_the_way(before, if is_long() { 10 } else { 2 }, LIMIT)?;
    ensure!(mid_progress >= 1, "no kill came on the way");
    peer.wait_for_faults(faults.len())?;
    // One record was changed while pages were read.
    let expected = peer.expected()?;
    let total = expected.values().sum::<usize>() as u64;
    ensure!(total == before + 1, "{total} after {before}");
    node.wait_for_stored(total, LIMIT)?;
    let api = Api::new(&node, http)?;
    ensure!(balance(&api, "crm:fxiaoke")? == (total, 0), "{:?}", balance(&api, "crm:fxiaoke")?);
    tells_no_secret(&node)?;
    node.stop()?;
    let rows = stored(&node, "crm:fxiaoke")?;
    same(
        &expected,
        &counted(rows.iter().filter_map(|row| Some(row["row"]["logID"].as_str()?.to_owned()))),
    )?;
    let report = peer.ask("/stand-in/report")?;
    ensure!(
        report["overlaps"] == 0 && report["wrong"].as_array().is_some_and(Vec::is_empty),
        "{report}"
    );
    Ok(())
}

#[test]
fn what_is_wrong_with_a_connector_stands_on_the_page_of_sources() -> Result<()> {
    for (system, fault, source, kind, part) in [
        ("fxiaoke", "code30002@query", "crm:fxiaoke", "quota", "errorCode 30002: 说明"),
        ("fxiaoke", "code30003@query", "crm:fxiaoke", "refused", "buy one, or raise it"),
        ("zoho", "error200@token", "crm:zoho", "refused", "refuses the token: invalid_code"),
        ("zoho", "elsewhere@token", "crm:zoho", "refused", "'http://169.254.169.254'"),
        ("zoho", "redirect@export", "crm:zoho", "odd", "redirects are not followed"),
    ] {
        let folder = tempfile::tempdir()?;
        // As often as it is asked: what is wrong stays so while it is looked at.
        let peer = Peer::start(system, &[fault; 60])?;
        let http = free_port()?;
        let mut node = Node::start(folder.path(), http, &config(system, &peer, folder.path())?)?;
        let api = Api::new(&node, http)?;
        let one = wait::until(fault, LIMIT, || {
            let one = connector(&api, source)?;
            Ok(one["trouble"].is_object().then_some(one))
        })?;
        let trouble = &one["trouble"];
        let text = trouble["text"].as_str().unwrap_or_default();
        ensure!(trouble["kind"] == kind && text.contains(part), "{one}");
        ensure!(trouble["until"].as_str() > trouble["since"].as_str(), "{one}");
        ensure!(
            node.metric(&format!(
                "custos_crm_failures_total{{source=\"{source}\",kind=\"{kind}\"}}"
            ))? >= 1.0,
            "not counted"
        );
        tells_no_secret(&node)?;
        node.stop()?;
    }
    Ok(())
}

/// What each case of `tests/py/crm_callback.py` is answered: status and a part of the text.
const CALLBACKS: [(&str, u64, &str); 6] = [
    ("fxiaoke", 200, "success"),
    ("fxiaoke, another token", 401, "not that of its content"),
    ("fxiaoke, another key", 400, "key_file"),
    ("fxiaoke, no such form", 401, "{nonce, timeStamp, content, sig} is expected"),
    ("zoho", 200, "{\"received\":1}"),
    ("zoho, another token", 401, "the token is not the one"),
];

#[test]
fn what_customer_systems_send_by_themselves_is_stored_when_it_is_proven_and_without_its_token()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let (token, key) = ("token-of-this-test", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ=");
    fs::write(folder.path().join("fx.token"), token)?;
    fs::write(folder.path().join("fx.key"), key)?;
    let (http, port) = (free_port()?, free_port()?);
    let config = format!(
        "[[intake]]\nname = \"hooks\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:{port}\"\n\
         [[intake.webhooks]]\nname = \"fx\"\nscheme = \"fxiaoke\"\nsecret_file = \"fx.token\"\nkey_file = \"fx.key\"\n\
         [[intake.webhooks]]\nname = \"zoho\"\nscheme = \"zoho\"\nsha256 = \"{}\"\n",
        // printf %s token-of-this-test | sha256sum
        "a7ecce1e4ad006c81d515f0568b58e3a9471b86d29c8895d9f4a27507c8f889d"
    );
    let mut node = Node::start(folder.path(), http, &config)?;
    let mut command = Command::new(python());
    let sent = command
        .arg(root().join("tests/py/crm_callback.py"))
        .args([&port.to_string(), token, key])
        .output()?;
    ensure!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let told: Vec<Value> =
        serde_json::Deserializer::from_slice(&sent.stdout).into_iter().collect::<Result<_, _>>()?;
    ensure!(told.len() == CALLBACKS.len(), "{told:?}");
    for (told, (case, status, part)) in told.iter().zip(CALLBACKS) {
        let answer = told["answer"].as_str().unwrap_or_default();
        ensure!(
            told["case"] == case && told["status"] == status && answer.contains(part),
            "{told}"
        );
    }
    tells_no_secret(&node)?;
    node.kill()?;
    node.restart()?;
    node.stop()?;
    let query = "(event.action:crm-object_invalid and custos.crm.module:ContactObj) or (event.action:crm-update and custos.crm.module:Leads)";
    let found = node.run(&["search", "--json", "--limit", "0", query])?.done()?.json()?;
    let sources: Vec<_> = found.iter().filter_map(|event| event["source"].as_str()).collect();
    ensure!(
        sources.len() == 2 && sources.contains(&"webhook:fx") && sources.contains(&"webhook:zoho"),
        "{found:?}"
    );
    for event in &found {
        ensure!(!event.to_string().contains(SECRET_PART), "the token is kept: {event}");
    }
    Ok(())
}
