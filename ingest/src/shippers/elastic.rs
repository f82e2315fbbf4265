//! Elasticsearch's `_bulk`, with what its clients ask before they send: Filebeat, rsyslog, the Python clients.

use super::{
    Shippers,
    delivery::{Asked, Fault, json, refusal},
};
use crate::{batch::Intake, decoding::Piece};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
    routing::{any, get, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const PROTOCOL: &str = "elasticsearch";
/// Told to clients that do not say which version they are.
const VERSION: &str = "8.17.0";
const OPENSEARCH_VERSION: &str = "2.19.0";
/// A version is not longer than this.
const VERSION_BYTES_MAX: usize = 16;

type Shared<I> = State<Arc<Shippers<I>>>;

pub(super) fn routes<I: Intake>() -> Router<Arc<Shippers<I>>> {
    let bulk = || post(bulk::<I>).put(bulk::<I>);
    let fixed = |answer: fn() -> Value| {
        any(async move |State(state): Shared<I>, headers: HeaderMap| {
            probe(&state, &headers, answer)
        })
    };
    Router::new()
        .route("/", get(root::<I>).head(root::<I>))
        .route("/_bulk", bulk())
        .route("/{index}/_bulk", bulk())
        .route("/{index}/_doc", post(document::<I>))
        .route("/_cluster/health", fixed(health))
        .route("/_cat/health", fixed(health))
        .route("/_license", fixed(license))
        .route("/_xpack", fixed(xpack))
        // Clients look for these and put them where they are missing; Custos has no use for them.
        .route("/_ilm/policy/{*rest}", fixed(acknowledged))
        .route("/_index_template/{*rest}", fixed(acknowledged))
        .route("/_component_template/{*rest}", fixed(acknowledged))
        .route("/_template/{*rest}", fixed(acknowledged))
        .route("/_ingest/pipeline/{*rest}", fixed(acknowledged))
        .route("/_data_stream/{*rest}", fixed(acknowledged))
}

fn health() -> Value {
    json!({
        "cluster_name": "custos", "status": "green", "timed_out": false, "number_of_nodes": 1,
        "number_of_data_nodes": 1, "active_shards_percent_as_number": 100.0,
    })
}

fn license() -> Value {
    json!({ "license": { "status": "active", "uid": "custos", "type": "basic", "mode": "basic" } })
}

fn xpack() -> Value {
    json!({
        "license": { "status": "active", "type": "basic", "mode": "basic", "uid": "custos" },
        "features": { "ilm": { "available": true, "enabled": true } },
    })
}

fn acknowledged() -> Value {
    json!({ "acknowledged": true })
}

fn probe<I: Intake>(state: &Shippers<I>, headers: &HeaderMap, answer: fn() -> Value) -> Response {
    match state.allows(headers) {
        Ok(()) => product(json(StatusCode::OK, &answer())),
        Err(denied) => refused(&Fault::Denied(denied)),
    }
}

async fn root<I: Intake>(State(state): Shared<I>, headers: HeaderMap) -> Response {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default().to_ascii_lowercase();
    let mut version = json!({ "number": version(&agent), "build_flavor": "default" });
    if agent.contains("opensearch") {
        version = json!({ "number": OPENSEARCH_VERSION, "distribution": "opensearch" });
    }
    let about = json!({
        "name": "custos", "cluster_name": "custos", "cluster_uuid": "custos", "version": version,
        "tagline": "You Know, for Search",
    });
    match state.allows(&headers) {
        Ok(()) => product(json(StatusCode::OK, &about)),
        Err(denied) => refused(&Fault::Denied(denied)),
    }
}

/// What the client calls itself: Beats send nothing to a server that is older than they are.
fn version(agent: &str) -> String {
    let is_elastic = agent.contains("elastic");
    let number = agent.split_once('/').map(|(_, rest)| rest).unwrap_or_default();
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let number = number.get(..end).unwrap_or_default();
    let is_version = number.len() <= VERSION_BYTES_MAX && number.split('.').count() == 3;
    if is_elastic && is_version { number.to_owned() } else { VERSION.to_owned() }
}

/// The header without which Elasticsearch's own clients do not go on.
fn product(mut response: Response) -> Response {
    response.headers_mut().insert(
        HeaderName::from_static("x-elastic-product"),
        HeaderValue::from_static("Elasticsearch"),
    );
    response
}

fn refused(fault: &Fault) -> Response {
    // Clients send the same again after 429, and give a batch up after other errors.
    let is_busy = fault.retry_after().is_some();
    let status = if is_busy { StatusCode::TOO_MANY_REQUESTS } else { fault.status() };
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "security_exception",
        StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
        StatusCode::BAD_REQUEST => "illegal_argument_exception",
        _ => "custos_exception",
    };
    let cause = json!({ "type": kind, "reason": fault.text() });
    let answer = json!({ "error": { "root_cause": [cause], "type": kind, "reason": fault.text() },
        "status": status.as_u16() });
    product(refusal(PROTOCOL, (status, fault), &answer))
}

/// What an action line says.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Index(Meta),
    Create(Meta),
    Update(serde::de::IgnoredAny),
    Delete(serde::de::IgnoredAny),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<String>,
}

/// One document of a bulk, and how its item in the answer begins.
struct Document {
    op: &'static str,
    meta: Meta,
    bytes: Bytes,
}

