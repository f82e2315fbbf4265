//! What is looked up of addresses, machines and people, on the real binary with real databases: it is kept with the event, can
//! be searched, and shows that nobody is in two places at once; also after a kill.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    api::Api,
    clients::python,
    custos::{Node, run},
    process::free_port,
    root, wait,
};
use std::{fs, path::Path, process::Command, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);

const RULE: &str = "title: One person in two places\nid: 3d1b9d0e-4c3f-4f57-9a4e-5a2d0a6b7c01\n\
    logsource: {product: custos, category: crm}\n\
    detection: {in: {custos.crm.action: login, event.outcome: success}, condition: in}\n\
    level: high\ncustos: {velocity: {by: user.name}}\n";

fn sign_in(time: &str, user: &str, ip: &str) -> String {
    format!(
        r#"{{"time":"2026-11-24T{time}Z","system":"crm","user":"{user}","ip":"{ip}","action":"login","module":"Auth","records":0,"result":"ok"}}"#
    ) + "\n"
}

/// Two databases, and the configuration that names them beside zones.
fn configure(folder: &Path) -> Result<String> {
    let made = Command::new(python())
        .arg(root().join("tests/py/make_places.py"))
        .args([folder.join("city.mmdb"), folder.join("asn.mmdb")])
        .status()?;
    ensure!(made.success(), "no databases: {made}");
    let rules = folder.join("rules");
    fs::create_dir(&rules)?;
    fs::write(rules.join("two-places.yml"), RULE)?;
    Ok(format!(
        "[rules]\nfolders = [\"{}\"]\n[enrich]\nplaces = [\"city.mmdb\", \"asn.mmdb\"]\n\
         [[enrich.zone]]\nname = \"offices\"\nnetworks = [\"10.0.0.0/8\"]\n",
        rules.display()
    ))
}

fn alerts(api: &Api, total: u64) -> Result<()> {
    wait::until(&format!("{total} alerts"), LIMIT, || {
        let found = api.get("/alerts?status=all")?["total"].as_u64().context("no total")?;
        ensure!(found <= total, "{found} alerts, not {total}");
        Ok((found == total).then_some(()))
    })
}

#[test]
fn places_and_zones_are_kept_and_nobody_is_in_two_places() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = configure(folder.path())?;
    let http = free_port()?;
    let mut node = Node::start(folder.path(), http, &config)?;
    let api = Api::new(&node, http)?;
    let lines = [
        sign_in("08:00:00", "mia", "203.0.113.9"),
        sign_in("08:05:00", "li", "198.51.100.7"),
        sign_in("08:06:00", "zoe", "10.1.2.3"),
    ];
    api.ship("crm", &lines.concat())?;
    let berlin = api.found("source.geo.country_iso_code:DE", 1)?;
    let event = &berlin[0].to_string();
    for part in ["Berlin", "52.52", "64500", "Example Net"] {
        ensure!(event.contains(part), "no {part} in {event}");
    }
    api.found("custos.source.zone:offices", 1)?;
    api.found("source.as.number:64500", 1)?;
    node.kill()?;
    node.restart()?;
    let api = Api::new(&node, http)?;
    api.ship("crm", &sign_in("08:10:00", "mia", "198.51.100.9"))?;
    alerts(&api, 1)?;
    let alert = api.get("/alerts?status=all")?.to_string();
    ensure!(alert.contains("One person in two places"), "{alert}");
    api.ship("crm", &sign_in("08:11:00", "li", "198.51.100.8"))?;
    api.found("source.geo.country_iso_code:US", 3)?;
    alerts(&api, 1)?;
    node.stop()?;
    let data = node.data().display().to_string();
    let replayed = run(["rebuild", "--data", &data, "--replay"])?.done()?;
    ensure!(replayed.code() == Some(0), "a replay raises something else");
    Ok(())
}

