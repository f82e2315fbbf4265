//! Bytes from outside become records: Kafka, the built-in Kafka listener, HTTP, syslog, files; and the decoders.

#![warn(clippy::indexing_slicing)]

pub mod batch;
mod beats;
mod body;
mod counters;
pub mod crm;
pub mod decode;
pub mod decoding;
pub mod file;
mod fluent;
mod gate;
mod gelf;
pub mod health;
pub mod http;
mod inflate;
pub mod kafka;
mod limit;
pub mod listener;
mod origin;
pub mod port;
pub mod protect;
pub mod quarantine;
pub mod shippers;
#[cfg(test)]
mod stand_in;
mod syslog;

pub use batch::{Batch, Intake, IntakeError};
pub use body::BodyLimits;
pub use decoding::{Decode, Decoders};
pub use gate::Gate;
pub use http::{HttpConfig, HttpIntake};
pub use kafka::{Consumer, ConsumerConfig, ConsumerError};
pub use listener::{Listener, ListenerConfig, ListenerError};
pub use port::{Port, PortConfig, PortError};
