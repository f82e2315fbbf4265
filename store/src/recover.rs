//! Opening a data folder after any end of the process before: what is durable, what was being written,
//! what is damaged. Cuts torn tails (after saving them) and leaves damaged ranges where they are.

use crate::{
    checkpoint,
    disk::{Disk, File},
    error::StoreError,
    found::{Body, Found, OpenBody, find, is_missing, synced_through},
    frame::{self, Framed},
    judge::{Verdict, Witness, judge},
    keys::Keyring,
    leaves::{Leaves, leaves},
    opened::{BlockRef, Opened},
    quarantine,
    retention::{self, Dropped},
    scan::{self, Damage, Piece, scan},
    seal::SealJob,
    segment::{self, SegmentHeader},
    stream::{Durable, Segment, Stream, StreamId},
    tree::{self, Frontier},
};
use custos_event::{CommitNo, Fact, Seq, Timestamp};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What opening found and did.
pub(crate) struct Recovered {
    pub(crate) streams: BTreeMap<StreamId, Arc<Stream>>,
    /// Segments that an earlier process left open, to be sealed.
    pub(crate) unsealed: Vec<SealJob>,
    /// The highest number given so far, and the highest that a log holds: a number given to a tail that
    /// was cut as undecided is not given again.
    pub(crate) last_commit: CommitNo,
    pub(crate) last_held: CommitNo,
    pub(crate) last_at: Timestamp,
    pub(crate) facts: Vec<Fact>,
}

/// Reads the folder `dir` and mends what an unfinished write left.
pub(crate) fn recover(disk: &Disk, dir: &Path, keyring: &Keyring) -> Result<Recovered, StoreError> {
    let mut dropped = retention::load_all(disk, dir)?;
    retention::sweep(disk, dir, &dropped)?;
    let mut found = find(disk, dir, keyring)?;
    for id in dropped.keys() {
        found.entry(*id).or_default();
    }
    let synced = found.values().flatten().filter_map(synced_through).max().unwrap_or_default();
    let mut recovered = Recovered {
        streams: BTreeMap::new(),
        unsealed: Vec::new(),
        last_commit: synced,
        last_held: synced,
        last_at: Timestamp::default(),
        facts: Vec::new(),
    };
    let mut missing = BTreeMap::new();
    for id in found.keys() {
        let known = (keyring.masters(), &dropped);
        missing.insert(*id, is_missing(disk, &found, *id, synced, known)?);
    }
    for (id, segments) in found {
        let (notes, _) = checkpoint::load(disk, dir, id, keyring)?;
        checkpoint::tidy(disk, dir, id, &notes)?;
        let size = notes.last().map_or(0, |note| note.size);
        let missing = missing.get(&id).copied().unwrap_or_default();
        let witness = Witness { synced_through: synced, missing, size };
        let walk = Walk {
            disk,
            dir,
            id,
            keyring,
            witness,
            recovered: &mut recovered,
            behind: None,
            dropped: dropped.remove(&id).unwrap_or_default(),
        };
        walk.run(segments)?;
    }
    recovered.facts.extend(quarantine::untold(disk, dir)?);
    Ok(recovered)
}

/// One log's segments, taken in order.
struct Walk<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    id: StreamId,
    keyring: &'a Keyring,
    witness: Witness,
    recovered: &'a mut Recovered,
    /// The sealed segment just passed, its end not looked at: its number, and its path.
    behind: Option<(u64, PathBuf)>,
    /// What is missing on purpose.
    dropped: Dropped,
}

