//! Follows the log with the views, and keeps them: what changed and the place reached go into the catalog
//! together, so that a restart goes on there. What the catalog says is believed only up to the log's end.

use super::{
    board::{Board, Row, Touched},
    hits::{Hits, RuleHits},
    seen::Seen,
    sources::{Counts, Sources},
};
use crate::{api::rules::Shelf, clock::SystemClock, pipeline::follow::Projection};
use anyhow::Context as _;
use custos_detect::Rulebook;
use custos_event::{
    Clock as _, Commit, CommitNo, Cursor, Envelope, FieldTable, LogId, Parser, RuleId, Seq,
    Timestamp, record,
};
use custos_store::{
    Store,
    catalog::{Batch, Catalog, CatalogError},
};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};
use tokio::sync::watch;
use tracing::{error, warn};

const FOLLOWER: &str = "views";
const ALERTS: &str = "view-alerts";
const RULES: &str = "view-rules";
const SOURCES: &str = "view-sources";
const RULEBOOK: &str = "view-rulebook";
const STATE: &str = "view-state";
const SEEN: &[u8] = b"seen";
const FORGOTTEN: &[u8] = b"forgotten";

/// A crash repeats at most this much; writing each turn would cost more than the views do.
const SAVE_EVERY_MILLIS: i64 = 1_000;
/// How long a reader waits for what it wrote itself: usually one turn, some milliseconds.
const REACH_MAX: Duration = Duration::from_secs(2);

/// Everything up to one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Folded {
    pub(crate) board: Board,
    pub(crate) hits: Hits,
    pub(crate) sources: Sources,
    pub(crate) rulebook: Rulebook,
    pub(crate) seen: Seen,
    /// The last commit taken in.
    pub(crate) commit: CommitNo,
}

/// The views, for readers. Clones share them.
#[derive(Clone)]
pub(crate) struct Views(Arc<Shared>);

struct Shared {
    folded: RwLock<Folded>,
    reached: watch::Sender<CommitNo>,
    catalog: Catalog,
    /// Nothing more comes: they are of the past.
    is_past: bool,
    /// What follows from the rulebook, by its generation.
    shelf: Mutex<Option<(u64, Shelf)>>,
}

impl Views {
    /// The views as the catalog has them; from nothing where it is of another log.
    pub(crate) fn open(catalog: &Catalog, store: &Store) -> anyhow::Result<Self> {
        let folded = match load(catalog, store) {
            Ok(folded) => folded,
            Err(error) => {
                warn!(error = format!("{error:#}"), "the views are made anew from the log");
                clear(catalog)?;
                Folded::default()
            }
        };
        let reached = watch::Sender::new(folded.commit);
        let folded = RwLock::new(folded);
        Ok(Self(Arc::new(Shared {
            folded,
            reached,
            catalog: catalog.clone(),
            is_past: false,
            shelf: Mutex::default(),
        })))
    }

    /// Others, as they were once.
    pub(super) fn of_past(&self, folded: Folded) -> Self {
        let reached = watch::Sender::new(folded.commit);
        let (folded, catalog) = (RwLock::new(folded), self.0.catalog.clone());
        Self(Arc::new(Shared { folded, reached, catalog, is_past: true, shelf: Mutex::default() }))
    }

    /// Short work only: the follower waits meanwhile.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Folded> {
        self.0.folded.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules of the rulebook, read anew where it changed: some 0.3 s for the public ones.
    pub(crate) fn shelf(&self) -> Shelf {
        let mut kept = self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.read().rulebook.generation;
        if let Some((of, shelf)) = &*kept
            && *of == generation
        {
            return shelf.clone();
        }
        let book = self.read().rulebook.clone();
        let read = Shelf::of(&book);
        *kept = Some((book.generation, read.clone()));
        read
    }

    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::after(self.read().commit)
    }

    /// Waits until `commit` is taken in; gives up after two seconds, as after a start from nothing.
    pub(crate) async fn reach(&self, commit: CommitNo) {
        if self.0.is_past {
            return;
        }
        let mut reached = self.0.reached.subscribe();
        let there = reached.wait_for(|reached| *reached >= commit);
        // Late or never: the reader gets what is there, and the answer says up to where.
        drop(tokio::time::timeout(REACH_MAX, there).await);
    }
}

/// The one who feeds the views.
pub(crate) struct ViewsFollower {
    views: Views,
    dirty: Dirty,
    saved_at: Timestamp,
}

/// What is not saved yet.
#[derive(Default)]
struct Dirty {
    any: bool,
    alerts: BTreeSet<Seq>,
    dropped: BTreeSet<Seq>,
    rules: BTreeSet<RuleId>,
    /// Entries of the rulebook.
    lives: BTreeSet<RuleId>,
    sources: BTreeSet<Arc<str>>,
}

impl ViewsFollower {
    pub(crate) fn new(views: &Views) -> Self {
        Self { views: views.clone(), dirty: Dirty::default(), saved_at: SystemClock.now() }
    }

