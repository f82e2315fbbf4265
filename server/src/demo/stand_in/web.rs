//! A stand-in over HTTP.

use super::{
    Service,
    book::{Answer, Entry, Method, Request, refusal},
};
use crate::clock::SystemClock;
use anyhow::Context as _;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{self, DefaultBodyLimit, Path},
    http::{self, HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::get,
};
use custos_event::Clock as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// A reason and a number.
const BODY_BYTES_MAX: usize = 16 << 10;

#[derive(Clone)]
struct State {
    service: Arc<Mutex<Service>>,
    bearer: [u8; 32],
}

/// What a `PUT` may say; nothing is needed.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Body {
    reason: String,
    timeout_secs: Option<u32>,
}

/// Answers on the service's address until `stop`.
pub(super) fn serve(
    service: Service,
    token: &str,
    stop: CancellationToken,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
    let name = service.kind.name;
    let socket = service.socket.try_clone().context("cannot use the port of a stand-in")?;
    socket.set_nonblocking(true)?;
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let bearer = digest(&format!("Bearer {token}"));
    let state = State { service: Arc::new(Mutex::new(service)), bearer };
    let router = Router::new()
        .route("/{table}", get(list))
        .route("/{table}/{target}", get(take).put(take).delete(take))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state);
    Ok(async move {
        axum::serve(socket, router)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
            .with_context(|| format!("the stand-in '{name}' ended"))
    })
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl State {
    /// Digests are compared, so that the time taken tells nothing about the token.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.is_some_and(|given| digest(given) == self.bearer)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body)).into_response();
        if self.repeated {
            let replayed = http::HeaderValue::from_static("true");
            response.headers_mut().insert("idempotent-replayed", replayed);
        }
        response
    }
}

fn unknown_caller() -> Answer {
    refusal(401, "the token in stand-ins/token is needed: Authorization: Bearer TOKEN")
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(table): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !state.knows(&headers) {
        return unknown_caller().into_response();
    }
    let service = state.service.lock().unwrap_or_else(PoisonError::into_inner);
    if !service.book.has(&table) {
        return refusal(404, "there is nothing of this kind here").into_response();
    }
    Json(service.book.list(&table, SystemClock.now())).into_response()
}

async fn take(
    extract::State(state): extract::State<State>,
    Path((table, target)): Path<(String, String)>,
    method: http::Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !state.knows(&headers) {
        return unknown_caller().into_response();
    }
    let mut service = state.service.lock().unwrap_or_else(PoisonError::into_inner);
    let request = match request(&service, &method, table, target, &body) {
        Ok(request) => request,
        Err(refused) => return refused.into_response(),
    };
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let time = SystemClock.now();
    let answer = service.book.take(&request, key.as_deref(), time);
    let (status, repeated) = (answer.status, answer.repeated);
    match service.write(&Entry { time, request, key, status, repeated }) {
        Ok(()) => answer.into_response(),
        Err(error) => refusal(500, &format!("cannot write it down: {error}")).into_response(),
    }
}

fn request(
    service: &Service,
    method: &http::Method,
    table: String,
    target: String,
    body: &[u8],
) -> Result<Request, Answer> {
    if !(service.kind.accepts)(&target) {
        return Err(refusal(400, "this is no target of this kind"));
    }
    let method = match *method {
        http::Method::PUT => Method::Put,
        http::Method::DELETE => Method::Delete,
        _ => Method::Get,
    };
    let body = if method == Method::Put && !body.is_empty() {
        serde_json::from_slice(body).map_err(|error| refusal(400, &error.to_string()))?
    } else {
        Body::default()
    };
    let Body { reason, timeout_secs } = body;
    Ok(Request { method, table, target, reason, timeout_secs })
}