impl Walk<'_> {
    fn run(mut self, found: Vec<Found>) -> Result<(), StoreError> {
        let mut durable = Durable::default();
        let (mut segments, mut unsealed) = (Vec::new(), Vec::new());
        let last_number = found.last().map_or(0, |found| found.number);
        let mut next_heads: Vec<_> =
            found.iter().map(|f| f.header().map(|h| h.first_seq)).collect();
        next_heads.reverse();
        for segment in found {
            next_heads.pop();
            let last = segment.number == last_number;
            if let Some(header) = segment.header() {
                self.arrive(header, &mut durable, &segment.path)?;
                durable.tables.apply(&header.rows);
                self.saw(header.synced_through, header.created_at);
                let burnt = CommitNo(header.first_commit.0.saturating_sub(1));
                self.recovered.last_commit = self.recovered.last_commit.max(burnt);
            }
            let Found { path, number, body } = segment;
            let next = next_heads.iter().rev().find_map(|head| *head);
            match body {
                Body::Lost(error) => {
                    self.lose_segment(&path, &error, &mut durable, next, last)?;
                }
                Body::Sealed(header) => {
                    self.behind = Some((number, path.clone()));
                    segments.push(Arc::new(Segment {
                        number,
                        path,
                        first_seq: header.first_seq,
                        first_commit: header.first_commit,
                        live: None,
                    }));
                }
                Body::Open(_) | Body::Closed(_) => {
                    let open = match body {
                        Body::Open(open) => *open,
                        Body::Closed(_) | Body::Sealed(_) | Body::Lost(_) => {
                            OpenBody::read(self.disk, &path, self.keyring.masters())?
                        }
                    };
                    let Some(opened) = self.open(&path, open, &mut durable, (last, next))? else {
                        continue;
                    };
                    let opened = Arc::new(opened);
                    segments.push(Arc::new(Segment {
                        number,
                        path,
                        first_seq: opened.header.first_seq,
                        first_commit: opened.header.first_commit,
                        live: Some(Arc::clone(&opened)),
                    }));
                    unsealed.push((opened, durable.frontier.clone()));
                }
            }
        }
        self.settle(&mut durable)?;
        self.reach_checkpoint(&mut durable)?;
        let (saved, dropped) =
            (Some(self.witness.size), (std::mem::take(&mut self.dropped), last_number));
        let stream = Arc::new(Stream::new(self.id, segments, durable, saved, dropped));
        let jobs = unsealed.into_iter().map(|(opened, frontier)| SealJob {
            stream: Arc::clone(&stream),
            opened,
            frontier,
        });
        self.recovered.unsealed.extend(jobs);
        self.recovered.streams.insert(self.id, stream);
        Ok(())
    }

    fn saw(&mut self, commit: CommitNo, at: Timestamp) {
        self.recovered.last_held = self.recovered.last_held.max(commit);
        self.recovered.last_commit = self.recovered.last_commit.max(commit);
        self.recovered.last_at = self.recovered.last_at.max(at);
    }

    /// Goes on at a segment's first place, where its header says how the tree stands.
    fn arrive(
        &mut self,
        header: &SegmentHeader,
        durable: &mut Durable,
        path: &Path,
    ) -> Result<(), StoreError> {
        // The next number: nothing can be missing in between, the end need not be read.
        match &self.behind {
            Some((number, _)) if number + 1 == header.number => {
                self.behind = None;
                durable.frontier = header.frontier().unwrap_or_default();
            }
            _ => self.settle(durable)?,
        }
        let stands = header.frontier();
        let stands =
            stands.ok_or_else(|| StoreError::damaged(path, "its tree has no such edge"))?;
        if stands.size() > durable.frontier.size() {
            let (from, to) = (durable.frontier.size(), stands.size());
            self.quarantine(from, to, "segments before it are missing", path, &[])?;
        } else if stands.size() < durable.frontier.size() {
            let reason =
                format!("it begins at {}, before the end of the one before", stands.size());
            return Err(StoreError::damaged(path, reason));
        }
        durable.frontier = stands;
        Ok(())
    }

    /// Looks up how the log stands after the sealed segment that was passed.
    fn settle(&mut self, durable: &mut Durable) -> Result<(), StoreError> {
        let Some((_, path)) = self.behind.take() else { return self.pass_dropped(durable) };
        let opened = Opened::sealed(self.disk, &path, self.keyring.masters());
        match opened.and_then(|opened| opened.footer()) {
            Ok((footer, _)) => {
                durable.frontier = footer.frontier;
                durable.tables.apply(&footer.rows);
                let commit = footer.blocks.last().map_or(CommitNo(0), |block| block.last_commit);
                self.saw(commit, footer.last_at);
                self.pass_dropped(durable)
            }
            // Its records may well be readable; only the tree after it is lost.
            Err(error) => self.lose_segment(&path, &error, durable, None, false),
        }
    }

    /// Goes on behind what retention let go of, where the log has come to that.
    fn pass_dropped(&mut self, durable: &mut Durable) -> Result<(), StoreError> {
        let Some(gone) = self.dropped.at(Seq(durable.frontier.size())) else { return Ok(()) };
        if !gone.pass(&mut durable.frontier, &mut |_| ()) {
            let (log, first, last) = (self.id.0, gone.first, gone.end - 1);
            let reason =
                format!("the roots it keeps of records {first} to {last} of log {log} do not fit");
            return Err(StoreError::damaged(&self.dir.join("retention"), reason));
        }
        let (commit, at) = (gone.commits.1, gone.drops.iter().map(|step| step.through).max());
        self.saw(commit, at.unwrap_or_default());
        Ok(())
    }

    /// A segment of which nothing is known but its place.
    fn lose_segment(
        &mut self,
        path: &Path,
        error: &StoreError,
        durable: &mut Durable,
        next: Option<Seq>,
        last: bool,
    ) -> Result<(), StoreError> {
        self.settle(durable)?;
        let from = durable.frontier.size();
        let bytes = self.disk.read(path)?.unwrap_or_default();
        let began = bytes.iter().any(|byte| *byte != 0);
        if last && self.witness.size <= from && !began {
            // It was being created: no byte of it was ever synced.
            return self.disk.remove(path);
        }
        let (pieces, _) = scan(&bytes, 0);
        if last && self.witness.size <= from && pieces.len() <= 1 {
            self.cut(path, 0, &bytes, from)?;
            return self.disk.remove(path);
        }
        // Frame headers are in clear: they tell how far the segment went.
        let mut end = self.witness.size.max(from);
        for piece in &pieces {
            if let Piece::Frame { framed, .. } = piece {
                end = end.max(framed.header.first_seq.plus(framed.header.count.into()).0);
                self.saw(framed.header.last_commit, framed.header.last_at);
            }
        }
        let to = next.map_or(end, |next| next.0);
        self.quarantine(from, to, &error.to_string(), path, &[])?;
        lose(&mut durable.frontier, to);
        Ok(())
    }

    /// An open segment: its frames are read, its tail is cut where it is torn.
    fn open(
        &mut self,
        path: &Path,
        open: OpenBody,
        durable: &mut Durable,
        (last, after): (bool, Option<Seq>),
    ) -> Result<Option<Opened>, StoreError> {
        let OpenBody { file, header, key, header_bytes, bytes, pieces } = open;
        let (mut blocks, mut nodes) = (Vec::new(), Vec::new());
        let count = pieces.len();
        let (mut damaged, mut whole, mut torn) = (false, bytes.len(), false);
        let leaves = leaves(&bytes, &pieces, &key);
        for (index, (piece, leaves)) in pieces.into_iter().zip(leaves).enumerate() {
            let followed = !last || index + 1 < count;
            let damage = match piece {
                Piece::Frame { at, framed } => {
                    let (from, to) = (durable.frontier.size(), framed.header.first_seq.0);
                    if from < to {
                        damaged = true;
                        self.quarantine(from, to, "frames are missing", path, &[])?;
                        lose(&mut durable.frontier, to);
                    }
                    match take_in(leaves, &framed, &header, durable, &mut nodes) {
                        Ok(()) => {
                            self.saw(framed.header.last_commit, framed.header.last_at);
                            blocks.push(BlockRef::of(header_bytes + at as u64, &framed));
                            continue;
                        }
                        Err(error) => Damage::of_frame(at, framed, error),
                    }
                }
                Piece::Damage(damage) => damage,
            };
            let next = Seq(durable.frontier.size());
            let piece = bytes.get(damage.at..damage.end).unwrap_or_default();
            match judge(&damage, next, followed, &self.witness) {
                Verdict::Corrupt => {
                    damaged = true;
                    let to = self.end_of(&damage, &bytes, next, after);
                    self.quarantine(next.0, to, &damage.error.to_string(), path, piece)?;
                    lose(&mut durable.frontier, to);
                }
                verdict @ (Verdict::Torn | Verdict::Undecided) => {
                    let at = header_bytes + damage.at as u64;
                    self.cut(path, at, piece, next.0)?;
                    (whole, torn) = (damage.at, true);
                    if let (Verdict::Undecided, Some(framed)) = (verdict, &damage.framed) {
                        // Somebody may have been told of it: its number is not given again.
                        let burnt = framed.header.last_commit;
                        self.recovered.last_commit = self.recovered.last_commit.max(burnt);
                    }
                }
            }
        }
        if blocks.is_empty() && !damaged && last {
            self.disk.remove(path)?;
            return Ok(None);
        }
        // A checkpoint speaks only of what was synced, and a clean stop leaves one.
        let beyond = durable.frontier.size() > self.witness.size;
        let file = if last && (torn || beyond) {
            renew(self.disk, &file, header_bytes, bytes.get(..whole).unwrap_or_default())?
        } else {
            file
        };
        // Behind damage the nodes would have other numbers: proofs then compute them anew from the records.
        let nodes = if damaged { Vec::new() } else { nodes };
        let mut opened = Opened::live(file, (header, key, header_bytes), blocks, nodes);
        opened.damaged = damaged;
        Ok(Some(opened))
    }

    /// The first place after the records that damage took: the next frame's or segment's, if there is one.
    fn end_of(&self, damage: &Damage, bytes: &[u8], next: Seq, after: Option<Seq>) -> u64 {
        let frame = bytes.get(damage.end..).and_then(|rest| frame::read_header(rest).ok());
        let after = frame.map(|frame| frame.header.first_seq).or(after);
        let own = damage.framed.as_ref().map(|f| f.header.first_seq.plus(f.header.count.into()).0);
        // At the log's end everything up to the last checkpoint is lost with it.
        let end = own.unwrap_or(0).max(self.witness.size);
        after.map_or(end, |after| after.0).max(next.0)
    }

    /// Keeps a torn tail where nobody takes it for part of the log.
    fn cut(&mut self, path: &Path, at: u64, tail: &[u8], next: u64) -> Result<(), StoreError> {
        let folder = self.dir.join("torn");
        self.disk.create_dir(&folder)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("segment");
        let name = format!("{}-{stem}-{at}.bin", self.id.0);
        self.disk.replace(&folder.join(&name), tail)?;
        tracing::warn!(log = %self.id.0, next, bytes = tail.len(), saved_as = name, "cut a torn tail");
        self.recovered.facts.push(Fact::TailCut {
            log: self.id.0,
            next: Seq(next),
            bytes: tail.len() as u64,
            saved_as: format!("torn/{name}"),
        });
        Ok(())
    }

    /// Says once that a range is lost; the file that says so is the memory of it.
    fn quarantine(
        &mut self,
        from: u64,
        to: u64,
        reason: &str,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let path = path.display();
        tracing::error!(log = %self.id.0, first = from, end = to, reason, %path, "log is damaged");
        let range = quarantine::Range { id: self.id, first: from, end: to };
        quarantine::keep(self.disk, self.dir, range, &format!("{path}: {reason}"), bytes)
    }

    /// A log must not end before a checkpoint: the places in between are lost, never given again.
    fn reach_checkpoint(&mut self, durable: &mut Durable) -> Result<(), StoreError> {
        let (from, to) = (durable.frontier.size(), self.witness.size);
        if from >= to {
            return Ok(());
        }
        let path = segment::folder(self.dir, self.id.0);
        self.quarantine(from, to, "the log ends before its last checkpoint", &path, &[])?;
        lose(&mut durable.frontier, to);
        Ok(())
    }
}

