//! Bytes from outside become records: Kafka, the built-in Kafka listener, HTTP, files; and the decoders.

#![warn(clippy::indexing_slicing)]

pub mod batch;
mod counters;
pub mod decode;
pub mod decoding;
pub mod file;
pub mod http;
pub mod kafka;
mod limit;
pub mod listener;
mod origin;
pub mod protect;
pub mod quarantine;
#[cfg(test)]
mod stand_in;

pub use batch::{Batch, Intake, IntakeError};
pub use decoding::{Decode, Decoders};
pub use http::{HttpConfig, HttpIntake};
pub use kafka::{Consumer, ConsumerConfig, ConsumerError};
pub use listener::{Listener, ListenerConfig, ListenerError};
