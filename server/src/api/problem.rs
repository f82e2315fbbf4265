//! What went wrong, as RFC 9457 has it. Inner errors go to Custos' own log, never to who asks.

use crate::auth::Permission;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use custos_search::{QueryError, QueryFault};
use serde::Serialize;
use serde_json::Value;
use tracing::error;
use utoipa::ToSchema;

/// An answer that is no success.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// What happened, to what, and what to do.
    detail: String,
    /// Where in the query, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// What is wrong with the query, as a word that does not change: `open_parenthesis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    fault: Option<QueryFault>,
    /// After a conflict: what is true now.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Box<Value>>,
    #[serde(skip)]
    retry_after_secs: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            column: None,
            fault: None,
            now: None,
            retry_after_secs: None,
        }
    }

    /// 400: what was asked cannot be read.
    pub(crate) fn wrong(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: nobody, or nobody any more.
    pub(crate) fn sign_in() -> Self {
        let detail = "sign in first; a program sends the token in keys/api.token of the data \
                      folder, as Authorization: Bearer TOKEN";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: somebody, who may not.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 403, naming what is missing.
    pub(super) fn lacks(permission: Permission) -> Self {
        let name = permission.name();
        Self::forbidden(format!("this needs the permission {name}; ask an administrator for it"))
    }

    /// 404, as in `there is no incident INC-000009`.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 404; or 410, naming when and why, where retention let the record go.
    pub(super) fn no_record(store: &custos_store::Store, at: custos_event::Position) -> Self {
        let Some(gone) = store.dropped_at(at) else {
            return Self::not_found(format!("there is no event {at}"));
        };
        let (when, why) = (gone.at, gone.reason);
        Self::new(StatusCode::GONE, format!("event {at} was dropped by retention on {when}: {why}"))
    }

    /// 409: it was so when it was asked, and is no more; `now` is what is true.
    pub(crate) fn conflict(detail: impl Into<String>, now: impl Serialize) -> Self {
        let now = serde_json::to_value(now).ok().map(Box::new);
        Self { now, ..Self::new(StatusCode::CONFLICT, detail) }
    }

    /// 429.
    pub(crate) fn too_many(detail: impl Into<String>, retry_after_secs: u64) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, detail);
        Self { retry_after_secs: Some(retry_after_secs), ..problem }
    }

    /// 500. Details go to Custos' own log, not to who asks.
    pub(crate) fn failed(error: &anyhow::Error) -> Self {
        error!(error = format!("{error:#}"), "a request failed");
        let detail = "the server could not answer; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let (column, fault) = (Some(error.column), Some(error.fault));
        Self { column, fault, ..Self::wrong(error.to_string()) }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(&error)
    }
}

impl From<crate::exit::Failure> for Problem {
    fn from(failure: crate::exit::Failure) -> Self {
        Self::failed(&failure.into_error())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.retry_after_secs;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(secs) = retry {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
