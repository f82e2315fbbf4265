//! Splunk's HTTP event collector: events, raw lines, health, acknowledgements.
//!
//! An envelope that says nothing beyond host, file and time is taken off its event, so that the event is read as
//! if it had come without one; any other envelope stays and is kept whole.

use super::{
    Shippers,
    access::Denied,
    delivery::{Asked, Fault, json, refusal},
};
use crate::{
    batch::Intake,
    decoding::{Context, Piece},
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use custos_event::Timestamp;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const PROTOCOL: &str = "splunk";
/// Asked about at once at most.
const ACKS_MAX: usize = 10_000;
/// The next acknowledgement; all below it were given for events that are durable. Kept in memory: after a
/// restart older ones are unknown until the count has come to them again, and a client sends those events again.
/// One that is known is never wrong: whenever it was given, its events were durable.
static NEXT_ACK: AtomicU64 = AtomicU64::new(0);

type Shared<I> = State<Arc<Shippers<I>>>;

pub(super) fn routes<I: Intake>() -> Router<Arc<Shippers<I>>> {
    let health =
        || get(async || json(StatusCode::OK, &json!({ "text": "HEC is healthy", "code": 17 })));
    let mut router = Router::new();
    for path in ["", "/event", "/event/1.0"] {
        router = router.route(&format!("/services/collector{path}"), post(events::<I>));
    }
    for path in ["/raw", "/raw/1.0"] {
        router = router.route(&format!("/services/collector{path}"), post(raw::<I>));
    }
    for path in ["/health", "/health/1.0"] {
        router = router.route(&format!("/services/collector{path}"), health());
    }
    router.route("/services/collector/ack", post(acks::<I>))
}

async fn events<I: Intake>(
    State(state): Shared<I>,
    asked: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(&state, has_channel(&headers, &asked), &headers, body, envelopes).await
}

async fn raw<I: Intake>(
    State(state): Shared<I>,
    asked: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(&state, has_channel(&headers, &asked), &headers, body, |body| Ok(lines(body))).await
}

async fn take<I: Intake>(
    state: &Shippers<I>,
    wants_ack: bool,
    headers: &HeaderMap,
    body: Body,
    read: fn(&Bytes) -> Result<Vec<Piece>, String>,
) -> Response {
    let taken = async {
        let Asked { name, body } = state.take(headers, body).await?;
        let pieces = read(&body.bytes).map_err(Fault::Malformed)?;
        if pieces.is_empty() {
            return Ok(0);
        }
        let count = pieces.len();
        state.deliver(PROTOCOL, &name, pieces).await.map(|()| count)
    };
    match taken.await {
        Ok(0) => json(StatusCode::BAD_REQUEST, &json!({ "text": "No data", "code": 5 })),
        Ok(_) => {
            let mut answer = json!({ "text": "Success", "code": 0 });
            if let Some(answer) = answer.as_object_mut().filter(|_| wants_ack) {
                let ack = NEXT_ACK.fetch_add(1, Ordering::Relaxed);
                answer.insert("ackId".into(), ack.into());
            }
            json(StatusCode::OK, &answer)
        }
        Err(fault) => refused(&fault),
    }
}

/// A client names its channel in a header or in the address; then it will ask for acknowledgements.
fn has_channel(headers: &HeaderMap, asked: &Uri) -> bool {
    let mut pairs = asked.query().unwrap_or_default().split('&');
    headers.contains_key("x-splunk-request-channel")
        || pairs.any(|pair| pair.starts_with("channel="))
}

fn refused(fault: &Fault) -> Response {
    let (status, text, code) = match fault {
        Fault::Denied(Denied::Missing) => (StatusCode::UNAUTHORIZED, "Token is required", 2),
        Fault::Denied(Denied::Malformed) => (StatusCode::UNAUTHORIZED, "Invalid authorization", 3),
        Fault::Denied(Denied::Wrong) => (StatusCode::FORBIDDEN, "Invalid token", 4),
        Fault::Malformed(_) => (StatusCode::BAD_REQUEST, "Invalid data format", 6),
        Fault::Body(error) => match error.kind().0 {
            StatusCode::TOO_MANY_REQUESTS => (StatusCode::SERVICE_UNAVAILABLE, "Server is busy", 9),
            status => (status, "Invalid data format", 6),
        },
        Fault::Feed { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Server is busy", 9),
    };
    let answer = json!({ "text": text, "code": code, "custos": fault.text() });
    refusal(PROTOCOL, (status, fault), &answer)
}

#[derive(Deserialize)]
struct Asking {
    acks: Vec<u64>,
}

/// An event is answered only when it is durable, so every acknowledgement that was given holds.
async fn acks<I: Intake>(State(state): Shared<I>, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        let Asked { body, .. } = state.take(&headers, body).await?;
        let asking: Asking = serde_json::from_slice(&body.bytes)
            .map_err(|error| Fault::Malformed(error.to_string()))?;
        if asking.acks.len() > ACKS_MAX {
            return Err(Fault::Malformed(format!("more than {ACKS_MAX} at once")));
        }
        Ok(asking.acks)
    };
    match taken.await {
        Err(fault) => refused(&fault),
        Ok(acks) => {
            let given = NEXT_ACK.load(Ordering::Relaxed);
            let acks: BTreeMap<String, bool> =
                acks.iter().map(|ack| (ack.to_string(), *ack < given)).collect();
            json(StatusCode::OK, &json!({ "acks": acks }))
        }
    }
}

fn lines(body: &Bytes) -> Vec<Piece> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let some = lines.filter(|line| !line.is_empty());
    some.map(|line| Piece::new(body.slice_ref(line))).collect()
}

