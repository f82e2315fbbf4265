//! What the log adds up to for people: the board of alerts, hits of each rule, counts of each source.
//!
//! Each is a fold without clock or disk; `follower` feeds them the log, keeps them in the catalog together
//! with the place they have reached, and lets readers wait for a commit.

pub(crate) mod board;
pub(crate) mod follower;
pub(crate) mod hits;
pub(crate) mod past;
pub(crate) mod risk;
pub(crate) mod seen;
pub(crate) mod sources;

#[cfg(test)]
mod tests;
