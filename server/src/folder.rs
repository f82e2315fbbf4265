//! The data folder: what lies where, and how it is opened.

use crate::{
    clock::SystemClock,
    config::Protect,
    exit::Failure,
    pipeline::{detector::for_each_fact, journal::Journal},
};
use anyhow::{Context as _, anyhow};
use custos_event::{Actor, Entry, Envelope, Fact, FieldTable, LogId};
use custos_ingest::{
    decode::{DecodeOptions, Mappings, SourceType},
    protect::{Cards, Policy},
};
use custos_search::{Index, IndexOptions, SearchError};
use custos_store::{
    Options, Store,
    keys::{KeySource, Rotated},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use tracing::warn;

/// The data folder of one node.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Bytes that intake leaves free on the disk; the store's own measure if none is given.
    keep_free: Option<u64>,
    /// By configuration; the environment's word is asked for when the folder is opened.
    key: Option<KeySource>,
    protect: Protect,
    mappings: Arc<Mappings>,
}

impl Folder {
    /// `--data`, else `$CUSTOS_DATA`, else `./custos-data`.
    pub(crate) fn chosen(data: Option<PathBuf>) -> Self {
        let chosen = data.or_else(|| std::env::var_os("CUSTOS_DATA").map(PathBuf::from));
        Self {
            path: chosen.unwrap_or_else(|| PathBuf::from("custos-data")),
            keep_free: None,
            key: None,
            protect: Protect::default(),
            mappings: Arc::default(),
        }
    }

    /// The same folder, in which intake pauses where less than so many bytes are free.
    pub(crate) fn keeping_free(&self, bytes: Option<u64>) -> Self {
        Self { keep_free: bytes, ..self.clone() }
    }

    /// The master key comes from there, whatever the environment says.
    pub(crate) fn with_key(mut self, key: Option<KeySource>) -> Self {
        self.key = key;
        self
    }

    /// Other personal fields than the standard ones are sealed.
    pub(crate) fn with_protection(mut self, protect: Protect) -> Self {
        self.protect = protect;
        self
    }

    /// Events that come in may be of these formats too.
    pub(crate) fn with_mappings(mut self, mappings: Arc<Mappings>) -> Self {
        self.mappings = mappings;
        self
    }

    /// What is sealed in events that come into this folder.
    pub(crate) fn protection(&self) -> &Protect {
        &self.protect
    }

    /// Where the master key comes from: the configuration, else `$CUSTOS_KEY_COMMAND`, `$CUSTOS_KEY_FILE`,
    /// else (none) the file in the data folder.
    pub(crate) fn key(&self) -> Result<Option<KeySource>, Failure> {
        if self.key.is_some() {
            return Ok(self.key.clone());
        }
        if let Ok(text) = std::env::var("CUSTOS_KEY_COMMAND") {
            let argv = key_command(&text).context("$CUSTOS_KEY_COMMAND").map_err(Failure::usage)?;
            return Ok(Some(KeySource::Command(argv)));
        }
        Ok(std::env::var_os("CUSTOS_KEY_FILE").map(|path| KeySource::File(path.into())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// tantivy's splits and the block filters: a projection.
    pub(crate) fn index(&self) -> PathBuf {
        self.path.join("index")
    }

    /// sled's tables: a projection.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.path.join("catalog")
    }

    /// Opens the store to look after it: nothing is sealed meanwhile.
    pub(crate) fn open_for_upkeep(&self) -> Result<Opened, Failure> {
        self.open_with(false, false)
    }

    /// Opens the store and starts a writer. Only `ingest`, `serve` and `demo` create the folder.
    pub(crate) fn open(&self, create: bool) -> Result<Opened, Failure> {
        self.open_with(create, true)
    }

    fn open_with(&self, create: bool, seal: bool) -> Result<Opened, Failure> {
        if !create && !self.path.is_dir() {
            return Err(Failure::usage(anyhow!(
                "there is no data folder at {}; name one with --data, or make it with 'custos ingest'",
                self.path.display()
            )));
        }
        let mut options = Options {
            create,
            seal,
            master_key: self.key()?,
            ..Options::new(Arc::new(SystemClock))
        };
        options.free_bytes_min = self.keep_free.unwrap_or(options.free_bytes_min);
        let (store, recovery) = Store::open(&self.path, options)?;
        let table = Arc::new(FieldTable::new());
        let journal = OnceLock::new();
        Ok(Opened { folder: self.clone(), store, recovery, table, journal })
    }
}

/// An opened data folder.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) folder: Folder,
    pub(crate) store: Store,
    /// What recovery had to do, to be written into the journal by who writes.
    pub(crate) recovery: Vec<Fact>,
    pub(crate) table: Arc<FieldTable>,
    journal: OnceLock<Journal>,
}

impl Opened {
    /// The journal's projection, up to date. Opened once: a second catalog would find the first one's lock.
    pub(crate) fn journal(&self) -> Result<Journal, Failure> {
        let journal = if let Some(open) = self.journal.get() {
            open.clone()
        } else {
            let opened = Journal::open(&self.store, self.folder.path())?;
            self.journal.get_or_init(|| opened).clone()
        };
        journal.catch_up().map_err(Failure::store)?;
        Ok(journal)
    }