/// What stands around an event.
#[derive(Deserialize)]
#[expect(
    clippy::zero_sized_map_values,
    reason = "only the names count, and serde reads no set of names"
)]
struct Envelope<'e> {
    #[serde(borrow)]
    event: Option<&'e RawValue>,
    #[serde(borrow)]
    time: Option<&'e RawValue>,
    host: Option<String>,
    source: Option<String>,
    /// How Splunk would read it and where it would keep it; here that is said by the token.
    #[serde(rename = "sourcetype")]
    _sourcetype: Option<serde::de::IgnoredAny>,
    #[serde(rename = "index")]
    _index: Option<serde::de::IgnoredAny>,
    /// Values of their own beside the event; some senders always send the key.
    #[serde(default)]
    fields: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(flatten)]
    more: BTreeMap<String, serde::de::IgnoredAny>,
}

/// The events of a body: objects one behind the other, or in an array.
fn envelopes(body: &Bytes) -> Result<Vec<Piece>, String> {
    if body.trim_ascii_start().starts_with(b"[") {
        let all: Vec<&RawValue> =
            serde_json::from_slice(body).map_err(|error| error.to_string())?;
        return all.into_iter().map(|one| envelope(body, one)).collect();
    }
    let all = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
    (0..)
        .zip(all)
        .map(|(nth, one)| {
            let one = one.map_err(|error| format!("event {nth} is no JSON: {error}"))?;
            envelope(body, one).map_err(|error| format!("event {nth}: {error}"))
        })
        .collect()
}

fn envelope(body: &Bytes, whole: &RawValue) -> Result<Piece, String> {
    let text = whole.get();
    let kept = || Piece::new(body.slice_ref(text.as_bytes()));
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        return Ok(kept());
    };
    let Some(event) = envelope.event.map(RawValue::get) else {
        return Err("'event' is missing".into());
    };
    let bytes = match event.as_bytes().first() {
        _ if !(envelope.more.is_empty() && envelope.fields.is_empty()) => return Ok(kept()),
        Some(b'{') => body.slice_ref(event.as_bytes()),
        Some(b'"') => match serde_json::from_str::<String>(event) {
            Ok(text) => text.into(),
            Err(_) => return Ok(kept()),
        },
        _ => return Ok(kept()),
    };
    if bytes.trim_ascii().is_empty() {
        return Err("'event' is blank".into());
    }
    let context = Context {
        host: envelope.host.map(Into::into),
        file: envelope.source.map(Into::into),
        time: envelope.time.and_then(|time| seconds(time.get())),
        ..Context::default()
    };
    Ok(Piece { context, ..Piece::new(bytes) })
}

/// `1700000000.123`, also in quotes.
fn seconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_secs_f64(text.trim_matches('"').trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let text = |piece: Piece| {
            let raw = String::from_utf8(piece.bytes.to_vec()).unwrap();
            (raw, piece.context.host.map(Into::into))
        };
        Ok(envelopes(&Bytes::copy_from_slice(body.as_bytes()))?.into_iter().map(text).collect())
    }

    #[test]
    fn an_envelope_that_says_nothing_more_is_taken_off() {
        let host = Some("gate".to_owned());
        for (body, raw, host) in [
            (r#"{"time":1.5,"host":"gate","event":"<13>a \"b\""}"#, r#"<13>a "b""#, host.clone()),
            (r#"{"sourcetype":"x","index":"y","event":{"a": 1}}"#, r#"{"a": 1}"#, None),
            (r#"[{"host":"gate","event":{"a":1}}]"#, r#"{"a":1}"#, host),
            (r#"{"event":"a","fields":{}}"#, "a", None),
            (r#"{"event":"a","fields":{"b":1}}"#, r#"{"event":"a","fields":{"b":1}}"#, None),
            (r#"{"event":[1]}"#, r#"{"event":[1]}"#, None),
        ] {
            assert_eq!(read(body), Ok(vec![(raw.to_owned(), host)]), "{body}");
        }
        let two = read("{\"event\":\"a\"}{\"event\":\"b\"}\n").unwrap();
        assert_eq!(two.iter().map(|(raw, _)| raw.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_number() {
        for (body, part) in [
            (r#"{"event":"a"}{"host":"b"}"#, "event 1: 'event' is missing"),
            (r#"{"event":" "}"#, "event 0: 'event' is blank"),
            (r#"{"event":"a"} nonsense"#, "event 1 is no JSON"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(part), "{part} in: {error}");
        }
        assert_eq!(read(""), Ok(vec![]));
    }

    #[test]
    fn a_time_is_seconds_with_or_without_quotes() {
        assert_eq!(seconds("1700000000.5"), Some(Timestamp(1_700_000_000_500_000_000)));
        assert_eq!(seconds("\"1700000000\""), Some(Timestamp::from_secs(1_700_000_000)));
        for text in ["null", "\"x\"", "1e400", "NaN"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reading_of_envelopes_panic(bytes: Vec<u8>, text in "[{}\\[\\]\":,eventa-z]{0,60}") {
            drop(envelopes(&bytes.into()));
            drop(envelopes(&text.into()));
        }
    }
}
