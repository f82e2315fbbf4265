//! GELF over HTTP: one message a request.

use super::{
    Shippers,
    delivery::{Asked, Fault, refusal},
};
use crate::{batch::Intake, decoding::Piece};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use std::sync::Arc;

const PROTOCOL: &str = "gelf";

pub(super) fn routes<I: Intake>() -> Router<Arc<Shippers<I>>> {
    Router::new().route("/gelf", post(take::<I>))
}

async fn take<I: Intake>(
    State(state): State<Arc<Shippers<I>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let taken = async {
        let Asked { name, body } = state.take(&headers, body).await?;
        if body.bytes.trim_ascii().is_empty() {
            return Err(Fault::Malformed("the body is empty".into()));
        }
        state.deliver(PROTOCOL, &name, vec![Piece::new(body.bytes.clone())]).await
    };
    match taken.await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(fault) => {
            let answer = serde_json::json!({ "error": fault.text() });
            refusal(PROTOCOL, (fault.status(), &fault), &answer)
        }
    }
}
