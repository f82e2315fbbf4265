//! `custos demo`: with a seed that nobody has seen, all six attacks are found, nothing is lost, and the
//! stand-ins do each thing once.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    custos::{binary, run},
    demo::{Demo, stand_in_log},
    http,
    process::free_port,
    wait,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// A minute of the demo is six seconds here; the rest is for a busy machine.
const SPEED: &str = "10";
const LIMIT: Duration = Duration::from_mins(3);

/// A seed of this run: `$CUSTOS_TEST_SEED`, to repeat one, else the number of this process.
fn unseen_seed() -> String {
    std::env::var("CUSTOS_TEST_SEED").unwrap_or_else(|_| std::process::id().to_string())
}

#[test]
fn an_unseen_day_is_stored_whole_and_all_six_attacks_are_found() -> Result<()> {
    let (folder, seed) = (tempfile::tempdir()?, unseen_seed());
    println!("CUSTOS_TEST_SEED={seed}");
    let demo = Demo::start(folder.path(), &["--seed", &seed, "--speed", SPEED])?;
    let (sent, acknowledged) = demo.wait_for_the_day(LIMIT)?;
    demo.wait_for_all_attacks(LIMIT).with_context(|| format!("CUSTOS_TEST_SEED={seed}"))?;
    let day = run(["bench", "day", "--json", "--seed", &seed])?.done()?.json()?;
    ensure!(sent == acknowledged && sent == u64::try_from(day.len())?, "{sent} of {}", day.len());
    // Ordinary traffic goes on while we count.
    wait::until("received = stored + rejected", LIMIT, || {
        let (received, stored, rejected) = demo.intake()?;
        ensure!(rejected == 0, "{rejected} were rejected");
        Ok((received >= sent && received == stored + rejected).then_some(()))
    })?;
    demo.stop()?;
    every_payment_is_there_once(folder.path(), &day)?;
    the_kept_folder_goes_on_without_the_day(folder.path(), &seed)
}

/// The log holds each payment of the day exactly once, and the whole log verifies.
fn every_payment_is_there_once(folder: &Path, day: &[Value]) -> Result<()> {
    let data = folder.join("data").to_string_lossy().into_owned();
    let verified = run(["log", "verify", "--json", "--data", &data])?.done()?.json()?;
    ensure!(verified.iter().all(|log| log["ok"] == true), "{verified:?}");
    let query = "event.dataset:custos.payment";
    let found =
        run(["search", "--json", "--limit", "0", "--data", &data, query])?.done()?.json()?;
    let mut stored = BTreeMap::new();
    for event in &found {
        *stored.entry(payment_id(&event["raw"])?).or_insert(0) += 1;
    }
    for event in day.iter().filter(|event| event["topic"] == "payments") {
        let id = &payment_id(&event["line"])?;
        ensure!(stored.get(id) == Some(&1), "{id} is stored {:?} times", stored.get(id));
    }
    Ok(())
}

fn payment_id(line: &Value) -> Result<String> {
    let payment: Value = serde_json::from_str(line.as_str().context("an event without a line")?)?;
    Ok(payment["id"].as_str().context("a payment without an id")?.to_owned())
}

fn the_kept_folder_goes_on_without_the_day(folder: &Path, seed: &str) -> Result<()> {
    let again = Demo::start(folder, &["--seed", seed, "--speed", SPEED])?;
    ensure!(again.running().shown().contains("has had its day"), "{}", again.running().shown());
    wait::until("ordinary traffic", LIMIT, || Ok((again.intake()?.1 > 0).then_some(())))?;
    again.wait_for_all_attacks(LIMIT)?;
    again.stop().map(drop)
}

