//! The line from intake to alert: what is appended is followed by the detector, the index and the projections.

pub(crate) mod backtest;
pub(crate) mod detector;
pub(crate) mod follow;
pub(crate) mod indexer;
pub(crate) mod intake;
pub(crate) mod journal;
pub(crate) mod recall;
pub(crate) mod replay;
pub(crate) mod rulebook;
mod stretch;
pub(crate) mod tolerant;

#[cfg(test)]
mod tests;
