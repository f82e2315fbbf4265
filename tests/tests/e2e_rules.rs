//! A rule's life over the API and command line of the real binary: read with its doubts told, tried over what is
//! stored, run in shadow, put live, replaced, retired; each step a fact that outlives a kill.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    api::Api,
    custos::{Node, run},
    process::free_port,
    wait,
};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const LIMIT: Duration = Duration::from_mins(1);
const ID: &str = "6a0f4c1e-57b2-4d0a-9c57-2f1f4b0de001";

const WITNESS: &str = "6a0f4c1e-57b2-4d0a-9c57-2f1f4b0de002";

/// A rule of doors by number.
fn rule(level: &str, door: &str) -> String {
    format!(
        "title: A door of interest\nid: {ID}\nstatus: test\ntags: [attack.t1200]\n\
         logsource: {{product: custos, category: physical_access}}\n\
         detection:\n    door:\n        custos.door.name: {door}\n    condition: door\n\
         level: {level}\n"
    )
}

fn doors(range: std::ops::Range<u64>) -> String {
    let line = |nth| {
        let (minute, second) = (nth / 60 % 60, nth % 60);
        format!(
            r#"{{"time":"2026-11-24T08:{minute:02}:{second:02}Z","door":"d{}","forced":false}}"#,
            nth % 10
        ) + "\n"
    };
    range.map(line).collect()
}

struct Running {
    node: Node,
    api: Api,
    folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let http = free_port()?;
        let rules = folder.path().join("rules");
        fs::create_dir(&rules)?;
        // It matches nothing; its coverage says how far the rules are.
        fs::write(rules.join("witness.yml"), rule("low", "nowhere").replace(ID, WITNESS))?;
        let config = format!("[rules]\nfolders = [\"{}\"]\n", rules.display());
        let node = Node::start(folder.path(), http, &config)?;
        let api = Api::new(&node, http)?;
        Ok(Self { node, api, folder })
    }

    fn moved(&self, to: &str, text: &str, reason: &str) -> Result<Value> {
        self.api.post("/rules/move", &json!({"to": to, "text": text, "reason": reason}))
    }

    /// Waits until the rules saw `events` events.
    fn evaluated(&self, events: u64) -> Result<()> {
        wait::until("the rules to see everything", LIMIT, || {
            let covered = self.api.get("/rules/coverage")?;
            let of_witness = |it: &&Value| it["rule"] == WITNESS;
            let seen = covered["rules"].as_array().and_then(|all| all.iter().find(of_witness));
            let seen = seen.context("the witness is not live")?;
            Ok((seen["events"] == events && seen["lag_events"] == 0).then_some(()))
        })
    }

    fn alerts(&self) -> Result<u64> {
        self.api.get("/alerts?status=all")?["total"].as_u64().context("no total")
    }

    fn rule(&self) -> Result<Value> {
        self.api.get(&format!("/rules/{ID}"))
    }
}

#[test]
fn what_is_wrong_or_doubtful_about_a_rule_is_told_with_its_place() -> Result<()> {
    let mut running = Running::start()?;
    let lint = |text: &str| running.api.post("/rules/lint", &json!({"text": text}));
    let sound = lint(&rule("high", "d1"))?;
    ensure!(sound["valid"] == true && sound["warnings"] == json!([]), "{sound}");
    ensure!(sound["rules"][0]["known"] == false, "{sound}");
    let broken = lint(&rule("high", "d1").replace("condition: door", "condition: dor"))?;
    ensure!(broken["valid"] == false && broken["errors"][0]["line"] == 9, "{broken}");
    let doubtful = lint(&rule("high", "d1").replace("custos.door.name", "custos.dor.name"))?;
    let warning = &doubtful["warnings"][0];
    ensure!(doubtful["valid"] == true && warning["line"] == 8, "{doubtful}");
    ensure!(warning["message"].as_str().is_some_and(|it| it.contains("custos.door")), "{warning}");
    let (status, problem) = running.api.ask(
        "POST",
        "/rules/move",
        Some(&json!({"to": "live", "text": "title: x", "reason": "y"})),
    )?;
    ensure!(status == 400 && problem["detail"].is_string(), "{status} {problem}");
    let nameless = json!({"to": "live", "text": rule("high", "d1"), "reason": " "});
    ensure!(running.api.ask("POST", "/rules/move", Some(&nameless))?.0 == 400, "without a reason");
    running.node.stop()
}

