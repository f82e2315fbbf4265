//! What people see of the log, over the API of the real binary: searches and what they add up to, the queue
//! of alerts, sources that add up, rules; and the stream, from which no lost connection takes or doubles
//! anything.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    api::{Api, Message},
    custos::Node,
    process::free_port,
    root, wait,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(1);

struct Running {
    node: Node,
    api: Api,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let http = free_port()?;
        let rules = root().join("rules/detections/doors");
        let config = format!("[rules]\nfolders = [\"{}\"]\n", rules.display());
        let node = Node::start(folder.path(), http, &config)?;
        let api = Api::new(&node, http)?;
        Ok(Self { node, api, _folder: folder })
    }

    /// Waits until a GET answers something that `look` takes.
    fn until(&self, what: &str, path: &str, look: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, LIMIT, || Ok(Some(self.api.get(path)?).filter(&look)))
    }
}

/// A door's event; every fifth is forced, and raises an alert.
fn door(nth: u64) -> String {
    let (minute, second) = (nth / 60 % 60, nth % 60);
    let forced = nth % 5 == 4;
    format!(
        r#"{{"time":"2026-11-24T08:{minute:02}:{second:02}Z","door":"d{nth}","forced":{forced},"message":"nr {nth}"}}"#
    ) + "\n"
}

fn doors(range: std::ops::Range<u64>) -> String {
    range.map(door).collect()
}

