//! Sources that people make or pause in the console: the one door for it. It decides under one lock, writes the fact, and
//! only then do the ports take the token, or does the reader of Kafka pause.

mod pauses;

use crate::{
    auth::secret::{self, Digest},
    hex::{hex, unhex},
    pipeline::journal::Journal,
};
use anyhow::Context as _;
use custos_event::{
    Actor, Append, Clock, Entry, Envelope, Fact, LogId, Private, SourceEvent, Timestamp,
};
use custos_ingest::{
    decode::{Mappings, SourceType},
    http::is_source_name,
    kafka::{ByTopic, Paused},
    shippers::{Token, TokenBook},
};
use custos_store::Store;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};
use tracing::warn;

/// As many as the configuration may name.
const OPEN_MAX: usize = 1_000;

pub(crate) use pauses::Pause;

/// Shared by handlers, ports and the reader of Kafka.
#[derive(Clone)]
pub(crate) struct SourceBook(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    mappings: Arc<Mappings>,
    /// Names that the configuration gives to sources.
    taken: BTreeSet<String>,
    tokens: Arc<TokenBook>,
    /// What each source's events are: asked at each request, so not behind the lock that is held over a write.
    types: RwLock<BTreeMap<String, SourceType>>,
    /// The topics that are read from Kafka, and which of them are not for now.
    topics: ByTopic<()>,
    pauses: RwLock<BTreeMap<String, Pause>>,
    paused: Arc<Paused>,
    /// By name. Held from decision to application.
    all: Mutex<BTreeMap<String, Made>>,
}

/// One source that somebody made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// As the configuration's `type`.
    pub(crate) kind: String,
    source_type: SourceType,
    /// None once it was closed.
    token: Option<Digest>,
    pub(crate) at: Timestamp,
    pub(crate) by: Actor,
    /// Why it was closed.
    pub(crate) reason: Option<String>,
}

impl Made {
    pub(crate) fn is_open(&self) -> bool {
        self.token.is_some()
    }
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookError {
    #[error("'{0}' is no name of a source; use 1 to 64 of a-z A-Z 0-9 . _ -")]
    Name(String),
    #[error("there is a source '{0}' already; give it a new token instead")]
    Exists(String),
    #[error("the configuration has a source '{0}'")]
    Configured(String),
    #[error("{0}")]
    Kind(String),
    #[error("no source '{0}' was made here")]
    Unknown(String),
    #[error("source '{0}' is closed; make it anew")]
    Closed(String),
    #[error("{OPEN_MAX} sources are open; close some first")]
    TooMany,
    #[error("a reason is needed")]
    Reason,
    #[error(
        "no '{0}' is read from Kafka here; name one that is, as in kafka:doors, or kafka for all of them"
    )]
    NotRead(String),
    #[error("'{0}' is paused already")]
    Paused(String),
    #[error("'{0}' is not paused")]
    NotPaused(String),
    #[error("all of Kafka is paused; resume 'kafka'")]
    AllPaused,
    /// Whether it holds is seen after the next start.
    #[error("the source could not be written down")]
    Failed(#[from] anyhow::Error),
}

impl SourceBook {
    /// Folds the journal's sources. `taken`: names that the configuration gives; `topics`: what is read from Kafka.
    pub(crate) fn open(
        (store, journal): (&Store, &Journal),
        mappings: &Arc<Mappings>,
        (taken, topics): (BTreeSet<String>, ByTopic<()>),
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let inner = Inner {
            store: store.clone(),
            clock,
            mappings: Arc::clone(mappings),
            taken,
            tokens: Arc::default(),
            types: RwLock::default(),
            topics,
            pauses: RwLock::default(),
            paused: Arc::default(),
            all: Mutex::default(),
        };
        let mut all = BTreeMap::new();
        for Envelope { at, actor, fact, .. } in journal.made_sources()? {
            if let Fact::Source { source, event } = fact {
                inner.apply(&mut all, &source, (at, actor), event);
            }
        }
        for name in all.keys().filter(|name| inner.taken.contains(*name)) {
            warn!(
                name,
                "a source of the configuration has the name of one made in the console, whose token no longer holds"
            );
        }
        inner.publish(&all);
        *inner.all.lock().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(Self(Arc::new(inner)))
    }

    /// What the ports ask.
    pub(crate) fn tokens(&self) -> &Arc<TokenBook> {
        &self.0.tokens
    }

    /// What the events of a source are, if it was made here.
    pub(crate) fn source_type(&self, name: &str) -> Option<SourceType> {
        self.0.types.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    pub(crate) fn list(&self) -> BTreeMap<String, Made> {
        self.0.all().clone()
    }

    /// The names of types there are, mappings' among them.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let own = SourceType::ALL.iter().map(|kind| kind.name().to_owned());
        own.chain(self.0.mappings.names().map(|(name, _)| name.to_owned())).collect()
    }