#[test]
fn a_rule_is_tried_in_shadow_put_live_replaced_and_retired_and_stays_so_after_a_kill() -> Result<()>
{
    let mut running = Running::start()?;
    running.api.ship("doors", &doors(0..100))?;
    running.evaluated(100)?;
    let tried = json!({"text": rule("high", "[d1, d2]"), "over": {}});
    let found = running.api.post("/rules/backtest", &tried)?;
    ensure!(found["matches"] == 20 && found["read"]["events"] == 100, "{found}");
    ensure!(found["days"][0]["day"] == "2026-11-24" && found["read"]["complete"] == true);
    ensure!(found["samples"][0]["matched"][0]["value"] == "d1", "{found}");
    ensure!(running.alerts()? == 0, "a backtest raises nothing");

    let shadow = running.moved("shadow", &rule("high", "[d1, d2]"), "seems to be quiet")?;
    ensure!(shadow["changed"] == true && shadow["rule"] == ID, "{shadow}");
    running.api.ship("doors", &doors(100..200))?;
    running.evaluated(200)?;
    let in_shadow = wait::until("matches in shadow", LIMIT, || {
        Ok(Some(running.rule()?).filter(|rule| rule["shadow"]["matches"] == 20))
    })?;
    ensure!(in_shadow["stage"] == "shadow" && running.alerts()? == 0, "{in_shadow}");

    running.moved("live", &rule("high", "[d1, d2]"), "it was quiet")?;
    running.api.ship("doors", &doors(200..250))?;
    running.evaluated(250)?;
    ensure!(running.alerts()? == 10, "each match since it is live, none from before");
    let close = json!({"filter": {"status": "open"}, "verdict": "false_positive", "reason": "d"});
    running.api.post("/alerts/verdict", &close)?;

    let narrower = rule("high", "[d1, d3]");
    let diff = running.api.post("/rules/diff", &json!({"new": narrower, "over": {}}))?;
    let counts = [&diff["same"], &diff["gained"], &diff["lost"]];
    ensure!(counts == [&json!(25), &json!(25), &json!(25)], "{diff}");
    ensure!(diff["lost_verdicts"]["false_positive"] == 5, "{diff}");
    ensure!(diff["lost_verdicts"]["not_raised"] == 20, "{diff}");

    running.moved("live", &narrower, "d3 instead of d2")?;
    running.node.kill()?;
    running.node.restart()?;
    running.api.ship("doors", &doors(250..300))?;
    running.evaluated(300)?;
    let live = running.rule()?;
    ensure!(live["stage"] == "live" && live["text"] == narrower.as_str(), "{live}");
    ensure!(live["coverage"]["events"] == 50 && live["coverage"]["gaps"] == json!([]), "{live}");
    ensure!(running.alerts()? == 20, "five of d1 and five of d3 since the kill");
    let history = live["history"].as_array().context("no history")?;
    let steps: Vec<_> = history.iter().filter_map(|it| it["reason"].as_str()).collect();
    let told = ["seems to be quiet", "it was quiet", "d3 instead of d2"];
    ensure!(told.iter().all(|reason| steps.contains(reason)), "{history:?}");
    ensure!(history.iter().all(|it| it["by"] == "api"), "{history:?}");

    running
        .api
        .post("/rules/move", &json!({"rule": ID, "to": "retired", "reason": "moved away"}))?;
    running.api.ship("doors", &doors(300..400))?;
    running.evaluated(400)?;
    ensure!(running.alerts()? == 20, "a retired rule raises nothing");
    ensure!(running.rule()?["stage"] == "retired", "it is kept");
    let missing = json!({"rule": "no-such", "to": "live", "reason": "x"});
    ensure!(running.api.ask("POST", "/rules/move", Some(&missing))?.0 == 404, "unknown");
    running.node.stop()
}

#[test]
fn alike_matches_raise_one_alert_that_counts_the_rest_also_after_a_kill() -> Result<()> {
    let mut running = Running::start()?;
    let text =
        rule("high", "[d1, d2]") + "custos: {suppress: {by: custos.door.name, within: 1h}}\n";
    running.api.ship("doors", &doors(0..100))?;
    running.evaluated(100)?;
    let found = running.api.post("/rules/backtest", &json!({"text": text}))?;
    ensure!(found["matches"] == 2 && found["suppressed"] == 18, "{found}");
    running.moved("live", &text, "loud")?;
    running.api.ship("doors", &doors(100..200))?;
    running.evaluated(200)?;
    running.node.kill()?;
    running.node.restart()?;
    running.api.ship("doors", &doors(200..300))?;
    running.evaluated(300)?;
    ensure!(running.alerts()? == 2, "one a door");
    let all = running.api.get("/alerts?status=all")?;
    for alert in all["alerts"].as_array().context("no alerts")? {
        ensure!(alert["suppressed"]["matches"] == 19, "{alert}");
        let samples = alert["suppressed"]["samples"].as_array().context("no samples")?;
        ensure!(!samples.is_empty() && samples.len() <= 10, "{alert}");
    }
    let at_risk = running.api.get("/entities/risk?entity=door:D1")?;
    let door = &at_risk["entities"][0];
    ensure!(at_risk["total"] == 1 && door["level"] == "high", "{at_risk}");
    ensure!(door["score"].as_f64().is_some_and(|it| it > 49.0 && it <= 50.0), "{door}");
    ensure!(door["rules"][0]["rule"] == ID && door["alerts"] == 1, "{door}");
    let verdict = json!({"filter": {"status": "open"}, "verdict": "benign", "reason": "a drill"});
    running.api.post("/alerts/verdict", &verdict)?;
    let none = running.api.get("/entities/risk")?;
    ensure!(none["total"] == 0, "what was benign weighs nothing: {none}");
    running.node.stop()
}

