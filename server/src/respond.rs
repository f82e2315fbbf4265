//! Incidents, runs and tasks at work: the desk decides and writes, the runner carries out.

pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod crew;
pub(crate) mod desk;
pub(crate) mod evidence;
pub(crate) mod plan;
pub(crate) mod playbooks;
pub(crate) mod runner;
pub(crate) mod state;
#[cfg(test)]
mod tests;

pub(crate) use command::Command;
pub(crate) use desk::{Desk, DeskError};

use custos_respond::effect::World;
use std::sync::Arc;

/// What a dry run reads with.
#[derive(Clone)]
pub(crate) struct Reads {
    pub(crate) world: Arc<World>,
    pub(crate) searcher: evidence::Searcher,
}
