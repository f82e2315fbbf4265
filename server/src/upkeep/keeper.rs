//! Who makes backups and drills while the server runs: one at a time, on a thread of its own. Whatever comes of it is
//! a fact.

use super::{
    book::Book,
    config::Backup,
    cover::SourcesOf,
    drill::Drill,
    kept::Kept,
    policy::{Retention, Scrub},
    schedule::{self, Due},
    tending::{Held, Scrubber},
};
use crate::{
    clock::Stopwatch,
    exit::Failure,
    folder::{append_facts, system},
    pipeline::journal::Journal,
    respond::Desk,
};
use anyhow::Context as _;
use custos_event::{Actor, Clock, Fact, FieldTable, Timestamp, UpkeepEvent};
use custos_search::Index;
use custos_store::{
    ScrubProgress, Store,
    backup::{self, BackupKind, CheckOptions, CreateOptions, Manifest, Progress, Target},
};
use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// What people may ask for; each waits for the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Backup(BackupKind),
    /// One, or all.
    Verify(Option<String>),
    Drill,
    /// Let go now of what the policy says.
    Retain,
    /// Put back from the backup what is damaged.
    Repair,
}

/// More waiting than this would be a mistake: each may take minutes.
const ASKS_MAX: usize = 8;
/// How late a schedule or a stop may be noticed.
const LOOK: Duration = Duration::from_millis(500);

/// What is being done.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) what: &'static str,
    pub(crate) since: Timestamp,
    pub(crate) progress: Progress,
}

/// For whoever shows it or asks for something. Clones are the same.
#[derive(Clone)]
pub(crate) struct Upkeep(Arc<Shared>);

struct Shared {
    config: Option<Backup>,
    keeping: Keeping,
    book: RwLock<Book>,
    kept: RwLock<Kept>,
    /// Held while a hold is placed or lifted, and while a drop is told: one comes before the other.
    deciding: Mutex<()>,
    held: Mutex<Held>,
    scrub_asked: Mutex<Option<Actor>>,
    scrub_wanted: Condvar,
    scrubbing: Mutex<Option<ScrubProgress>>,
    running: Mutex<Option<Running>>,
    asks: SyncSender<(Ask, Actor)>,
}

impl Upkeep {
    pub(crate) fn config(&self) -> Option<&Backup> {
        self.0.config.as_ref()
    }

    pub(crate) fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.0.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn running(&self) -> Option<Running> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// False where too much is waiting already.
    pub(crate) fn ask(&self, ask: Ask, actor: Actor) -> bool {
        !matches!(self.0.asks.try_send((ask, actor)), Err(TrySendError::Full(_)))
    }

    pub(crate) fn keeping(&self) -> &Keeping {
        &self.0.keeping
    }

    pub(crate) fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.0.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_in(&self, at: Timestamp, by: &Actor, fact: &Fact) {
        self.0.kept.write().unwrap_or_else(PoisonError::into_inner).apply(at, by, fact);
        if let Fact::Upkeep { event } = fact {
            self.0.book.write().unwrap_or_else(PoisonError::into_inner).apply(at, event);
        }
    }

