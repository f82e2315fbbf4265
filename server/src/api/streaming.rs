//! One client of the stream: follows the log for it, and says when it is too slow.

use super::{
    State,
    alerts::Alert,
    caller::Caller,
    event::Event,
    sources::SourceList,
    streamfact::{Change, Happened},
    streamplace::{Place, Topic, Topics},
};
use crate::{clock::Stopwatch, projection::board::Row};
use axum::body::Bytes;
use custos_event::{Commit, CommitNo, Entry, Envelope, Fact, LogId, Parser, Position, record};
use custos_search::{Matcher, Query};
use custos_store::StoreError;
use serde::Serialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc};
use tracing::error;

/// A client that takes nothing for so long is closed; it goes on by its last id.
const SLOW: Duration = Duration::from_secs(5);
/// How long a turn waits for something new; also how late the end of the process may be noticed.
const WAIT: Duration = Duration::from_millis(100);
const COMMITS_MAX: usize = 64;
const BYTES_MAX: usize = 1 << 20;
/// An older place is not gone on from: the client loads its pages anew. Four minutes at full rate, days on a
/// quiet night.
const BEHIND_MAX: u64 = 50_000;
/// More events a second than anybody reads; the others are counted. A lost connection of some seconds
/// loses none.
const EVENTS_PER_SEC: f64 = 100.0;
const EVENTS_BURST: f64 = 2_000.0;
/// A word from time to time, so that both ends notice a dead connection and an idle client's place moves.
const BEAT_SECS: f64 = 10.0;

pub(super) type Line = Bytes;

/// Why a client hears no more.
pub(super) enum End {
    /// It went away, or the process ends.
    Gone,
    Slow,
    /// Its session has ended.
    SignedOut,
}

/// The way to one client.
pub(super) struct Outlet {
    lines: mpsc::Sender<Line>,
    last_words: Arc<Mutex<Option<Line>>>,
}

impl Outlet {
    pub(super) fn new(lines: mpsc::Sender<Line>, last_words: Arc<Mutex<Option<Line>>>) -> Self {
        Self { lines, last_words }
    }

    fn send(&self, line: String) -> Result<(), End> {
        use mpsc::error::{SendTimeoutError, TrySendError};
        match self.lines.try_send(line.into()) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(End::Gone),
            Err(TrySendError::Full(line)) => Handle::current()
                .block_on(self.lines.send_timeout(line, SLOW))
                .map_err(|error| match error {
                    SendTimeoutError::Timeout(_) => End::Slow,
                    SendTimeoutError::Closed(_) => End::Gone,
                }),
        }
    }

    /// Read when everything before it was.
    fn close(&self, reason: &str) {
        let words = format!("event: closed\ndata: {{\"reason\":\"{reason}\"}}\n\n");
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.into());
    }
}

/// Lets so many through a second, and some at once.
struct Cap {
    left: f64,
    at: f64,
    skipped: u64,
}

impl Cap {
    fn new() -> Self {
        Self { left: EVENTS_BURST, at: 0.0, skipped: 0 }
    }

    fn passes(&mut self, now: f64) -> bool {
        self.left = (self.left + (now - self.at) * EVENTS_PER_SEC).min(EVENTS_BURST);
        self.at = now;
        let passes = self.left >= 1.0;
        if passes {
            self.left -= 1.0;
        } else {
            self.skipped += 1;
        }
        passes
    }
}

/// The thread of one client.
pub(super) struct Worker {
    state: State,
    caller: Caller,
    topics: Topics,
    outlet: Outlet,
    clock: Stopwatch,
    cap: Cap,
    /// Seconds at the last snapshot of the sources, and at the last beat.
    told_at: f64,
    beat_at: f64,
    sources_at: u64,
    /// Commits from here on were not there when the client came: only they tell how quick we are.
    live_after: CommitNo,
}

impl Worker {
    pub(super) fn new(state: State, caller: Caller, topics: Topics, outlet: Outlet) -> Self {
        let live_after = state.opened.store.last_commit();
        let clock = Stopwatch::start();
        let cap = Cap::new();
        Self {
            state,
            caller,
            topics,
            outlet,
            clock,
            cap,
            told_at: -1.0,
            beat_at: 0.0,
            sources_at: u64::MAX,
            live_after,
        }
    }

