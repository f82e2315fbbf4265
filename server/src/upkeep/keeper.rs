//! Who makes backups and drills while the server runs: one at a time, on a thread of its own. Whatever comes of it is
//! a fact.

use super::{
    book::Book,
    config::Backup,
    drill::Drill,
    schedule::{self, Due},
};
use crate::{
    clock::Stopwatch,
    exit::Failure,
    folder::{append_facts, system},
    pipeline::journal::Journal,
};
use anyhow::Context as _;
use custos_event::{Actor, Clock, Fact, FieldTable, Timestamp, UpkeepEvent};
use custos_search::Index;
use custos_store::{
    Store,
    backup::{self, BackupKind, CheckOptions, CreateOptions, Manifest, Progress, Target},
};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
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
    book: RwLock<Book>,
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

    fn set_running(&self, running: Option<Running>) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }
}

/// The thread's own.
pub(crate) struct Keeper {
    upkeep: Upkeep,
    asks: Receiver<(Ask, Actor)>,
    clock: Arc<dyn Clock>,
    data: PathBuf,
    store: Store,
    table: Arc<FieldTable>,
    index: Index,
    journal: Journal,
    stop: CancellationToken,
}

/// What the keeper works on.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) data: PathBuf,
    pub(crate) store: Store,
    pub(crate) table: Arc<FieldTable>,
    pub(crate) index: Index,
    pub(crate) journal: Journal,
    pub(crate) stop: CancellationToken,
}

impl Keeper {
    /// Knows what the journal tells of earlier backups.
    pub(crate) fn new(config: Option<Backup>, parts: Parts) -> Result<(Self, Upkeep), Failure> {
        let mut book = Book::default();
        for envelope in parts.journal.upkeep().map_err(Failure::store)? {
            if let Fact::Upkeep { event } = &envelope.fact {
                book.apply(envelope.at, event);
            }
        }
        let (asking, asks) = sync_channel(ASKS_MAX);
        let (book, running) = (RwLock::new(book), Mutex::new(None));
        let upkeep = Upkeep(Arc::new(Shared { config, book, running, asks: asking }));
        let Parts { clock, data, store, table, index, journal, stop } = parts;
        let keeper =
            Self { upkeep: upkeep.clone(), asks, clock, data, store, table, index, journal, stop };
        Ok((keeper, upkeep))
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
        let Some(config) = self.upkeep.config() else { return };
        let due = schedule::due(self.clock.now(), &config.to, &config.cadence, &self.upkeep.book());
        match due {
            Some(Due::Backup(kind)) => self.answer(&Ask::Backup(kind), &system("backup")),
            Some(Due::Drill) => self.answer(&Ask::Drill, &system("backup")),
            None => {}
        }
    }

    fn answer(&self, ask: &Ask, actor: &Actor) {
        let Some(config) = self.upkeep.config() else { return };
        let what = match ask {
            Ask::Backup(_) => "create",
            Ask::Verify(_) => "verify",
            Ask::Drill => "drill",
        };
        let since = self.clock.now();
        self.upkeep.set_running(Some(Running { what, since, progress: Progress::default() }));
        let done = match ask {
            Ask::Backup(kind) => self.back_up(config, *kind, actor),
            Ask::Verify(id) => self.verify(config, id.clone(), actor),
            Ask::Drill => self.drill(config, actor),
        };
        self.upkeep.set_running(None);
        let Err(failure) = done else { return };
        if self.stop.is_cancelled() {
            return;
        }
        metrics::counter!("custos_backup_failures_total", "what" => what).increment(1);
        let reason = format!("{failure:#}");
        error!(what, to = config.to, reason, "a backup task failed");
        let (to, what) = (config.to.clone(), what.to_owned());
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
