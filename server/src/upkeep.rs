//! The keeping of the log: backups, drills, retention, scrub and repair, by schedule and on request, each with its
//! fact.
//!
//! `config` (what is wanted), `book` (what is known, a fold of the facts), `schedule` (what is due, pure), `keeper`
//! (who does it, one thing at a time on a thread of its own), `drill` (a restore that is tried out). `policy` (how long
//! events are kept), `classes` (which of them apart), `kept` (holds, drops, damages: a fold), `cover` (what a hold holds), `tending` (letting go, scrub,
//! repair).

pub(crate) mod book;
pub(crate) mod classes;
pub(crate) mod config;
mod cover;
mod drill;
pub(crate) mod keeper;
pub(crate) mod kept;
pub(crate) mod listed;
pub(crate) mod policy;
mod schedule;
pub(crate) mod tending;

pub(crate) use keeper::{Ask, Keeper, Upkeep};
