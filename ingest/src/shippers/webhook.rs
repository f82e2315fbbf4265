//! Webhooks: what a service sends by itself when something has happened there, proven by a signature or a token.

use super::{
    Shippers, callback,
    delivery::{Fault, count_refused, json, refusal},
    report,
    signature::{Proof, Unproven},
};
use crate::{batch::Intake, decoding::Piece};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use bytes::Bytes;
use serde_json::{json, value::RawValue};
use std::sync::Arc;

const PROTOCOL: &str = "webhook";
/// Events of one request: services send one, or some dozens gathered.
const EVENTS_MAX: usize = 10_000;

/// One service that may send, at `/webhook/NAME`.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The source of its events.
    pub name: Arc<str>,
    pub proof: Proof,
}

pub(super) fn routes<I: Intake>() -> Router<Arc<Shippers<I>>> {
    Router::new().route("/webhook/{name}", post(take::<I>))
}

async fn take<I: Intake>(
    State(state): State<Arc<Shippers<I>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match store(&state, &name, &headers, body).await {
        Ok(Taken { says_success: true, .. }) => "success".into_response(),
        Ok(Taken { count, .. }) => json(StatusCode::OK, &json!({ "received": count })),
        Err(refused) => refused.answer(&name),
    }
}

/// Events that are durable.
struct Taken {
    count: usize,
    /// The sender wants this word, and no other.
    says_success: bool,
}

/// Why a request was not taken.
#[derive(Debug)]
enum Refused {
    /// Nobody has configured it.
    Unknown(String),
    /// It may be somebody else's.
    Unproven(Unproven),
    Fault(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refused {
    fn answer(&self, name: &str) -> Response {
        let (status, text) = match self {
            Self::Fault(fault) => {
                let answer = json!({ "error": fault.text() });
                return refusal(PROTOCOL, (fault.status(), fault), &answer);
            }
            Self::Unknown(name) => (
                StatusCode::NOT_FOUND,
                format!(
                    "no webhook '{name}' is configured at this port; name it in [[intake.webhooks]]"
                ),
            ),
            Self::Unproven(unproven) => {
                let (source, reason) = (format!("{PROTOCOL}:{name}"), unproven.reason());
                metrics::counter!("custos_webhook_refused_total", "source" => source, "reason" => reason)
                    .increment(1);
                (StatusCode::UNAUTHORIZED, unproven.to_string())
            }
        };
        count_refused(PROTOCOL, status);
        json(status, &json!({ "error": text }))
    }
}

async fn store<I: Intake>(
    state: &Shippers<I>,
    name: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Taken, Refused> {
    let known = state.config.webhooks.iter().find(|webhook| &*webhook.name == name);
    // Cut: the name comes from outside and goes into the answer.
    let unknown = || Refused::Unknown(name.chars().take(64).collect());
    let webhook = known.ok_or_else(unknown)?;
    if webhook.proof.is_of_body() && headers.contains_key(header::CONTENT_ENCODING) {
        let why = "a signed body has to come as it was signed: uncompressed";
        return Err(Fault::Malformed(why.into()).into());
    }
    let body = state.bodies.take(headers, body).await.map_err(Fault::from)?;
    let now = state.gate.clock.now();
    webhook.proof.check(headers, &body.bytes, now).map_err(Refused::Unproven)?;
    let pieces = match &webhook.proof {
        Proof::Fxiaoke { key, .. } => vec![callback::of_fxiaoke(key, &body.bytes)?],
        Proof::Zoho { .. } => vec![callback::of_zoho(&body.bytes)?],
        Proof::Signed { .. } | Proof::Timed { .. } | Proof::Bearer { .. } => events(&body.bytes)?,
    };
    let count = pieces.len();
    state.deliver(PROTOCOL, &webhook.name, pieces).await?;
    Ok(Taken { count, says_success: matches!(webhook.proof, Proof::Fxiaoke { .. }) })
}

/// The elements of an array are an event each, and so are the findings of a report; anything else is one.
fn events(body: &Bytes) -> Result<Vec<Piece>, Fault> {
    let whole = body.trim_ascii();
    if whole.is_empty() {
        return Err(Fault::Malformed("the body is empty".into()));
    }
    let pieces = elements(body, whole).or_else(|| report::findings(whole));
    let pieces = pieces.unwrap_or_else(|| vec![Piece::new(body.slice_ref(whole))]);
    if pieces.len() > EVENTS_MAX {
        return Err(Fault::Malformed(format!("more than {EVENTS_MAX} events in one request")));
    }
    Ok(pieces)
}

fn elements(body: &Bytes, whole: &[u8]) -> Option<Vec<Piece>> {
    let elements: Vec<&RawValue> =
        whole.starts_with(b"[").then(|| serde_json::from_slice(whole).ok()).flatten()?;
    let piece = |one: &&RawValue| Piece::new(body.slice_ref(one.get().as_bytes()));
    // One more than may be is enough to refuse them all.
    let pieces = elements.iter().take(EVENTS_MAX + 1).map(piece);
    (!elements.is_empty()).then(|| pieces.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> Result<Vec<String>, String> {
        let text = |piece: Piece| String::from_utf8_lossy(&piece.bytes).into_owned();
        let pieces = events(&Bytes::from_static(body.as_bytes())).map_err(|fault| fault.text())?;
        Ok(pieces.into_iter().map(text).collect())
    }

    #[test]
    fn an_array_is_many_events_and_anything_else_is_one() {
        for (body, expected) in [
            (" {\"a\":1}\n", &["{\"a\":1}"][..]),
            ("[{\"a\":1} , {\"b\":[2]}]", &["{\"a\":1}", "{\"b\":[2]}"]),
            ("[]", &["[]"]),
            ("[1", &["[1"]),
            ("payload=%7B%7D", &["payload=%7B%7D"]),
        ] {
            assert_eq!(read(body).unwrap(), expected, "{body}");
        }
        assert_eq!(read(" \n").unwrap_err(), "the body is empty");
        let many = format!("[{}0]", "0,".repeat(EVENTS_MAX));
        let error = events(&many.into()).err().unwrap().text();
        assert!(error.contains("more than 10000 events"), "{error}");
    }
}
