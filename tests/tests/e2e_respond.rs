//! Effects of a real server on real peers: done once, whatever is killed in between; visible where they fail.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    browser::Browser,
    clients,
    custos::{Node, run},
    process::{Running, free_port},
    root,
    stand_in::{Mode, StandIn},
    wait,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct horse lamp river";
const ADDRESS: &str = "203.0.113.7";
const BLOCK: &str = "/blocks/203.0.113.7";

struct Server {
    node: Node,
    folder: tempfile::TempDir,
    port: u16,
    firewall: StandIn,
    lead: Browser,
}

impl Server {
    /// `mail` is the transport's line in `[respond.mail]`.
    fn start(mail: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, firewall) = (free_port()?, StandIn::start()?);
        let config = format!(
            "[respond]\nplaybooks = [\"{}\"]\nendpoints = [{{ name = \"firewall\", url = \
             \"http://127.0.0.1:{}\" }}]\n[respond.mail]\nfrom = \"custos@bank.example\"\n{mail}\n\
             [respond.mail.groups]\nsoc = [\"soc@bank.example\"]\n",
            root().join("rules/playbooks").display(),
            firewall.port,
        );
        let node = Node::start(folder.path(), port, &config)?;
        let mut lead = Browser::at(port);
        lead.set_up(&node.setup_token()?, "lin", PASSWORD)?.with(200)?;
        Ok(Self { node, folder, port, firewall, lead })
    }

    /// As a program with the operator's token, so that another than who approves has asked.
    fn program(&self, path: &str, body: &Value) -> Result<Value> {
        let token = fs::read_to_string(self.node.data().join("keys/api.token"))?;
        let header = format!("Authorization: Bearer {}", token.trim());
        Ok(Browser::at(self.port).send("POST", path, Some(body), &[&header])?.with(201)?.body)
    }

    /// A run of block-address on a new incident, up to its approval; its id and the hash to approve.
    fn ask(&self) -> Result<(String, String)> {
        let incident = self.program("/incidents", &json!({"title": "somebody guesses"}))?;
        let path = format!("/incidents/{}/runs", text(&incident["id"])?);
        let body = json!({"playbook": "block-address", "inputs": {"address": ADDRESS}});
        let run = text(&self.program(&path, &body)?["id"])?;
        let waits = self.until(&run, "status", "waiting")?;
        Ok((run, text(&step(&waits, "block")?["hash"])?))
    }

    fn approve(&self, run: &str, hash: &str) -> Result<()> {
        let body = json!({"step": "block", "hash": hash});
        self.lead.post(&format!("/runs/{run}/approve"), &body)?.with(200)?;
        Ok(())
    }

    /// Waits until the run has this value.
    fn until(&self, run: &str, field: &str, value: &str) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(&format!("{run} to be {value}"), LIMIT, || {
            last = self.lead.get(&format!("/runs/{run}"))?.with(200)?.body;
            Ok((last[field] == value).then(|| last.clone()))
        });
        found.with_context(|| last.to_string())
    }

    fn kill_and_restart(&mut self) -> Result<()> {
        self.node.kill()?;
        self.firewall.set_mode(Mode::Answer);
        self.node.restart()?;
        self.lead.sign_in("lin", PASSWORD)?.with(200)?;
        Ok(())
    }

    fn open_effects(&self) -> Result<Vec<Value>> {
        let effects = self.lead.get("/effects")?.with(200)?.body;
        Ok(effects["effects"].as_array().cloned().unwrap_or_default())
    }

    fn outbox(&self) -> Result<Vec<String>> {
        let mut mails = Vec::new();
        for entry in fs::read_dir(self.folder.path().join("outbox"))? {
            mails.push(fs::read_to_string(entry?.path())?);
        }
        Ok(mails)
    }
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("no text: {value}"))?.to_owned())
}

fn step<'v>(run: &'v Value, name: &str) -> Result<&'v Value> {
    let steps = run["steps"].as_array().context("no steps")?;
    steps.iter().find(|step| step["name"] == name).with_context(|| format!("no step {name}"))
}

const OUTBOX: &str = "outbox = \"outbox\"";

