//! A request's events on their way to the log, and what of it went wrong, for each protocol to say its own way.

use super::{
    Shippers,
    access::{self, Denied},
};
use crate::{
    batch::{Intake, IntakeError},
    body::{BodyError, Taken},
    decoding::Piece,
    gate::FeedError,
    http::{RETRY_BUSY, RETRY_PAUSED},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use std::{collections::VecDeque, sync::Arc};

/// Why a request was not taken, or not whole.
#[derive(Debug)]
pub(super) enum Fault {
    Denied(Denied),
    Body(BodyError),
    /// It is not what the protocol has, and why.
    Malformed(String),
    /// So many of its events are durable, the others are not.
    Feed {
        durable: usize,
        error: FeedError,
    },
}

impl Fault {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Denied(denied) => denied.text().to_owned(),
            Self::Body(error) => error.to_string(),
            Self::Malformed(why) => why.clone(),
            Self::Feed { error, .. } => error.to_string(),
        }
    }

    /// How HTTP says it, where a protocol has no way of its own.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Denied(Denied::Missing | Denied::Malformed) => StatusCode::UNAUTHORIZED,
            Self::Denied(Denied::Wrong) => StatusCode::FORBIDDEN,
            Self::Body(error) => error.kind().0,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Feed { error: FeedError::Decoder, .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Feed { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Seconds after which the same may be sent again.
    pub(super) fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Body(BodyError::Busy) => Some(RETRY_BUSY),
            Self::Feed { error: FeedError::Intake(IntakeError::Paused(_)), .. } => {
                Some(RETRY_PAUSED)
            }
            Self::Denied(_) | Self::Body(_) | Self::Malformed(_) | Self::Feed { .. } => None,
        }
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

/// A request that may send, and its body.
pub(super) struct Asked {
    pub(super) name: Arc<str>,
    pub(super) body: Taken,
}

impl<I: Intake> Shippers<I> {
    pub(super) async fn take(&self, headers: &HeaderMap, body: Body) -> Result<Asked, Fault> {
        let name = access::name(&self.config, headers)?;
        let body = self.bodies.take(headers, body).await?;
        Ok(Asked { name, body })
    }

    pub(super) fn allows(&self, headers: &HeaderMap) -> Result<(), Denied> {
        access::name(&self.config, headers).map(drop)
    }

    /// Returns when all are durable.
    pub(super) async fn deliver(
        &self,
        protocol: &str,
        name: &str,
        pieces: Vec<Piece>,
    ) -> Result<(), Fault> {
        let mut feed = self.gate.feed(&format!("{protocol}:{name}"));
        let mut waiting = VecDeque::from(pieces);
        let all = waiting.len();
        let delivered = feed.deliver(&mut waiting).await;
        let durable = all - waiting.len();
        delivered.map(drop).map_err(|error| Fault::Feed { durable, error })
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, answer: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// The same for what was refused: counted, and with when to try again.
pub(super) fn refusal(
    protocol: &'static str,
    (status, fault): (StatusCode, &Fault),
    answer: &serde_json::Value,
) -> Response {
    count_refused(protocol, status);
    let mut response = json(status, answer);
    if let Some(secs) = fault.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(secs));
    }
    response
}

pub(super) fn count_refused(protocol: &'static str, status: StatusCode) {
    let status = status.as_u16().to_string();
    metrics::counter!("custos_shippers_refused_total", "protocol" => protocol, "status" => status)
        .increment(1);
}