    pub(super) fn deciding(&self) -> MutexGuard<'_, ()> {
        self.0.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each hold kept from going when it was last looked.
    pub(crate) fn held(&self) -> Held {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_held(&self, held: Held) {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    pub(crate) fn scrubbing(&self) -> Option<ScrubProgress> {
        *self.0.scrubbing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_scrubbing(&self, progress: Option<ScrubProgress>) {
        *self.0.scrubbing.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// Has the sealed segments read once more, as soon as no scrub is under way.
    pub(crate) fn ask_scrub_by(&self, actor: Actor) {
        *self.0.scrub_asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor);
        self.0.scrub_wanted.notify_all();
    }

    pub(super) fn ask_scrub(&self) {
        self.ask_scrub_by(system("retention"));
    }

    /// Who asked for a scrub; waits for somebody no longer than `limit`.
    pub(super) fn scrub_asked(&self, limit: Duration) -> Option<Actor> {
        let asked = self.0.scrub_asked.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody = |asked: &mut Option<Actor>| asked.is_none();
        let waited = self.0.scrub_wanted.wait_timeout_while(asked, limit, nobody);
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    fn set_running(&self, running: Option<Running>) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }
}

/// The thread's own.
pub(crate) struct Keeper {
    pub(super) upkeep: Upkeep,
    asks: Receiver<(Ask, Actor)>,
    pub(super) clock: Arc<dyn Clock>,
    data: PathBuf,
    pub(super) store: Store,
    pub(super) table: Arc<FieldTable>,
    pub(super) index: Index,
    pub(super) journal: Journal,
    pub(super) desk: Desk,
    pub(super) stop: CancellationToken,
    pub(super) sources_of: Mutex<SourcesOf>,
    /// When it was last looked what retention lets go.
    looked: Mutex<Option<Timestamp>>,
}

/// What is configured of retention and scrub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) retention: Option<Retention>,
    pub(crate) scrub: Scrub,
}

/// What the keeper works on.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) data: PathBuf,
    pub(crate) store: Store,
    pub(crate) table: Arc<FieldTable>,
    pub(crate) index: Index,
    pub(crate) journal: Journal,
    pub(crate) desk: Desk,
    pub(crate) stop: CancellationToken,
}

impl Keeper {
    /// Knows what the journal tells of earlier backups.
    pub(crate) fn new(
        (config, keeping): (Option<Backup>, Keeping),
        parts: Parts,
    ) -> Result<(Self, Upkeep), Failure> {
        let (mut book, mut kept) = (Book::default(), Kept::default());
        for envelope in parts.journal.upkeep().map_err(Failure::store)? {
            kept.apply(envelope.at, &envelope.actor, &envelope.fact);
            if let Fact::Upkeep { event } = &envelope.fact {
                book.apply(envelope.at, event);
            }
        }
        let (asking, asks) = sync_channel(ASKS_MAX);
        let upkeep = Upkeep(Arc::new(Shared {
            config,
            keeping,
            book: RwLock::new(book),
            kept: RwLock::new(kept),
            deciding: Mutex::new(()),
            held: Mutex::default(),
            scrub_asked: Mutex::new(None),
            scrub_wanted: Condvar::new(),
            scrubbing: Mutex::new(None),
            running: Mutex::new(None),
            asks: asking,
        }));
        let Parts { clock, data, store, table, index, journal, desk, stop } = parts;
        let (sources_of, looked) = (Mutex::default(), Mutex::default());
        let keeper = Self {
            upkeep: upkeep.clone(),
            asks,
            clock,
            data,
            store,
            table,
            index,
            journal,
            desk,
            stop,
            sources_of,
            looked,
        };
        Ok((keeper, upkeep))
    }

    /// Who reads the sealed segments again.
    pub(crate) fn scrubber(&self) -> Scrubber {
        Scrubber { upkeep: self.upkeep.clone(), store: self.store.clone(), stop: self.stop.clone() }
    }

    /// Until the server stops.
    #[expect(clippy::unnecessary_wraps, reason = "what a task returns")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        while !self.stop.is_cancelled() {
            match self.asks.recv_timeout(LOOK) {
                Ok((ask, actor)) => self.answer(&ask, &actor),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }

    fn look(&self) {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.retention_is_due(looked) {
            self.answer(&Ask::Retain, &system("retention"));
        }
        let Some(config) = self.upkeep.config() else { return };
        let due = schedule::due(self.clock.now(), &config.to, &config.cadence, &self.upkeep.book());
        match due {
            Some(Due::Backup(kind)) => self.answer(&Ask::Backup(kind), &system("backup")),
            Some(Due::Drill) => self.answer(&Ask::Drill, &system("backup")),
            None => {}
        }
    }

    fn answer(&self, ask: &Ask, actor: &Actor) {
        let what = match ask {
            Ask::Backup(_) => "create",
            Ask::Verify(_) => "verify",
            Ask::Drill => "drill",
            Ask::Retain => "retain",
            Ask::Repair => "repair",
        };
        let since = self.clock.now();
        self.upkeep.set_running(Some(Running { what, since, progress: Progress::default() }));
        let done = match (ask, self.upkeep.config()) {
            (Ask::Retain, _) => {
                *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(since);
                self.retain()
            }
            (Ask::Backup(kind), Some(config)) => self.back_up(config, *kind, actor),
            (Ask::Verify(id), Some(config)) => self.verify(config, id.clone(), actor),
            (Ask::Drill, Some(config)) => self.drill(config, actor),
            (Ask::Repair, Some(config)) => Target::open(&config.to, &config.s3, false)
                .map_err(Into::into)
                .and_then(|target| self.repair(&config.to, &target, actor)),
            (Ask::Backup(_) | Ask::Verify(_) | Ask::Drill | Ask::Repair, None) => {
                Err(anyhow::anyhow!("no place for backups is configured"))
            }
        };
        self.upkeep.set_running(None);
        let Err(failure) = done else { return };
        if self.stop.is_cancelled() {
            return;
        }
        metrics::counter!("custos_backup_failures_total", "what" => what).increment(1);
        let reason = format!("{failure:#}");
        let to = self.upkeep.config().map(|config| config.to.clone()).unwrap_or_default();
        error!(what, to, reason, "a task of the log's keeping failed");
        let what = what.to_owned();
        self.record_or_log(actor, UpkeepEvent::BackupFailed { to, what, reason });
    }

