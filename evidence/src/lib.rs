//! What it takes to believe a Custos log without trusting the machine it lies on: the hash tree, the proofs
//! over it, signed tree heads, and bundles of evidence.
//!
//! This crate needs nothing else of Custos, so that a verifier can be built, read and kept on its own. The
//! log itself uses the same code for its tree and its notes. Read in this order: `tree`, `proof`, `note`,
//! `shown`, `bundle`, `verify`; `command` is the verifier's command line.

#![warn(clippy::indexing_slicing)]

pub mod bundle;
pub mod command;
mod hex;
pub mod note;
pub mod proof;
mod shown;
pub mod tree;
mod verify;

pub use hex::{hex, unhex};
pub use note::{Checkpoint, Keys, NoteError};
pub use shown::shown;
pub use tree::Hash;
pub use verify::{Finding, Held, Kind, Report, verify};
