//! What the network intakes need of a decoder: bytes in, one event out, never a refusal.

use bytes::Bytes;
use custos_event::{ParsedEvent, Timestamp, parsed::Whole};
use std::{net::IpAddr, sync::Arc};

/// Reads the events of one source. Bytes it does not understand become an event flagged as rejected.
pub trait Decode: Send {
    fn decode(&mut self, raw: Bytes, received: Timestamp) -> ParsedEvent;

    /// The same of an event with what the way it came by says of it.
    fn decode_piece(&mut self, piece: Piece, received: Timestamp) -> ParsedEvent;
}

/// One event as an intake hands it on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Bytes,
    /// Set where `bytes` is only the beginning.
    pub whole: Option<Whole>,
    pub context: Context,
    /// Why it cannot be read, where the intake knows already; then it is kept as rejected.
    pub fault: Option<Box<str>>,
}

/// What the way an event came by says of it. Only the sender's address and the tag are added to what the event says
/// itself; the others stand in for what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub sender: Option<IpAddr>,
    pub host: Option<Box<str>>,
    pub file: Option<Box<str>>,
    pub time: Option<Timestamp>,
    /// Fluentd's name for where it belongs; kept as `fluent.tag`.
    pub tag: Option<Arc<str>>,
}

impl Piece {
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Bytes that are kept with the reason why nobody reads them.
    pub fn faulty(bytes: Bytes, fault: impl Into<Box<str>>) -> Self {
        Self { bytes, fault: Some(fault.into()), ..Self::default() }
    }
}

/// Makes a decoder for a source by its name: `listener:doors`, `kafka:payments`, `http:crm`. Each thread
/// or connection asks for its own, so that decoders need no locks.
pub type Decoders = Arc<dyn Fn(&str) -> Box<dyn Decode> + Send + Sync>;