/// A list's values hold from the place where they came, and for nothing before: also when the log is replayed.
#[test]
fn a_rule_asks_for_a_list_as_it_was_known_then() -> Result<()> {
    let mut running = Running::start()?;
    let file = running.folder.path().join("doors.txt");
    let list = |values: &str| -> Result<String> {
        fs::write(&file, values)?;
        let file = file.to_string_lossy();
        let made = run(["rules", "make-list", "--name", "watched doors", &*file])?.done()?;
        Ok(String::from_utf8(made.stdout)?)
    };
    let asks = rule("high", "'%watched doors%'").replace("door.name:", "door.name|expand:");
    let doubt = running.api.post("/rules/lint", &json!({"text": asks}))?;
    let warning = doubt["warnings"][0]["message"].as_str().context("nothing is doubtful")?;
    ensure!(warning.contains("nothing fills the placeholder '%watched doors%'"), "{warning}");
    running.moved("live", &asks, "doors that are watched")?;
    running.api.ship("doors", &doors(0..100))?;
    running.evaluated(100)?;
    ensure!(running.alerts()? == 0, "there is no list yet");
    running.moved("live", &list("d1\n")?, "the first")?;
    running.api.ship("doors", &doors(100..200))?;
    running.evaluated(200)?;
    ensure!(running.alerts()? == 10, "d1 since it is on the list");
    running.moved("live", &list("d1\nd2 # new\n")?, "one more")?;
    running.node.kill()?;
    running.node.restart()?;
    running.api.ship("doors", &doors(200..300))?;
    running.evaluated(300)?;
    ensure!(running.alerts()? == 30, "d1 and d2");
    running.node.stop()?;
    let replayed = running.node.run(&["rebuild", "--replay"])?.done()?;
    ensure!(!replayed.stderr.contains("differ"), "{}", replayed.stderr);
    Ok(())
}

#[test]
fn the_command_line_imports_moves_tries_and_covers() -> Result<()> {
    let mut running = Running::start()?;
    running.api.ship("doors", &doors(0..50))?;
    running.evaluated(50)?;
    let public = running.folder.path().join("public");
    fs::create_dir_all(public.join("deep"))?;
    fs::write(public.join("deep/one.yml"), rule("low", "d4"))?;
    fs::write(public.join("broken.yml"), rule("low", "d4").replace("condition: door", ""))?;
    fs::write(public.join("README.md"), "no rule")?;
    let url = running.api.url();
    let data = running.node.data().to_string_lossy().into_owned();
    let at = ["--server", &url, "--data", &data];
    let custos = |words: &[&str]| run([&["rules"], words, &at].concat());

    let public = public.to_string_lossy().into_owned();
    let imported = custos(&["import", &public, "--json"])?;
    ensure!(imported.code() == Some(1), "a file was refused: {}", imported.stderr);
    let report = imported.json()?;
    let sums = report.last().context("no sums")?;
    ensure!([&sums["taken"], &sums["refused"]] == [&json!(1), &json!(1)], "{sums}");
    let refused = report.iter().find(|it| it["verdict"] == "refused").context("none")?;
    ensure!(refused["problems"][0]["message"].is_string(), "{refused}");
    ensure!(running.rule()?["stage"] == "draft", "an import begins as draft");

    custos(&["move", ID, "--to", "live", "--reason", "wanted"])?.done()?;
    running.api.ship("doors", &doors(50..100))?;
    running.evaluated(100)?;
    ensure!(running.alerts()? == 5, "its alerts since then");
    let listed = custos(&["list", "--json"])?.done()?.json()?;
    ensure!(listed.iter().any(|it| it["id"] == ID && it["stage"] == "live"), "{listed:?}");
    let covered = custos(&["coverage", "--json", ID])?.done()?.last_json()?;
    ensure!(covered["events"] == 50 && covered["lag_events"] == 0, "{covered}");
    let layer = custos(&["attack"])?.done()?.last_json()?;
    ensure!(layer["techniques"][0]["techniqueID"] == "T1200", "{layer}");

    // The same over the folder, once the server has let go of it.
    let file = running.folder.path().join("public/deep/one.yml").to_string_lossy().into_owned();
    let alive = custos(&["backtest", &file, "--json"])?.done()?.last_json()?;
    running.node.stop()?;
    let still =
        run(["rules", "backtest", &file, "--json", "--data", &data])?.done()?.last_json()?;
    ensure!(alive["matches"] == 10 && still["matches"] == 10, "{alive} {still}");
    Ok(())
}
