//! The one writer: gives numbers and places, encodes groups into frames, writes them. While a frame is
//! being synced the next one is gathered and encoded, but not written: at most one unsynced commit.

use crate::{
    crypt,
    disk::File,
    error::StoreError,
    frame::{self, Header, Kind},
    opened::{BlockRef, Opened},
    queue::Request,
    room,
    seal::SealJob,
    segment::{self, SegmentHeader},
    shared::Shared,
    stream::{Segment, Stream, StreamId},
    syncer::Flight,
    table::Rows,
    tree::{self, Frontier},
};
use custos_event::{Commit, CommitNo, Committed, Entry, LogId, Seq, Timestamp, wire::put_varint};
use std::{
    collections::HashMap,
    sync::{Arc, mpsc::SyncSender},
};

/// Level 1 of zstd: 640 MB/s a core; sealing compresses better, later.
const LEVEL: i32 = 1;
pub(crate) const FIRST_KEY: u32 = 1;

/// The segment that a log is written to.
struct Active {
    stream: Arc<Stream>,
    opened: Arc<Opened>,
    frontier: Frontier,
    /// Where the next frame goes, and up to where room is reserved.
    end: u64,
    reserved: u64,
    raw_bytes: u64,
    /// The next nonce.
    counter: u64,
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: HashMap<StreamId, Active>,
    next_commit: CommitNo,
    /// The last commit that a log holds.
    last_held: CommitNo,
    last_at: Timestamp,
    packer: zstd::bulk::Compressor<'static>,
    to_syncer: SyncSender<Flight>,
}