#[test]
fn a_stand_in_asks_for_its_token_and_does_each_thing_once_even_over_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = Demo::start(folder.path(), &["--speed", "100"])?;
    let firewall = address(&demo, "firewall")?;
    let token = fs::read_to_string(folder.path().join("stand-ins/token"))?;
    let put = |key: &str, token: &str| call(&firewall, "PUT", "/blocks/203.0.113.9", key, token);
    ensure!(put("k1", "wrong")?.starts_with("HTTP/1.0 401"));
    ensure!(put("k1", &token)?.starts_with("HTTP/1.0 201"));
    ensure!(
        call(&firewall, "DELETE", "/blocks/203.0.113.9", "k2", &token)?.starts_with("HTTP/1.0 200")
    );
    demo.stop()?;

    let demo = Demo::start(folder.path(), &["--speed", "100"])?;
    let firewall = address(&demo, "firewall")?;
    let again = call(&firewall, "PUT", "/blocks/203.0.113.9", "k1", &token)?;
    ensure!(again.starts_with("HTTP/1.0 201") && again.contains("idempotent-replayed"), "{again}");
    let there = call(&firewall, "GET", "/blocks/203.0.113.9", "", &token)?;
    ensure!(there.starts_with("HTTP/1.0 404"), "a repeated key did it again: {there}");
    let odd = call(&firewall, "PUT", "/blocks/not-an-address", "k3", &token)?;
    ensure!(odd.starts_with("HTTP/1.0 400"), "{odd}");
    demo.stop()?;
    let log = stand_in_log(folder.path(), "firewall")?;
    let done = log.iter().filter(|entry| entry["method"] == "PUT" && entry["repeated"] == false);
    ensure!(done.count() == 1, "{log:?}");
    Ok(())
}

/// Where the demo says that a stand-in answers.
fn address(demo: &Demo, name: &str) -> Result<String> {
    let shown = demo.running().shown();
    let line = shown.lines().find(|line| line.trim_start().starts_with(name));
    let address = line.and_then(|line| line.split_once("http://")?.1.split_once('/'));
    Ok(address.with_context(|| shown.clone())?.0.to_owned())
}

fn call(address: &str, method: &str, path: &str, key: &str, token: &str) -> Result<String> {
    let (_, port) = address.rsplit_once(':').context("no port")?;
    let headers = [format!("Authorization: Bearer {token}"), format!("Idempotency-Key: {key}")];
    let mut reply = http::send(port.parse()?, method, path, &headers, b"")?;
    let body = reply.text()?;
    Ok(reply.head + &body)
}

#[test]
fn what_cannot_be_is_told_with_the_mend() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let ran = run(["demo", "--listen", &address])?;
    ensure!(ran.code() == Some(2) && ran.stderr.contains(&address), "{}", ran.stderr);
    let ran = run(["demo", "--listen", &format!("0.0.0.0:{}", free_port()?)])?;
    ensure!(ran.code() == Some(2) && ran.stderr.contains("without signing in"), "{}", ran.stderr);
    let ran = run(["demo", "--speed", "0"])?;
    ensure!(ran.code() == Some(2) && ran.stderr.contains("0.01 to 1000"), "{}", ran.stderr);
    let file = tempfile::NamedTempFile::new()?;
    let below = file.path().join("demo").to_string_lossy().into_owned();
    let ran = run(["demo", "--keep", &below])?;
    ensure!(ran.code() == Some(3) && ran.stderr.contains(&below), "{}", ran.stderr);
    Ok(())
}

#[test]
fn a_demo_that_is_not_kept_leaves_nothing_behind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(binary());
    command.args(["demo", "--listen", &format!("127.0.0.1:{}", free_port()?), "--speed", "100"]);
    command.env("TMPDIR", folder.path()).stdout(Stdio::null());
    let mut demo = custos_tests::process::Running::start("custos demo", &mut command)?;
    demo.wait_for_line(LIMIT, |line| line.starts_with("the day is in"))?;
    ensure!(fs::read_dir(folder.path())?.count() == 1, "where is the demo's folder?");
    ensure!(demo.terminate(Duration::from_secs(10))?.success(), "{}", demo.shown());
    ensure!(fs::read_dir(folder.path())?.count() == 0, "the demo left its folder behind");
    Ok(())
}
