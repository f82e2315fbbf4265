//! Bodies of HTTP requests: bounded in bytes, inflated and not, in time, and all together.

use crate::listener::inflation_bound;
use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

/// A body that takes longer holds room that others need.
const BODY_LIMIT: Duration = Duration::from_mins(1);

/// What gzip begins with (RFC 1952).
pub(crate) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How much there may be of bodies.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// A body at most, as it is sent.
    pub body_bytes_max: usize,
    /// A body at most, inflated.
    pub inflated_bytes_max: usize,
    /// Bodies in flight at most, sent and inflated bytes together.
    pub in_flight_bytes_max: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 << 20,
            inflated_bytes_max: 100 << 20,
            // One body of the largest, or twelve of 10 MiB.
            in_flight_bytes_max: 128 << 20,
        }
    }
}

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is in {0}; send it as it is, in gzip or in deflate")]
    Encoding(String),
    #[error("the body is longer than {max} bytes{}; send it in parts", when(*inflated))]
    TooLarge { max: usize, inflated: bool },
    #[error("the body is not compressed as its header says: {0}")]
    Compression(io::Error),
    #[error("the body did not come whole")]
    Cut,
    #[error("the body took longer than {} s", BODY_LIMIT.as_secs())]
    Slow,
    #[error("too much is in flight; try again in a second")]
    Busy,
    #[error("inflating failed: a fault of Custos, please report it")]
    Fault,
}

impl BodyError {
    /// How HTTP says it, and one word for programs.
    pub(crate) fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Encoding(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Compression(_) => (StatusCode::BAD_REQUEST, "bad_gzip"),
            Self::Cut => (StatusCode::BAD_REQUEST, "body_cut"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "body_slow"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Self::Fault => (StatusCode::INTERNAL_SERVER_ERROR, "inflating_failed"),
        }
    }
}

fn when(inflated: bool) -> &'static str {
    if inflated { " when inflated" } else { "" }
}

/// A body, and the room it takes as long as this lives.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The room that all bodies share.
pub(crate) struct Bodies {
    limits: BodyLimits,
    room: Arc<Semaphore>,
}

enum Encoding {
    Plain,
    Gzip,
    Deflate,
    /// Either: pygelf names both and sends one, which its first bytes tell.
    GzipOrDeflate,
}

impl Bodies {
    pub(crate) fn new(limits: BodyLimits) -> Self {
        let room = Arc::new(Semaphore::new(limits.in_flight_bytes_max));
        Self { limits, room }
    }

    /// The whole body, inflated if its header says that it is compressed.
    pub(crate) async fn take(&self, headers: &HeaderMap, body: Body) -> Result<Taken, BodyError> {
        let encoding = encoding(headers)?;
        let (sent, room) = self.receive(body).await?;
        match encoding {
            Encoding::Plain => Ok(Taken { bytes: sent, _room: room }),
            Encoding::Gzip => self.inflate(sent, room, true).await,
            Encoding::Deflate => self.inflate(sent, room, false).await,
            Encoding::GzipOrDeflate => {
                let gzip = sent.starts_with(&GZIP);
                self.inflate(sent, room, gzip).await
            }
        }
    }

    /// Room for the whole of what a body may be is taken first, and what it was not is given back.
    async fn receive(&self, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), BodyError> {
        let max = self.limits.body_bytes_max;
        let too_large = BodyError::TooLarge { max, inflated: false };
        let stated = body.size_hint().exact();
        let expected = match stated.map(usize::try_from) {
            None => max,
            Some(Ok(stated)) if stated <= max => stated,
            Some(_) => return Err(too_large),
        };
        let room = self.reserve(expected)?;
        let whole = axum::body::to_bytes(body, expected);
        match timeout(BODY_LIMIT, whole).await {
            Err(_) => Err(BodyError::Slow),
            Ok(Err(_)) if stated.is_none() => Err(too_large),
            Ok(Err(_)) => Err(BodyError::Cut),
            Ok(Ok(sent)) => {
                let room = keep(room, sent.len());
                Ok((sent, room))
            }
        }
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(permits).map_err(|_| BodyError::Busy)
    }

