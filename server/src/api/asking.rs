//! What the reads of events share: times and queries as they were asked, patience, and the fact of the read.

use super::{State, caller::Caller, problem::Problem};
use crate::{clock::Stopwatch, upkeep::tending::dropped_through, when};
use custos_event::{Fact, Timestamp};
use custos_search::{Query, SearchError, SearchRequest};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tracing::error;

/// `from` and `to` as people write them.
pub(super) fn span(
    from: Option<&str>,
    to: Option<&str>,
    now: Timestamp,
    limit: usize,
) -> Result<SearchRequest, Problem> {
    let time = |name: &str, text: Option<&str>| {
        let read = text.map(|text| when::read(text, now)).transpose();
        read.map_err(|error| Problem::wrong(format!("{name}: {error}")))
    };
    Ok(SearchRequest { from: time("from", from)?, to: time("to", to)?, limit })
}

pub(super) fn query(state: &State, text: &str) -> Result<Query, Problem> {
    Ok(state.prepare(Query::parse(text)?))
}

pub(super) fn failed(error: SearchError) -> Problem {
    Problem::failed(&anyhow::Error::new(error))
}

/// What a person should know of an answer.
pub(super) fn notes(state: &State, query: &Query, from: Option<Timestamp>) -> Vec<String> {
    let sealed = query.partly_asked().filter(|name| state.sealed.contains(*name));
    let note = |name: &str| {
        format!(
            "values of {name} may be sealed: they are found by the whole value, not by a part of it"
        )
    };
    let mut notes: Vec<String> = sealed.map(note).collect();
    notes.dedup();
    let through = dropped_through(&state.opened.store);
    if let Some(through) = through.filter(|through| from.is_none_or(|from| from <= *through)) {
        notes.push(format!("events received up to {through} may have been dropped by retention"));
    }
    notes
}

/// Refused rather than cut: who asks for more should know.
pub(super) fn within(name: &str, value: usize, most: usize) -> Result<usize, Problem> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(Problem::wrong(format!("{name} is {value}; 1 to {most} are possible")))
}

/// A read of events is a fact. Reads go on when the disk is full, so a failure is told, not final.
pub(super) fn remember(state: &State, caller: &Caller, fact: Fact) {
    if let Err(error) = state.record(caller, vec![fact]) {
        error!(error = format!("{error:#}"), "a read could not be recorded");
    }
}

/// How long a search may take; it also ends when nobody waits for it any more.
pub(super) struct Patience {
    since: Stopwatch,
    secs_max: f64,
    gone: Arc<AtomicBool>,
}

/// Held by the handler: dropped with it when the client goes away.
pub(super) struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Patience {
    pub(super) fn new(secs_max: f64) -> (Waiting, Self) {
        let gone = Arc::new(AtomicBool::new(false));
        (Waiting(Arc::clone(&gone)), Self { since: Stopwatch::start(), secs_max, gone })
    }

    pub(super) fn is_over(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || self.since.secs() > self.secs_max
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    pub(super) fn took_ms(&self) -> u64 {
        (self.since.secs() * 1e3) as u64
    }
}