    /// Makes a source, or opens a closed one again; its token is told this once.
    pub(crate) fn make(
        &self,
        actor: &Actor,
        name: &str,
        kind: &str,
    ) -> Result<Private<String>, BookError> {
        if !is_source_name(name) {
            return Err(BookError::Name(name.to_owned()));
        }
        if self.0.taken.contains(name) {
            return Err(BookError::Configured(name.to_owned()));
        }
        let known = self.0.mappings.source_type(kind);
        known.map_err(|error| BookError::Kind(error.to_string()))?;
        let mut all = self.0.all();
        if all.get(name).is_some_and(Made::is_open) {
            return Err(BookError::Exists(name.to_owned()));
        }
        if all.values().filter(|made| made.is_open()).count() >= OPEN_MAX {
            return Err(BookError::TooMany);
        }
        self.issue(&mut all, actor, name, kind.to_owned())
    }

    /// Another token; the one before holds no longer.
    pub(crate) fn renew(&self, actor: &Actor, name: &str) -> Result<Private<String>, BookError> {
        let mut all = self.0.all();
        let kind = open_one(&all, name)?.kind.clone();
        self.issue(&mut all, actor, name, kind)
    }

    /// From now on nobody sends under this name.
    pub(crate) fn close(&self, actor: &Actor, name: &str, reason: &str) -> Result<(), BookError> {
        let reason = given(reason)?;
        let mut all = self.0.all();
        open_one(&all, name)?;
        Ok(self.0.write(&mut all, actor, name, SourceEvent::Closed { reason })?)
    }

    fn issue(
        &self,
        all: &mut BTreeMap<String, Made>,
        actor: &Actor,
        name: &str,
        kind: String,
    ) -> Result<Private<String>, BookError> {
        let token = secret::fresh()?;
        let sha256 = hex(&secret::digest(token.reveal()));
        self.0.write(all, actor, name, SourceEvent::TokenIssued { kind, sha256 })?;
        Ok(token)
    }
}

/// A reason that says something.
fn given(reason: &str) -> Result<String, BookError> {
    let reason = reason.trim();
    if reason.is_empty() { Err(BookError::Reason) } else { Ok(reason.to_owned()) }
}

fn open_one<'a>(all: &'a BTreeMap<String, Made>, name: &str) -> Result<&'a Made, BookError> {
    let made = all.get(name).ok_or_else(|| BookError::Unknown(name.to_owned()))?;
    if made.is_open() { Ok(made) } else { Err(BookError::Closed(name.to_owned())) }
}

impl Inner {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Made>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        all: &mut BTreeMap<String, Made>,
        actor: &Actor,
        name: &str,
        event: SourceEvent,
    ) -> anyhow::Result<()> {
        let at = self.clock.now();
        let fact = Fact::Source { source: name.to_owned(), event: event.clone() };
        let envelope = Envelope { at, actor: actor.clone(), cause: None, fact };
        let bytes = envelope.encode().context("a fact does not encode")?;
        let entries = vec![Entry { bytes, parsed: None }];
        self.store.append_blocking(Append::new(LogId::JOURNAL, entries))?;
        self.apply(all, name, (at, actor.clone()), event);
        self.publish(all);
        Ok(())
    }

    fn apply(
        &self,
        all: &mut BTreeMap<String, Made>,
        name: &str,
        (at, by): (Timestamp, Actor),
        event: SourceEvent,
    ) {
        match event {
            SourceEvent::TokenIssued { kind, sha256 } => {
                let source_type = self.mappings.source_type(&kind).unwrap_or_else(|error| {
                    warn!(%error, name, "what this source sends is read as 'auto' until that type is there again");
                    SourceType::Auto
                });
                let token = unhex(&sha256).and_then(|bytes| bytes.try_into().ok());
                let made = Made { kind, source_type, token, at, by, reason: None };
                all.insert(name.to_owned(), made);
            }
            SourceEvent::Closed { reason } => {
                if let Some(made) = all.get_mut(name) {
                    (made.token, made.at, made.by, made.reason) = (None, at, by, Some(reason));
                }
            }
            SourceEvent::Paused { reason } => self.note_pause(name, Some(Pause { at, by, reason })),
            SourceEvent::Resumed => self.note_pause(name, None),
        }
    }

    fn publish(&self, all: &BTreeMap<String, Made>) {
        let free = all.iter().filter(|(name, _)| !self.taken.contains(*name));
        let token = |(name, made): (&String, &Made)| {
            Some(Token { name: name.as_str().into(), sha256: made.token? })
        };
        let types = all.iter().map(|(name, made)| (name.clone(), made.source_type)).collect();
        *self.types.write().unwrap_or_else(PoisonError::into_inner) = types;
        self.tokens.set(free.filter_map(token));
    }
}

#[cfg(test)]
mod tests;
