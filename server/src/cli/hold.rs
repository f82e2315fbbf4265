//! `custos hold`: legal holds, on a folder that nobody writes to or on a running server.

use super::{Data, log::existing};
use crate::{
    exit::{CommandResult, Failure, Outcome},
    folder::{Opened, append_facts, operator},
    output::Output,
    remote::Server,
    upkeep::{
        kept::Kept,
        tending::{HoldError, lifted, placed},
    },
    when,
};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use custos_event::{Actor, Clock as _, Fact, HoldScope, Timestamp, UpkeepEvent};
use serde_json::{Value, json};

#[derive(Subcommand)]
pub(super) enum Hold {
    /// Place a hold on an incident's events, on a source, or on a time; prints its name.
    Place(Place),
    /// List the holds, lifted ones too.
    List(List),
    /// Lift a hold.
    Lift(Lift),
}

#[derive(Args)]
struct At {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
pub(super) struct Place {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    what: What,
    /// Why: it stands in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct What {
    /// The events that an incident's alerts were raised by, as in INC-000001.
    #[arg(long, value_name = "ID", conflicts_with_all = ["source", "from", "to"])]
    incident: Option<String>,
    /// Everything that one source sent, as in kafka:doors.
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["from", "to"])]
    source: Option<String>,
    /// Everything received from this time (RFC 3339 or -24h) …
    #[arg(long, value_name = "T", requires = "to")]
    from: Option<String>,
    /// … up to before this one.
    #[arg(long, value_name = "T", requires = "from")]
    to: Option<String>,
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    at: At,
    /// One JSON value a line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Lift {
    #[command(flatten)]
    at: At,
    hold: String,
    /// Why: it stands in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

const PATH: &str = "/api/v1/retention";

impl Hold {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Place(place) => place.run(),
            Self::List(list) => list.run(),
            Self::Lift(lift) => lift.run(),
        }
    }
}

impl What {
    fn scope(&self) -> Result<HoldScope, Failure> {
        if let Some(incident) = &self.incident {
            let incident =
                incident.parse().map_err(|_| wrong(&format!("there is no {incident}")))?;
            return Ok(HoldScope::Incident { incident });
        }
        if let Some(source) = &self.source {
            return Ok(HoldScope::Source { source: source.clone() });
        }
        let now = crate::clock::SystemClock.now();
        let time = |name: &str, text: &Option<String>| -> Result<Timestamp, Failure> {
            when::read(text.as_deref().unwrap_or_default(), now)
                .map_err(|error| wrong(&format!("--{name}: {error}")))
        };
        Ok(HoldScope::Received { from: time("from", &self.from)?, to: time("to", &self.to)? })
    }
}

impl Place {
    fn run(self) -> CommandResult {
        let scope = self.what.scope()?;
        let mut output = Output::new();
        if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            let body = json!({"scope": json_of(&scope), "reason": self.reason});
            let held = remote.send("POST", &format!("{PATH}/holds"), &body)?;
            output.text(held["hold"].as_str().unwrap_or_default())?;
        } else {
            let opened = existing(&self.at.data)?.open(false)?;
            let (hold, event) = placed(&kept(&opened)?, scope, self.reason).map_err(failure)?;
            tell(&opened, event)?;
            output.text(&hold)?;
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

impl Lift {
    fn run(self) -> CommandResult {
        if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            let path = format!("{PATH}/holds/{}/lift", self.hold);
            remote.send("POST", &path, &json!({"reason": self.reason}))?;
        } else {
            let opened = existing(&self.at.data)?.open(false)?;
            let event = lifted(&kept(&opened)?, &self.hold, self.reason).map_err(failure)?;
            tell(&opened, event)?;
        }
        Ok(Outcome::Done)
    }
}

impl List {
    fn run(self) -> CommandResult {
        let holds = if let Some(remote) = self.at.server.chosen(&self.at.data.folder())? {
            let answer = remote.send("GET", PATH, &Value::Null)?;
            answer["holds"].as_array().cloned().unwrap_or_default()
        } else {
            let opened = existing(&self.at.data)?.open(false)?;
            let holds = rows(&kept(&opened)?);
            opened.store.close()?;
            holds
        };
        let mut output = Output::new();
        for hold in &holds {
            if self.json {
                output.json(hold)?;
            } else {
                output.text(&line(hold))?;
            }
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

fn kept(opened: &Opened) -> Result<Kept, Failure> {
    let mut kept = Kept::default();
    for envelope in opened.journal()?.upkeep().map_err(Failure::store)? {
        kept.apply(envelope.at, &envelope.actor, &envelope.fact);
    }
    Ok(kept)
}

fn tell(opened: &Opened, event: UpkeepEvent) -> Result<(), Failure> {
    append_facts(&opened.store, &operator(), vec![Fact::Upkeep { event }])?;
    Ok(opened.store.close()?)
}

/// The same as the API gives, but for what is held back, which only a server knows.
fn rows(kept: &Kept) -> Vec<Value> {
    let who = |actor: &Actor| serde_json::to_value(actor).unwrap_or_default()["name"].clone();
    let row = |(hold, one): (&String, &crate::upkeep::kept::Hold)| {
        let mut row = json!({
            "hold": hold,
            "scope": json_of(&one.scope),
            "reason": one.reason,
            "by": who(&one.by),
            "at": one.at,
        });
        if let Some(lifted) = &one.lifted {
            row["lifted"] =
                json!({"by": who(&lifted.by), "at": lifted.at, "reason": lifted.reason});
        }
        row
    };
    kept.holds.iter().rev().map(row).collect()
}

fn json_of(scope: &HoldScope) -> Value {
    serde_json::to_value(scope).unwrap_or_default()
}

fn line(hold: &Value) -> String {
    let word = |name: &str| hold[name].as_str().unwrap_or("-").to_owned();
    let scope = &hold["scope"];
    let part = |name: &str| scope[name].as_str().unwrap_or("-").to_owned();
    let covers = match scope["kind"].as_str() {
        Some("incident") => part("incident"),
        Some("source") => format!("source {}", part("source")),
        _ => format!("received from {} to {}", part("from"), part("to")),
    };
    let state = if hold["lifted"].is_object() { "lifted" } else { "holds" };
    let (name, at, by, reason) = (word("hold"), word("at"), word("by"), word("reason"));
    format!("{name} {state} {covers}, since {at} by {by}: {reason}")
}

fn wrong(text: &str) -> Failure {
    Failure::usage(anyhow!(text.to_owned()))
}

fn failure(error: HoldError) -> Failure {
    match error {
        HoldError::Failed(error) => Failure::store(error),
        refused @ (HoldError::Unknown(_) | HoldError::Wrong(_) | HoldError::Lifted(_)) => {
            Failure::usage(refused)
        }
    }
}
