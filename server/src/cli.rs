//! The command line (CLI.md): one file a command.

mod alerts;
mod backup;
mod bench;
mod demo;
mod doctor;
mod evidence;
mod hold;
mod ingest;
mod key;
mod log;
mod mapping;
mod mend;
mod playbook;
mod rebuild;
mod rules;
mod search;
mod subject;
mod user;

use crate::{
    config::Config,
    exit::{CommandResult, Failure, Outcome},
    folder::Folder,
    output::Output,
};
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};

/// SIEM and incident-response server on an append-only, tamper-evident log.
#[derive(Parser)]
#[command(name = "custos", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: intake, detection, search, until SIGTERM.
    Serve(Serve),
    /// Show Custos at work: a server in a temporary folder, and a day with six attacks shipped to it.
    Demo(demo::Demo),
    /// Store the events of files, one a line.
    Ingest(ingest::Ingest),
    /// Find events, newest first.
    Search(search::Search),
    /// List the alerts that rules raised, newest first.
    Alerts(alerts::AlertsCommand),
    /// Check rules, or run them over files without a store.
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Try mappings, which describe formats of logs, over their cases.
    #[command(subcommand)]
    Mapping(mapping::Mapping),
    /// Check playbooks and their cases, or walk through one without acting.
    #[command(subcommand)]
    Playbook(playbook::Playbook),
    /// Verify the log, sign its head, show the key it is signed with.
    #[command(subcommand)]
    Log(log::Log),
    /// Check a bundle of evidence, offline, with a public key.
    VerifyEvidence(evidence::VerifyEvidence),
    /// The keys of a data folder: list them, change the master key, copy and restore the keyring.
    #[command(subcommand)]
    Key(key::Key),
    /// Make the index and the catalog anew from the log.
    Rebuild(rebuild::Rebuild),
    /// Look over the data folder and this machine.
    Doctor(doctor::Doctor),
    /// Make, check, restore and let go of backups.
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Place, list and lift legal holds: what they cover is not let go by retention.
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Manage the accounts of a running server.
    #[command(subcommand)]
    User(user::User),
    /// Erase a person, on a running server.
    #[command(subcommand)]
    Subject(subject::Subject),
    /// Make loads for measuring.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Say whether a configuration file holds.
    CheckConfig {
        /// The configuration file.
        file: PathBuf,
    },
    /// Print the version.
    Version,
}

/// Where the data lies.
#[derive(Args, Clone, Debug)]
struct Data {
    /// The data folder [default: `$CUSTOS_DATA`, else `./custos-data`].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Data {
    fn folder(&self) -> Folder {
        Folder::chosen(self.data.clone())
    }
}

#[derive(Args)]
struct Serve {
    /// The configuration file; without one, HTTP and the Kafka listener answer on loopback.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    data: Data,
}

impl Arguments {
    pub(crate) fn run(self) -> CommandResult {
        match self.command {
            Command::Serve(serve) => run_serve(serve),
            Command::Demo(command) => command.run(),
            Command::Ingest(command) => command.run(),
            Command::Search(command) => command.run(),
            Command::Alerts(command) => command.run(),
            Command::Rules(command) => command.run(),
            Command::Mapping(command) => command.run(),
            Command::Playbook(command) => command.run(),
            Command::Log(command) => command.run(),
            Command::VerifyEvidence(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Rebuild(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Backup(command) => command.run(),
            Command::Hold(command) => command.run(),
            Command::User(command) => command.run(),
            Command::Subject(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::CheckConfig { file } => check_config(&file),
            Command::Version => {
                let mut output = Output::new();
                output.text(concat!("custos ", env!("CARGO_PKG_VERSION")))?;
                output.flush()?;
                Ok(Outcome::Done)
            }
        }
    }
}

pub(crate) use backup::{created as backup_created, log_name as backup_log_name};
pub(crate) use log::fault_lines;
pub(crate) use rules::report_unlinked;

/// Says on stderr why a rule does not run.
pub(crate) fn report_problems(path: &Path, errors: &[custos_detect::rule::Problem]) {
    rules::report(path, errors, "error");
}

/// Says on stderr why a playbook is not offered.
pub(crate) fn report_playbook(file: &crate::respond::playbooks::PlaybookFile) {
    playbook::report(&file.path, file.problems());
}

fn run_serve(serve: Serve) -> CommandResult {
    let config = match &serve.config {
        Some(path) => Config::read(path),
        None => Config::standard(),
    };
    let config = config.map_err(Failure::usage)?;
    let folder = Folder::chosen(serve.data.data.or_else(|| config.data.clone()))
        .with_key(config.key.clone())
        .with_protection(config.protect.clone())
        .with_mappings(config.mappings.clone());
    crate::serve::run(config, &folder)
}

fn check_config(file: &Path) -> CommandResult {
    let config = Config::read(file).map_err(Failure::usage)?;
    let files = crate::rulefiles::read(&config.rules).map_err(Failure::usage)?;
    let rejected: Vec<_> = files.iter().filter(|file| !file.accepted()).collect();
    for file in &rejected {
        report_problems(&file.path, &file.parsed.errors);
    }
    let playbooks = crate::respond::playbooks::read(&config.respond.playbooks);
    let playbooks = playbooks.map_err(Failure::usage)?;
    playbooks.iter().for_each(report_playbook);
    let refused = playbooks.iter().filter(|file| file.read.is_err()).count();
    let (rules, playbooks) = (files.len() - rejected.len(), playbooks.len() - refused);
    eprintln!("{}: holds, with {rules} rule files and {playbooks} playbooks", file.display());
    Ok(Outcome::findings_if(!rejected.is_empty() || refused > 0))
}
