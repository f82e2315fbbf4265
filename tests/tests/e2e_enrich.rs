//! What is looked up of addresses, on the real binary with real databases: places, networks and zones are kept with the
//! event, can be searched, and show that nobody is in two places at once; also after a kill.

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
