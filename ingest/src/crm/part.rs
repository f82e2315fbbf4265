//! What is read of a system in a rhythm of its own, as a source of its own: its logs, or the people that it knows.

use super::{
    ContactsConfig, PullConfig, contacts_name,
    place::{self, Stream, Window},
};
use crate::decoding::Decode;
use custos_event::{SourceRange, Timestamp, time::NANOS_PER_SEC};
use std::{sync::Arc, time::Duration};

/// Once begun, a log of which nothing came for so long has nothing older: whatever does come is stored.
const SINCE_SECS: i64 = 7 * 86_400;
/// The longest stretch of a log that is asked for at once; halved where it is more than can be held.
const SPAN_SECS_MAX: i64 = 86_400;
/// Of contacts all are read, from before there was either system: 2000-01-01.
const CONTACTS_SINCE: i64 = 946_684_800;
/// A century: contacts are asked for all at once, and in halves where they are more than can be held.
const CONTACTS_SPAN_SECS_MAX: i64 = 36_525 * 86_400;

pub(crate) enum Reads {
    Log,
    Contacts(ContactsConfig),
}

impl Reads {
    pub(crate) fn span_secs_max(&self) -> i64 {
        match self {
            Self::Log => SPAN_SECS_MAX,
            Self::Contacts(_) => CONTACTS_SPAN_SECS_MAX,
        }
    }
}

/// One of them.
pub(crate) struct Part {
    /// Of its events.
    pub(crate) source: Arc<str>,
    pub(crate) reads: Reads,
    /// Between two rounds.
    pub(crate) every: Duration,
    pub(crate) streams: Vec<Reading>,
    pub(crate) decoder: Box<dyn Decode>,
    /// In a row.
    pub(crate) failures: u32,
    /// When it is read next.
    pub(crate) due: Timestamp,
    rest: Duration,
}

/// One stream as it is being read.
pub(crate) struct Reading {
    pub(crate) name: String,
    pub(crate) stream: Stream,
    /// Everything before this second is stored.
    pub(crate) from: i64,
    /// The key of the last row that is stored.
    pub(crate) stored: Option<i64>,
    pub(crate) span: i64,
}

/// What is stored already, and what time it is.
type Begin<'b> = (&'b [SourceRange], Timestamp);
type MakeDecoder<'d> = &'d dyn Fn(&str) -> Box<dyn Decode>;

impl Part {
    pub(crate) fn log(
        config: &PullConfig,
        streams: Vec<String>,
        begin: Begin<'_>,
        decoder: MakeDecoder<'_>,
    ) -> Self {
        let since = config.since.unwrap_or(begin.1.plus_secs(-SINCE_SECS));
        let since = since.0.div_euclid(NANOS_PER_SEC);
        Self::new((&config.name, Reads::Log, config.interval), (streams, since), begin, decoder)
    }

    pub(crate) fn contacts(
        config: &PullConfig,
        begin: Begin<'_>,
        decoder: MakeDecoder<'_>,
    ) -> Option<Self> {
        let contacts = config.contacts.clone()?;
        let (name, streams) = (contacts_name(&config.name), vec![contacts.stream()]);
        let every = contacts.every;
        let reads = Reads::Contacts(contacts);
        Some(Self::new((&name, reads, every), (streams, CONTACTS_SINCE), begin, decoder))
    }

    fn new(
        (name, reads, every): (&str, Reads, Duration),
        (streams, since): (Vec<String>, i64),
        (ranges, now): Begin<'_>,
        decoder: MakeDecoder<'_>,
    ) -> Self {
        let source: Arc<str> = format!("crm:{name}").into();
        let reading = |stream_name: String| {
            let stream = Stream::new(name, &stream_name);
            let stored = stream.stored(ranges);
            let from = stored.map_or(since, place::second_of);
            Reading { name: stream_name, stream, from, stored, span: reads.span_secs_max() }
        };
        let streams = streams.into_iter().map(reading).collect();
        let decoder = decoder(&source);
        Self { source, reads, every, streams, decoder, failures: 0, due: now, rest: Duration::ZERO }
    }

    /// The next stretch of one of its streams, up to `now` less `lag`.
    pub(crate) fn window(&self, at: usize, now: i64, lag_secs: i64) -> Option<Window> {
        let reading = self.streams.get(at)?;
        Window::next(reading.from, now, lag_secs, reading.span)
    }

    pub(crate) fn rest_for(&mut self, rest: Duration, now: Timestamp) {
        self.rest = rest;
        let nanos = i64::try_from(rest.as_nanos()).unwrap_or(i64::MAX);
        self.due = Timestamp(now.0.saturating_add(nanos));
    }

    /// How long until it is read next; a clock that was set back makes nobody wait for it.
    pub(crate) fn rest(&self, now: Timestamp) -> Duration {
        let nanos = u64::try_from(self.due.0.saturating_sub(now.0)).unwrap_or(0);
        Duration::from_nanos(nanos).min(self.rest)
    }

    /// Rises with everything that is stored.
    pub(crate) fn reached(&self) -> i128 {
        let one = |one: &Reading| i128::from(one.from) + i128::from(one.stored.unwrap_or_default());
        self.streams.iter().map(one).sum()
    }
}
