//! `custos user`: the accounts of a running server. Passwords come from standard input, never from the command line.

use super::Data;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::Output,
    remote::{Remote, Server},
};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal as _};

/// Which server.
#[derive(Args)]
pub(super) struct At {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
}

#[derive(Subcommand)]
pub(super) enum User {
    /// List the accounts.
    List {
        #[command(flatten)]
        at: At,
        /// One JSON value a line.
        #[arg(long)]
        json: bool,
    },
    /// Make an account; its password is the first line of standard input.
    Add {
        #[command(flatten)]
        at: At,
        name: String,
        /// viewer, analyst, responder, lead, auditor or admin; several may be given.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
    /// Give an account these roles instead of those it has. Ends its sessions.
    Roles {
        #[command(flatten)]
        at: At,
        name: String,
        /// viewer, analyst, responder, lead, auditor or admin; several may be given.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
    /// Give an account the password in the first line of standard input. Ends its sessions.
    Password {
        #[command(flatten)]
        at: At,
        name: String,
    },
    /// Let nobody sign in to an account. Ends its sessions.
    Disable {
        #[command(flatten)]
        at: At,
        name: String,
    },
    /// Let its owner sign in again.
    Enable {
        #[command(flatten)]
        at: At,
        name: String,
    },
}

impl User {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::List { at, json } => return at.ask(|remote| list(remote, json)),
            Self::Add { at, name, roles } => {
                let new = json!({"name": name, "roles": roles, "password": password()?});
                at.ask(|remote| remote.send("POST", "/api/v1/users", &new))?;
            }
            Self::Roles { at, name, roles } => at.change(&name, "roles", json!(roles))?,
            Self::Password { at, name } => at.change(&name, "password", password()?.into())?,
            Self::Disable { at, name } => at.change(&name, "disabled", true.into())?,
            Self::Enable { at, name } => at.change(&name, "disabled", false.into())?,
        }
        Ok(Outcome::Done)
    }
}

impl At {
    pub(super) fn ask<T>(
        &self,
        ask: impl FnOnce(&Remote<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let folder = self.data.folder();
        let remote = self.server.chosen(&folder)?.ok_or_else(|| {
            let hint = "a running server keeps the accounts: name it with --server URL";
            Failure::usage(anyhow!(hint))
        })?;
        ask(&remote)
    }

    fn change(&self, name: &str, what: &str, value: Value) -> Result<(), Failure> {
        // What is no name goes no further: it would be another path.
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
        if !name.chars().all(plain) || name.chars().all(|c| c == '.') {
            return Err(Failure::usage(anyhow!("there is no account '{name}'")));
        }
        let body = Value::from(Map::from_iter([(what.to_owned(), value)]));
        self.ask(|remote| remote.send("PATCH", &format!("/api/v1/users/{name}"), &body)).map(drop)
    }
}

fn list(remote: &Remote<'_>, json: bool) -> CommandResult {
    let answer = remote.send("GET", "/api/v1/users", &Value::Null)?;
    let mut output = Output::new();
    for user in answer["users"].as_array().into_iter().flatten() {
        if json {
            output.json(user)?;
            continue;
        }
        let roles = user["roles"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let roles = roles.collect::<Vec<_>>().join(", ");
        let disabled = if user["disabled"] == true { " (disabled)" } else { "" };
        output.text(&format!("{}: {roles}{disabled}", user["name"].as_str().unwrap_or("?")))?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}

fn password() -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        let hint = "pipe the password in, so that no screen and no history shows it: \
                    custos user … < FILE";
        return Err(Failure::usage(anyhow!(hint)));
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
