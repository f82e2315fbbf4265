//! Customer systems, asked for what was done in them and for whom they know: Zoho CRM and 纷享销客. How far each was read
//! stands in our own log, in the frame of the rows it accounts for, so that a kill at any moment neither loses nor doubles one.
//!
//! [`Puller::run`] asks on a thread of its own; [`part`] says what and when; [`place`] keys the rows; [`zoho`] and [`fxiaoke`]
//! speak, [`contacts`] keeps of people what a notice needs; [`web`] is the way out; [`trouble`] says what comes next when
//! something is wrong, and [`Health`] tells people.

mod contacts;
mod fxiaoke;
mod part;
mod place;
#[cfg(test)]
mod tests;
mod trouble;
mod turn;
mod web;
mod zoho;

pub use contacts::{ContactFields, ContactsConfig};
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
use part::{Part, Reading, Reads};
use place::{Placed, Row, Window};
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
    /// Whom it knows is read too, as the source `crm:NAME-contacts`.
    pub contacts: Option<ContactsConfig>,
}

/// The name of what is read of a connector's contacts: its source is `crm:` and this.
pub fn contacts_name(connector: &str) -> String {
    format!("{connector}-contacts")
}

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

    /// The contacts that were changed in `window`, each as it is now. One that is changed again leaves the window for a later
    /// one: what is asked for again may have fewer.
    fn contacts(
        &mut self,
        config: &ContactsConfig,
        window: Window,
        turn: &Turn<'_>,
    ) -> Result<Vec<Row>, Trouble>;
}

/// Reads one system.
pub struct Puller<I> {
    config: PullConfig,
    gate: Gate<I>,
    health: Arc<Health>,
    web: Web,
}

impl<I: Intake> Puller<I> {
    pub fn new(config: PullConfig, gate: Gate<I>, health: Arc<Health>, web: &WebConfig) -> Self {
        let hosts = match &config.system {
            System::Zoho(zoho) => Zoho::hosts(zoho),
            System::Fxiaoke(fxiaoke) => Fxiaoke::hosts(fxiaoke),
        };
        let web = Web::new(web, hosts, config.networks.clone());
        Self { config, gate, health, web }
    }

    /// Reads until `stop` or until the store fails. Blocks: give it a thread of its own.
    pub fn run(&self, stop: &CancellationToken) -> Result<(), PullError> {
        let mut peer: Box<dyn Peer> = match self.config.system.clone() {
            System::Zoho(zoho) => Box::new(Zoho::new(zoho)),
            System::Fxiaoke(fxiaoke) => Box::new(Fxiaoke::new(fxiaoke)),
        };
        let turn = Turn { web: &self.web, clock: &*self.gate.clock, stop };
        let mut parts = self.parts(&*peer, turn.now());
        for part in &parts {
            self.health.begin(&part.source, peer.system());
        }
        loop {
            // One thread and one token for all of them: the systems allow few.
            let Some(part) = parts.iter_mut().min_by_key(|part| part.due) else { return Ok(()) };
            if turn.pause(part.rest(turn.now())).is_err() {
                return Ok(());
            }
            let before = part.reached();
            let rest = match self.round(&mut *peer, part, &turn) {
                Ok(()) => {
                    part.failures = 0;
                    self.health.note_well(&part.source);
                    part.every
                }
                Err(Trouble::Stopping) => return Ok(()),
                Err(Trouble::Failed(why)) => return Err(PullError::Store(why)),
                Err(trouble) => {
                    // Who got on is not held up by what failed before.
                    part.failures = if part.reached() > before { 1 } else { part.failures + 1 };
                    self.tell(&trouble, part, turn.now())
                }
            };
            part.rest_for(rest, turn.now());
        }
    }

