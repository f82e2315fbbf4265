//! The keeping of the log: backups and drills by schedule and on request, each with its fact.
//!
//! `config` (what is wanted), `book` (what is known, a fold of the facts), `schedule` (what is due, pure), `keeper`
//! (who does it, one thing at a time on a thread of its own), `drill` (a restore that is tried out).

pub(crate) mod book;
pub(crate) mod config;
mod drill;
pub(crate) mod keeper;
pub(crate) mod listed;
mod schedule;

pub(crate) use keeper::{Ask, Keeper, Upkeep};
