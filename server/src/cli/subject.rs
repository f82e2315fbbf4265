//! `custos subject`: the erasure of a person on a running server. A second person approves it in the console.

use super::user::At;
use crate::{
    exit::{CommandResult, Failure, Outcome},
    output::Output,
};
use clap::Subcommand;
use serde_json::{Value, json};
use std::io;

#[derive(Subcommand)]
pub(super) enum Subject {
    /// Ask for the erasure of a person; another person approves it in the console.
    Erase {
        #[command(flatten)]
        at: At,
        /// The person as the events name them; `-` reads it from standard input, so that no history shows it.
        person: String,
        /// Why: it stands in the log.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List the erasures, by keyed hash.
    List {
        #[command(flatten)]
        at: At,
        /// One JSON value a line.
        #[arg(long)]
        json: bool,
    },
}

const PATH: &str = "/api/v1/privacy/erasures";

impl Subject {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Erase { at, person, reason } => {
                let person = if person == "-" { first_line()? } else { person };
                let body = json!({"subject": person, "reason": reason});
                let case = at.ask(|remote| remote.send("POST", PATH, &body))?;
                let mut output = Output::new();
                output.text(&line(&case))?;
                output.flush()?;
                Ok(Outcome::Done)
            }
            Self::List { at, json } => {
                let answer = at.ask(|remote| remote.send("GET", PATH, &Value::Null))?;
                let mut output = Output::new();
                for case in answer["erasures"].as_array().into_iter().flatten() {
                    if json {
                        output.json(case)?;
                    } else {
                        output.text(&line(case))?;
                    }
                }
                output.flush()?;
                Ok(Outcome::Done)
            }
        }
    }
}

fn line(case: &Value) -> String {
    let word = |name: &str| case[name].as_str().unwrap_or("-").to_owned();
    format!("{} {}, asked by {}", word("subject"), word("stage"), word("requested_by"))
}

fn first_line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
