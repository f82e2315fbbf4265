//! Customer systems, asked for what was done in them: Zoho CRM and 纷享销客. How far each was read stands in our own log,
//! in the frame of the rows it accounts for, so that a kill at any moment neither loses nor doubles one.
//!
//! [`Puller::run`] asks on a thread of its own; [`place`] keys the rows; [`zoho`] and [`fxiaoke`] speak; [`web`] is the way
//! out; [`trouble`] says what comes next when something is wrong, and [`Health`] tells people.

mod fxiaoke;
mod place;
#[cfg(test)]
mod tests;
mod trouble;
mod turn;
mod web;
mod zoho;

pub use fxiaoke::{Detail, FxiaokeConfig, Login};
pub use web::WebConfig;
pub use zoho::ZohoConfig;

use crate::{
    batch::{Batch, Intake},
    counters::Tally,
    decoding::{Decode, Piece},
    gate::{Gate, decode},
    health::Health,
};
use custos_event::{Timestamp, time::NANOS_PER_SEC};
use fxiaoke::Fxiaoke;
use ipnet::IpNet;
use place::{Placed, Row, Stream, Window};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use trouble::Trouble;
use turn::Turn;
use web::Web;
use zoho::Zoho;

/// Which system, and the way to it.
#[derive(Clone, Debug)]
pub enum System {
    Zoho(ZohoConfig),
    Fxiaoke(FxiaokeConfig),
}

/// One connector.
#[derive(Clone, Debug)]
pub struct PullConfig {
    /// The source is `crm:NAME`.
    pub name: String,
    pub system: System,
    /// Between two rounds.
    pub interval: Duration,
    /// Nothing of so short ago is read: rows may still come.
    pub lag_secs: i64,
    /// Where a stream begins of which nothing is stored; a week ago if not said.
    pub since: Option<Timestamp>,
    /// Inside networks that its hosts' names may lead to.
    pub networks: Vec<IpNet>,
}

/// Once begun, a stream of which nothing came for so long has nothing older: whatever does come is stored.
const SINCE_SECS: i64 = 7 * 86_400;
/// The longest stretch that is asked for at once; halved where it is more than can be held.
const SPAN_SECS_MAX: i64 = 86_400;

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The store failed; the process ends.
    #[error("a customer system is read no further: the store failed: {0}")]
    Store(Arc<str>),
}

/// A system that can be asked for rows.
trait Peer: Send {
    /// `zoho`, `fxiaoke`.
    fn system(&self) -> &'static str;

    /// What is read, each with a position of its own.
    fn streams(&self) -> Vec<String>;

    /// All rows of `window`, in any order: the same whenever it is asked for a window that is over.
    fn rows(&mut self, stream: &str, window: Window, turn: &Turn<'_>) -> Result<Vec<Row>, Trouble>;
}

/// Reads one system.
pub struct Puller<I> {
    config: PullConfig,
    gate: Gate<I>,
    health: Arc<Health>,
    source: Arc<str>,
    web: Web,
}

/// One stream as it is being read.
struct Reading {
    name: String,
    stream: Stream,
    /// Everything before this second is stored.
    from: i64,
    /// The key of the last row that is stored.
    stored: Option<i64>,
    span: i64,
}

impl<I: Intake> Puller<I> {
    pub fn new(config: PullConfig, gate: Gate<I>, health: Arc<Health>, web: &WebConfig) -> Self {
        let hosts = match &config.system {
            System::Zoho(zoho) => Zoho::hosts(zoho),
            System::Fxiaoke(fxiaoke) => Fxiaoke::hosts(fxiaoke),
        };
        let web = Web::new(web, hosts, config.networks.clone());
        let source = format!("crm:{}", config.name).into();
        Self { config, gate, health, source, web }
    }

    /// Reads until `stop` or until the store fails. Blocks: give it a thread of its own.
    pub fn run(&self, stop: &CancellationToken) -> Result<(), PullError> {
        let mut peer: Box<dyn Peer> = match self.config.system.clone() {
            System::Zoho(zoho) => Box::new(Zoho::new(zoho)),
            System::Fxiaoke(fxiaoke) => Box::new(Fxiaoke::new(fxiaoke)),
        };
        self.health.begin(&self.source, peer.system());
        let turn = Turn { web: &self.web, clock: &*self.gate.clock, stop };
        let mut streams = self.streams(&*peer, turn.now());
        let mut decoder = (self.gate.decoders)(&self.source);
        let mut failures = 0;
        loop {
            let before = reached(&streams);
            let rest = match self.round(&mut *peer, &mut streams, &mut *decoder, &turn) {
                Ok(()) => {
                    failures = 0;
                    self.health.note_well(&self.source);
                    self.config.interval
                }
                Err(Trouble::Stopping) => return Ok(()),
                Err(Trouble::Failed(why)) => return Err(PullError::Store(why)),
                Err(trouble) => {
                    // Who got on is not held up by what failed before.
                    failures = if reached(&streams) > before { 1 } else { failures + 1 };
                    self.tell(&trouble, failures, turn.now())
                }
            };
            if turn.pause(rest).is_err() {
                return Ok(());
            }
        }
    }