/// Writes an open segment's file anew: its header, and what is given of the rest. If the process before ended
/// because a sync failed, the system takes bytes for written that never reached the disk: what it shows is
/// made durable only by writing it once more, beside the old file, for that one may be all there is.
fn renew(disk: &Disk, file: &File, header_bytes: u64, frames: &[u8]) -> Result<File, StoreError> {
    let (path, temporary) = (file.path(), file.path().with_extension("tmp"));
    let used = scan::used(frames);
    let mut whole = file.read_at(0, usize::try_from(header_bytes).unwrap_or(usize::MAX))?;
    whole.extend_from_slice(frames.get(..used).unwrap_or_default());
    let written = disk.create(&temporary)?;
    written.write_at(0, &whole)?;
    written.sync()?;
    disk.rename(&temporary, path)?;
    disk.open_to_write(path)
}

/// Grows the tree over records that nobody has any more.
pub(crate) fn lose(frontier: &mut Frontier, to: u64) {
    let mut nodes = Vec::new();
    while frontier.size() < to {
        frontier.push(tree::LOST, &mut nodes);
    }
}

/// Takes one frame's records into the tree. Nothing is changed on error.
fn take_in(
    leaves: Leaves,
    framed: &Framed,
    segment: &SegmentHeader,
    durable: &mut Durable,
    nodes: &mut Vec<tree::Hash>,
) -> Result<(), frame::FrameError> {
    let header = &framed.header;
    let ours = (header.log, header.partition, header.key, header.kind)
        == (segment.log, segment.partition, segment.key, frame::Kind::Commit);
    let stands = header.frontier().filter(|_| ours).ok_or(frame::FrameError::Forged)?;
    if stands.size() != durable.frontier.size() {
        return Err(frame::FrameError::Forged);
    }
    let leaves = leaves.unwrap_or(Err(frame::FrameError::Forged))?;
    durable.frontier = stands;
    for leaf in leaves {
        durable.frontier.push(leaf, nodes);
    }
    durable.tables.apply(&header.rows);
    Ok(())
}