#[test]
fn a_search_is_paged_counted_and_broken_down_and_each_read_is_written_down() -> Result<()> {
    let mut running = Running::start()?;
    let api = &running.api;
    api.ship("doors", &doors(0..130))?;
    let all = "/events/histogram?query=custos.door.name:*&buckets=10";
    let histogram = running.until("130 events", all, |answer| answer["total"] == 130)?;
    let counts = histogram["buckets"].as_array().context("no buckets")?;
    let sum: u64 = counts.iter().filter_map(|bucket| bucket["count"].as_u64()).sum();
    ensure!(sum == 130 && histogram["exact"] == true && histogram["read"] == 0, "{histogram}");
    ensure!(histogram["bucket_secs"] == 15 && counts.len() == 9, "{histogram}");

    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page = api.get(&format!("/events?query=custos.door.name:*&limit=40{after}"))?;
        let events = page["events"].as_array().context("no events")?;
        names.extend(events.iter().map(|event| event["fields"]["custos.door.name"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let newest_first: Vec<_> = (0..130).rev().map(|nth| json!(format!("d{nth}"))).collect();
    ensure!(names == newest_first, "{names:?}");

    let fields = api.get("/events/fields?query=custos.access.forced:true&sample=100")?;
    ensure!(
        fields["total"] == 26 && fields["sampled"] == 26 && fields["exact"] == true,
        "{fields}"
    );
    let values = api.get("/events/values?field=custos.door.name&prefix=D12&limit=50")?;
    ensure!(values["exact"] == true, "{values}");
    // d12 and d120 to d129.
    ensure!(values["values"].as_array().map(Vec::len) == Some(11), "{values}");

    let one = api.get("/events/telemetry/0/4")?;
    ensure!(one["fields"]["custos.door.name"] == "d4" && one["position"]["seq"] == 4, "{one}");
    let with = running.until("its alert", "/events/telemetry/0/4", |event| {
        event["alerts"][0]["title"] == "Door forced open"
    })?;
    ensure!(with["alerts"][0]["status"] == "open", "{with}");
    let around = api.get("/events/telemetry/0/4/surrounding?n=3")?;
    ensure!(around["before"][2]["position"]["seq"] == 3, "{around}");
    ensure!(around["after"][0]["position"]["seq"] == 5, "{around}");

    let (status, problem) = api.ask("GET", "/events?query=door:(a", None)?;
    ensure!(status == 400 && problem["column"].is_u64(), "{status} {problem}");
    for wrong in ["/events?limit=0", "/events?limit=1001", "/events?after=x", "/events?from=then"] {
        ensure!(api.ask("GET", wrong, None)?.0 == 400, "{wrong}");
    }
    ensure!(api.ask("GET", "/events/journal/0/1", None)?.0 == 404, "a fact is no event");
    ensure!(api.ask("GET", "/events/telemetry/0/999", None)?.0 == 404, "none there");

    let data = running.node.data().to_owned();
    running.node.stop()?;
    let log =
        custos_tests::custos::run(["log", "verify", "--json", "--data", &data.to_string_lossy()])?;
    let logs = log.done()?.json()?;
    let facts = logs.iter().find(|log| log["log"] == "journal").context("no journal")?;
    // Each of the reads above that found something to read is a fact, beside alerts and the rest.
    ensure!(facts["records"].as_u64() > Some(26 + 10), "{facts}");
    Ok(())
}

#[test]
fn alerts_are_filtered_taken_and_judged_and_stay_so_after_a_kill() -> Result<()> {
    let mut running = Running::start()?;
    running.api.ship("doors", &doors(0..50))?;
    let queue = running.until("ten alerts", "/alerts?status=open", |all| all["total"] == 10)?;
    let newest = &queue["alerts"][0];
    ensure!(newest["entities"][0]["value"] == "d49" && newest["status"] == "open", "{newest}");
    ensure!(newest["events"][0] == "telemetry/0/49", "{newest}");
    let id = newest["id"].as_str().context("no id")?.to_owned();
    let api = &running.api;

    let of_entity = api.get("/alerts?entity=door:D49")?;
    ensure!(of_entity["total"] == 1 && of_entity["hidden"] == 9, "{of_entity}");
    let page = api.get("/alerts?limit=4")?;
    let next = page["next"].as_u64().context("no next")?;
    let rest = api.get(&format!("/alerts?limit=100&after={next}"))?;
    ensure!(rest["alerts"].as_array().map(Vec::len) == Some(6), "{rest}");
    let groups = api.get("/alerts?group=rule")?;
    ensure!(groups["groups"][0]["count"] == 10 && groups["groups"][0]["open"] == 10, "{groups}");

    let taken = api.post("/alerts/acknowledge", &json!({"alerts": [id]}))?;
    ensure!(taken["changed"] == 1, "{taken}");
    let again = api.post("/alerts/acknowledge", &json!({"alerts": [id]}))?;
    ensure!(again["changed"] == 0, "{again}");
    let verdict = json!({"filter": {"status": "open"}, "verdict": "false_positive"});
    let (status, problem) = api.ask("POST", "/alerts/verdict", Some(&verdict))?;
    ensure!(
        status == 400 && problem["detail"].as_str().is_some_and(|d| d.contains("reason")),
        "{problem}"
    );
    let verdict =
        json!({"filter": {"status": "open"}, "verdict": "false_positive", "reason": "fire drill"});
    let judged = api.post("/alerts/verdict", &verdict)?;
    ensure!(judged["changed"] == 9, "{judged}");
    ensure!(api.get("/alerts?status=closed")?["total"] == 9, "what was said is not shown");

    let one = api.get(&format!("/alerts/{id}"))?;
    ensure!(one["status"] == "acknowledged" && one["by"] == "api", "{one}");
    ensure!(one["events"][0]["fields"]["custos.door.name"] == "d49", "{one}");
    ensure!(
        one["rule"]["title"] == "Door forced open" && one["prior"]["false_positive"] == 9,
        "{one}"
    );
    let overview = api.get("/overview")?;
    ensure!(
        overview["alerts"]["acknowledged"] == 1 && overview["alerts"]["closed"] == 9,
        "{overview}"
    );
    ensure!(overview["mttr_secs"].as_f64().is_some_and(|secs| secs < 60.0), "{overview}");

    running.node.kill()?;
    running.node.restart()?;
    let after = running.until("the views after a kill", "/alerts", |all| all["total"] == 10)?;
    let open = |alert: &&Value| alert["status"] == "open";
    ensure!(
        after["alerts"].as_array().context("none")?.iter().filter(open).count() == 0,
        "{after}"
    );
    running.node.stop()
}

#[test]
fn received_is_stored_and_rejected_and_what_was_rejected_can_be_opened() -> Result<()> {
    let mut running = Running::start()?;
    running.api.ship("doors", &doors(0..20))?;
    running.api.ship("junk", "\u{1}\u{2} {{{ not a line of anything\n{\"broken\n")?;
    let sources = running.until("all sources", "/sources", |all| all["received"] == 22)?;
    ensure!(
        sources["stored"]
            .as_u64()
            .zip(sources["rejected"].as_u64())
            .is_some_and(|(s, r)| s + r == 22),
        "{sources}"
    );
    for source in sources["sources"].as_array().context("no sources")? {
        let minutes = source["per_minute"].as_array().context("no minutes")?;
        let sum: u64 = minutes.iter().filter_map(Value::as_u64).sum();
        ensure!(minutes.len() == 60 && Some(sum) == source["received"].as_u64(), "{source}");
    }
    let rejected = sources["rejected"].as_u64().context("no number")?;
    let path = "/sources/rejected";
    let opened = running.until("the rejected", path, |page| {
        page["events"].as_array().map(|all| all.len() as u64) == Some(rejected)
    })?;
    for event in opened["events"].as_array().context("no events")? {
        ensure!(event["rejected"].is_string() && event["raw"].is_string(), "{event}");
    }
    let rules = running.api.get("/rules")?;
    let rules = rules["rules"].as_array().context("no rules")?;
    let forced =
        rules.iter().find(|rule| rule["title"] == "Door forced open").context("no rule")?;
    ensure!(forced["valid"] == true, "{forced}");
    let id = forced["id"].as_str().context("no id")?;
    let one = running.until("its hits", &format!("/rules/{id}"), |rule| rule["hits"] == 4)?;
    ensure!(one["text"].as_str().is_some_and(|text| text.contains("detection:")), "{one}");
    running.node.stop()
}

/// A stable row of numbers: where the connections break.
fn mixed(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// The order of ids: by commit, then by entry.
fn place(id: &str) -> Result<(u64, Option<u64>)> {
    let (commit, entry) = id.split_once('.').map_or((id, None), |(c, e)| (c, Some(e)));
    Ok((commit.parse()?, entry.map(str::parse).transpose()?))
}

#[test]
fn a_client_that_loses_its_connection_fifty_times_sees_each_thing_once_and_in_order() -> Result<()>
{
    const BATCHES: u64 = 300;
    const DROPS: usize = 50;
    let mut running = Running::start()?;
    let api = running.api.clone();
    let total = BATCHES * 5;
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| -> Result<Vec<Message>> {
        let shipping = scope.spawn(|| -> Result<()> {
            for batch in 0..BATCHES {
                api.ship("doors", &doors(batch * 5..batch * 5 + 5))?;
            }
            done.store(true, Ordering::Relaxed);
            Ok(())
        });
        let mut seen: Vec<Message> = Vec::new();
        let (mut last, mut state, mut drops) = (Some("0".to_owned()), 7, 0);
        while seen.len() as u64 != total + total / 5 {
            let mut stream =
                api.stream("topics=alerts,events&query=custos.door.name:*", last.as_deref())?;
            // Connections break after a few messages, some at once; the last ones stay.
            let few = if drops < DROPS { mixed(&mut state) % 40 } else { u64::MAX };
            drops += 1;
            for _ in 0..few {
                let message = stream.next_message()?.context("the server closed")?;
                last = message.id.clone().or(last);
                if !message.event.is_empty() {
                    seen.push(message);
                }
                if seen.len() as u64 == total + total / 5 {
                    break;
                }
            }
        }
        shipping.join().map_err(|_| anyhow::anyhow!("shipping panicked"))??;
        ensure!(drops > DROPS, "only {drops} connections");
        Ok(seen)
    })?;
    let ids: Vec<_> = seen
        .iter()
        .map(|message| place(message.id.as_deref().unwrap_or_default()))
        .collect::<Result<_>>()?;
    ensure!(ids.is_sorted_by(|a, b| a < b), "out of order, or twice");
    let events = seen.iter().filter(|message| message.event == "events");
    let events: Vec<_> = events.map(|message| message.data["position"]["seq"].as_u64()).collect();
    ensure!(events == (0..total).map(Some).collect::<Vec<_>>(), "an event is missing or doubled");
    let alerts = seen.iter().filter(|message| message.event == "alerts");
    let alerts: Vec<_> = alerts.filter_map(|message| message.data["id"].as_str()).collect();
    let different: BTreeSet<_> = alerts.iter().collect();
    ensure!(
        alerts.len() as u64 == total / 5 && different.len() == alerts.len(),
        "{}",
        alerts.len()
    );
    running.node.stop()
}

#[test]
fn a_place_that_the_log_does_not_have_is_told_and_the_stream_goes_on_from_now() -> Result<()> {
    let mut running = Running::start()?;
    let mut stream = running.api.stream("topics=alerts,alerts", Some("999999.4"))?;
    let message = stream.next_message()?.context("closed")?;
    ensure!(message.event == "reset" && message.id.is_some(), "{message:?}");
    running.api.ship("doors", &doors(0..5))?;
    let message = stream.next_message()?.context("closed")?;
    ensure!(
        message.event == "alerts" && message.data["title"] == "Door forced open",
        "{message:?}"
    );
    for wrong in ["topics=moon", "after=x", "query=a:("] {
        ensure!(running.api.stream(wrong, None).is_err(), "{wrong}");
    }
    running.node.stop()
}
