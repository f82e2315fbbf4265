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
