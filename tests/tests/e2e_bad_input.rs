//! Bad input is told by its name, its place and its mend, with the exit code of the contract; the rest goes
//! on.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    custos::{Node, Ran, run},
    process::free_port,
};
use flate2::{Compression, write::GzEncoder};
use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const GOOD: &str = r#"{"timestamp":"2026-11-24T08:00:00.000000+0000","event_type":"flow","src_ip":"192.0.2.7","dest_ip":"198.51.100.1","proto":"TCP","host":"sensor"}"#;
const MALFORMED: &str = r#"{"timestamp":"2026-11-24T08:00:01.000000+0000","event_type":"fl"#;

/// A folder for one test, and what lies in it.
struct Place(TempDir);

impl Place {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let file = self.0.path().join(name);
        fs::write(&file, bytes)?;
        Ok(file)
    }

    fn ingest(&self, file: &Path) -> Result<Ran> {
        let data = self.data();
        run([Path::new("ingest"), Path::new("--json"), Path::new("--data"), &data, file])
    }

    fn count(&self, query: &str) -> Result<Option<u64>> {
        let data = self.data().to_string_lossy().into_owned();
        let found = run(["search", "--json", "--count", query, "--data", &data])?.done()?;
        Ok(found.last_json()?["count"].as_u64())
    }
}

