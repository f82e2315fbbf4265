//! The handle to an open data folder: appending, reading, following, closing.

use crate::{
    backup,
    cache::Cache,
    checkpoint,
    disk::{Disk, Lock},
    error::StoreError,
    follow::{Follower, ends_after},
    keeper::{self, Pending},
    keys::Keyring,
    note::Checkpoint,
    options::Options,
    proof::Prover,
    quarantine,
    queue::Queue,
    read,
    recover::{Recovered, recover},
    repair::{self, RepairReport, Repaired},
    retention::{self, DropRequest, DroppedRange, Record, SegmentInfo},
    ring::Ring,
    room::{self, Pause, Room},
    scrub::{self, ScrubProgress, ScrubReport},
    shared::Shared,
    syncer,
    table::Tables,
    ticket::{Ticket, block_on},
    writer::Writer,
};
use bytes::Bytes;
use custos_event::{
    Append, CommitNo, Committed, Cursor, Ends, Fact, LogId, Partition, Position, ProducerEntry,
    Seq, SourceRange, Timestamp,
    commit::{LogReader, ReadError},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, mpsc},
    thread::JoinHandle,
    time::Duration,
};

/// The format of the data folder as a whole; its parts have versions of their own.
const FORMAT: u64 = 1;
const FORMAT_FILE: &str = "FORMAT";

