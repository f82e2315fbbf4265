//! Reads one log from its first byte to its last and holds each against the others: the body of `verify`.

use crate::{
    block,
    crypt::Key,
    disk::{Disk, File},
    error::StoreError,
    footer::Footer,
    frame::{self, FrameError, Framed, Kind},
    keys::Masters,
    note::Checkpoint,
    opened::{BlockRef, read_head},
    recover,
    retention::Dropped,
    runs::Runs,
    scan::{Damage, Piece, scan},
    segment::{self, SegmentHeader, TRAILER_BYTES},
    stream::StreamId,
    tree::{self, Frontier, Hash},
    verify::{Fault, LogError, Progress},
};
use custos_event::{CommitNo, Envelope, Fact, LogId, Seq, Timestamp, UpkeepEvent};
use std::path::{Path, PathBuf};
use zstd::dict::DecoderDictionary;

/// What somebody says of a log.
pub(crate) enum Claim {
    Note(Checkpoint),
    /// A note that is none.
    Fault(LogError),
}

/// Damage whose meaning is judged when all logs were read.
pub(crate) struct Judged {
    pub(crate) damage: Damage,
    pub(crate) next: Seq,
    pub(crate) followed: bool,
    pub(crate) segment: String,
    pub(crate) message: String,
}

pub(crate) struct Audit<'a> {
    disk: &'a Disk,
    pub(crate) id: StreamId,
    masters: &'a Masters,
    progress: &'a Progress,
    /// By size; those at or below the tree's size are done.
    notes: Vec<Checkpoint>,
    notes_done: usize,
    pub(crate) claimed_size: u64,
    pub(crate) frontier: Frontier,
    pub(crate) first: Seq,
    pub(crate) records: u64,
    pub(crate) synced_through: CommitNo,
    /// Commit numbers read.
    pub(crate) commits: Runs,
    /// Commit numbers that no log needs to hold, by what segment headers say.
    pub(crate) burnt: Vec<(u64, u64)>,
    pub(crate) errors: Vec<LogError>,
    pub(crate) damages: Vec<Judged>,
    pub(crate) last_at: Timestamp,
    /// Something is wrong or missing right before: the next segment or frame says how the tree stands.
    broken: bool,
    /// What is missing on purpose, and what the journal says of that.
    pub(crate) dropped: Dropped,
    pub(crate) told: Vec<(LogId, Seq, Seq)>,
    /// Sizes of which a checkpoint speaks and no root is known any more.
    pub(crate) unproven: Vec<u64>,
    /// Checkpoints that the log does not bear out, behind the first, which is told of.
    unborne: u64,
}