    async fn inflate(
        &self,
        sent: Bytes,
        _sent_room: OwnedSemaphorePermit,
        gzip: bool,
    ) -> Result<Taken, BodyError> {
        let max = inflation_bound(sent.len(), self.limits.inflated_bytes_max);
        let room = self.reserve(max)?;
        let inflating = spawn_blocking(move || inflate(&sent, max, gzip));
        let bytes = inflating.await.map_err(|_| BodyError::Fault)??;
        let room = keep(room, bytes.len());
        Ok(Taken { bytes, _room: room })
    }
}

/// Inflates to at most `max` bytes; gzip of several members is one text.
pub(crate) fn inflate(sent: &[u8], max: usize, gzip: bool) -> Result<Bytes, BodyError> {
    let mut inflated = Vec::with_capacity(sent.len().saturating_mul(4).min(max));
    let bound = max as u64 + 1;
    let read = if gzip {
        flate2::read::MultiGzDecoder::new(sent).take(bound).read_to_end(&mut inflated)
    } else {
        flate2::read::ZlibDecoder::new(sent).take(bound).read_to_end(&mut inflated)
    };
    read.map_err(BodyError::Compression)?;
    if inflated.len() > max {
        return Err(BodyError::TooLarge { max, inflated: true });
    }
    Ok(inflated.into())
}

fn keep(mut room: OwnedSemaphorePermit, bytes: usize) -> OwnedSemaphorePermit {
    room.split(bytes).unwrap_or(room)
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, BodyError> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(Encoding::Plain) };
    match encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Plain),
        "gzip" => Ok(Encoding::Gzip),
        "deflate" => Ok(Encoding::Deflate),
        "gzip,deflate" | "gzip, deflate" => Ok(Encoding::GzipOrDeflate),
        other => Err(BodyError::Encoding(other.chars().take(64).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn deflate(plain: &[u8], gzip: bool) -> Vec<u8> {
        let level = flate2::Compression::best();
        if gzip {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), level);
            to.write_all(plain).unwrap();
            return to.finish().unwrap();
        }
        let mut to = flate2::write::ZlibEncoder::new(Vec::new(), level);
        to.write_all(plain).unwrap();
        to.finish().unwrap()
    }

    #[tokio::test]
    async fn a_bomb_is_refused_by_its_ratio_and_its_size() {
        let bodies = Bodies::new(BodyLimits::default());
        for (gzip, name) in [(true, "gzip"), (false, "deflate")] {
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, name.parse().unwrap())]);
            let ask = |plain: Vec<u8>| bodies.take(&headers, Body::from(deflate(&plain, gzip)));
            assert_eq!(ask(b"a line".to_vec()).await.unwrap().bytes, "a line");
            let error = ask(vec![0; 50 << 20]).await.err().unwrap();
            assert!(matches!(error, BodyError::TooLarge { inflated: true, .. }), "{error}");
            assert!(error.to_string().contains("when inflated"), "{error}");
        }
        assert_eq!(bodies.room.available_permits(), bodies.limits.in_flight_bytes_max);
    }

    #[tokio::test]
    async fn who_names_two_encodings_is_read_by_what_came() {
        let bodies = Bodies::new(BodyLimits::default());
        for (gzip, name) in [(true, "gzip,deflate"), (false, "gzip, deflate")] {
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, name.parse().unwrap())]);
            let body = Body::from(deflate(b"a line", gzip));
            assert_eq!(bodies.take(&headers, body).await.unwrap().bytes, "a line");
        }
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, "br".parse().unwrap())]);
        let error = bodies.take(&headers, Body::from("x")).await.err().unwrap();
        assert!(matches!(error, BodyError::Encoding(_)), "{error}");
    }

    #[tokio::test]
    async fn what_is_in_flight_is_bounded_and_given_back() {
        let limits = BodyLimits { in_flight_bytes_max: 10, ..BodyLimits::default() };
        let bodies = Bodies::new(limits);
        let headers = HeaderMap::new();
        let take = |text: &'static str| bodies.take(&headers, Body::from(text));
        let first = take("12345678").await.unwrap();
        assert!(matches!(take("123").await.err(), Some(BodyError::Busy)));
        drop(first);
        assert!(take("123").await.is_ok());
    }
}
