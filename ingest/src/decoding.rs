//! What the network intakes need of a decoder: bytes in, one event out, never a refusal.

use bytes::Bytes;
use custos_event::{ParsedEvent, Timestamp};
use std::sync::Arc;

/// Reads the events of one source. Bytes it does not understand become an event flagged as rejected.
pub trait Decode: Send {
    fn decode(&mut self, raw: Bytes, received: Timestamp) -> ParsedEvent;
}

/// Makes a decoder for a source by its name: `listener:doors`, `kafka:payments`, `http:crm`. Each thread
/// or connection asks for its own, so that decoders need no locks.
pub type Decoders = Arc<dyn Fn(&str) -> Box<dyn Decode> + Send + Sync>;
