//! The index of one data folder: what it is made of, how it is opened, what a commit holds.
//!
//! ```text
//! DIR/version   the version as a number
//! DIR/splits/   a tantivy index; the payload of its commit is a [`State`]
//! DIR/filters   the block filters
//! ```
//! The filters are saved first; the tantivy commit then makes both valid at once.

use crate::{
    SearchError,
    filter::{FilterFile, FilterState, Place},
    schema::{Fields, MessageWords, PackedTerms, TERMS, TIME, WORDS},
};
use custos_event::{CommitNo, Cursor, FieldTable, LogId, Partition, Seq};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tantivy::{
    Index as Splits, IndexReader, ReloadPolicy, TantivyError,
    directory::{MmapDirectory, error::OpenReadError},
    tokenizer::TextAnalyzer,
};

/// Of everything below the folder. Another version is not read: rebuilding takes 20 µs an event.
pub(crate) const VERSION: u32 = 1;

/// How the index is opened.
#[derive(Clone, Copy, Debug)]
pub struct IndexOptions {
    /// What the writer may gather in memory before it makes a split of it.
    pub memory_bytes: usize,
    /// Read every file and compare its checksum first (about 1 GB/s). Without it a flipped bit may go
    /// unnoticed.
    pub verify: bool,
}

impl Default for IndexOptions {
    /// 64 MiB hold some 100,000 events: several seconds at full rate, beyond which splits get no better.
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, verify: true }
    }
}

/// A search index. Clones share it; searches never wait for the writer, nor it for them.
#[derive(Clone)]
pub struct Index(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) dir: PathBuf,
    pub(crate) table: Arc<FieldTable>,
    pub(crate) options: IndexOptions,
    pub(crate) fields: Fields,
    pub(crate) splits: Splits,
    pub(crate) reader: IndexReader,
    pub(crate) filters: FilterFile,
    /// As of the last commit; `None` before the first.
    state: Mutex<Option<State>>,
}

/// What a commit says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The last commit of the log whose events are all in.
    commit: CommitNo,
    /// The first event that is not in yet, of each partition.
    next: Vec<(u8, u16, u64)>,
    pub(crate) filters: FilterState,
}

impl State {
    pub(crate) fn new(
        cursor: &Cursor,
        next: impl Iterator<Item = (Place, Seq)>,
        filters: FilterState,
    ) -> Self {
        let mut next: Vec<_> = next.map(|((log, part), seq)| (log.0, part.0, seq.0)).collect();
        next.sort_unstable();
        Self { commit: cursor.commit(), next, filters }
    }

    /// As text with its checksum before it: tantivy keeps none of the file that this ends up in.
    pub(crate) fn to_payload(&self) -> serde_json::Result<String> {
        let json = serde_json::to_string(self)?;
        Ok(format!("{:08x} {json}", crc32c::crc32c(json.as_bytes())))
    }

    fn from_payload(payload: &str) -> Option<Self> {
        let (crc, json) = payload.split_once(' ')?;
        let crc = u32::from_str_radix(crc, 16).ok()?;
        (crc == crc32c::crc32c(json.as_bytes())).then(|| serde_json::from_str(json).ok())?
    }

    pub(crate) fn next(&self) -> impl Iterator<Item = (Place, Seq)> + '_ {
        self.next.iter().map(|(log, part, seq)| ((LogId(*log), Partition(*part)), Seq(*seq)))
    }
}

impl Index {
    /// Opens the index in `dir`, or begins one there. Of several processes only one may hold a writer.
    pub fn open(
        dir: &Path,
        table: Arc<FieldTable>,
        options: IndexOptions,
    ) -> Result<Self, SearchError> {
        let io = |action| move |source| SearchError::Io { action, dir: dir.to_path_buf(), source };
        let splits_dir = dir.join("splits");
        let is_new = !splits_dir.exists();
        fs::create_dir_all(&splits_dir).map_err(io("create"))?;
        check_version(dir, is_new)?;
        let fields = Fields::new();
        let splits =
            open_splits(&splits_dir, &fields).map_err(|error| wrong(dir, "open", error))?;
        splits.tokenizers().register(WORDS, TextAnalyzer::from(MessageWords::default()));
        splits.tokenizers().register(TERMS, TextAnalyzer::from(PackedTerms::default()));
        if options.verify {
            verify(dir, &splits)?;
        }
        let state = load_state(dir, &splits)?;
        let filters = FilterFile::open(dir, state.as_ref().map(|state| state.filters))?;
        let reader: IndexReader = splits
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(|error| wrong(dir, "open", error))?;
        verify_sizes(dir, &reader)?;
        let (dir, state) = (dir.to_path_buf(), Mutex::new(state));
        Ok(Self(Arc::new(Inner { dir, table, options, fields, splits, reader, filters, state })))
    }