    pub(super) fn run(mut self, query: &Query, after: Option<Place>) {
        metrics::gauge!("custos_stream_clients").increment(1.0);
        match self.follow(query, after) {
            Ok(()) | Err(End::Gone) => {}
            Err(End::Slow) => {
                metrics::counter!("custos_stream_slow_total").increment(1);
                self.outlet.close("too slow; it goes on from the last id");
            }
            Err(End::SignedOut) => self.outlet.close("signed out"),
        }
        metrics::gauge!("custos_stream_clients").decrement(1.0);
    }

    fn follow(&mut self, query: &Query, after: Option<Place>) -> Result<(), End> {
        let start = self.start(after)?;
        let mut matcher = query.matcher(Arc::clone(&self.state.opened.table));
        let mut parser = Parser::new(Arc::clone(&self.state.opened.table));
        let mut log = self.state.opened.store.follow(&start.cursor());
        loop {
            if self.state.stop.is_cancelled() {
                return Err(End::Gone);
            }
            if self.caller.ended.is_cancelled() {
                return Err(End::SignedOut);
            }
            let commits = match log.next(COMMITS_MAX, BYTES_MAX, WAIT) {
                Ok(commits) => commits,
                // Told by the followers that must not miss it.
                Err(StoreError::Lost { .. }) => Vec::new(),
                Err(_) => return Err(End::Gone),
            };
            for commit in &commits {
                self.tell(commit, start, &mut matcher, &mut parser)?;
            }
            self.beat(log.cursor().commit())?;
        }
    }

    /// Where it begins; says so, which is also the place of a client that hears nothing else.
    fn start(&self, after: Option<Place>) -> Result<Place, End> {
        let last = self.state.opened.store.last_commit();
        let start = after.unwrap_or(Place::after(last));
        let gone = start.commit > last || last.0 - start.commit.0 > BEHIND_MAX;
        if gone {
            let why = if start.commit > last { "of another log" } else { "too old" };
            self.outlet.send(format!(
                "retry: 1000\nid: {last}\nevent: reset\ndata: {{\"reason\":\"the id is {why}: load the \
                 page anew\"}}\n\n"
            ))?;
            return Ok(Place::after(last));
        }
        self.outlet.send(format!("retry: 1000\nid: {start}\n\n"))?;
        Ok(start)
    }

    fn tell(
        &mut self,
        commit: &Commit,
        start: Place,
        matcher: &mut Matcher<'_>,
        parser: &mut Parser,
    ) -> Result<(), End> {
        let is_wanted = if commit.log.is_telemetry() {
            self.topics.has(Topic::Events)
        } else {
            self.topics.has(Topic::Alerts) || self.topics.has(Topic::Incidents)
        };
        if !is_wanted {
            return Ok(());
        }
        for (nth, entry) in (0..).zip(&commit.entries) {
            if start.covers(commit.commit, nth) {
                continue;
            }
            let position = Position {
                log: commit.log,
                partition: commit.partition,
                seq: commit.first.plus(nth),
            };
            let message = if commit.log == LogId::JOURNAL {
                self.of_fact(position, commit.commit, entry)
            } else {
                self.of_event(position, entry, matcher, parser)
            };
            if let Some((topic, data)) = message {
                let id = Place { commit: commit.commit, entry: Some(nth) };
                self.outlet.send(format!("id: {id}\nevent: {topic}\ndata: {data}\n\n"))?;
            }
        }
        Ok(())
    }

    fn of_event(
        &mut self,
        position: Position,
        entry: &Entry,
        matcher: &mut Matcher<'_>,
        parser: &mut Parser,
    ) -> Option<(&'static str, String)> {
        let event = match &entry.parsed {
            Some(event) => Arc::clone(event),
            None => Arc::new(told(position, record::decode(&entry.bytes, parser))?),
        };
        if !matcher.matches(&event) || !self.cap.passes(self.clock.secs()) {
            return None;
        }
        Some(("events", json(&Event::new(position, &event, parser.table()))?))
    }

