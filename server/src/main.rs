//! `custos`: reads the command line, runs one command, ends with the exit code that CLI.md promises.

mod api;
mod auth;
mod cli;
mod clock;
mod config;
mod console;
mod crm;
mod customers;
mod demo;
mod enrich;
mod evidence;
mod exit;
mod folder;
mod hex;
mod http;
mod line;
mod mappingfiles;
mod memory;
mod output;
mod pipeline;
mod privacy;
mod projection;
mod publish;
mod remote;
mod respond;
mod room;
mod rulefiles;
mod serve;
mod ship;
mod silence;
mod snippets;
mod sourcebook;
mod tasks;
mod unrecorded;
mod upkeep;
mod when;
mod witness;

use clap::Parser as _;
use std::{io::IsTerminal as _, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// Events are many small allocations of one thread freed on another: measured 1.2 to 1.3 times faster than
/// the system's allocator over a whole `rules run`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    // What ldap3 warns of is told with its mend, once.
    let filter = EnvFilter::try_from_env("CUSTOS_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,custos=info,tantivy=error,ldap3=off"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    match arguments.run() {
        Ok(outcome) => outcome.code(),
        Err(failure) => failure.report(),
    }
}