    fn save(&mut self) -> anyhow::Result<()> {
        let dirty = std::mem::take(&mut self.dirty);
        if !dirty.any {
            return Ok(());
        }
        let folded = self.views.read();
        let mut batch = Batch::default();
        for seq in dirty.alerts.iter().filter(|seq| !dirty.dropped.contains(seq)) {
            if let Some(row) = folded.board.row(*seq) {
                batch.put(ALERTS, &seq.0.to_be_bytes(), &serde_json::to_vec(row)?);
            }
        }
        for seq in &dirty.dropped {
            batch.remove(ALERTS, &seq.0.to_be_bytes());
        }
        for rule in &dirty.rules {
            batch.put(RULES, rule.0.as_bytes(), &serde_json::to_vec(&folded.hits.get(rule))?);
        }
        for name in &dirty.sources {
            if let Some(counts) = folded.sources.get(name) {
                batch.put(SOURCES, name.as_bytes(), &serde_json::to_vec(counts)?);
            }
        }
        for rule in &dirty.lives {
            if let Some(entry) = folded.rulebook.get(rule) {
                batch.put(RULEBOOK, rule.0.as_bytes(), &serde_json::to_vec(entry)?);
            }
        }
        batch.put(STATE, SEEN, &serde_json::to_vec(&folded.seen)?);
        batch.put(STATE, FORGOTTEN, &folded.board.forgotten.to_be_bytes());
        let cursor = Cursor::after(folded.commit);
        drop(folded);
        Ok(self.views.0.catalog.save(FOLLOWER, &cursor, batch)?)
    }
}

impl Folded {
    /// Takes in one commit, for who saves nothing.
    pub(super) fn fold(&mut self, commit: &Commit, table: &FieldTable) {
        self.take(commit, table, &mut Dirty::default());
    }

    /// Takes in one commit; one that is in already changes nothing.
    fn take(&mut self, commit: &Commit, table: &FieldTable, dirty: &mut Dirty) {
        if commit.commit <= self.commit {
            return;
        }
        self.commit = commit.commit;
        dirty.any = true;
        for (seq, entry) in (commit.first.0..).map(Seq).zip(&commit.entries) {
            let taken = if commit.log == LogId::JOURNAL {
                self.take_fact(seq, &entry.bytes, dirty)
            } else if let Some(event) = &entry.parsed {
                dirty.sources.insert(self.sources.take(&event.header));
                Ok(())
            } else {
                record::header(&entry.bytes, table).map_err(Into::into).map(|(header, _)| {
                    dirty.sources.insert(self.sources.take(&header));
                })
            };
            if let Err(error) = taken {
                let log = commit.log;
                error!(%log, %seq, error = format!("{error:#}"), "not in the views");
            }
        }
    }

    fn take_fact(&mut self, seq: Seq, bytes: &[u8], dirty: &mut Dirty) -> anyhow::Result<()> {
        let envelope = Envelope::decode(bytes)?;
        dirty.sources.extend(self.sources.apply(&envelope.fact, envelope.at));
        dirty.rules.extend(self.hits.apply(&envelope.fact, &self.board));
        dirty.lives.extend(self.rulebook.apply(self.commit, &envelope));
        self.seen.apply(&envelope.fact);
        let Touched { rows, dropped } = self.board.apply(seq, &envelope);
        dirty.alerts.extend(rows);
        dirty.dropped.extend(dropped);
        Ok(())
    }
}

impl Projection for ViewsFollower {
    fn take(&mut self, commits: &[Commit], parser: &mut Parser) -> anyhow::Result<()> {
        let mut folded = self.views.0.folded.write().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            folded.take(commit, parser.table(), &mut self.dirty);
        }
        let reached = folded.commit;
        drop(folded);
        self.views.0.reached.send_replace(reached);
        Ok(())
    }

    fn settle(&mut self, last: bool) -> anyhow::Result<()> {
        let now = SystemClock.now();
        if last || now.as_millis() - self.saved_at.as_millis() >= SAVE_EVERY_MILLIS {
            self.saved_at = now;
            self.save()?;
        }
        Ok(())
    }
}

fn load(catalog: &Catalog, store: &Store) -> anyhow::Result<Folded> {
    let commit = catalog.cursor(FOLLOWER, store.last_commit())?.commit();
    if commit == CommitNo::default() {
        return Ok(Folded::default());
    }
    let forgotten = catalog.get(STATE, FORGOTTEN)?.and_then(|bytes| bytes.try_into().ok());
    let forgotten = forgotten.map_or(0, u64::from_be_bytes);
    let alerts = rows::<Row>(catalog, ALERTS)?.into_iter().map(|(_, row)| row);
    let rules = rows::<RuleHits>(catalog, RULES)?;
    let sources = rows::<Counts>(catalog, SOURCES)?;
    let seen = catalog.get(STATE, SEEN)?.context("the views are older than what they hold")?;
    let lives = rows::<custos_detect::rulebook::Entry>(catalog, RULEBOOK)?;
    Ok(Folded {
        rulebook: Rulebook::load(lives.into_iter().map(|(key, it)| (RuleId(key.into()), it))),
        board: Board::load(alerts, forgotten),
        seen: serde_json::from_slice(&seen)?,
        hits: Hits::load(rules.into_iter().map(|(key, hits)| (RuleId(key.into()), hits))),
        sources: Sources::load(sources.into_iter().map(|(key, counts)| (key.into(), counts))),
        commit,
    })
}

fn rows<T: DeserializeOwned>(catalog: &Catalog, table: &str) -> anyhow::Result<Vec<(String, T)>> {
    let row = |row: Result<(Vec<u8>, Vec<u8>), CatalogError>| {
        let (key, value) = row?;
        let value = serde_json::from_slice(&value).with_context(|| format!("a row of {table}"))?;
        Ok((String::from_utf8_lossy(&key).into_owned(), value))
    };
    catalog.scan(table, b"").map(row).collect()
}

fn clear(catalog: &Catalog) -> anyhow::Result<()> {
    for table in [ALERTS, RULES, SOURCES, RULEBOOK, STATE] {
        let mut batch = Batch::default();
        for row in catalog.scan(table, b"") {
            batch.remove(table, &row?.0);
        }
        catalog.save(FOLLOWER, &Cursor::default(), batch)?;
    }
    Ok(())
}