/// An open data folder. Clones are the same store; it closes with [`Store::close`] or the last of them.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<()>,
    syncer: JoinHandle<()>,
    keepers: Vec<JoinHandle<()>>,
    _lock: Lock,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.0.shared.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens `dir` for this process alone. The facts say what recovery cut or set aside: append them.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Vec<Fact>), StoreError> {
        let new = is_new(dir, &options)?;
        options.disk.create_dir(dir)?;
        let lock = Lock::take(&options.disk, dir)?;
        options.disk.settle(dir)?;
        let keyring = Keyring::load(&options.disk, dir, options.master_key.as_ref(), new)?;
        keyring.settle(options.master_key.as_ref())?;
        if new {
            let text = format!("custos-store {FORMAT}\n");
            options.disk.replace(&dir.join(FORMAT_FILE), text.as_bytes())?;
        }
        let recovered = recover(&options.disk, dir, &keyring)?;
        let Recovered { streams, unsealed, last_commit, last_held, last_at, facts } = recovered;
        let shared = Arc::new(Shared {
            dir: dir.to_path_buf(),
            keyring,
            streams: RwLock::new(streams),
            cache: Cache::new(options.cache_bytes),
            ring: Ring::new(last_commit, options.ring_bytes),
            queue: Queue::new(options.queue_bytes),
            pending: Pending::default(),
            room: Room::default(),
            upkeep: Mutex::new(()),
            options,
        });
        retention::settle(&shared)?;
        match room::hold_back(&shared) {
            Err(StoreError::Full { .. }) => room::pause(&shared),
            other => other?,
        }
        for job in unsealed {
            shared.pending.seal(job);
        }
        let threads = start(&shared, (last_commit, last_held), last_at, lock)?;
        let inner = Inner { shared, threads: Mutex::new(Some(threads)) };
        Ok((Self(Arc::new(inner)), facts))
    }

    /// Takes its place in the order of appends, waiting for room first; the ticket tells when it is durable.
    /// Dropping the ticket does not take the append back.
    pub async fn submit(&self, append: Append) -> Result<Ticket, StoreError> {
        let answered = self.0.shared.queue.submit(append).await?;
        Ok(Ticket::new(answered))
    }

    /// Appends, and returns when it is durable.
    pub async fn append(&self, append: Append) -> Result<Committed, StoreError> {
        self.submit(append).await?.await
    }

    /// [`Store::submit`] for a thread that may block.
    pub fn submit_blocking(&self, append: Append) -> Result<Ticket, StoreError> {
        block_on(self.submit(append))
    }

    /// [`Store::append`] for a thread that may block.
    pub fn append_blocking(&self, append: Append) -> Result<Committed, StoreError> {
        block_on(self.append(append))
    }

    /// The last durable commit; 0 before the first.
    pub fn last_commit(&self) -> CommitNo {
        self.0.shared.ring.last()
    }

    /// The place that the next durable record of a log takes: as many records as the log ever had.
    pub fn next_seq(&self, log: LogId, partition: Partition) -> Seq {
        self.0.shared.stream((log, partition)).map_or(Seq(0), |stream| stream.next_seq())
    }

    /// The places after the last durable record of every log.
    pub fn ends(&self) -> Ends {
        let streams = self.0.shared.all_streams();
        streams.iter().map(|stream| (stream.id.0, stream.id.1, stream.next_seq())).collect()
    }

    /// The same as it was after a commit: the places of the first records behind it. Where such a record is gone or
    /// damaged, of the next that reads.
    pub fn ends_after(&self, commit: CommitNo) -> Result<Ends, StoreError> {
        ends_after(&self.0.shared, commit)
    }

    /// The logs that hold something, with their partitions.
    pub fn logs(&self) -> Vec<(LogId, Partition)> {
        self.0.shared.all_streams().iter().map(|stream| stream.id).collect()
    }

    /// A follower that gets every commit after the cursor.
    pub fn follow(&self, cursor: &Cursor) -> Follower {
        Follower::new(Arc::clone(&self.0.shared), cursor)
    }

    /// Waits for a commit after `commit`, at most so long. For who reads a log by its places and not as a follower.
    pub fn wait_after(&self, commit: CommitNo, timeout: Duration) {
        self.0.shared.ring.wait_after(commit, timeout);
    }

    /// Lets all who wait for a commit return with nothing.
    pub fn wake(&self) {
        self.0.shared.ring.wake();
    }

    /// One entry; `None` where nothing is durable yet or retention has dropped it.
    pub fn read(&self, at: Position) -> Result<Option<Bytes>, ReadError> {
        let mut found = None;
        self.scan(at.log, at.partition, at.seq, at.seq.plus(1), &mut |seq, bytes| {
            found = (seq == at.seq).then_some(bytes);
            false
        })?;
        Ok(found)
    }

    /// The sealed segments of a log that could be let go, in order.
    pub fn sealed_segments(
        &self,
        log: LogId,
        partition: Partition,
    ) -> Result<Vec<SegmentInfo>, StoreError> {
        retention::sealed(&self.0.shared, (log, partition))
    }

    /// Lets sealed segments go, whole: `record` appends the fact before anything goes. What proves the other
    /// records stays.
    pub fn drop_segments(
        &self,
        request: &DropRequest,
        record: &mut Record<'_>,
    ) -> Result<DroppedRange, StoreError> {
        retention::drop_segments(&self.0.shared, request, record)
    }

    /// Reads every sealed segment once more, as any reader would. What is damaged goes into quarantine; the facts
    /// that tell of it are the report's: append them, then call [`Store::recorded`]. `each` is called before
    /// each segment, and false ends it; whoever wants to be slow waits there.
    pub fn scrub(
        &self,
        each: &mut dyn FnMut(ScrubProgress) -> bool,
    ) -> Result<ScrubReport, StoreError> {
        scrub::scrub(&self.0.shared, each)
    }

    /// The facts of damage that opening or a scrub gave are in the journal. Until this is called the next opening
    /// gives them again.
    pub fn recorded(&self) -> Result<(), StoreError> {
        quarantine::told(self.0.shared.disk(), &self.0.shared.dir)
    }

    /// Fetches what is in quarantine from the newest backup that has it whole, and puts it in place once it is
    /// proven to be what the tree was grown from. `record` appends the fact of each.
    pub fn repair(
        &self,
        target: &backup::Target,
        record: &mut dyn FnMut(&Repaired) -> Result<(), StoreError>,
    ) -> Result<RepairReport, StoreError> {
        repair::repair(&self.0.shared, target, record)
    }

    /// When and why a place was let go, if it was.
    pub fn dropped_at(&self, at: Position) -> Option<DroppedRange> {
        let stream = self.0.shared.stream((at.log, at.partition))?;
        stream.dropped().drop_of(at.seq).cloned()
    }

    /// All that was let go of a log, in the order of places.
    pub fn dropped(&self, log: LogId, partition: Partition) -> Vec<DroppedRange> {
        let Some(stream) = self.0.shared.stream((log, partition)) else { return Vec::new() };
        stream.dropped().ranges().iter().flat_map(|gone| gone.drops.clone()).collect()
    }

    /// How far each numbered source was taken in: the last range of each topic and partition.
    pub fn sources(&self) -> Vec<SourceRange> {
        self.tables().rows().sources.into_iter().map(|(row, _)| row).collect()
    }

    /// The last five batches of each idempotent producer and partition.
    pub fn producers(&self) -> Vec<ProducerEntry> {
        self.tables().rows().producers.into_iter().map(|(row, _)| row).collect()
    }

    fn tables(&self) -> Tables {
        let mut all = Tables::default();
        for stream in self.0.shared.all_streams() {
            all.apply(&stream.durable().tables.rows());
        }
        all
    }

    pub fn keyring(&self) -> &Keyring {
        &self.0.shared.keyring
    }

    /// Signs the durable tree head of every log, keeps and returns the checkpoints.
    pub fn checkpoint(&self) -> Result<Vec<Checkpoint>, StoreError> {
        checkpoint::save_all(&self.0.shared)
    }

    /// Makes proofs of a log; `None` if it holds nothing.
    pub fn prover(
        &self,
        log: LogId,
        partition: Partition,
    ) -> Result<Option<Prover<'_>>, StoreError> {
        Prover::new(&self.0.shared, (log, partition))
    }

    /// When the newest checkpoint of a log was kept, and how many records it vouches for.
    pub fn last_checkpoint(&self, log: LogId, partition: Partition) -> Option<(Timestamp, u64)> {
        let shared = &self.0.shared;
        let size = (*shared.stream((log, partition))?.saved_size())?;
        let kept = shared.disk().modified(&checkpoint::path(&shared.dir, (log, partition)))?;
        let since = kept.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some((Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?), size))
    }

    /// The public key that checks the checkpoints, in the text form of signed notes, a line for each log.
    pub fn public_keys(&self) -> String {
        let key = self.0.shared.keyring.signing().verifying_key();
        checkpoint::public_keys(&key, self.logs().into_iter())
    }

    /// Waits until every segment that was closed so far is sealed; at once with `Options::seal` unset.
    pub fn wait_sealed(&self) {
        if self.0.shared.options.seal {
            self.0.shared.pending.wait_sealed();
        }
    }

    /// Why nothing is taken in at the moment, if that is so. It ends by itself.
    pub fn paused(&self) -> Option<Pause> {
        self.0.shared.room.paused()
    }

    /// Makes a backup of everything durable now, while appends go on, and reads back what it stored.
    pub fn backup(
        &self,
        target: &backup::Target,
        options: &backup::CreateOptions,
        progress: &mut backup::Tell<'_>,
    ) -> Result<backup::Manifest, StoreError> {
        backup::create(&self.0.shared, target, options, progress)
    }

    /// Why writing has ended, if it has: the process should end too.
    pub fn failure(&self) -> Option<StoreError> {
        let shared = &self.0.shared;
        shared.queue.failure().or_else(|| shared.disk().broken().cloned())
    }

    /// Writes what is queued, signs a last checkpoint, ends the threads and gives the folder free.
    /// Followers get what is left, then [`StoreError::Closed`].
    pub fn close(&self) -> Result<(), StoreError> {
        self.0.close()
    }
}

