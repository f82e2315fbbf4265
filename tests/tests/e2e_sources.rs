//! The examples of docs/sources/, told by `ingest --explain` and found by search; reports taken apart; sources that are made.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    custos::{Node, run, run_with},
    process::free_port,
    root, wait,
};
use serde_json::json;
use std::{fs, process::Command, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);

/// Pages with an example of one event, each named as its type of source.
const PAGES: [&str; 9] =
    ["journald", "keycloak", "falco", "trivy", "gophish", "door", "payment", "crm", "backup"];

/// The example of a page, on one line.
fn example(page: &str) -> Result<String> {
    let text = fs::read_to_string(root().join(format!("docs/sources/{page}.md")))?;
    let (_, below) = text.split_once("```json\n").with_context(|| format!("{page}: no example"))?;
    let (example, _) = below.split_once("\n```").context("the example has no end")?;
    Ok(example.lines().map(str::trim).collect())
}

#[test]
fn every_page_s_example_is_told_for_what_it_is_and_nothing_is_stored() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for page in PAGES {
        let line = example(page)?;
        let ran = run(["ingest", "--json", "--explain", &line])?.done()?;
        let told = ran.last_json()?;
        ensure!(told["type"] == page && told["rejection"].is_null(), "{page}: {told}");
        ensure!(told["flags"].as_array().is_some_and(|flags| !flags.contains(&"NO_TIME".into())));
        let fields = told["fields"].as_object().context("no fields")?;
        ensure!(fields.len() > 5, "{page}: {told}");
        // By a name that is not its own it is refused, where the format has marks of its own.
        if page != "journald" {
            let other = run(["ingest", "--source", "windows-evtx", "--explain", &line])?;
            ensure!(other.code() == Some(1), "{page}: {other:?}");
        }
    }
    let line = "<38>Nov 24 03:14:15 gate sshd[7]: Failed password for root from 192.0.2.7 port 4711 ssh2\nmore\n";
    let ran = run_with(["ingest", "--explain", "-"], line)?.done()?;
    let told = String::from_utf8(ran.stdout)?;
    for part in [
        "taken for  syslog (event.dataset linux.sshd)",
        "  source.ip: \"192.0.2.7\"",
        "TIME_COMPLETED",
    ] {
        ensure!(told.contains(part), "'{part}' is not in: {told}");
    }
    let ran = run(["ingest", "--explain", "no log line"])?;
    let told = String::from_utf8(ran.stdout.clone())?;
    ensure!(ran.code() == Some(1) && told.contains("rejected   neither a JSON object"), "{told}");
    let both = run(["ingest", "--explain", "x", "file.log"])?;
    ensure!(both.code() == Some(2), "{both:?}");
    ensure!(fs::read_dir(folder.path())?.next().is_none());
    Ok(())
}

const REPORT: &str = r#"{"SchemaVersion":2,"CreatedAt":"2026-11-24T08:00:00Z","ArtifactName":"shop:1.4","ArtifactType":"container_image",
 "Results":[{"Target":"shop:1.4 (debian 12.5)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[
   {"VulnerabilityID":"CVE-2024-0001","PkgName":"libssl3","Severity":"HIGH"},
   {"VulnerabilityID":"CVE-2024-0002","PkgName":"zlib1g","Severity":"LOW"}]},
  {"Target":"Dockerfile","Class":"config","Type":"dockerfile","Misconfigurations":[
   {"ID":"DS002","AVDID":"AVD-DS-0002","Title":"root","Severity":"HIGH","Status":"FAIL"}]}]}"#;