    /// How the events of one source are read: card numbers become tokens under this store's own key.
    pub(crate) fn decoding(
        &self,
        source_type: SourceType,
        source: Arc<str>,
    ) -> Result<DecodeOptions, Failure> {
        let options = decoding(&self.store, self.folder.protection(), source_type, source)?;
        Ok(options.with_mappings(Arc::clone(&self.folder.mappings)))
    }

    /// Writes down that a process opened the store, what recovery did, and what was left to be written down.
    pub(crate) fn record_start(&mut self) -> Result<(), Failure> {
        let started = Fact::Started { version: env!("CARGO_PKG_VERSION").into() };
        let facts = std::iter::once(started).chain(self.recovery.drain(..)).collect();
        append_facts(&self.store, &system("store"), facts)?;
        self.store.recorded()?;
        crate::unrecorded::append(&self.folder, &self.store)?;
        self.record_rotation(&system("store"))
    }

    /// Writes down that the master key was changed, once, whatever was broken off before.
    pub(crate) fn record_rotation(&self, actor: &Actor) -> Result<(), Failure> {
        let Some(Rotated { from, to }) = self.store.keyring().untold_rotation() else {
            return Ok(());
        };
        let fact = Fact::MasterKeyRotated { from, to };
        let mut is_told = false;
        for_each_fact(&self.store, |_, envelope| is_told |= envelope.fact == fact)
            .map_err(Failure::store)?;
        if !is_told {
            append_facts(&self.store, actor, vec![fact])?;
        }
        Ok(self.store.keyring().rotation_told()?)
    }

    /// Opens the index; one that is damaged or from another version is set up anew, since the log has it all.
    pub(crate) fn open_index(&self) -> Result<Index, Failure> {
        let dir = self.folder.index();
        let open = || Index::open(&dir, Arc::clone(&self.table), IndexOptions::default());
        match open() {
            Ok(index) => Ok(index),
            Err(error @ SearchError::Damaged { .. }) => {
                warn!(%error, "the index is damaged and is rebuilt from the log");
                std::fs::remove_dir_all(&dir)?;
                open().map_err(Failure::store)
            }
            Err(error) => Err(Failure::store(error)),
        }
    }
}

/// A program and its arguments: a JSON list of words, or the program's path alone. No shell reads it.
pub(crate) fn key_command(text: &str) -> anyhow::Result<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text.to_owned()]);
    }
    serde_json::from_str(text)
        .context(r#"write it as a JSON list: ["/usr/bin/program", "argument"]"#)
}

/// See [`Opened::decoding`].
pub(crate) fn decoding(
    store: &Store,
    protect: &Protect,
    source_type: SourceType,
    source: Arc<str>,
) -> Result<DecodeOptions, Failure> {
    let key = store.keyring().token_key("pan")?;
    let policy = Policy::new(Cards::BySource, key.reveal())
        .with_personal(crate::privacy::personal(store, protect));
    Ok(DecodeOptions::new(source_type, source).with_policy(policy))
}

/// Custos itself, by the part that acts.
pub(crate) fn system(part: &str) -> Actor {
    Actor::System { part: part.into() }
}

/// The person at this machine's command line.
pub(crate) fn operator() -> Actor {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    Actor::Operator {
        name: name.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw())),
    }
}

/// Appends facts to the journal, in one commit, and waits until they are durable.
pub(crate) fn append_facts(store: &Store, actor: &Actor, facts: Vec<Fact>) -> Result<(), Failure> {
    use custos_event::Clock as _;
    let at = SystemClock.now();
    let entry = |fact| -> Result<Entry, Failure> {
        let envelope = Envelope { at, actor: actor.clone(), cause: None, fact };
        Ok(Entry { bytes: envelope.encode().map_err(Failure::store)?, parsed: None })
    };
    let entries = facts.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    store.append_blocking(custos_event::Append::new(LogId::JOURNAL, entries))?;
    Ok(())
}
