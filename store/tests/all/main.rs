//! What the store promises, one module a promise. One program, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

mod backup;
mod basics;
mod crash;
mod failpoints;
mod flips;
mod full_disk;
mod golden_store;
mod many;
mod power_loss;
mod proofs;
mod property;
mod recovery;
mod retention;
mod scrub;
mod tamper;
mod told;
mod witness;
