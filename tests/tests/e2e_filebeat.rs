//! A real Filebeat, set up as docs/sources/ says, into each of the ports that it can write to; Custos is killed on the way.
//! `bash tests/full.sh filebeat` builds one; without it this is passed over.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    certificates::Authority,
    custos::Node,
    data::skipped,
    process::{Running, free_port},
    snippets::Places,
    wait,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(2);
const LINES: usize = 20_000;
/// Killed when so many are stored of those that are sent first.
const KILL_AT: u64 = 4_000;

fn filebeat() -> Option<PathBuf> {
    let found = std::env::var_os("CUSTOS_TEST_FILEBEAT").map(PathBuf::from);
    if found.is_none() {
        skipped("no Filebeat; `bash tests/full.sh filebeat` builds one");
    }
    found
}

/// Reads `log` from its beginning and writes it to where `output` says.
fn start(filebeat: &Path, folder: &Path, name: &str, output: &str) -> Result<Running> {
    let home = folder.join(name);
    fs::create_dir(&home)?;
    let log = folder.join("auth.log");
    let input = format!("filebeat.inputs:\n  - type: log\n    paths: [\"{}\"]\n", log.display());
    let config = home.join("filebeat.yml");
    fs::write(&config, input + output)?;
    let mut command = Command::new(filebeat);
    command.args(["-e", "--strict.perms=false", "-c"]).arg(&config);
    command.arg("--path.home").arg(&home).stdout(Stdio::null());
    Running::start("Filebeat", &mut command)
}

/// Of the line that an event has.
fn number(raw: &str) -> Option<usize> {
    raw.split_once("sshd[")?.1.split_once(']')?.0.parse().ok()
}

fn of<'a>(sources: &'a Value, name: &str) -> Option<&'a Value> {
    sources["sources"].as_array()?.iter().find(|row| row["name"] == name)
}

#[test]
fn filebeat_ships_by_every_way_that_it_has_and_a_kill_costs_no_line() -> Result<()> {
    let Some(filebeat) = filebeat() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    Authority::make(folder.path(), &["server", "client"])?;
    let token = "token-of-this-test";
    let (http, ports) = (free_port()?, [free_port()?, free_port()?, free_port()?, free_port()?]);
    let places = Places::default()
        .with("5044", ports[0])
        .with("5045", ports[1])
        .with("9200", ports[2])
        .with("9092", ports[3])
        .with("TOKEN", token)
        // printf %s token-of-this-test | sha256sum
        .with("SHA256-OF-TOKEN", "a7ecce1e4ad006c81d515f0568b58e3a9471b86d29c8895d9f4a27507c8f889d")
        .with("/etc/custos", folder.path().display());
    let mut config = places.snippet("beats.md", "Custos")?;
    config += &places.snippet("elasticsearch.md", "Custos")?;
    config += &places.snippet("kafka.md", "Custos")?;
    let mut lines = String::new();
    for nth in 0..LINES {
        writeln!(
            lines,
            "<38>Nov 24 03:14:15 gate sshd[{nth}]: Failed password for root from 192.0.2.7 port 4711 ssh2"
        )?;
    }
    fs::write(folder.path().join("auth.log"), lines)?;
    let mut node = Node::start(folder.path(), http, &config)?;
    let ways = [
        ("beats.md", "Filebeat, Winlogbeat, Auditbeat", "beats:hosts"),
        ("beats.md", "The same with TLS", "beats:windows"),
        ("elasticsearch.md", "Filebeat", "elasticsearch:web"),
        ("kafka.md", "Filebeat", "listener:auth"),
    ];
    let mut running = Vec::new();
    for (nth, (page, heading, _)) in ways.iter().enumerate() {
        let output = places.snippet(page, heading)?;
        running.push(start(&filebeat, folder.path(), &format!("beat-{nth}"), &output)?);
    }
    node.wait_for_stored(KILL_AT, LIMIT)?;
    node.kill()?;
    node.restart()?;
    let api = Api::new(&node, http)?;
    for ((_, heading, source), beat) in ways.iter().zip(&running) {
        wait::until(&format!("all lines of {source}"), LIMIT, || {
            let sources = api.get("/sources")?;
            let received = of(&sources, source).and_then(|row| row["received"].as_u64());
            Ok((received >= Some(LINES as u64)).then_some(()))
        })
        .with_context(|| format!("{heading}: {}", beat.shown()))?;
    }
    let sources = api.get("/sources")?;
    for beat in running {
        drop(beat);
    }
    node.stop()?;
    for (_, _, source) in ways {
        let row = of(&sources, source).context("no source")?;
        ensure!(row["rejected"] == 0, "{row}");
        let query = format!("custos.source:\"{source}\"");
        let mut seen = BTreeSet::new();
        let mut count = 0_usize;
        for event in node.run(&["search", "--json", "--limit", "0", &query])?.done()?.json()? {
            let number = event["raw"].as_str().and_then(number);
            seen.insert(number.with_context(|| format!("{source}: no line of ours: {event}"))?);
            count += 1;
        }
        println!("{source}: {} of {LINES} lines, {} twice", seen.len(), count - seen.len());
        ensure!(seen.len() == LINES, "{source}: {} of {LINES} lines", seen.len());
    }
    Ok(())
}
