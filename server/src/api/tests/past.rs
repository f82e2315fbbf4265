//! The past is what the API answered when it was the present.

use super::*;
use crate::{folder::append_facts, pipeline::intake::StoreIntake};
use custos_event::{Alert, Fact, LogId, Position, RuleId, Seq, respond::Verdict};
use custos_ingest::{
    Batch, Intake as _,
    decode::{Decoder, SourceType},
};

fn alert(nth: u8) -> Alert {
    serde_json::from_value(serde_json::json!({
        "id": format!("{nth:02x}").repeat(16),
        "rule": RuleId("r1".into()),
        "rule_version": "00",
        "title": format!("alert {nth}"),
        "level": "high",
        "time": "2026-11-24T08:00:00Z",
        "events": [Position { log: LogId::TELEMETRY, partition: custos_event::Partition(0), seq: Seq(0) }],
        "matched": [],
    }))
    .unwrap()
}

const PATHS: [&str; 8] = [
    "/alerts",
    "/alerts?status=open",
    "/incidents",
    "/runs",
    "/effects",
    "/tasks",
    "/sources",
    "/rules",
];

fn as_of(path: &str, commit: &Value) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}as_of={commit}")
}

#[tokio::test]
async fn what_was_answered_once_is_answered_again_for_that_moment_whatever_came_since() {
    let server = Server::new();
    let wei = server.person("wei", &[Role::Analyst]);
    let mut moments = Vec::new();
    for nth in 0..4 {
        let raised = vec![Fact::AlertRaised(alert(nth))];
        append_facts(&server.state.opened.store, &system("detect"), raised).unwrap();
        let id = server.get("/alerts", &wei).await.body["alerts"][0]["id"].clone();
        if nth % 2 == 1 {
            let judged = Fact::AlertJudged {
                alert: alert(nth).id,
                verdict: Verdict::Benign,
                reason: "known".into(),
            };
            append_facts(&server.state.opened.store, &system("test"), vec![judged]).unwrap();
            let body = serde_json::json!({"title": "t", "alerts": [id]}).to_string();
            let opened = server.send(of(&wei, Method::POST, "/incidents", &body)).await;
            assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.body);
        }
        let commit = server.get("/alerts", &wei).await.body["as_of"].clone();
        let mut answers = Vec::new();
        for path in PATHS {
            answers.push(server.get(path, &wei).await.body);
        }
        moments.push((commit, answers));
    }
    // Later, and once more when every projection was deleted.
    let check = async |server: &Server| {
        let wei = server.person("wei", &[Role::Analyst]);
        for (commit, answers) in &moments {
            for (path, answer) in PATHS.iter().zip(answers) {
                let then = server.get(&as_of(path, commit), &wei).await;
                assert_eq!(then.status, StatusCode::OK, "{}", then.body);
                assert_eq!(then.body.to_string(), answer.to_string(), "{path} at {commit}");
            }
        }
    };
    check(&server).await;
    let Server { dir, state, router, .. } = server;
    state.opened.store.close().unwrap();
    drop((state, router));
    std::fs::remove_dir_all(dir.path().join("catalog")).unwrap();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    check(&Server::on(dir)).await;
}

#[tokio::test]
async fn the_past_is_asked_only_where_there_is_one_and_changed_nowhere() {
    let server = Server::new();
    let lead = server.person("lead", &[Role::Lead]);
    for (path, word) in [
        ("/alerts?as_of=0", "commit 0"),
        ("/alerts?as_of=99999", "not in the log"),
        ("/alerts?as_of=yesterday", "as_of"),
        ("/session?as_of=1", "now alone"),
    ] {
        let refused = server.get(path, &lead).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}: {}", refused.body);
        assert!(refused.body.to_string().contains(word), "{path}: {}", refused.body);
    }
    let change = of(&lead, Method::POST, "/incidents?as_of=1", r#"{"alerts":[],"title":"x"}"#);
    assert_eq!(server.send(change).await.status, StatusCode::BAD_REQUEST);
    let before = server.get("/alerts?as_of=1970-01-01T00:00:00Z", &lead).await;
    assert_eq!((before.status, &before.body["total"]), (StatusCode::OK, &0.into()));
}

/// One line of one source, stored; the commit that holds it.
fn store_line(state: &State, line: &'static [u8]) -> u64 {
    let table = Arc::clone(&state.opened.table);
    let options = state.opened.decoding(SourceType::Json, "kafka:doors".into()).unwrap();
    let event = Decoder::new(Arc::clone(&table), options).decode(line.into(), state.clock.now());
    let batch = Batch::new(LogId::TELEMETRY, vec![event]);
    StoreIntake::new(state.opened.store.clone(), table).submit_blocking(batch).unwrap();
    state.opened.store.last_commit().0
}

#[tokio::test]
async fn an_event_opened_by_its_place_was_there_or_was_not() {
    let server = Server::new();
    let wei = server.person("wei", &[Role::Analyst]);
    let first = store_line(&server.state, br#"{"message":"first"}"#);
    let second = store_line(&server.state, br#"{"message":"second"}"#);
    let ask = async |path: &str, commit: u64| {
        server.get(&as_of(&format!("/events/telemetry/0/{path}"), &commit.into()), &wei).await
    };
    let seen = ask("0", first).await;
    assert!(seen.body["raw"].to_string().contains("first"), "{}", seen.body);
    assert_eq!(ask("1", first).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask("1/surrounding", first).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask("1", second).await.status, StatusCode::OK);
    let after = async |commit| ask("0/surrounding", commit).await.body["after"].clone();
    assert_eq!(after(first).await.as_array().unwrap().len(), 0);
    assert_eq!(after(second).await.as_array().unwrap().len(), 1);
    assert_eq!(ask("0/proof", second).await.status, StatusCode::BAD_REQUEST);
}