/// Fails unless the run ended with `code` and its standard error holds every part.
fn refused(ran: &Ran, code: i32, parts: &[&str]) -> Result<()> {
    ensure!(ran.code() == Some(code), "{}, not {code}: {}", ran.status, ran.stderr);
    for part in parts {
        ensure!(ran.stderr.contains(part), "'{part}' is not in: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_malformed_line_is_kept_with_its_reason_and_the_others_are_stored() -> Result<()> {
    let place = Place::new()?;
    let lines = [GOOD, MALFORMED, "", GOOD].join("\n");
    let file = place.write("eve.jsonl", lines.as_bytes())?;
    let data = place.data();
    let told = run([
        Path::new("ingest"),
        Path::new("--source"),
        Path::new("suricata"),
        Path::new("--json"),
        Path::new("--data"),
        &data,
        &file,
    ])?
    .done()?
    .last_json()?;
    ensure!(told["received"] == 3 && told["stored"] == 2 && told["rejected"] == 1, "{told}");
    ensure!(place.count("source.ip:192.0.2.7")? == Some(2));
    Ok(())
}

#[test]
fn a_truncated_gzip_gives_its_intact_lines_and_exit_code_3() -> Result<()> {
    let place = Place::new()?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 0..20_000 {
        writeln!(gzip, "{}", GOOD.replace("sensor", &format!("sensor-{number}")))?;
    }
    let whole = gzip.finish()?;
    let file = place.write("eve.jsonl.gz", &whole[..whole.len() / 2])?;
    let ran = place.ingest(&file)?;
    refused(&ran, 3, &["eve.jsonl.gz"])?;
    let stored = ran.last_json()?["stored"].as_u64().context("no figures")?;
    ensure!((1..20_000).contains(&stored), "{stored} stored");
    ensure!(place.count("source.ip:192.0.2.7")? == Some(stored));
    Ok(())
}

#[test]
fn a_file_that_is_not_there_is_named_with_exit_code_3() -> Result<()> {
    let place = Place::new()?;
    refused(&place.ingest(Path::new("/nowhere/at-all.log"))?, 3, &["/nowhere/at-all.log"])
}

const RULE: &str = "title: Shell by a typo
id: 5ec0b6f3-9d3a-4a59-8a4c-1f0d5b8e7a11
status: experimental
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        Image|startwith: 'C:\\Temp'
    condition: selection
level: low
";

#[test]
fn an_unknown_modifier_is_named_with_its_line_and_the_nearest_known_one() -> Result<()> {
    let place = Place::new()?;
    let rule = place.write("typo.yml", RULE.as_bytes())?;
    place.write("right.yml", RULE.replace("startwith", "startswith").as_bytes())?;
    let ran = run([Path::new("rules"), Path::new("check"), &rule])?;
    refused(&ran, 1, &["typo.yml", "line 9", "startwith", "did you mean 'startswith'"])?;
    let folder = place.0.path().to_string_lossy();
    let told = run(["rules", "check", "--json", &folder])?;
    let lines = told.json()?;
    let error = lines.iter().find(|line| line["ok"] == false).context("no verdict")?;
    ensure!(error["errors"][0]["line"] == 9, "{error}");
    let last = lines.last().context("no totals")?;
    ensure!(last["files"] == 2 && last["accepted"] == 1 && last["rejected"] == 1, "{last}");
    Ok(())
}

#[test]
fn an_invalid_rule_does_not_keep_the_others_from_running() -> Result<()> {
    let place = Place::new()?;
    place.write("typo.yml", RULE.as_bytes())?;
    place.write("right.yml", RULE.replace("startwith", "startswith").as_bytes())?;
    let event = r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon"}},"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","TimeCreated":{"#attributes":{"SystemTime":"2026-11-24T08:00:00Z"}},"Computer":"a"},"EventData":{"Image":"C:\\Temp\\a.exe"}}}"##;
    let file = place.write("events.jsonl", event.as_bytes())?;
    let folder = place.0.path();
    let words = ["rules", "run", "--rules"].map(Path::new);
    let ran =
        run(words.into_iter().chain([folder, Path::new("--source"), Path::new("auto"), &file]))?;
    refused(&ran, 0, &["typo.yml", "line 9"])?;
    ensure!(ran.json()?.len() == 1, "{ran:?}");
    let strict = run(words.into_iter().chain([folder, Path::new("--strict"), &file]))?;
    refused(&strict, 1, &["typo.yml"])
}

#[test]
fn an_unknown_key_of_the_configuration_is_named_with_its_line() -> Result<()> {
    let place = Place::new()?;
    let config = place.write("custos.toml", b"[http]\nlisten = \"127.0.0.1:0\"\nport = 8080\n")?;
    for words in [vec!["check-config"], vec!["serve", "--config"]] {
        let ran = run(words.iter().map(Path::new).chain([config.as_path()]))?;
        refused(&ran, 2, &["custos.toml", "line 3", "port", "listen"])?;
    }
    Ok(())
}

#[test]
fn a_busy_port_is_named_with_the_key_to_change() -> Result<()> {
    for section in ["http", "listener"] {
        let place = Place::new()?;
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let address = taken.local_addr()?.to_string();
        let text = format!(
            "data = \"{}\"\n[{section}]\nlisten = \"{address}\"\n{}",
            place.data().display(),
            if section == "listener" { "auto_create = true\n" } else { "" },
        );
        let config = place.write("custos.toml", text.as_bytes())?;
        let ran = run([Path::new("serve"), Path::new("--config"), &config])?;
        refused(&ran, 2, &[&address, section, "listen", "another"])?;
    }
    Ok(())
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_with_exit_code_4() -> Result<()> {
    let place = Place::new()?;
    let mut node = Node::start(place.0.path(), free_port()?, "")?;
    let file = place.write("eve.jsonl", GOOD.as_bytes())?;
    let ran = place.ingest(&file)?;
    let holder = node.process_id()?.to_string();
    refused(&ran, 4, &[&place.data().to_string_lossy(), &holder, "stop that process"])?;
    node.stop()?;
    place.ingest(&file)?.done()?;
    Ok(())
}

#[test]
fn a_data_folder_of_a_newer_version_is_refused_with_both_versions_and_left_alone() -> Result<()> {
    let place = Place::new()?;
    let file = place.write("eve.jsonl", GOOD.as_bytes())?;
    place.ingest(&file)?.done()?;
    let format = place.data().join("FORMAT");
    fs::write(&format, "custos-store 99\n")?;
    let path = format.to_string_lossy();
    refused(&place.ingest(&file)?, 4, &[&path, "version 99", "reads up to 1", "use the version"])?;
    ensure!(fs::read_to_string(&format)? == "custos-store 99\n", "the version was overwritten");
    Ok(())
}

#[test]
fn a_missing_data_folder_is_named_with_the_option() -> Result<()> {
    let ran = run(["search", "anything", "--data", "/nowhere/at-all"])?;
    refused(&ran, 2, &["/nowhere/at-all", "--data"])
}

#[test]
fn a_query_that_cannot_be_read_is_refused_with_its_column() -> Result<()> {
    let place = Place::new()?;
    place.ingest(&place.write("eve.jsonl", GOOD.as_bytes())?)?.done()?;
    let data = place.data().to_string_lossy().into_owned();
    let ran = run(["search", "source.ip:1.2.3.4 and (", "--data", &data])?;
    refused(&ran, 2, &["column 24"])
}