#[test]
fn an_approved_block_is_done_told_listed_and_undone_and_a_second_approval_changes_nothing()
-> Result<()> {
    let mut server = Server::start(OUTBOX)?;
    let (run, hash) = server.ask()?;
    ensure!(server.firewall.acts().is_empty(), "acted before the approval");
    let other = json!({"step": "block", "hash": "0".repeat(64)});
    server.lead.post(&format!("/runs/{run}/approve"), &other)?.with(409)?;
    server.approve(&run, &hash)?;
    server.until(&run, "status", "done")?;
    let again = json!({"step": "block", "hash": hash});
    let second = server.lead.post(&format!("/runs/{run}/approve"), &again)?.with(409)?;
    ensure!(second.body["now"]["status"] == "done", "{}", second.body);
    ensure!(server.firewall.acts().len() == 1, "{:?}", server.firewall.acts());
    let mails = server.outbox()?;
    ensure!(mails.len() == 1 && mails[0].contains("To: soc@bank.example"), "{mails:?}");
    let effects = server.open_effects()?;
    ensure!(effects.len() == 1 && effects[0]["target"] == ADDRESS, "{effects:?}");
    ensure!(effects[0]["by"] == "lin" && effects[0]["until"].is_string(), "{effects:?}");
    server.lead.post(&format!("/runs/{run}/undo"), &json!({"step": "block"}))?.with(200)?;
    wait::until("the undo", LIMIT, || Ok(server.open_effects()?.is_empty().then_some(())))?;
    ensure!(server.firewall.set().is_empty(), "{:?}", server.firewall.set());
    server.node.stop()
}

#[test]
fn of_eight_approvals_at_the_same_moment_one_counts() -> Result<()> {
    let mut server = Server::start(OUTBOX)?;
    let (run, hash) = server.ask()?;
    let (path, body) = (format!("/runs/{run}/approve"), json!({"step": "block", "hash": hash}));
    let mut browsers = Vec::new();
    for _ in 0..8 {
        let mut browser = Browser::at(server.port);
        browser.sign_in("lin", PASSWORD)?.with(200)?;
        browsers.push(browser);
    }
    let together = std::sync::Barrier::new(browsers.len());
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asks = browsers.iter().map(|browser| {
            let approve = || (together.wait(), browser.post(&path, &body)).1;
            scope.spawn(approve)
        });
        let asks: Vec<_> = asks.collect();
        asks.into_iter().filter_map(|ask| ask.join().ok()).collect::<Result<_>>()
    })?;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    ensure!((with(200), with(409)) == (1, 7), "{answers:?}");
    server.until(&run, "status", "done")?;
    ensure!(server.firewall.acts().len() == 1, "{:?}", server.firewall.acts());
    server.node.stop()
}

#[test]
fn a_kill_after_the_peer_acted_and_before_its_answer_leaves_one_effect() -> Result<()> {
    let mut server = Server::start(OUTBOX)?;
    let (run, hash) = server.ask()?;
    server.firewall.set_mode(Mode::HoldAfter);
    server.approve(&run, &hash)?;
    wait::until("the request", LIMIT, || Ok(server.firewall.holds().then_some(())))?;
    server.kill_and_restart()?;
    let done = server.until(&run, "status", "done")?;
    ensure!(step(&done, "block")?["undo"] == "open", "{done}");
    let acts = server.firewall.acts();
    ensure!(acts.len() == 1 && server.firewall.set() == [BLOCK], "{acts:?}");
    ensure!(server.outbox()?.len() == 1, "{:?}", server.outbox()?);
    server.node.stop()
}

#[test]
fn a_kill_before_the_peer_acted_loses_nothing_and_keeps_the_key() -> Result<()> {
    let mut server = Server::start(OUTBOX)?;
    let (run, hash) = server.ask()?;
    server.firewall.set_mode(Mode::HoldBefore);
    server.approve(&run, &hash)?;
    wait::until("the request", LIMIT, || Ok(server.firewall.holds().then_some(())))?;
    server.kill_and_restart()?;
    server.until(&run, "status", "done")?;
    let acts = server.firewall.acts();
    let done: Vec<_> = acts.iter().filter(|act| act.done).collect();
    ensure!(done.len() == 1 && server.firewall.set() == [BLOCK], "{acts:?}");
    ensure!(acts.iter().all(|act| act.key == done[0].key), "another key: {acts:?}");
    ensure!(done[0].key.starts_with(&format!("{run}/block/")), "{acts:?}");
    server.node.stop()
}