/// The segment that is being read.
struct Reading<'a> {
    name: String,
    header: SegmentHeader,
    key: Key,
    bytes: &'a [u8],
    header_bytes: u64,
    last: bool,
    dictionary: Option<DecoderDictionary<'static>>,
    blocks: Vec<BlockRef>,
    nodes: Vec<Hash>,
    next_counter: u64,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(
        disk: &'a Disk,
        id: StreamId,
        masters: &'a Masters,
        (claims, dropped): (Vec<Claim>, Dropped),
        progress: &'a Progress,
    ) -> Self {
        let (mut notes, mut errors) = (Vec::new(), Vec::new());
        for claim in claims {
            match claim {
                Claim::Note(note) => notes.push(note),
                Claim::Fault(error) => errors.push(error),
            }
        }
        notes.sort_by_key(|note| note.size);
        Self {
            disk,
            id,
            masters,
            progress,
            claimed_size: notes.last().map_or(0, |note| note.size),
            notes,
            notes_done: 0,
            frontier: Frontier::default(),
            first: Seq(0),
            records: 0,
            synced_through: CommitNo(0),
            commits: Runs::default(),
            burnt: Vec::new(),
            errors,
            damages: Vec::new(),
            last_at: Timestamp(i64::MIN),
            broken: false,
            dropped,
            told: Vec::new(),
            unproven: Vec::new(),
            unborne: 0,
        }
    }

    /// Reads `files`, of the last one only `end` bytes if that is given and it is still open.
    pub(crate) fn run(&mut self, files: &[PathBuf], end: Option<usize>) -> Result<(), StoreError> {
        self.check_notes();
        // A start that comes removes them: they are dropped already.
        let number = |path: &Path| segment::parse_name(path).map_or(0, |(_, number)| number);
        let there = files.iter().filter(|path| !self.dropped.holds_number(number(path)));
        let there: Vec<_> = there.cloned().collect();
        for (index, path) in there.iter().enumerate() {
            let last = index + 1 == there.len();
            self.segment(path, index == 0, last, end.filter(|_| last))?;
        }
        self.pass_dropped();
        let first = self.errors.iter_mut().find(|error| error.kind == Fault::Mismatch);
        if let (Some(first), more @ 1..) = (first, self.unborne) {
            first.message = format!("{}, nor does it bear out {more} later ones", first.message);
        }
        Ok(())
    }

    /// Grows the tree over what retention let go of, where the log has come to that.
    fn pass_dropped(&mut self) {
        let Some(gone) = self.dropped.at(Seq(self.frontier.size())).cloned() else { return };
        self.burnt.push((gone.commits.0.0, gone.commits.1.0));
        let mut trees = Vec::new();
        let fits = gone.pass(&mut self.frontier, &mut |tree| trees.push(tree.clone()));
        if !fits {
            let (first, last) = (gone.first, gone.end - 1);
            let message = format!("what retention kept of records {first} to {last} does not fit");
            let (segment, seq) = (None, Some(Seq(first)));
            self.errors.push(LogError { kind: Fault::Corrupt, segment, seq, message });
            self.broken = true;
            return;
        }
        for tree in trees {
            self.frontier = tree;
            self.check_notes();
        }
    }

    fn fault(&mut self, kind: Fault, segment: &str, message: impl Into<String>) {
        let (segment, seq) = (Some(segment.to_owned()), Some(Seq(self.frontier.size())));
        self.errors.push(LogError { kind, segment, seq, message: message.into() });
    }

    fn segment(
        &mut self,
        path: &Path,
        first: bool,
        last: bool,
        end: Option<usize>,
    ) -> Result<(), StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = self.disk.open(path)?;
        self.progress.segment(file.len()?)?;
        let (header, key, header_bytes) = match read_head(&file, self.masters) {
            Ok(head) => head,
            Err(StoreError::Damaged { reason, .. }) => {
                self.lost_segment(&file, name, (last, end), reason)?;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let named = segment::parse_name(path);
        if named != Some((header.partition, header.number)) || header.log != self.id.0 {
            self.fault(Fault::Corrupt, &name, "the segment belongs elsewhere");
            self.broken = true;
            return Ok(());
        }
        self.arrive(&header, &name, first);
        let mut bytes = file.read_from(header_bytes)?;
        if header.sealed {
            let trailer = bytes.len().saturating_sub(TRAILER_BYTES);
            let footer_at = segment::footer_at(&bytes.split_off(trailer));
            let reading = Reading::new(name, header, key, &bytes, header_bytes, false);
            self.sealed(reading, footer_at);
        } else {
            let head = usize::try_from(header_bytes).unwrap_or(usize::MAX);
            bytes.truncate(end.map_or(usize::MAX, |end| end.saturating_sub(head)));
            let reading = Reading::new(name, header, key, &bytes, header_bytes, last);
            self.frames(reading);
        }
        Ok(())
    }

    /// A segment whose header does not read.
    fn lost_segment(
        &mut self,
        file: &File,
        segment: String,
        (last, end): (bool, Option<usize>),
        message: String,
    ) -> Result<(), StoreError> {
        let mut bytes = file.read_from(0)?;
        bytes.truncate(end.unwrap_or(usize::MAX));
        let unfinished = last && scan(&bytes, 0).0.len() <= 1;
        let end = bytes.len();
        let error = FrameError::NoMagic;
        let damage = Damage { at: 0, end, framed: None, error, unfinished };
        let next = Seq(self.frontier.size());
        let followed = !unfinished;
        self.damages.push(Judged { damage, next, followed, segment, message });
        self.broken = true;
        Ok(())
    }

    /// Whether the segment begins where the one before it ended.
    fn arrive(&mut self, header: &SegmentHeader, name: &str, first: bool) {
        self.pass_dropped();
        self.first = if first { header.first_seq } else { self.first };
        self.synced_through = self.synced_through.max(header.synced_through);
        let burnt = (header.synced_through.next().0, header.first_commit.0.saturating_sub(1));
        self.burnt.extend(Some(burnt).filter(|(first, last)| first <= last));
        let stands = header.frontier();
        if stands.as_ref() == Some(&self.frontier) {
            self.broken = false;
            return;
        }
        let (here, there) = (self.frontier.size(), header.first_seq.0);
        if !self.broken {
            let message = match here.cmp(&there) {
                std::cmp::Ordering::Less => {
                    format!("records {here} to {} before it are missing", there - 1)
                }
                std::cmp::Ordering::Greater => {
                    format!("it begins at {there}, inside the one before")
                }
                std::cmp::Ordering::Equal => {
                    "the records before it are not those it was written after".into()
                }
            };
            self.fault(Fault::Corrupt, name, message);
        }
        self.frontier = stands.unwrap_or_default();
        self.broken = false;
        self.check_notes();
    }

    /// Compares the root with that of each note of just this size.
    fn check_notes(&mut self) {
        while let Some(note) = self.notes.get(self.notes_done) {
            if note.size > self.frontier.size() {
                break;
            }
            self.notes_done += 1;
            if note.size < self.frontier.size() && self.dropped.at(Seq(note.size - 1)).is_some() {
                self.unproven.push(note.size);
            }
            if note.size == self.frontier.size() && note.root != self.frontier.root() {
                // Whatever comes behind a change is changed by it.
                if self.errors.iter().any(|error| error.kind == Fault::Mismatch) {
                    self.unborne += 1;
                    continue;
                }
                let message =
                    format!("the first {} records are not those of the checkpoint", note.size);
                let seq = Some(Seq(note.size));
                self.errors.push(LogError { kind: Fault::Mismatch, segment: None, seq, message });
            }
        }
    }

    fn frames<'b>(&mut self, mut reading: Reading<'b>) -> Reading<'b> {
        let (pieces, _) = scan(reading.bytes, 0);
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            let followed = !reading.last || index + 1 < count;
            let damage = match piece {
                Piece::Frame { at, framed } => match self.take(&mut reading, at, &framed) {
                    Ok(()) => continue,
                    Err(error) => Damage::of_frame(at, framed, error),
                },
                Piece::Damage(damage) => damage,
            };
            let at = reading.header_bytes + damage.at as u64;
            let message = format!("byte {at}: {}", damage.error);
            let (next, segment) = (Seq(self.frontier.size()), reading.name.clone());
            self.damages.push(Judged { damage, next, followed, segment, message });
            self.broken = true;
        }
        reading
    }

    /// Checks and takes in one whole frame.
    fn take(
        &mut self,
        reading: &mut Reading<'_>,
        at: usize,
        framed: &Framed,
    ) -> Result<(), FrameError> {
        let (header, segment) = (&framed.header, &reading.header);
        let ours = (header.log, header.partition, header.key)
            == (segment.log, segment.partition, segment.key);
        if !ours || header.counter < reading.next_counter {
            return Err(FrameError::Forged);
        }
        let bytes = reading.bytes.get(at..).unwrap_or_default();
        let raw = frame::open(bytes, framed, &reading.key, reading.dictionary.as_ref())?;
        reading.next_counter = header.counter.saturating_add(1);
        match (header.kind, segment.sealed) {
            (Kind::Commit, false) | (Kind::Block, true) => {}
            (Kind::Dictionary, true) => {
                reading.dictionary = Some(DecoderDictionary::copy(&raw));
                return Ok(());
            }
            (Kind::Footer, true) => {
                let footer = Footer::decode(&raw, header).map_err(FrameError::Body)?;
                self.check_footer(reading, &footer);
                return Ok(());
            }
            _ => return Err(FrameError::Forged),
        }
        self.synced_through = self.synced_through.max(header.synced_through);
        self.stand(framed, segment.sealed, &reading.name);
        let block = block::read(header, raw)?;
        reading.blocks.push(BlockRef::of(reading.header_bytes + at as u64, framed));
        for part in &block.parts {
            self.saw(part.commit.0, part.at, &reading.name);
        }
        for (_, record) in block.iter() {
            self.frontier.push(tree::leaf(&record), &mut reading.nodes);
            self.records += 1;
            self.check_notes();
            self.note_drop(&record);
        }
        Ok(())
    }

    /// Whether a fact of the journal says that something was dropped.
    fn note_drop(&mut self, record: &[u8]) {
        const WORD: &[u8] = b"\"segments_dropped\"";
        if self.id.0 != LogId::JOURNAL || !record.windows(WORD.len()).any(|part| part == WORD) {
            return;
        }
        let fact = Envelope::decode(record).map(|envelope| envelope.fact);
        if let Ok(Fact::Upkeep { event: UpkeepEvent::SegmentsDropped { log, first, last, .. } }) =
            fact
        {
            self.told.push((log, first, last));
        }
    }

    /// Whether a frame begins where the one before it ended.
    fn stand(&mut self, framed: &Framed, sealed: bool, name: &str) {
        let header = &framed.header;
        let stands = if sealed { None } else { header.frontier() };
        let right = match &stands {
            Some(stands) => *stands == self.frontier,
            None => sealed && header.first_seq.0 == self.frontier.size(),
        };
        if right {
            // Only a footer tells how the tree stands after damage among blocks.
            self.broken &= sealed;
            return;
        }
        if !self.broken {
            let at = header.first_seq;
            let message = format!("the frame of record {at} does not follow the one before it");
            self.fault(Fault::Corrupt, name, message);
        }
        match stands {
            Some(stands) => {
                self.frontier = stands;
                self.broken = false;
            }
            // In a sealed segment the tree stays wrong up to its footer; places are kept right.
            None => recover::lose(&mut self.frontier, header.first_seq.0),
        }
    }

    fn saw(&mut self, commit: u64, at: Timestamp, name: &str) {
        if at < self.last_at {
            self.fault(
                Fault::Corrupt,
                name,
                format!("commit {commit} is older than the one before"),
            );
        }
        self.last_at = self.last_at.max(at);
        if let Err(last) = self.commits.add(commit) {
            let message = format!("commit {commit} comes after commit {last}");
            self.fault(Fault::Corrupt, name, message);
        }
    }

    fn sealed(&mut self, reading: Reading<'_>, footer_at: Option<u64>) {
        let (end, name) = (reading.header_bytes + reading.bytes.len() as u64, reading.name.clone());
        let last_frame = |reading: &Reading<'_>| reading.footer_at_end(footer_at, end);
        let before = self.errors.len() + self.damages.len();
        let reading = self.frames(reading);
        if !last_frame(&reading) && self.errors.len() + self.damages.len() == before {
            self.fault(
                Fault::Corrupt,
                &name,
                "the end of the sealed segment is damaged or missing",
            );
            self.broken = true;
        }
    }

    /// The index must be that of the blocks just read.
    fn check_footer(&mut self, reading: &Reading<'_>, footer: &Footer) {
        if self.broken {
            self.frontier = footer.frontier.clone();
            self.broken = false;
            return;
        }
        let same = footer.blocks == reading.blocks
            && footer.nodes == reading.nodes
            && footer.frontier == self.frontier;
        if !same {
            self.fault(
                Fault::Corrupt,
                &reading.name,
                "the footer is not that of the blocks before it",
            );
        }
    }
}

impl<'a> Reading<'a> {
    fn new(
        name: String,
        header: SegmentHeader,
        key: Key,
        bytes: &'a [u8],
        header_bytes: u64,
        last: bool,
    ) -> Self {
        Self {
            name,
            header,
            key,
            bytes,
            header_bytes,
            last,
            dictionary: None,
            blocks: Vec::new(),
            nodes: Vec::new(),
            next_counter: 0,
        }
    }

    /// Whether the trailer points at a whole frame that is the last one.
    fn footer_at_end(&self, footer_at: Option<u64>, end: u64) -> bool {
        let at = footer_at.and_then(|at| at.checked_sub(self.header_bytes));
        let at = at.and_then(|at| usize::try_from(at).ok());
        let framed = at.and_then(|at| frame::check(self.bytes.get(at..)?).ok());
        let Some((framed, at)) = framed.zip(footer_at) else { return false };
        framed.header.kind == Kind::Footer && at + framed.frame_bytes() as u64 == end
    }
}
