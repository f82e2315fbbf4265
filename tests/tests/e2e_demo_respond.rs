//! The demo's way to an end: an attack opens an incident, a playbook waits for a person, and what they approve
//! happens once, can be undone, and is told by mail.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    browser::Browser,
    demo::{Demo, stand_in_log},
    wait,
};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_mins(2);

/// A run of `playbook` that waits for an approval: its id, and the step.
fn waiting(browser: &Browser, playbook: &str) -> Result<Option<(String, Value)>> {
    let answer = browser.get("/runs?status=waiting")?.with(200)?.body;
    let runs = answer["runs"].as_array().context("no runs")?;
    let Some(run) = runs.iter().find(|run| run["playbook"] == playbook) else { return Ok(None) };
    let mut steps = run["steps"].as_array().into_iter().flatten();
    let step = steps.find(|step| step["status"] == "waiting_approval");
    let id = run["id"].as_str().context("a run without an id")?;
    Ok(step.map(|step| (id.to_owned(), step.clone())))
}

/// How often the stand-in did this, repeats not counted.
fn done(folder: &Path, method: &str, target: &str) -> Result<usize> {
    let log = stand_in_log(folder, "firewall")?;
    let is = |entry: &&Value| {
        entry["method"] == method && entry["target"] == target && entry["repeated"] == false
    };
    Ok(log.iter().filter(is).count())
}

#[test]
fn what_a_person_approves_happens_once_is_mailed_and_can_be_undone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let demo = Demo::start(folder.path(), &["--speed", "10"])?;
    let mut browser = Browser::at(demo.port());
    browser.set_up(&demo.setup_token()?, "mia", "correct horse lamp river")?;
    let (run, step) =
        wait::until("a run that waits for approval", LIMIT, || waiting(&browser, "block-address"))?;
    let target = step["target"].as_str().context("a step without a target")?.to_owned();
    ensure!(target.starts_with("203.0.113."), "{step}");
    ensure!(done(folder.path(), "PUT", &target)? == 0, "blocked before anybody approved it");

    let approval = json!({"step": step["name"], "hash": step["hash"]});
    let approve = || browser.post(&format!("/runs/{run}/approve"), &approval);
    approve()?.with(200)?;
    wait::until("the block", LIMIT, || {
        Ok((done(folder.path(), "PUT", &target)? == 1).then_some(()))
    })?;
    wait::until("the mail", LIMIT, || {
        Ok((fs::read_dir(folder.path().join("outbox"))?.count() > 0).then_some(()))
    })?;
    let again = approve()?;
    ensure!(again.status == 409, "a second approval: {} {}", again.status, again.body);

    let undo = json!({"step": step["name"]});
    browser.post(&format!("/runs/{run}/undo"), &undo)?.with(200)?;
    wait::until("the end of the block", LIMIT, || {
        Ok((done(folder.path(), "DELETE", &target)? == 1).then_some(()))
    })?;
    ensure!(done(folder.path(), "PUT", &target)? == 1, "blocked twice");
    demo.stop().map(drop)
}
