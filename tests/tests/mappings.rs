//! A user's own formats: ours stand their cases, and one made here is read from a file, over HTTP, and told.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    custos::{Node, Ran, run},
    process::free_port,
    root, wait,
};
use std::{fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);

/// `custos` with these words, paths among them.
fn custos(words: &[&dyn AsRef<Path>]) -> Result<Ran> {
    run(words.iter().map(|word| word.as_ref().as_os_str().to_owned()))
}

#[test]
fn each_of_ours_has_cases_and_stands_them() -> Result<()> {
    let told = custos(&[&"mapping", &"test", &"--json", &root().join("rules/mappings")])?;
    let sums = told.done()?.last_json()?;
    ensure!(sums["mappings"].as_u64() >= Some(4), "{sums}");
    ensure!(sums["passed"] == sums["mappings"] && sums["without_cases"] == 0, "{sums}");
    ensure!(sums["cases"].as_u64() >= Some(20), "{sums}");
    Ok(())
}

const MAPPING: &str = r"name: gate
title: A parking gate
match: {pattern: '^GATE '}
pattern: '^GATE (?<time>\S+) (?<verdict>PASS|DENY) plate=(?<plate>\S+) from (?<panel>\S+)'
time: {field: time, format: epoch}
fields:
  source.ip: panel
  event.outcome: {from: verdict, values: {PASS: success, DENY: failure}}
constants: {event.category: physical_access}
";

/// On the mapping's own dataset and value.
const RULE: &str = r"title: Refused at the gate
id: 5b0ff57a-8a0a-4f2e-9d0c-0a4f35b6a001
logsource: {product: gate}
detection:
    refused: {plate: B-XY-77, event.outcome: failure}
    condition: refused
level: high
";

const LINES: &str = "GATE 1794301200 DENY plate=B-XY-77 from 10.9.0.4\nGATE 1794301201 PASS plate=B-XY-78 from 10.9.0.4\n";

#[test]
fn a_file_in_a_folder_is_all_that_a_new_format_needs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mappings, lines) = (folder.path().join("mappings"), folder.path().join("gate.log"));
    fs::create_dir(&mappings)?;
    fs::write(mappings.join("gate.yml"), MAPPING)?;
    fs::write(&lines, LINES)?;

    let line = LINES.lines().next().context("no line")?;
    let explain = [&"ingest" as &dyn AsRef<Path>, &"--json", &"--explain", &line];
    let told =
        custos(&[&explain[..], &[&"--mappings", &mappings]].concat())?.done()?.last_json()?;
    ensure!(told["type"] == "gate" && told["dataset"] == "gate.log", "{told}");
    ensure!(told["time"] == "2026-11-10T09:00:00Z", "{told}");
    ensure!(told["fields"]["event.outcome"] == "failure", "{told}");
    ensure!(told["from"]["source.ip"] == "gate.panel", "{told}");
    ensure!(told["left_over"]["gate.plate"] == "B-XY-77", "{told}");
    // Without the folder it is no line at all.
    ensure!(custos(&explain)?.code() == Some(1));

    let data = folder.path().join("file-data");
    let ingest = [&"ingest" as &dyn AsRef<Path>, &"--json", &"--data", &data, &lines];
    let named: [&dyn AsRef<Path>; 4] = [&"--mappings", &mappings, &"--source", &"gate"];
    let told = custos(&[&ingest[..], &named].concat())?.done()?.last_json()?;
    ensure!(told["stored"] == 2 && told["rejected"] == 0, "{told}");
    let query = "gate.plate:B-XY-77 and event.outcome:failure and source.ip:10.9.0.4";
    let found = custos(&[&"search", &"--json", &"--data", &data, &query])?.done()?.json()?;
    ensure!(found.len() == 1 && found[0]["fields"]["event.module"] == "gate", "{found:?}");
    Ok(())
}

#[test]
fn a_server_reads_lines_by_the_mappings_of_its_configuration() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("own"))?;
    fs::write(folder.path().join("own/gate.yml"), MAPPING)?;
    let http = free_port()?;
    fs::create_dir(folder.path().join("rules"))?;
    fs::write(folder.path().join("rules/gate.yml"), RULE)?;
    let config = "[mappings]\nfolders = [\"own\"]\n[rules]\nfolders = [\"rules\"]\n";
    let mut node = Node::start(folder.path(), http, config)?;
    let api = Api::new(&node, http)?;
    api.ship("parking", LINES)?;
    let found = api.found("event.dataset:gate.log and source.ip:10.9.0.4", 2)?;
    ensure!(found.len() == 2);
    let alerts = wait::until("an alert", LIMIT, || {
        let page = api.get("/alerts?status=all")?;
        Ok((page["total"] == 1).then(|| page.to_string()))
    })?;
    ensure!(alerts.contains("Refused at the gate") && alerts.contains("B-XY-77"), "{alerts}");
    node.stop()
}

#[test]
fn one_that_does_not_hold_stops_the_start_and_says_where_and_what() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wrong = MAPPING.replace("source.ip: panel", "source.ipp: panel");
    fs::write(folder.path().join("gate.yml"), wrong)?;
    let config = folder.path().join("custos.toml");
    fs::write(&config, "[mappings]\nfolders = [\".\"]\n[http]\nlisten = \"127.0.0.1:1\"\n")?;
    for ran in
        [custos(&[&"check-config", &config])?, custos(&[&"mapping", &"test", &folder.path()])?]
    {
        let told = &ran.stderr;
        ensure!(ran.code() == Some(2), "{told}");
        for part in ["gate.yml, line 7, column 3", "'source.ipp'", "did you mean 'source.ip'?"] {
            ensure!(told.contains(part), "{part} is not in: {told}");
        }
    }
    let config_of = |source: &str| {
        format!(
            "[mappings]\nfolders = [\".\"]\n[[intake]]\nname = \"fw\"\nprotocol = \"syslog\"\nlisten = \"127.0.0.1:1\"\ntype = \"{source}\"\n"
        )
    };
    fs::write(folder.path().join("gate.yml"), MAPPING)?;
    for (source, code) in [("gate", 0), ("gatte", 2)] {
        fs::write(&config, config_of(source))?;
        let ran = custos(&[&"check-config", &config])?;
        ensure!(ran.code() == Some(code), "{source}: {ran:?}");
    }
    Ok(())
}