    /// Says what is wrong; how long to wait then.
    fn tell(&self, trouble: &Trouble, failures: u32, now: Timestamp) -> Duration {
        let mut dice = [0];
        // Without randomness the wait is the shortest of its span.
        getrandom::fill(&mut dice).ok();
        let wait = trouble.wait(failures, dice[0], now);
        let until = Timestamp(now.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(0)));
        self.health.note_ill(&self.source, trouble.kind(), trouble.text(), (now, until));
        let (source, kind) = (self.source.to_string(), trouble.kind());
        metrics::counter!("custos_crm_failures_total", "source" => source, "kind" => kind)
            .increment(1);
        let wait_secs = wait.as_secs();
        if trouble.needs_somebody() {
            tracing::error!(source = %self.source, why = trouble.text(), wait_secs, "a customer system refuses");
        } else {
            tracing::warn!(source = %self.source, why = trouble.text(), wait_secs, "a customer system cannot be read");
        }
        wait
    }

    fn streams(&self, peer: &dyn Peer, now: Timestamp) -> Vec<Reading> {
        let ranges = self.gate.intake.sources();
        let since = self.config.since.unwrap_or(now.plus_secs(-SINCE_SECS));
        let reading = |name: String| {
            let stream = Stream::new(&self.config.name, &name);
            let stored = stream.stored(&ranges);
            let from = stored.map_or(since.0.div_euclid(NANOS_PER_SEC), place::second_of);
            Reading { name, stream, from, stored, span: SPAN_SECS_MAX }
        };
        peer.streams().into_iter().map(reading).collect()
    }

    /// Reads every stream up to when the round began: what comes meanwhile is the next one's. A stream that gives what
    /// nobody understands does not hold up the others.
    fn round(
        &self,
        peer: &mut dyn Peer,
        streams: &mut [Reading],
        decoder: &mut dyn Decode,
        turn: &Turn<'_>,
    ) -> Result<(), Trouble> {
        let now = turn.now().0.div_euclid(NANOS_PER_SEC);
        let mut first = Ok(());
        for at in 0..streams.len() {
            while let Some(reading) = streams.get_mut(at)
                && let Some(window) =
                    Window::next(reading.from, now, self.config.lag_secs, reading.span)
            {
                match self.stretch(peer, (reading, window), decoder, turn) {
                    Ok(()) => self.note_place(streams, turn.now()),
                    Err(Trouble::Odd(why)) => {
                        first = first.and(Err(Trouble::Odd(why)));
                        break;
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
        }
        self.note_place(streams, turn.now());
        first
    }

    fn stretch(
        &self,
        peer: &mut dyn Peer,
        (reading, window): (&mut Reading, Window),
        decoder: &mut dyn Decode,
        turn: &Turn<'_>,
    ) -> Result<(), Trouble> {
        if turn.stop.is_cancelled() {
            return Err(Trouble::Stopping);
        }
        match peer.rows(&reading.name, window, turn) {
            Ok(rows) => self.store(reading, rows, decoder)?,
            Err(Trouble::TooLarge(why)) if window.seconds() == 1 => {
                return Err(Trouble::Odd(format!("{why}, in a single second")));
            }
            Err(Trouble::TooLarge(_)) => {
                reading.span = window.seconds() / 2;
                return Ok(());
            }
            Err(trouble) => return Err(trouble),
        }
        reading.from = window.to;
        reading.span = reading.span.saturating_mul(2).min(SPAN_SECS_MAX);
        Ok(())
    }

    /// Hands rows on in appends of bounded size, each with the place up to which it accounts for the stream.
    fn store(
        &self,
        reading: &mut Reading,
        rows: Vec<Row>,
        decoder: &mut dyn Decode,
    ) -> Result<(), Trouble> {
        let placed = place::in_order(rows, reading.stored);
        let mut left: &[Placed] = &placed;
        while !left.is_empty() {
            let (some, rest) = left.split_at(place::first_append(left));
            let pieces = some.iter().map(|row| Piece::new(row.json.clone())).collect();
            let events = decode(decoder, pieces, &self.source, self.gate.clock.now());
            let tally = Tally::of(Arc::clone(&self.source), &events);
            let mut batch = Batch::new(self.gate.intake.log_of(&self.source), events);
            reading.stream.account(&mut batch, reading.stored, some);
            self.gate.intake.submit_blocking(batch)?;
            tally.count();
            reading.stored = some.last().map(|row| row.key).or(reading.stored);
            left = rest;
        }
        Ok(())
    }

    fn note_place(&self, streams: &[Reading], now: Timestamp) {
        let Some(from) = streams.iter().map(|reading| reading.from).min() else { return };
        let up_to = Timestamp::from_secs(from);
        self.health.note_read(&self.source, up_to, now);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge; exact up to 2^53 ns, some hundred days"
        )]
        let behind_secs = now.0.saturating_sub(up_to.0) as f64 / 1e9;
        metrics::gauge!("custos_crm_behind_seconds", "source" => self.source.to_string())
            .set(behind_secs);
    }
}

/// Rises with everything that is stored.
fn reached(streams: &[Reading]) -> i128 {
    streams
        .iter()
        .map(|one| i128::from(one.from) + i128::from(one.stored.unwrap_or_default()))
        .sum()
}

/// Keys without a value say nothing.
pub(crate) fn without_nothing(json: Value) -> Value {
    let Value::Object(mut map) = json else { return json };
    map.retain(|_, value| !value.is_null());
    Value::Object(map)
}

static NOTHING: Value = Value::Null;

/// What stands under a name; null where nothing does.
pub(crate) fn at<'j>(json: &'j Value, name: &str) -> &'j Value {
    json.get(name).unwrap_or(&NOTHING)
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}
