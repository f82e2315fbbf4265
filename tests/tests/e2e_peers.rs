//! What a playbook sends reaches real peers: a mail server that insists on TLS, and an Apache Kafka.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    browser::Browser,
    clients::{self, Certificate},
    custos::Node,
    kafka::Kafka,
    process::free_port,
    wait,
};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);
const PASSWORD: &str = "correct horse lamp river";
const TOPIC: &str = "soc.announcements";

const PLAYBOOK: &str = "\
playbook: announce
title: Announce
inputs:
  what: {type: text, default: nothing}
steps:
  - step: mail
    email: {to: soc, subject: 'About {inputs.what}', text: 'It is {inputs.what}.'}
  - step: publish
    effect: irreversible
    target: soc.announcements
    kafka: {topic: soc.announcements, key: '{incident.id}', json: {what: '{inputs.what}', run: '{run.id}'}}
";

struct Server {
    node: Node,
    lead: Browser,
    token: String,
}

impl Server {
    fn start(folder: &Path, respond: &str, trusts: Option<&Path>) -> Result<Self> {
        let playbooks = folder.join("playbooks");
        fs::create_dir_all(&playbooks)?;
        fs::write(playbooks.join("announce.yml"), PLAYBOOK)?;
        let config = format!(
            "[respond]\nplaybooks = [\"playbooks\"]\n{respond}\n[respond.mail.groups]\nsoc = [\"soc@bank.example\"]\n"
        );
        let trusts = trusts.map(|file| ("SSL_CERT_FILE".to_owned(), file.display().to_string()));
        let port = free_port()?;
        let node = Node::start_with(folder, port, &config, trusts.into_iter().collect())?;
        let mut lead = Browser::at(port);
        lead.set_up(&node.setup_token()?, "lin", PASSWORD)?.with(200)?;
        let token = fs::read_to_string(node.data().join("keys/api.token"))?.trim().to_owned();
        Ok(Self { node, lead, token })
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let header = format!("Authorization: Bearer {}", self.token);
        Ok(Browser::at(self.lead.port).send("POST", path, Some(body), &[&header])?.with(201)?.body)
    }

    /// Starts the playbook and waits until nothing more happens by itself; the run as it is then.
    fn announce(&self, what: &str) -> Result<Value> {
        let incident = self.post("/incidents", &json!({"title": "a case"}))?;
        let path = format!("/incidents/{}/runs", incident["id"].as_str().context("no id")?);
        let body = json!({"playbook": "announce", "inputs": {"what": what}});
        let run = self.post(&path, &body)?["id"].as_str().context("no id")?.to_owned();
        wait::until("the run to rest", LIMIT, || {
            let run = self.lead.get(&format!("/runs/{run}"))?.with(200)?.body;
            Ok((run["status"] != "running").then_some(run))
        })
    }
}

fn step<'v>(run: &'v Value, name: &str) -> Result<&'v Value> {
    let steps = run["steps"].as_array().context("no steps")?;
    steps.iter().find(|step| step["name"] == name).with_context(|| format!("no step {name}"))
}

fn smtp(port: u16, tls: &str) -> String {
    format!(
        "[respond.mail]\nfrom = \"custos@bank.example\"\nsmtp = {{ host = \"127.0.0.1\", port = {port}, tls = \"{tls}\" }}"
    )
}

fn mails(folder: &Path) -> Result<Vec<String>> {
    let mut mails = Vec::new();
    for entry in fs::read_dir(folder.join("new"))? {
        mails.push(fs::read_to_string(entry?.path())?);
    }
    Ok(mails)
}

/// One way of TLS: where the certificate is trusted the mail arrives, where it is not nothing is sent.
fn mail_goes_over_tls(tls: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make(folder.path())?;
    let (port, inbox) = (free_port()?, folder.path().join("inbox"));
    let Some(_server) = clients::aiosmtpd_with_tls(port, &inbox, tls, &certificate)? else {
        return Ok(());
    };
    let trusting = folder.path().join("trusting");
    let mut server = Server::start(&trusting, &smtp(port, tls), Some(&certificate.file))?;
    let run = server.announce("locked doors")?;
    ensure!(step(&run, "mail")?["status"] == "done", "{run}");
    server.node.stop()?;
    let [mail] = &mails(&inbox)?[..] else { anyhow::bail!("not one mail") };
    ensure!(mail.contains("Subject: About locked doors"), "{mail}");

    let wary = folder.path().join("wary");
    let mut server = Server::start(&wary, &smtp(port, tls), None)?;
    let run = server.announce("open doors")?;
    let told = step(&run, "mail")?;
    ensure!(told["status"] == "failed", "{told}");
    let detail = told["detail"].as_str().unwrap_or_default().to_lowercase();
    ensure!(
        detail.contains("certificate") || detail.contains("issuer"),
        "the reason is not told: {detail}"
    );
    ensure!(mails(&inbox)?.len() == 1, "a mail went to a server that is not trusted");
    server.node.stop()
}

#[test]
fn mail_by_starttls_goes_only_to_a_server_whose_certificate_is_trusted() -> Result<()> {
    mail_goes_over_tls("starttls")
}

#[test]
fn mail_by_wrapped_tls_goes_only_to_a_server_whose_certificate_is_trusted() -> Result<()> {
    mail_goes_over_tls("wrapped")
}

#[test]
fn a_message_to_a_real_kafka_is_there_once_and_a_missing_topic_is_told() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let kafka = Kafka::start(libs)?;
    kafka.create_topic(TOPIC, 1)?;
    let respond = format!(
        "[respond.mail]\nfrom = \"custos@bank.example\"\noutbox = \"outbox\"\n[respond.kafka]\nbrokers = \"{}\"",
        kafka.brokers()
    );
    let mut server = Server::start(folder.path(), &respond, None)?;
    let run = server.announce("locked doors")?;
    ensure!(run["status"] == "done", "{run}");
    let output = &step(&run, "publish")?["output"];
    ensure!(output["offset"] == 0 && output["partition"] == 0, "{output}");
    let [record] = &kafka.read_all(TOPIC)?[..] else { anyhow::bail!("not one record") };
    let said: Value = serde_json::from_slice(&record.value)?;
    ensure!(said == json!({"what": "locked doors", "run": run["id"]}), "{said}");

    kafka.delete_topic(TOPIC)?;
    let run = server.announce("open doors")?;
    let told = step(&run, "publish")?;
    ensure!(told["status"] == "failed" || told["status"] == "unknown", "{told}");
    ensure!(told["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{told}");
    server.node.stop()
}
