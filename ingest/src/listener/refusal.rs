//! Why records were not taken: the number a Kafka client acts on, and the words a person reads.

use kafka_protocol::ResponseError;
use std::sync::Arc;

/// Nothing of the batch was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseError,
    pub(crate) text: Arc<str>,
}

impl Refusal {
    pub(crate) fn new(code: ResponseError, text: impl Into<Arc<str>>) -> Self {
        Self { code, text: text.into() }
    }

    /// Bytes that are no record batch, or not the one that was sent.
    pub(crate) fn corrupt(text: impl Into<Arc<str>>) -> Self {
        Self::new(ResponseError::CorruptMessage, text)
    }

    /// A batch that reads, and will never be taken.
    pub(crate) fn invalid(text: impl Into<Arc<str>>) -> Self {
        Self::new(ResponseError::InvalidRecord, text)
    }
}