    /// What is indexed durably: every event of the log up to this commit.
    pub fn cursor(&self) -> Cursor {
        Cursor::after(self.state().map(|state| state.commit).unwrap_or_default())
    }

    /// How many events are searchable, rejected ones included.
    pub fn events(&self) -> u64 {
        self.0.reader.searcher().num_docs()
    }

    /// How many splits there are.
    pub fn splits(&self) -> usize {
        self.0.reader.searcher().segment_readers().len()
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_state(&self, state: State) {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    pub(crate) fn wrong(&self, action: &'static str, error: TantivyError) -> SearchError {
        wrong(&self.0.dir, action, error)
    }
}

fn open_splits(dir: &Path, fields: &Fields) -> Result<Splits, TantivyError> {
    Splits::open_or_create(MmapDirectory::open(dir)?, fields.schema.clone())
}

fn check_version(dir: &Path, is_new: bool) -> Result<(), SearchError> {
    let damaged = |what: &str| SearchError::Damaged { dir: dir.to_path_buf(), what: what.into() };
    let io = |action| move |source| SearchError::Io { action, dir: dir.to_path_buf(), source };
    let path = dir.join("version");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(VERSION) => Ok(()),
            Ok(version) if version > VERSION => {
                Err(SearchError::Newer { dir: dir.to_path_buf(), version })
            }
            Ok(_) => Err(damaged("of an older version")),
            Err(_) => Err(damaged("no number in its version file")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => {
            write_version(&path).map_err(io("write the version of"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(damaged("without a version file"))
        }
        Err(error) => Err(io("read the version of")(error)),
    }
}

fn write_version(path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    writeln!(file, "{VERSION}")?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}

fn verify(dir: &Path, splits: &Splits) -> Result<(), SearchError> {
    let bad = splits.validate_checksum().map_err(|error| wrong(dir, "read", error))?;
    match bad.iter().min() {
        None => Ok(()),
        Some(path) => Err(SearchError::Damaged {
            dir: dir.to_path_buf(),
            what: format!("wrong checksum of {}", path.display()),
        }),
    }
}

/// How many events a split has stands in a file without checksum: compare it with the columns, which have
/// one.
fn verify_sizes(dir: &Path, reader: &IndexReader) -> Result<(), SearchError> {
    for split in reader.searcher().segment_readers() {
        let times = split.fast_fields().i64(TIME).map_err(|error| wrong(dir, "read", error))?;
        if times.num_docs() != split.max_doc() {
            let what = format!("split {} is of another size than it says", split.segment_id());
            return Err(SearchError::Damaged { dir: dir.to_path_buf(), what });
        }
    }
    Ok(())
}

fn load_state(dir: &Path, splits: &Splits) -> Result<Option<State>, SearchError> {
    let damaged = |what: String| SearchError::Damaged { dir: dir.to_path_buf(), what };
    let meta = splits.load_metas().map_err(|error| wrong(dir, "read", error))?;
    match meta.payload {
        Some(payload) => match State::from_payload(&payload) {
            Some(state) => Ok(Some(state)),
            None => Err(damaged("commit unreadable".into())),
        },
        None if meta.segments.is_empty() => Ok(None),
        None => Err(damaged("splits without a commit".into())),
    }
}

/// What tantivy's error means for the caller.
pub(crate) fn wrong(dir: &Path, action: &'static str, error: TantivyError) -> SearchError {
    let dir = dir.to_path_buf();
    let io = |source: &Arc<io::Error>| io::Error::new(source.kind(), Arc::clone(source));
    match &error {
        TantivyError::LockFailure(..) => SearchError::Busy { dir },
        TantivyError::IoError(source)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: source, .. })
            // Without a number it is not the disk that complains but a reader of bytes.
            if source.raw_os_error().is_some() =>
        {
            SearchError::Io { action, dir, source: io(source) }
        }
        TantivyError::OpenDirectoryError(_)
        | TantivyError::OpenWriteError(_)
        | TantivyError::ErrorInThread(_)
        | TantivyError::SystemError(_) => {
            SearchError::Io { action, dir, source: io::Error::other(error) }
        }
        TantivyError::IoError(_)
        | TantivyError::OpenReadError(_)
        | TantivyError::DataCorruption(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::SchemaError(_)
        | TantivyError::FieldNotFound(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::InternalError(_)
        | TantivyError::AggregationError(_)
        | TantivyError::IndexAlreadyExists
        | TantivyError::Poisoned
        | TantivyError::InvalidArgument(_)
        | TantivyError::IndexBuilderMissingArgument(_)
        | TantivyError::MissingPlugin(_)
        | TantivyError::ConflictingPlugins(_)
        | TantivyError::UnexpectedPlugin(_) => {
            SearchError::Damaged { dir, what: error.to_string() }
        }
    }
}