    fn tell(&self, what: &'static str) -> impl FnMut(Progress) -> bool + '_ {
        let since = self.clock.now();
        move |progress| {
            self.upkeep.set_running(Some(Running { what, since, progress }));
            !self.stop.is_cancelled()
        }
    }

    fn back_up(&self, config: &Backup, kind: BackupKind, actor: &Actor) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let target = Target::open(&config.to, &config.s3, true)?;
        let bytes = config.file.as_ref().map(|path| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        });
        let options = CreateOptions { kind, config: bytes.transpose()?, with_master_key: false };
        let made = self.store.backup(&target, &options, &mut self.tell("create"))?;
        info!(id = made.id, kind = made.kind.as_str(), commit = %made.commit, "backed up");
        measure(&made);
        let event = crate::cli::backup_created(&config.to, &made, watch.secs());
        self.record(actor, event)?;
        self.prune(config, &target)
    }

    fn prune(&self, config: &Backup, target: &Target) -> anyhow::Result<()> {
        let pruned = backup::prune(target, &config.policy, self.clock.now())?;
        if pruned.removed.is_empty() && pruned.keys_expired.is_empty() {
            return Ok(());
        }
        let to = config.to.clone();
        let (removed, bytes, keys_expired) = (pruned.removed, pruned.bytes, pruned.keys_expired);
        self.record(
            &system("backup"),
            UpkeepEvent::BackupsPruned { to, removed, bytes, keys_expired },
        )
    }

    fn verify(&self, config: &Backup, id: Option<String>, actor: &Actor) -> anyhow::Result<()> {
        let target = Target::open(&config.to, &config.s3, false)?;
        let public_key = Some(self.store.public_keys());
        let options = CheckOptions { id, public_key, ..CheckOptions::default() };
        for report in backup::check(&target, &options, &mut self.tell("verify"))? {
            let event = UpkeepEvent::BackupVerified {
                to: config.to.clone(),
                ok: report.is_ok(),
                id: report.id,
                proven: report.proven,
                bytes: report.bytes,
                errors: report.errors,
            };
            self.record(actor, event)?;
        }
        Ok(())
    }

    fn drill(&self, config: &Backup, actor: &Actor) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let drill = Drill {
            config,
            data: &self.data,
            store: &self.store,
            table: &self.table,
            index: &self.index,
            journal: &self.journal,
            stop: &self.stop,
        };
        let done = drill.run(&mut self.tell("drill"))?;
        let event = done.event(&config.to, millis(&watch));
        self.record(actor, event)
    }

    #[expect(clippy::needless_pass_by_value, reason = "each event is made for this call")]
    fn record(&self, actor: &Actor, event: UpkeepEvent) -> anyhow::Result<()> {
        let fact = Fact::Upkeep { event: event.clone() };
        append_facts(&self.store, actor, vec![fact]).map_err(Failure::into_error)?;
        let mut book = self.upkeep.0.book.write().unwrap_or_else(PoisonError::into_inner);
        book.apply(self.clock.now(), &event);
        Ok(())
    }

    fn record_or_log(&self, actor: &Actor, event: UpkeepEvent) {
        if let Err(error) = self.record(actor, event) {
            error!(error = format!("{error:#}"), "a fact could not be written");
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration in ms")]
fn millis(watch: &Stopwatch) -> u64 {
    (watch.secs() * 1e3) as u64
}

#[expect(clippy::cast_precision_loss, reason = "measurements")]
fn measure(made: &Manifest) {
    let kind = made.kind.as_str();
    let at = made.created_at.as_millis() as f64 / 1e3;
    metrics::gauge!("custos_backup_last_success_timestamp_seconds", "kind" => kind).set(at);
    metrics::gauge!("custos_backup_last_bytes", "kind" => kind).set(made.bytes().0 as f64);
    metrics::counter!("custos_backups_total", "kind" => kind).increment(1);
}