/// An encoded group that is not written yet.
struct Encoded {
    frame: Vec<u8>,
    header: Header,
    raw_bytes: u64,
    frontier: Frontier,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        (last_commit, last_held): (CommitNo, CommitNo),
        last_at: Timestamp,
        to_syncer: SyncSender<Flight>,
    ) -> Result<Self, StoreError> {
        let packer = zstd::bulk::Compressor::new(LEVEL)
            .map_err(|e| StoreError::io("compress for", &shared.dir, e))?;
        let (active, next_commit) = (HashMap::new(), last_commit.next());
        Ok(Self { shared, active, next_commit, last_held, last_at, packer, to_syncer })
    }

    /// Until the queue is closed and empty, or writing failed.
    pub(crate) fn run(mut self) {
        while let Some(group) = self.shared.queue.gather() {
            self.commit(group);
        }
        if self.shared.queue.wait_synced().is_ok() {
            self.active.values_mut().for_each(give_back_room);
        }
    }

    /// Makes one frame of the group and writes it, or tells each of its callers why not.
    fn commit(&mut self, group: Vec<Request>) {
        let Some(id) = group.first().map(Request::stream) else { return };
        // A person's key is durable before the log holds what is sealed under it.
        let keys = self.shared.keyring.persist_subjects();
        let written = keys.and_then(|()| self.admit(id));
        let written =
            written.and_then(|()| self.prepare(id)).and_then(|()| self.encode(id, &group));
        let written = written.and_then(|encoded| {
            self.shared.queue.wait_synced()?;
            self.write(id, encoded)
        });
        match written {
            Ok((header, block)) => self.send(id, group, header, block),
            Err(error) => {
                if matches!(error, StoreError::Full { .. }) {
                    room::pause(&self.shared);
                } else {
                    tracing::error!(error = %error.chain(), "cannot write the log");
                    self.shared.queue.fail(&error.chain());
                }
                let error = self.shared.queue.failure().unwrap_or(error);
                for request in group {
                    request.refuse(&error);
                }
            }
        }
    }

    /// While intake pauses, only the journal is written.
    fn admit(&self, id: StreamId) -> Result<(), StoreError> {
        if id.0.is_telemetry() && self.shared.room.paused().is_some() {
            return Err(StoreError::Full { path: self.shared.dir.clone() });
        }
        Ok(())
    }

    /// Makes room in a log's file from `from` up to `end` and some more, and says up to where. For events
    /// only what is not needed otherwise; for the journal all there is.
    fn reserve(&self, log: LogId, file: &File, (from, end): (u64, u64)) -> Result<u64, StoreError> {
        let shared = &*self.shared;
        let wanted = end.next_multiple_of(room::step(&shared.options));
        if log.is_telemetry() && !room::allows(shared, wanted - from)? {
            return Err(StoreError::Full { path: shared.dir.clone() });
        }
        match file.reserve(from, wanted) {
            Err(StoreError::Full { .. }) if !log.is_telemetry() => {}
            other => return other.map(|()| wanted),
        }
        let least = end.next_multiple_of(room::SMALL_STEP_BYTES);
        match file.reserve(from, least) {
            Err(StoreError::Full { .. }) if room::give_up(shared)? => file.reserve(from, least)?,
            other => other?,
        }
        Ok(least)
    }

    /// Sees to it that the log has a segment with room.
    fn prepare(&mut self, id: StreamId) -> Result<(), StoreError> {
        let full = |active: &Active| active.raw_bytes >= self.shared.options.segment_bytes;
        if self.active.get(&id).is_some_and(|active| !full(active)) {
            return Ok(());
        }
        self.shared.queue.wait_synced()?;
        // First: on a full disk the new segment may need just that room.
        if let Some(full) = self.active.get_mut(&id) {
            give_back_room(full);
        }
        let fresh = self.new_segment(id)?;
        if let Some(old) = self.active.insert(id, fresh) {
            self.shared.pending.seal(SealJob {
                stream: old.stream,
                opened: old.opened,
                frontier: old.frontier,
            });
        }
        Ok(())
    }

    fn new_segment(&self, id: StreamId) -> Result<Active, StoreError> {
        let stream = self.shared.stream_or_new(id);
        let durable = stream.durable().clone();
        let header = SegmentHeader {
            log: id.0,
            partition: id.1,
            number: stream.last_number() + 1,
            sealed: false,
            key: FIRST_KEY,
            first_seq: Seq(durable.frontier.size()),
            first_commit: self.next_commit,
            synced_through: self.last_held,
            created_at: self.last_at.max(self.shared.options.clock.now()),
            rows: durable.tables.rows(),
            peaks: durable.frontier.peaks().to_vec(),
        };
        let folder = segment::folder(&self.shared.dir, id.0);
        let disk = self.shared.disk();
        disk.create_dir(&folder)?;
        let path = folder.join(segment::file_name(id.1, header.number));
        let file = disk.create(&path)?;
        let made =
            self.fill_head(&file, &header).and_then(|made| disk.sync_dir(&folder).map(|()| made));
        let (key, header_bytes, reserved) = match made {
            Ok(made) => made,
            Err(error) => {
                if matches!(error, StoreError::Full { .. }) {
                    disk.remove(&path)?;
                }
                return Err(error);
            }
        };
        let segment = Segment {
            number: header.number,
            path,
            first_seq: header.first_seq,
            first_commit: header.first_commit,
            live: None,
        };
        let opened = Arc::new(Opened::live(file, (header, key, header_bytes), Vec::new()));
        stream.add(Arc::new(Segment { live: Some(Arc::clone(&opened)), ..segment }));
        Ok(Active {
            stream,
            opened,
            frontier: durable.frontier,
            end: header_bytes,
            reserved,
            raw_bytes: 0,
            counter: 0,
        })
    }

    fn fill_head(
        &self,
        file: &File,
        header: &SegmentHeader,
    ) -> Result<(crypt::Key, u64, u64), StoreError> {
        let key = crypt::random()?;
        let bytes = header.encode(&key, self.shared.keyring.masters(), crypt::random()?);
        let bytes = bytes.map_err(|e| e.at(file.path()))?;
        let reserved = self.reserve(header.log, file, (0, bytes.len() as u64))?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        Ok((crypt::Key::new(&key), bytes.len() as u64, reserved))
    }

    fn encode(&mut self, id: StreamId, group: &[Request]) -> Result<Encoded, StoreError> {
        let clock = self.shared.options.clock.now();
        let at = self.last_at.max(clock);
        let commit = self.next_commit;
        let active = self.active.get_mut(&id).ok_or(StoreError::Closed)?;
        let entries = || group.iter().flat_map(|request| &request.append.entries);
        let mut frontier = active.frontier.clone();
        let (raw, count) = lay_out(entries(), &mut frontier);
        let path = active.opened.file.path();
        let unpackable = |e| StoreError::io("compress for", path, e);
        let body = self.packer.compress(&raw).map_err(unpackable)?;
        let stamp = |request: &Request| {
            let sources = request.append.sources.iter().map(|row| (row.clone(), commit)).collect();
            let producers = request.append.producers.iter();
            Rows { sources, producers: producers.map(|row| (row.clone(), commit)).collect() }
        };
        let mut rows = Rows::default();
        for request in group {
            rows.join(stamp(request));
        }
        let header = Header {
            kind: Kind::Commit,
            log: id.0,
            partition: id.1,
            key: FIRST_KEY,
            counter: active.counter,
            dictionary: 0,
            first_commit: commit,
            last_commit: commit,
            // Written only once the commit before is durable: see `commit`.
            synced_through: CommitNo(commit.0.saturating_sub(1)),
            first_seq: Seq(active.frontier.size()),
            count,
            first_at: at,
            last_at: at,
            rows,
            peaks: active.frontier.peaks().to_vec(),
        };
        active.counter += 1;
        let built = frame::build(&header, body, raw.len(), &active.opened.key);
        let frame = built.map_err(|e| StoreError::damaged(path, e.to_string()))?;
        Ok(Encoded { frame, header, raw_bytes: raw.len() as u64, frontier })
    }

    /// Writes a frame into reserved room. Without room nothing of it stays.
    fn write(&mut self, id: StreamId, encoded: Encoded) -> Result<(Header, BlockRef), StoreError> {
        let len = encoded.frame.len() as u64;
        let active = self.active.get(&id).ok_or(StoreError::Closed)?;
        let end = active.end + len;
        let reserved = if end > active.reserved {
            self.reserve(id.0, &active.opened.file, (active.reserved, end))?
        } else {
            active.reserved
        };
        let active = self.active.get_mut(&id).ok_or(StoreError::Closed)?;
        active.reserved = reserved;
        let file = &active.opened.file;
        if let Err(error) = file.write_at(active.end, &encoded.frame) {
            if matches!(error, StoreError::Full { .. }) {
                file.truncate(active.end)?;
                active.reserved = active.end;
            }
            return Err(error);
        }
        let header = encoded.header;
        let block = BlockRef {
            at: active.end,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            count: header.count,
            first_seq: header.first_seq,
            first_commit: header.first_commit,
            last_commit: header.last_commit,
        };
        active.end = end;
        active.raw_bytes += encoded.raw_bytes;
        active.frontier = encoded.frontier;
        self.last_at = header.first_at;
        self.last_held = self.next_commit;
        self.next_commit = self.next_commit.next();
        Ok((header, block))
    }

    /// Hands a written frame to the thread that syncs it and then answers.
    fn send(&mut self, id: StreamId, group: Vec<Request>, header: Header, block: BlockRef) {
        let Some(active) = self.active.get(&id) else { return };
        let (commit, appended_at) = (header.first_commit, header.first_at);
        let (mut answers, mut entries) = (Vec::with_capacity(group.len()), Vec::new());
        let mut first = header.first_seq;
        for request in group {
            let place = Committed { commit, log: id.0, partition: id.1, first, appended_at };
            first = first.plus(request.append.entries.len() as u64);
            entries.extend(request.append.entries);
            answers.push((request.answer, place, request.room));
        }
        let (log, partition) = id;
        let first = header.first_seq;
        let commit = Commit { commit, log, partition, first, appended_at, entries };
        let flight = Flight {
            stream: Arc::clone(&active.stream),
            opened: Arc::clone(&active.opened),
            block,
            frontier: active.frontier.clone(),
            rows: header.rows,
            commit: Arc::new(commit),
            answers,
        };
        self.shared.queue.set_syncing(true);
        if let Err(unsent) = self.to_syncer.send(flight) {
            self.shared.queue.fail("the thread that syncs has ended");
            unsent.0.refuse(&StoreError::Closed);
        }
    }
}

/// Lengths, then records; the leaves go into the tree.
fn lay_out<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    frontier: &mut Frontier,
) -> (Vec<u8>, u32) {
    let bytes: usize = entries.clone().map(|entry| entry.bytes.len() + 2).sum();
    let mut raw = Vec::with_capacity(bytes + 16);
    let (mut count, mut nodes) = (0, Vec::new());
    for entry in entries.clone() {
        put_varint(&mut raw, entry.bytes.len() as u64);
        frontier.push(tree::leaf(&entry.bytes), &mut nodes);
        count += 1;
    }
    entries.for_each(|entry| raw.extend_from_slice(&entry.bytes));
    (raw, count)
}

/// Shortens the file to what is written; that this fails costs only room.
fn give_back_room(active: &mut Active) {
    let file = &active.opened.file;
    active.reserved = active.end;
    if let Err(error) = file.truncate(active.end).and_then(|()| file.sync()) {
        tracing::warn!(error = %error.chain(), "cannot give back reserved room");
    }
}