impl LogReader for Store {
    fn scan(
        &self,
        log: LogId,
        partition: Partition,
        from: Seq,
        to: Seq,
        each: &mut dyn FnMut(Seq, Bytes) -> bool,
    ) -> Result<(), ReadError> {
        read::scan(&self.0.shared, (log, partition), from, to, each)
    }
}

impl Inner {
    fn close(&self) -> Result<(), StoreError> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(threads) = threads else { return Ok(()) };
        self.shared.queue.close();
        let mut joined = vec![threads.writer.join(), threads.syncer.join()];
        self.shared.pending.close();
        self.shared.room.close();
        joined.extend(threads.keepers.into_iter().map(JoinHandle::join));
        self.shared.ring.close();
        if joined.iter().any(Result::is_err) {
            self.shared.queue.fail("a thread of the store has panicked");
        }
        if let Some(failure) = self.shared.queue.failure() {
            return Err(failure);
        }
        match checkpoint::save_all(&self.shared) {
            Err(full @ StoreError::Full { .. }) => {
                tracing::warn!(error = %full.chain(), "no last checkpoint was kept");
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(error = %error.chain(), "the store did not close cleanly");
        }
    }
}

/// Checks the folder's version; true if there is no store yet.
fn is_new(dir: &Path, options: &Options) -> Result<bool, StoreError> {
    let path = dir.join(FORMAT_FILE);
    let Some(bytes) = options.disk.read(&path)? else {
        return if options.create {
            Ok(true)
        } else {
            Err(StoreError::Missing { dir: dir.into() })
        };
    };
    check_format(&path, &bytes).map(|()| false)
}

/// Reads the version of the data folder, and refuses a newer one.
pub(crate) fn check_folder(disk: &Disk, dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(FORMAT_FILE);
    let bytes = disk.read(&path)?.ok_or_else(|| StoreError::Missing { dir: dir.into() })?;
    check_format(&path, &bytes)
}

fn check_format(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let text = String::from_utf8_lossy(bytes);
    let version = text.trim().strip_prefix("custos-store ").and_then(|n| n.parse().ok());
    match version {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => {
            Err(StoreError::Newer { path: path.into(), found, reads: FORMAT })
        }
        _ => Err(StoreError::damaged(path, "it does not say which format the folder has")),
    }
}

fn start(
    shared: &Arc<Shared>,
    commits: (CommitNo, CommitNo),
    last_at: Timestamp,
    lock: Lock,
) -> Result<Threads, StoreError> {
    let (to_syncer, flights) = mpsc::sync_channel(1);
    let writer = Writer::new(Arc::clone(shared), commits, last_at, to_syncer)?;
    let of = |run: fn(&Shared)| {
        let shared = Arc::clone(shared);
        move || run(&shared)
    };
    let mut keepers = vec![
        spawn(shared, "custos-notes", of(keeper::keep_checkpoints))?,
        spawn(shared, "custos-room", of(room::keep_room))?,
    ];
    if shared.options.seal {
        keepers.push(spawn(shared, "custos-seal", of(keeper::keep_sealing))?);
    }
    let syncing = Arc::clone(shared);
    Ok(Threads {
        syncer: spawn(shared, "custos-sync", move || syncer::run(&syncing, &flights))?,
        writer: spawn(shared, "custos-write", move || writer.run())?,
        keepers,
        _lock: lock,
    })
}

fn spawn(
    shared: &Arc<Shared>,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let queue = Arc::clone(shared);
    let run = move || {
        // A thread that is gone answers nobody: whoever waits for it must be told.
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            queue.queue.fail("a thread of the store has panicked");
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|e| StoreError::io("start a thread for", &shared.dir, e))
}