    /// Says what is wrong; how long to wait then.
    fn tell(&self, trouble: &Trouble, part: &Part, now: Timestamp) -> Duration {
        let mut dice = [0];
        // Without randomness the wait is the shortest of its span.
        getrandom::fill(&mut dice).ok();
        let wait = trouble.wait(part.failures, dice[0], now);
        let until = Timestamp(now.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(0)));
        self.health.note_ill(&part.source, trouble.kind(), trouble.text(), (now, until));
        let (source, kind) = (part.source.to_string(), trouble.kind());
        metrics::counter!("custos_crm_failures_total", "source" => source, "kind" => kind)
            .increment(1);
        let (source, wait_secs) = (&part.source, wait.as_secs());
        if trouble.needs_somebody() {
            tracing::error!(%source, why = trouble.text(), wait_secs, "a customer system refuses");
        } else {
            tracing::warn!(%source, why = trouble.text(), wait_secs, "a customer system cannot be read");
        }
        wait
    }

    fn parts(&self, peer: &dyn Peer, now: Timestamp) -> Vec<Part> {
        let ranges = self.gate.intake.sources();
        let decoder = |source: &str| (self.gate.decoders)(source);
        let log = Part::log(&self.config, peer.streams(), (&ranges, now), &decoder);
        let contacts = Part::contacts(&self.config, (&ranges, now), &decoder);
        std::iter::once(log).chain(contacts).collect()
    }

    /// Reads every stream up to when the round began: what comes meanwhile is the next one's. A stream that gives what
    /// nobody understands does not hold up the others.
    fn round(&self, peer: &mut dyn Peer, part: &mut Part, turn: &Turn<'_>) -> Result<(), Trouble> {
        let now = turn.now().0.div_euclid(NANOS_PER_SEC);
        let mut first = Ok(());
        for at in 0..part.streams.len() {
            while let Some(window) = part.window(at, now, self.config.lag_secs) {
                match self.stretch(peer, (&mut *part, at, window), turn) {
                    Ok(()) => self.note_place(part, turn.now()),
                    Err(Trouble::Odd(why)) => {
                        first = first.and(Err(Trouble::Odd(why)));
                        break;
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
        }
        self.note_place(part, turn.now());
        first
    }

    fn stretch(
        &self,
        peer: &mut dyn Peer,
        (part, at, window): (&mut Part, usize, Window),
        turn: &Turn<'_>,
    ) -> Result<(), Trouble> {
        if turn.stop.is_cancelled() {
            return Err(Trouble::Stopping);
        }
        let Part { source, reads, streams, decoder, .. } = part;
        let Some(reading) = streams.get_mut(at) else { return Ok(()) };
        let found = match reads {
            Reads::Log => peer.rows(&reading.name, window, turn),
            Reads::Contacts(config) => peer.contacts(config, window, turn),
        };
        match found {
            Ok(rows) => self.store((&*source, reading), rows, &mut **decoder)?,
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
        reading.span = reading.span.saturating_mul(2).min(reads.span_secs_max());
        Ok(())
    }

    /// Hands rows on in appends of bounded size, each with the place up to which it accounts for the stream.
    fn store(
        &self,
        (source, reading): (&Arc<str>, &mut Reading),
        rows: Vec<Row>,
        decoder: &mut dyn Decode,
    ) -> Result<(), Trouble> {
        let placed = place::in_order(rows, reading.stored);
        let mut left: &[Placed] = &placed;
        while !left.is_empty() {
            let (some, rest) = left.split_at(place::first_append(left));
            let pieces = some.iter().map(|row| Piece::new(row.json.clone())).collect();
            let events = decode(decoder, pieces, source, self.gate.clock.now());
            let tally = Tally::of(Arc::clone(source), &events);
            let mut batch = Batch::new(self.gate.intake.log_of(source), events);
            reading.stream.account(&mut batch, reading.stored, some);
            self.gate.intake.submit_blocking(batch)?;
            tally.count();
            reading.stored = some.last().map(|row| row.key).or(reading.stored);
            left = rest;
        }
        Ok(())
    }

    fn note_place(&self, part: &Part, now: Timestamp) {
        let Some(from) = part.streams.iter().map(|reading| reading.from).min() else { return };
        let up_to = Timestamp::from_secs(from);
        self.health.note_read(&part.source, up_to, now);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge; exact up to 2^53 ns, some hundred days"
        )]
        let behind_secs = now.0.saturating_sub(up_to.0) as f64 / 1e9;
        metrics::gauge!("custos_crm_behind_seconds", "source" => part.source.to_string())
            .set(behind_secs);
    }
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