#[test]
fn a_report_of_trivy_becomes_its_findings_by_webhook_and_by_jq() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, port) = (free_port()?, free_port()?);
    let config = format!(
        "[[intake]]\nname = \"hooks\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:{port}\"\n\
         [[intake.webhooks]]\nname = \"scans\"\nscheme = \"bearer\"\nsha256 = \"{}\"\n",
        // printf %s secret-of-this-test | sha256sum
        "b05db83c10f57f133850faf16c565d0b7efb2eaa6563be47bce08ed221889997"
    );
    let mut node = Node::start(folder.path(), http, &config)?;
    let token = ["Authorization: Bearer secret-of-this-test".to_owned()];
    let mut reply =
        custos_tests::http::send(port, "POST", "/webhook/scans", &token, REPORT.as_bytes())?;
    ensure!(reply.json()?["received"] == 3, "{}", reply.head);
    let api = Api::new(&node, http)?;
    for (query, count) in [
        ("vulnerability.id:CVE-2024-0001 and container.image.name:\"shop:1.4\"", 1),
        ("event.dataset:trivy.vulnerability", 2),
        ("event.dataset:trivy.misconfiguration and rule.id:AVD-DS-0002", 1),
        ("vulnerability.severity:HIGH", 2),
    ] {
        wait::until(query, LIMIT, || {
            let answer = api.get(&format!("/events?limit=10&query={query}"))?;
            let found = answer["events"].as_array().context("no events")?.len();
            ensure!(found <= count, "{query}: {found}");
            Ok((found == count).then_some(()))
        })?;
    }

    // The same by the page's own command, for a file.
    fs::write(folder.path().join("report.json"), REPORT)?;
    let page = fs::read_to_string(root().join("docs/sources/trivy.md"))?;
    let (_, below) = page.split_once("```sh\n").context("no command")?;
    let (command, _) = below.split_once("\n```").context("the command has no end")?;
    let status = Command::new("sh").args(["-euc", command]).current_dir(folder.path()).status()?;
    ensure!(status.success(), "jq failed; `bash tests/run.sh` installs it");
    let file = folder.path().join("findings.jsonl");
    let data = folder.path().join("other");
    let words = ["ingest", "--json", "--source", "trivy", "--data"].map(Into::into);
    let told = run(words.into_iter().chain([data, file]))?.done()?.last_json()?;
    ensure!(told["stored"] == 3 && told["rejected"] == 0, "{told}");
    node.stop()
}

/// What a port answers to an event with this token.
fn show(port: u16, token: &str) -> Result<u16> {
    let header = [format!("Authorization: Splunk {token}")];
    let body = br#"{"event":{"message":"till opened"}}"#;
    Ok(custos_tests::http::send(port, "POST", "/services/collector/event", &header, body)?.status)
}

#[test]
fn a_source_made_over_the_api_holds_through_kills_until_it_is_closed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, port) = (free_port()?, free_port()?);
    let config = format!(
        "[[intake]]\nname = \"edge\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:{port}\"\n\
         [[intake.tokens]]\nname = \"web\"\nsha256 = \"{}\"\n",
        "0".repeat(64)
    );
    let mut node = Node::start(folder.path(), http, &config)?;
    let api = Api::new(&node, http)?;
    let make = |name: &str, kind: &str| {
        api.ask("POST", "/sources/made", Some(&json!({"name": name, "type": kind})))
    };
    for (name, kind, status, part) in [
        ("a b", "auto", 400, "'a b' is no name of a source"),
        ("till", "nonsense", 400, "nonsense"),
        ("web", "auto", 409, "the configuration has a source 'web'"),
    ] {
        let (answered, problem) = make(name, kind)?;
        ensure!(answered == status && problem.to_string().contains(part), "{answered} {problem}");
    }
    let (status, issued) = api.ask("POST", "/sources/made", Some(&json!({"name": "till"})))?;
    ensure!(status == 201, "{status} {issued}");
    let token = issued["token"].as_str().context("no token")?.to_owned();
    ensure!(show(port, &token)? == 200 && show(port, "wrong")? == 403);
    node.kill()?;
    node.restart()?;
    let api = Api::new(&node, http)?;
    ensure!(show(port, &token)? == 200, "the token holds after a kill");
    api.found("custos.source:\"splunk:till\"", 2)?;
    let renewed = api.post("/sources/made/till/renew", &json!({}))?;
    let renewed = renewed["token"].as_str().context("no token")?.to_owned();
    ensure!(show(port, &token)? == 403 && show(port, &renewed)? == 200);
    let closed = api.post("/sources/made/till/close", &json!({"reason": "the shop moved"}))?;
    ensure!(closed["sources"][0]["open"] == false, "{closed}");
    ensure!(show(port, &renewed)? == 403);
    node.kill()?;
    node.restart()?;
    ensure!(show(port, &token)? == 403 && show(port, &renewed)? == 403);
    let told = node.shown();
    ensure!(!told.contains(&token) && !told.contains(&renewed), "a token in the server's log");
    node.stop()
}
