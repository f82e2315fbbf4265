//! What the handlers of incidents, runs, tasks and effects have in common: the desk's words as answers.

use super::{State, blocking, caller::Caller, problem::Problem};
use crate::respond::{Command, Desk, DeskError};
use custos_event::{Actor, Fact, Position};
use custos_respond::{Rejection, rejection};
use serde_json::Value;
use std::str::FromStr;

/// An id of the path.
pub(super) fn id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(format!("there is no {text}")))
}

/// Asks the desk, off the async threads; `now` says what is true where the command came too late.
pub(super) async fn ask<N>(
    state: &State,
    caller: &Caller,
    command: Command,
    now: N,
) -> Result<Vec<(Position, Fact)>, Problem>
where
    N: FnOnce(&Desk) -> Value + Send + 'static,
{
    let (desk, actor) = (state.desk.clone(), caller.actor.clone());
    blocking(move || {
        desk.command(&actor, None, command).map_err(|error| problem(error, || now(&desk)))
    })
    .await
}

pub(super) fn problem(error: DeskError, now: impl FnOnce() -> Value) -> Problem {
    match error {
        DeskError::Rejected(rejection) => refusal(&rejection, now),
        DeskError::Failed(error) => Problem::failed(&error),
    }
}

pub(super) fn refusal(rejection: &Rejection, now: impl FnOnce() -> Value) -> Problem {
    let text = rejection.to_string();
    match rejection {
        Rejection::Unknown(_) => Problem::not_found(text),
        Rejection::Forbidden(_) => Problem::forbidden(text),
        Rejection::Conflict(_) => Problem::conflict(text, now()),
        Rejection::Wrong(_) => Problem::wrong(text),
    }
}

/// A person or part as answers name them.
pub(super) fn name(actor: &Actor) -> String {
    rejection::name(actor).to_owned()
}

/// The caller's roles, as playbooks write them.
pub(super) fn roles(caller: &Caller) -> Vec<String> {
    let written = caller.roles.iter().filter_map(|role| serde_json::to_value(role).ok());
    written.filter_map(|role| role.as_str().map(str::to_owned)).collect()
}
