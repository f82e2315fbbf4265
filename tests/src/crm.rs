//! The stand-in of customer systems, and how a node is set up that asks it.

use crate::{
    clients::python,
    custos::{Node, run},
    http,
    process::{Running, free_port},
    root,
    snippets::Places,
    wait,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

pub const LIMIT: Duration = Duration::from_mins(2);
const SECRETS: [(&str, &str); 4] = [
    ("zoho.secret", "client-secret-of-this-test"),
    ("zoho.refresh", "refresh-token-of-this-test"),
    ("fxiaoke.secret", "app-secret-of-this-test"),
    ("fxiaoke.code", "permanent-code-of-this-test"),
];
/// Every secret and token of the stand-in ends so.
pub const SECRET_PART: &str = "-of-this-test";

/// The stand-in, with faults that it shows once each, in this order.
#[derive(Debug)]
pub struct Peer {
    _running: Running,
    port: u16,
}

impl Peer {
    pub fn start(system: &str, faults: &[&str]) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(python());
        command.arg(root().join("tests/py/crm.py")).args([system, &port.to_string()]);
        let running = Running::start("crm.py", command.arg(faults.join(",")))?;
        running.wait_for_line(LIMIT, |line| line.contains("ready"))?;
        wait::until("the stand-in", LIMIT, || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        Ok(Self { _running: running, port })
    }

    pub fn ask(&self, path: &str) -> Result<Value> {
        http::send(self.port, "GET", path, &[], b"")?.json()
    }

    pub fn wait_for_faults(&self, count: usize) -> Result<()> {
        wait::until(&format!("{count} faults"), LIMIT, || {
            let shown = self.ask("/stand-in/report")?["faults"].as_array().map(Vec::len);
            Ok((shown == Some(count)).then_some(()))
        })
    }

    /// What has to be stored, with how often.
    pub fn expected(&self) -> Result<BTreeMap<String, usize>> {
        self.told("/stand-in/expected")
    }

    /// The contacts as they are: record and time of change.
    pub fn contacts(&self) -> Result<BTreeMap<String, usize>> {
        self.told("/stand-in/contacts")
    }

    fn told(&self, path: &str) -> Result<BTreeMap<String, usize>> {
        let told = self.ask(path)?;
        let texts = told.as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(counted(texts.map(str::to_owned)))
    }
}

pub fn counted(all: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    all.fold(BTreeMap::new(), |mut counts, one| {
        *counts.entry(one).or_default() += 1;
        counts
    })
}

/// What docs/sources says to write, with other places, and a round each second.
pub fn config(system: &str, peer: &Peer, folder: &Path) -> Result<String> {
    for (name, secret) in SECRETS {
        fs::write(folder.join(name), format!("{secret}\n"))?;
    }
    let since = peer.ask("/stand-in/report")?["begin"].as_str().context("no begin")?.to_owned();
    let url = format!("http://127.0.0.1:{}", peer.port);
    let places = Places::default()
        .with("/etc/custos", folder.display())
        .with("https://accounts.zoho.eu", &url)
        .with("1000.YOUR-CLIENT", "1000.TEST")
        .with("FSAID_YOUR-APPLICATION", "FSAID_1");
    let (page, more) = match system {
        "zoho" => ("zoho-crm.md", String::new()),
        _ => ("fxiaoke.md", format!("url = \"{url}\"\n")),
    };
    let block = places.snippet(page, "Custos")?;
    Ok(format!("{block}{more}interval = \"1s\"\nlag = \"1s\"\nsince = \"{since}\"\n"))
}

/// The raw rows of a stopped node's source.
pub fn stored(node: &Node, source: &str) -> Result<Vec<Value>> {
    let query = format!("custos.source:\"{source}\"");
    let found = node.run(&["search", "--json", "--limit", "0", &query])?.done()?.json()?;
    let raw = |event: &Value| {
        let raw = event["raw"].as_str().context("no raw")?;
        Ok(serde_json::from_str(raw)?)
    };
    found.iter().map(raw).collect()
}

pub fn same(expected: &BTreeMap<String, usize>, stored: &BTreeMap<String, usize>) -> Result<()> {
    let differs = |one: &&String| expected.get(*one) != stored.get(*one);
    let wrong: Vec<_> = expected.keys().chain(stored.keys()).filter(differs).take(5).collect();
    let counts = |one: &String| (one.clone(), expected.get(one).copied(), stored.get(one).copied());
    let wrong: Vec<_> = wrong.into_iter().map(counts).collect();
    ensure!(wrong.is_empty(), "(row, expected, stored): {wrong:?}");
    Ok(())
}

/// No secret stands in what it says, nor in what it prints of its configuration.
pub fn tells_no_secret(node: &Node) -> Result<()> {
    let shown = node.shown();
    let file = node.config().to_string_lossy().into_owned();
    let checked = run(["check-config", &file])?.done()?;
    let printed = String::from_utf8_lossy(&checked.stdout).into_owned() + &checked.stderr;
    for text in [shown, printed, node.get("/metrics")?] {
        ensure!(!text.contains(SECRET_PART), "a secret is told: {text}");
    }
    Ok(())
}