#[test]
fn a_kill_in_the_middle_of_an_undo_ends_undone() -> Result<()> {
    let mut server = Server::start(OUTBOX)?;
    let (run, hash) = server.ask()?;
    server.approve(&run, &hash)?;
    server.until(&run, "status", "done")?;
    server.firewall.set_mode(Mode::HoldAfter);
    server.lead.post(&format!("/runs/{run}/undo"), &json!({"step": "block"}))?.with(200)?;
    wait::until("the request", LIMIT, || Ok(server.firewall.holds().then_some(())))?;
    server.kill_and_restart()?;
    wait::until("the undo", LIMIT, || Ok(server.open_effects()?.is_empty().then_some(())))?;
    ensure!(server.firewall.set().is_empty() && server.firewall.acts().len() == 2);
    server.node.stop()
}

struct Mails {
    folder: PathBuf,
    _running: Running,
}

impl Mails {
    /// A real mail server that keeps what it is given.
    fn start(port: u16, folder: PathBuf) -> Result<Option<Self>> {
        let Some(running) = clients::aiosmtpd(port, &folder)? else { return Ok(None) };
        Ok(Some(Self { folder, _running: running }))
    }

    fn all(&self) -> Result<Vec<String>> {
        let mut mails = Vec::new();
        for entry in fs::read_dir(self.folder.join("new"))? {
            mails.push(fs::read_to_string(entry?.path())?);
        }
        Ok(mails)
    }
}

#[test]
fn a_mail_server_that_is_down_is_seen_and_nothing_is_lost() -> Result<()> {
    let port = free_port()?;
    let smtp = format!("smtp = {{ host = \"127.0.0.1\", port = {port}, tls = \"off\" }}");
    let mut server = Server::start(&smtp)?;
    let (run, hash) = server.ask()?;
    server.approve(&run, &hash)?;
    let asks = server.until(&run, "status", "needs_person")?;
    let tell = step(&asks, "tell")?;
    ensure!(tell["status"] == "failed", "{tell}");
    ensure!(text(&tell["detail"])?.contains(&port.to_string()), "the server is not named: {tell}");
    let folder = server.folder.path().join("mails");
    let Some(mails) = Mails::start(port, folder)? else { return server.node.stop() };
    let retry = json!({"step": "tell", "outcome": "retry", "note": "the mail server is back"});
    server.lead.post(&format!("/runs/{run}/resolve"), &retry)?.with(200)?;
    server.until(&run, "status", "done")?;
    let all = mails.all()?;
    ensure!(all.len() == 1 && all[0].contains("Subject: Blocked 203.0.113.7"), "{all:?}");
    server.node.stop()
}

#[test]
fn the_playbooks_of_this_repository_hold_by_the_command_line() -> Result<()> {
    let folder = root().join("rules/playbooks").display().to_string();
    let lines = run(["playbook", "check", "--json", &folder])?.done()?.json()?;
    ensure!(lines.last().is_some_and(|sum| sum["accepted"] == 4), "{lines:?}");
    let file = root().join("rules/playbooks/block-address.yml").display().to_string();
    let planned = run(["playbook", "dry-run", &file, "--input", "address=203.0.113.7", "--json"])?;
    let steps = planned.done()?.json()?;
    ensure!(steps.len() == 3 && steps[1]["approval"] == json!(["lead"]), "{steps:?}");
    let own = run(["playbook", "dry-run", &file, "--input", "address=10.0.0.1", "--json"])?;
    ensure!(own.code() == Some(1), "{own:?}");
    let wrong = run(["playbook", "dry-run", &file, "--input", "address=nowhere"])?;
    ensure!(wrong.code() == Some(2) && wrong.stderr.contains("no IP address"), "{wrong:?}");
    Ok(())
}
