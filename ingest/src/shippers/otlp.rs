//! OTLP/HTTP logs, in protobuf and in JSON.

mod message;

use super::{
    Shippers,
    delivery::{Asked, Fault, json, refusal},
};
use crate::batch::Intake;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use message::Request;
use prost::Message as _;
use serde_json::json;
use std::sync::Arc;

const PROTOCOL: &str = "otlp";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

pub(super) fn routes<I: Intake>() -> Router<Arc<Shippers<I>>> {
    Router::new().route("/v1/logs", post(take::<I>))
}

async fn take<I: Intake>(
    State(state): State<Arc<Shippers<I>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|sent| sent.to_str().ok());
    let kind = sent.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let read = match kind {
        PROTOBUF => protobuf,
        JSON => in_json,
        _ => {
            let why = format!("the body has to be {PROTOBUF} or {JSON}");
            let (status, fault) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, Fault::Malformed(why));
            return refusal(PROTOCOL, (status, &fault), &json!({ "message": fault.text() }));
        }
    };
    let taken = async {
        let Asked { name, body } = state.take(&headers, body).await?;
        let pieces = read(&body.bytes).map_err(Fault::Malformed)?.pieces();
        state.deliver(PROTOCOL, &name, pieces).await
    };
    match taken.await {
        // An empty ExportLogsServiceResponse: all is taken.
        Ok(()) if kind == PROTOBUF => ([(header::CONTENT_TYPE, PROTOBUF)], "").into_response(),
        Ok(()) => json(StatusCode::OK, &json!({})),
        // Both forms of google.rpc.Status may be ignored; in JSON it can at least be read.
        Err(fault) => {
            refusal(PROTOCOL, (fault.status(), &fault), &json!({ "message": fault.text() }))
        }
    }
}

fn protobuf(body: &[u8]) -> Result<Request, String> {
    Request::decode(body)
        .map_err(|error| format!("the body is no ExportLogsServiceRequest: {error}"))
}

fn in_json(body: &[u8]) -> Result<Request, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("the body is no ExportLogsServiceRequest: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORD: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"billing"}}]},
        "scopeLogs":[{"scope":{"name":"app"},"logRecords":[{"timeUnixNano":"1700000000000000000","severityNumber":17,
        "severityText":"ERROR","body":{"stringValue":"it broke"},"traceId":"5b8efff798038103d269b633813fc60c",
        "attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"n","value":{"doubleValue":0.5}},
        {"key":"list","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}]}]}]}"#;

    #[test]
    fn json_and_protobuf_say_the_same() {
        let request = in_json(RECORD.as_bytes()).unwrap();
        let again = protobuf(&request.encode_to_vec()).unwrap();
        let [from_json, from_protobuf] = [request, again].map(Request::pieces);
        assert_eq!(from_json, from_protobuf);
        let read: serde_json::Value = serde_json::from_slice(&from_json[0].bytes).unwrap();
        assert_eq!(
            read,
            json!({
                "timeUnixNano": 1_700_000_000_000_000_000_u64, "severityNumber": 17, "severityText": "ERROR",
                "body": "it broke", "traceId": "5b8efff798038103d269b633813fc60c",
                "attributes": { "n": 7, "n#": 0.5, "list": [true] },
                "resource": { "service.name": "billing" }, "scope": { "name": "app" },
            })
        );
    }

    #[test]
    fn a_line_of_a_file_is_taken_as_the_line_itself() {
        let line = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"gate"}}]},
            "scopeLogs":[{"logRecords":[{"observedTimeUnixNano":"5","body":{"stringValue":"<13>a"},
            "attributes":[{"key":"log.file.path","value":{"stringValue":"/a"}}]}]}]}]}"#;
        let pieces = in_json(line.as_bytes()).unwrap().pieces();
        assert_eq!(pieces[0].bytes, "<13>a");
        assert_eq!(pieces[0].context.host.as_deref(), Some("gate"));
        assert_eq!(pieces[0].context.file.as_deref(), Some("/a"));
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let deep = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{}{{}}{}}}]}}]}}]}}"#,
            r#"{"arrayValue":{"values":["#.repeat(200),
            "]}}".repeat(200)
        );
        assert!(in_json(deep.as_bytes()).is_err());
        let mut value = message::AnyValue::default();
        for _ in 0..200 {
            value = message::AnyValue::of(vec![value]);
        }
        assert!(protobuf(&Request::of(value).encode_to_vec()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reading_panic(bytes: Vec<u8>) {
            drop(protobuf(&bytes).map(Request::pieces));
            drop(in_json(&bytes).map(Request::pieces));
        }
    }
}