    fn of_fact(
        &self,
        at: Position,
        commit: CommitNo,
        entry: &Entry,
    ) -> Option<(&'static str, String)> {
        let Envelope { at: said_at, actor, fact, .. } = told(at, Envelope::decode(&entry.bytes))?;
        let (alerts, incidents) =
            (self.topics.has(Topic::Alerts), self.topics.has(Topic::Incidents));
        if let Fact::AlertRaised(alert) = fact {
            if !alerts {
                return None;
            }
            if commit > self.live_after {
                self.measure(alert.events.last().copied());
            }
            let row = Row::raised(at.seq, said_at, &alert);
            return Some(("alerts", json(&Alert::new(&row, alert))?));
        }
        if alerts && let Some(change) = Change::of(&fact, said_at, &actor) {
            return Some(("alert-changes", json(&change)?));
        }
        let happened = Happened::of(&fact, said_at, at.seq).filter(|_| incidents)?;
        Some(("incidents", json(&happened)?))
    }

    /// From the moment the alert's last event was received until now, when it goes to a client.
    fn measure(&self, event: Option<Position>) {
        let store = &self.state.opened.store;
        let bytes = event.and_then(|at| store.read(at).ok().flatten());
        let header = bytes.and_then(|bytes| record::header(&bytes, &self.state.opened.table).ok());
        if let Some((header, _)) = header {
            let nanos = self.state.clock.now().0.saturating_sub(header.received.0);
            #[expect(clippy::cast_precision_loss, reason = "a measurement in seconds")]
            metrics::histogram!("custos_alert_shown_after_seconds").record(nanos as f64 / 1e9);
        }
    }

    /// What is told by the second, and the sign of life.
    fn beat(&mut self, at: CommitNo) -> Result<(), End> {
        let now = self.clock.secs();
        if now - self.told_at >= 1.0 {
            self.told_at = now;
            self.check_session()?;
            self.tell_sources()?;
            let skipped = std::mem::take(&mut self.cap.skipped);
            if skipped > 0 {
                self.beat_at = now;
                let skipped = format!("{{\"skipped\":{skipped}}}");
                self.outlet.send(format!("id: {at}\nevent: events\ndata: {skipped}\n\n"))?;
            }
        }
        if now - self.beat_at >= BEAT_SECS {
            self.beat_at = now;
            self.outlet.send(format!("id: {at}\n\n"))?;
        }
        Ok(())
    }

    /// An account that was disabled or has other roles now hears nothing more. Looking is no use of it.
    fn check_session(&self) -> Result<(), End> {
        let Some(session) = &self.caller.session else { return Ok(()) };
        let is_valid = self.state.auth.session(session.id.reveal(), false).is_some();
        if is_valid { Ok(()) } else { Err(End::SignedOut) }
    }

    /// All counts, where they are others than before. A state, not an event: it has no id of its own.
    fn tell_sources(&mut self) -> Result<(), End> {
        if !self.topics.has(Topic::Sources) {
            return Ok(());
        }
        let sources = SourceList::now(&self.state);
        if sources.received() == self.sources_at {
            return Ok(());
        }
        self.sources_at = sources.received();
        let Some(data) = json(&sources) else { return Ok(()) };
        self.outlet.send(format!("event: sources\ndata: {data}\n\n"))
    }
}

/// What cannot be read is passed over, and told in Custos' own log.
fn told<T, E: std::error::Error + Send + Sync + 'static>(
    at: Position,
    read: Result<T, E>,
) -> Option<T> {
    read.map_err(|error| {
        error!(%at, error = format!("{:#}", anyhow::Error::new(error)), "not in the stream");
    })
    .ok()
}

fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).map_err(|error| error!(%error, "not in the stream")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_lets_a_burst_pass_and_counts_what_it_leaves_out() {
        let mut cap = Cap::new();
        let passed = (0..5_000).filter(|_| cap.passes(0.0)).count();
        assert_eq!((passed, cap.skipped), (2_000, 3_000));
        let passed = (0..500).filter(|_| cap.passes(1.0)).count();
        assert_eq!(passed, 100);
    }
}
