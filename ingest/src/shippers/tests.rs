//! The routes as clients see them, without a socket.

use super::*;
use crate::stand_in::{Fate, StandIn, clock, decoders};
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

const BULK: &str = "{\"create\":{}}\n{\"a\":1}\n{\"create\":{}}\n{\"a\":2}\n";

fn shippers(intake: &Arc<StandIn>, token: Option<&str>) -> Router {
    with_webhooks(intake, token, Vec::new())
}

fn with_webhooks(intake: &Arc<StandIn>, token: Option<&str>, webhooks: Vec<Webhook>) -> Router {
    let made = |secret| Token { name: "web".into(), sha256: Sha256::digest(secret).into() };
    let config = ShippersConfig {
        name: "edge".into(),
        tokens: token.map(made).into_iter().collect(),
        webhooks,
        book: Arc::default(),
        limits: BodyLimits { body_bytes_max: 1 << 20, ..BodyLimits::default() },
    };
    router(config, Gate::new(Arc::clone(intake), decoders(), clock()))
}

/// Status, when to try again, and the answer.
async fn ask(
    router: &Router,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> (u16, Option<String>, Value) {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let again = answer.headers().get("retry-after").map(|secs| secs.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, again, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn stored(intake: &StandIn) -> Vec<(String, String)> {
    let of = |event: &custos_event::ParsedEvent| {
        (event.header.source.to_string(), event.raw_text().into_owned())
    };
    intake.look(|disk| disk.events.iter().map(of).collect())
}

#[tokio::test]
async fn a_token_opens_every_protocol_and_nothing_goes_without_it() {
    let intake = StandIn::new();
    let router = shippers(&intake, Some("s3cret"));
    let asks: [(&str, &str, &str, &str); 4] = [
        ("/_bulk", "ApiKey s3cret", "application/x-ndjson", BULK),
        ("/services/collector", "Splunk s3cret", "application/json", "{\"event\":\"a\"}"),
        (
            "/v1/logs",
            "Bearer s3cret",
            "application/json",
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"b\"}}]}]}]}",
        ),
        ("/gelf", "Bearer s3cret", "application/json", "{\"version\":\"1.1\"}"),
    ];
    for (path, token, kind, body) in asks {
        let kind = ("content-type", kind);
        assert_eq!(ask(&router, path, &[kind], body).await.0, 401, "{path}");
        let wrong = ("authorization", "Bearer wrong");
        assert_eq!(ask(&router, path, &[kind, wrong], body).await.0, 403, "{path}");
        assert!(!stored(&intake).iter().any(|(source, _)| source.contains(path)));
        let (status, _, answer) = ask(&router, path, &[kind, ("authorization", token)], body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
    }
    let sources: Vec<_> = stored(&intake).into_iter().map(|(source, _)| source).collect();
    assert_eq!(
        sources,
        ["elasticsearch:web", "elasticsearch:web", "splunk:web", "otlp:web", "gelf:web"]
    );
    assert_eq!(ask(&router, "/services/collector/ack", &[], "{\"acks\":[0]}").await.0, 401);
}

#[tokio::test]
async fn while_the_disk_is_full_each_client_is_told_to_come_again_in_its_own_words() {
    let asks = [
        ("/_bulk", BULK, 429, "/error/type", "es_rejected_execution_exception"),
        ("/services/collector", "{\"event\":\"a\"}", 503, "/text", "Server is busy"),
        ("/gelf", "{}", 503, "/error", "intake is paused: disk full"),
        ("/webhook/open", "{}", 503, "/error", "intake is paused: disk full"),
        (
            "/v1/logs",
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}",
            503,
            "/message",
            "intake is paused: disk full",
        ),
    ];
    for (path, body, expected, at, said) in asks {
        let intake = StandIn::with_fates([Fate::Pause]);
        let open = Proof::Bearer { sha256: Sha256::digest("s3cret").into() };
        let open = vec![Webhook { name: "open".into(), proof: open }];
        let router = with_webhooks(&intake, Some("s3cret"), open);
        let kind = [("content-type", "application/json"), ("authorization", "Bearer s3cret")];
        let (status, again, answer) = ask(&router, path, &kind, body).await;
        assert_eq!((status, again.as_deref()), (expected, Some("5")), "{path}: {answer}");
        assert_eq!(answer.pointer(at).and_then(Value::as_str), Some(said), "{path}");
        assert!(stored(&intake).is_empty());
        assert!(ask(&router, path, &kind, body).await.0 < 300, "{path} again");
    }
}

#[tokio::test]
async fn of_a_bulk_that_is_half_durable_the_other_half_is_asked_for_again() {
    let intake = StandIn::with_fates([Fate::Store, Fate::Pause]);
    let router = shippers(&intake, None);
    let pair = |n| format!("{{\"index\":{{}}}}\n{{\"a\":{n}}}\n");
    let bulk = (0..8_200).map(pair).collect::<Vec<_>>().concat();
    let (status, _, answer) = ask(&router, "/x/_bulk", &[], bulk).await;
    assert_eq!((status, &answer["errors"]), (200, &Value::Bool(true)));
    let items = answer["items"].as_array().unwrap();
    let count = |status| items.iter().filter(|item| item["index"]["status"] == status).count();
    assert_eq!((count(201), count(429)), (8_192, 8));
    assert_eq!(stored(&intake).len(), 8_192);
}

#[tokio::test]
async fn what_is_malformed_or_too_large_stores_nothing() {
    let intake = StandIn::new();
    let router = shippers(&intake, None);
    let large = "x".repeat((1 << 20) + 1);
    for (path, kind, body, expected) in [
        ("/_bulk", "application/x-ndjson", "nonsense", 400),
        ("/_bulk", "application/x-ndjson", large.as_str(), 413),
        ("/services/collector", "application/json", "nonsense", 400),
        ("/services/collector", "application/json", "", 400),
        ("/services/collector/raw", "text/plain", large.as_str(), 413),
        ("/v1/logs", "application/json", "[1]", 400),
        ("/v1/logs", "application/x-protobuf", "\u{ff}\u{ff}", 400),
        ("/v1/logs", "text/plain", "x", 415),
        ("/gelf", "application/json", " ", 400),
    ] {
        let (status, _, answer) =
            ask(&router, path, &[("content-type", kind)], body.to_owned()).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    assert!(stored(&intake).is_empty());
}

#[tokio::test]
async fn splunk_acknowledges_what_it_has_answered_and_nothing_else() {
    let intake = StandIn::new();
    let router = shippers(&intake, None);
    let channel = [("x-splunk-request-channel", "0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba")];
    let (_, _, answer) = ask(&router, "/services/collector/raw", &channel, "a\nb\n").await;
    let given = answer["ackId"].as_u64().unwrap();
    let asking = format!("{{\"acks\":[{given},{}]}}", given + 1_000);
    let (_, _, answer) = ask(&router, "/services/collector/ack", &channel, asking).await;
    assert_eq!(answer["acks"][given.to_string()], true);
    assert_eq!(answer["acks"][(given + 1_000).to_string()], false);
    let raws: Vec<_> = stored(&intake).into_iter().map(|(_, raw)| raw).collect();
    assert_eq!(raws, ["a", "b"]);
    // The channel may stand in the address; without one nobody will ask.
    let by_address = "/services/collector/raw?channel=0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba";
    let (_, _, answer) = ask(&router, by_address, &[], "c\n").await;
    assert!(answer["ackId"].as_u64() > Some(given), "{answer}");
    let (_, _, answer) = ask(&router, "/services/collector/raw", &[], "d\n").await;
    assert_eq!(answer["ackId"], Value::Null);
}

#[tokio::test]
async fn a_webhook_is_taken_only_with_its_proof_and_opens_nothing_else() {
    let bearer = |name: &str| Webhook {
        name: name.into(),
        proof: Proof::Bearer { sha256: Sha256::digest(name).into() },
    };
    let signed = Webhook {
        name: "code".into(),
        proof: Proof::Signed {
            secret: custos_event::Private::new(b"It's a Secret to Everybody".to_vec()),
            header: HeaderName::from_static("x-hub-signature-256"),
            form: Form::PrefixedHex,
        },
    };
    let intake = StandIn::new();
    let router = with_webhooks(&intake, None, vec![bearer("a"), bearer("b"), signed]);
    let right = ("authorization", "Bearer a");
    let told = |answer: &Value| answer["error"].as_str().unwrap_or_default().to_owned();
    for (path, headers, body, expected, part) in [
        ("/webhook/a", vec![], "{}", 401, "authorization is missing"),
        ("/webhook/b", vec![right], "{}", 401, "not the one that is configured"),
        ("/webhook/none", vec![right], "{}", 404, "no webhook 'none'"),
        ("/webhook/a", vec![right], " ", 400, "the body is empty"),
        ("/webhook/a", vec![right, ("content-encoding", "br")], "{}", 415, "the body is in br"),
        ("/webhook/code", vec![("content-encoding", "gzip")], "{}", 400, "uncompressed"),
        ("/webhook/code", vec![("x-hub-signature-256", "sha256=00")], "{}", 401, "64 hexadecimal"),
        // A port for webhooks alone is none for whoever has no proof.
        ("/gelf", vec![], "{}", 401, "a token is needed"),
        ("/gelf", vec![right], "{}", 403, "none that is known"),
    ] {
        let (status, _, answer) = ask(&router, path, &headers, body).await;
        assert_eq!(status, expected, "{path}: {answer}");
        assert!(told(&answer).contains(part), "{part} in: {answer}");
    }
    assert!(stored(&intake).is_empty());
    let (status, _, answer) = ask(&router, "/webhook/a", &[right], "[{\"a\":1},{\"a\":2}]").await;
    assert_eq!((status, &answer["received"]), (200, &Value::from(2)));
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let signature = ("x-hub-signature-256", signature);
    assert_eq!(ask(&router, "/webhook/code", &[signature], "Hello, World!").await.0, 200);
    assert_eq!(ask(&router, "/webhook/code", &[signature], "Hello, World").await.0, 401);
    let of = |source: &str, raw: &str| (source.to_owned(), raw.to_owned());
    let expected = [
        of("webhook:a", "{\"a\":1}"),
        of("webhook:a", "{\"a\":2}"),
        of("webhook:code", "Hello, World!"),
    ];
    assert_eq!(stored(&intake), expected);
}

#[tokio::test]
async fn what_clients_ask_before_they_send_is_answered() {
    let router = shippers(&StandIn::new(), None);
    for (method, path) in [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/_license"),
        ("GET", "/_xpack"),
        ("GET", "/_cluster/health"),
        ("GET", "/_cat/health"),
        ("HEAD", "/_index_template/filebeat-8.15.1"),
        ("PUT", "/_ilm/policy/filebeat"),
        ("GET", "/_ingest/pipeline/x"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{method} {path}");
        assert_eq!(answer.headers()["x-elastic-product"], "Elasticsearch", "{method} {path}");
    }
}
