//! The log, the only truth: what was appended is durable, ordered, encrypted and tamper-evident.
//!
//! [`Store`] is the door. One writer gives every append its commit number; readers and followers see only
//! what is durable. The bytes are described in FORMAT.md. Read in this order: `frame`, `block`,
//! `segment`, `footer` (bytes), `writer`, `room`, `syncer` (appending), `recover`, `judge` (opening),
//! `read`, `follow` (reading), `seal`, `checkpoint`, `proof`, `verify`, `retention`; `scrub`, `quarantine`, `repair`; `disk` touches the disk for all, through a
//! `medium`.

#![warn(clippy::indexing_slicing)]

mod audit;
pub mod backup;
mod block;
mod cache;
pub mod catalog;
mod checkpoint;
mod crypt;
mod disk;
mod error;
mod follow;
mod footer;
mod found;
mod frame;
#[cfg(test)]
mod golden;
mod inspect;
mod judge;
mod keeper;
pub mod keys;
mod leaves;
pub mod medium;
mod note;
mod opened;
mod options;
mod place;
mod proof;
mod quarantine;
mod queue;
mod read;
mod recover;
mod repair;
mod retention;
mod ring;
mod room;
mod runs;
mod scan;
mod scrub;
mod seal;
mod segment;
mod shared;
mod store;
mod stream;
mod syncer;
mod table;
mod ticket;
pub mod tree;
mod verify;
mod writer;

pub use disk::Disk;
pub use error::StoreError;
pub use follow::Follower;
pub use note::{Checkpoint, Keys, NoteError};
pub use options::Options;
pub use proof::{Inclusion, ProofError, Prover};
pub use repair::{RepairReport, Repaired, Unrepaired};
pub use retention::{DropRequest, DroppedRange, Record, SegmentInfo};
pub use room::Pause;
pub use scrub::{DamagedSegment, ScrubProgress, ScrubReport};
pub use store::Store;
pub use ticket::Ticket;
pub use verify::{Fault, LogError, LogReport, Progress, VerifyOptions, verify, verify_watched};