async fn bulk<I: Intake>(State(state): Shared<I>, headers: HeaderMap, body: Body) -> Response {
    match take_bulk(&state, &headers, body).await {
        Ok(answer) => product(json(StatusCode::OK, &answer)),
        Err(fault) => refused(&fault),
    }
}

async fn take_bulk<I: Intake>(
    state: &Shippers<I>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Value, Fault> {
    let Asked { name, body } = state.take(headers, body).await?;
    let documents = documents(&body.bytes).map_err(Fault::Malformed)?;
    let pieces = documents.iter().map(|document| Piece::new(document.bytes.clone())).collect();
    let (durable, fault) = match state.deliver(PROTOCOL, &name, pieces).await {
        Ok(()) => (documents.len(), None),
        Err(Fault::Feed { durable, error }) if durable > 0 => {
            (durable, Some(Fault::Feed { durable, error }))
        }
        Err(fault) => return Err(fault),
    };
    let why = fault.as_ref().map(Fault::text);
    let items: Vec<Value> = documents
        .iter()
        .enumerate()
        .map(|(nth, document)| item(document, why.as_deref().filter(|_| nth >= durable)))
        .collect();
    Ok(json!({ "took": 0, "errors": fault.is_some(), "items": items }))
}

fn item(document: &Document, fault: Option<&str>) -> Value {
    let Document { op, meta, .. } = document;
    let (index, id) = (meta.index.as_deref().unwrap_or("custos"), meta.id.as_deref());
    let said = match fault {
        None => json!({ "_index": index, "_id": id, "result": "created", "status": 201 }),
        Some(reason) => json!({ "_index": index, "_id": id, "status": 429, "error":
            { "type": "es_rejected_execution_exception", "reason": reason } }),
    };
    json!({ *op: said })
}

/// The documents of a bulk; nothing of one that is malformed is taken. Blank lines, which rsyslog sends, are
/// passed over.
fn documents(body: &Bytes) -> Result<Vec<Document>, String> {
    let mut documents = Vec::new();
    let mut lines = (1_usize..).zip(body.split(|byte| *byte == b'\n'));
    let mut next = || lines.by_ref().find(|(_, line)| !line.trim_ascii().is_empty());
    while let Some((at, line)) = next() {
        let action = serde_json::from_slice(line)
            .map_err(|error| format!("line {at} is no action of a bulk: {error}"))?;
        let (op, meta) = match action {
            Action::Index(meta) => ("index", meta),
            Action::Create(meta) => ("create", meta),
            Action::Update(_) | Action::Delete(_) => {
                return Err(format!(
                    "line {at} would change a document; the log only grows: send index or create"
                ));
            }
        };
        let (_, line) =
            next().ok_or_else(|| format!("no document follows the action in line {at}"))?;
        documents.push(Document { op, meta, bytes: body.slice_ref(line.trim_ascii()) });
    }
    if documents.is_empty() { Err("the bulk is empty".to_owned()) } else { Ok(documents) }
}

async fn document<I: Intake>(State(state): Shared<I>, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        let Asked { name, body } = state.take(&headers, body).await?;
        state.deliver(PROTOCOL, &name, vec![Piece::new(body.bytes.clone())]).await
    };
    match taken.await {
        Ok(()) => {
            product(json(StatusCode::CREATED, &json!({ "_index": "custos", "result": "created" })))
        }
        Err(fault) => refused(&fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_client_is_told_the_version_that_it_has_itself() {
        for (agent, expected) in [
            ("elastic-filebeat/8.15.1 (linux; amd64)", "8.15.1"),
            ("elasticsearch-py/9.5.1 (python/3.11)", "9.5.1"),
            ("curl/7.88.1", VERSION),
            ("elastic/x", VERSION),
            ("elastic/99999999999999999.1.1", VERSION),
            ("", VERSION),
        ] {
            assert_eq!(version(agent), expected, "{agent}");
        }
    }

    #[test]
    fn a_bulk_is_read_whole_or_refused_with_the_line_at_fault() {
        let text = "{\"index\":{}}\n{\"a\":1}\n\n{\"create\":{\"_index\":\"x\",\"_id\":\"7\"}}\r\n{\"b\":2}\r\n";
        let read = documents(&text.into()).unwrap();
        let told: Vec<_> =
            read.iter().map(|d| (d.op, d.meta.index.as_deref(), &d.bytes[..])).collect();
        assert_eq!(
            told,
            [("index", None, &b"{\"a\":1}"[..]), ("create", Some("x"), &b"{\"b\":2}"[..])]
        );
        for (text, part) in [
            ("", "empty"),
            ("\n \n", "empty"),
            ("{\"index\":{}}\n{\"a\":1}\nnonsense\n{}", "line 3"),
            ("{\"index\":{}}\n", "line 1"),
            ("{\"delete\":{\"_id\":\"1\"}}\n", "only grows"),
            ("{\"upsert\":{}}\n{}", "line 1"),
        ] {
            let error = documents(&text.into()).err().unwrap();
            assert!(error.contains(part), "{part} in: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reading_of_a_bulk_panic(bytes: Vec<u8>, text in "[{}\":a-z\n]{0,80}") {
            drop(documents(&bytes.into()));
            drop(documents(&text.into()));
        }
    }
}