const CRITICAL: &str = "title: Somebody reaches for a machine we could not lose\n\
    id: 3d1b9d0e-4c3f-4f57-9a4e-5a2d0a6b7c02\n\
    logsource: {product: custos, category: crm}\n\
    detection: {critical: {custos.source.asset.criticality|gte: 4}, condition: critical}\nlevel: high\n";

/// Registers of machines and people: a rule asks for what they say, a search finds it, and a new file is read without a
/// restart. What events got before stays as it was.
#[test]
fn registers_are_kept_with_events_and_read_anew_when_they_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    fs::create_dir(&rules)?;
    fs::write(rules.join("critical.yml"), CRITICAL)?;
    let assets = folder.path().join("assets.csv");
    fs::write(
        &assets,
        "ip,hostname,owner,criticality\n10.1.1.1,core,treasury,5\n10.0.0.0/8,,net,1\n",
    )?;
    let people = "user,full_name,department\nmia,Mia Berg,Sales\nli,李雷,财务部\n";
    fs::write(folder.path().join("people.csv"), people)?;
    let config = format!(
        "[rules]\nfolders = [\"{}\"]\n[enrich]\nassets = [\"assets.csv\"]\nidentities = [\"people.csv\"]\n",
        rules.display()
    );
    let http = free_port()?;
    let mut node = Node::start(folder.path(), http, &config)?;
    let api = Api::new(&node, http)?;
    let lines = [
        sign_in("08:00:00", "mia", "10.1.1.1"),
        sign_in("08:01:00", "CORP\\\\li", "10.7.7.7"),
        sign_in("08:02:00", "zoe", "192.0.2.9"),
    ];
    api.ship("crm", &lines.concat())?;
    api.found("custos.source.asset.owner:*", 2)?;
    api.found("custos.source.asset.owner:treasury custos.user.department:Sales", 1)?;
    let li = api.found("custos.user.department:财务部", 1)?[0].to_string();
    ensure!(li.contains("李雷") && li.contains("\"net\""), "{li}");
    alerts(&api, 1)?;
    // Another owner from now on; a broken file in between changes nothing.
    fs::write(&assets, "ip,owner\n10.1.1.1,a\n10.1.1.1,b\n")?;
    wait::until("the broken register is told", LIMIT, || {
        let told = node.metric("custos_enrich_outdated")?;
        Ok((told > 0.5).then_some(()))
    })?;
    api.ship("crm", &sign_in("08:03:00", "mia", "10.1.1.1"))?;
    api.found("custos.source.asset.owner:treasury", 2)?;
    fs::write(&assets, "ip,owner,criticality\n10.1.1.1,board,2\n")?;
    wait::until("the new register is read", LIMIT, || {
        let told = node.metric("custos_enrich_outdated")?;
        Ok((told < 0.5).then_some(()))
    })?;
    api.ship("crm", &sign_in("08:04:00", "mia", "10.1.1.1"))?;
    api.found("custos.source.asset.owner:board", 1)?;
    api.found("custos.source.asset.owner:treasury", 2)?;
    alerts(&api, 2)?;
    node.stop()?;
    let data = node.data().display().to_string();
    let replayed = run(["rebuild", "--data", &data, "--replay"])?.done()?;
    ensure!(replayed.code() == Some(0), "a replay raises something else");
    Ok(())
}

#[test]
fn a_database_that_is_none_keeps_custos_from_starting_and_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(
        folder.path().join("c.toml"),
        "[http]\nlisten = \"127.0.0.1:0\"\n[enrich]\nplaces = [\"x.mmdb\"]\n",
    )?;
    fs::write(folder.path().join("x.mmdb"), "no database")?;
    let config = folder.path().join("c.toml").display().to_string();
    let data = folder.path().join("data").display().to_string();
    let ran = run(["serve", "--config", &config, "--data", &data])?;
    let said = format!("{ran:?}");
    ensure!(ran.code() == Some(2) && said.contains("x.mmdb"), "{said}");
    Ok(())
}
