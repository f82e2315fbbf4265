//! Every touch of the disk, and the only clock of the store's own waiting. No other file here does I/O
//! (the catalog leaves it to sled); what lies below is a [`Medium`].

use crate::{
    error::StoreError,
    medium::{FileSystem, How, Locking, Medium, MediumFile},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

/// The disk that a store lies on; by default the file system. Clones are the same disk.
///
/// After one failed sync it makes nothing durable any more: the system may have dropped the bytes that it
/// owed, and would say yes to the next sync.
#[derive(Clone, Debug)]
pub struct Disk {
    medium: Arc<dyn Medium>,
    broken: Broken,
}

/// The sync that failed, if one has.
type Broken = Arc<OnceLock<StoreError>>;

impl Default for Disk {
    fn default() -> Self {
        Self::new(FileSystem)
    }
}

/// An open file that knows its name.
#[derive(Debug)]
pub(crate) struct File {
    inner: Box<dyn MediumFile>,
    path: PathBuf,
    broken: Broken,
}

/// Syncs, unless that failed before. Where only room was missing, the bytes are known not to be there: their
/// writer takes them back.
fn sync_once(
    broken: &Broken,
    path: &Path,
    sync: impl FnOnce() -> io::Result<()>,
) -> Result<(), StoreError> {
    if let Some(error) = broken.get() {
        return Err(error.clone());
    }
    sync().map_err(|e| {
        let error = StoreError::io("sync", path, e);
        if !matches!(error, StoreError::Full { .. }) {
            broken.get_or_init(|| error.clone());
        }
        error
    })
}

impl Disk {
    pub fn new(medium: impl Medium + 'static) -> Self {
        Self { medium: Arc::new(medium), broken: Broken::default() }
    }

    /// Why nothing is made durable here any more, if that is so.
    pub(crate) fn broken(&self) -> Option<&StoreError> {
        self.broken.get()
    }

    fn file(&self, path: &Path, file: Box<dyn MediumFile>) -> File {
        File { inner: file, path: path.into(), broken: Arc::clone(&self.broken) }
    }

    fn open_as(&self, action: &'static str, path: &Path, how: How) -> Result<File, StoreError> {
        let file = self.medium.open(path, how).map_err(|e| StoreError::io(action, path, e))?;
        Ok(self.file(path, file))
    }

    /// A new file for reading and writing; an error if the name is taken.
    pub(crate) fn create(&self, path: &Path) -> Result<File, StoreError> {
        self.open_as("create", path, How::New)
    }

    pub(crate) fn open(&self, path: &Path) -> Result<File, StoreError> {
        self.open_as("open", path, How::Read)
    }

    pub(crate) fn open_to_write(&self, path: &Path) -> Result<File, StoreError> {
        self.open_as("open", path, How::Write)
    }

    /// Makes names created, renamed or removed in `dir` durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        sync_once(&self.broken, dir, || self.medium.sync_dir(dir))
    }

    /// Creates the folder and those above it, durably; fine if it is there.
    pub(crate) fn create_dir(&self, dir: &Path) -> Result<(), StoreError> {
        if self.medium.is_dir(dir) {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or(Ok(()), |parent| self.create_dir(parent))?;
        match self.medium.create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(StoreError::io("create folder", dir, e))
            }
            _ => parent.map_or(Ok(()), |parent| self.sync_dir(parent)),
        }
    }

    /// Makes durable which names stand in `dir`, in the folders below it and beside it: a process before may have
    /// made some, and died before they were.
    pub(crate) fn settle(&self, dir: &Path) -> Result<(), StoreError> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.map_or(Ok(()), |parent| self.sync_dir(parent))?;
        self.sync_dir(dir)?;
        let folders = self.list(dir)?.into_iter().filter(|path| self.medium.is_dir(path));
        folders.into_iter().try_for_each(|folder| self.sync_dir(&folder))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.medium.rename(from, to).map_err(|e| StoreError::io("rename", from, e))?;
        to.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.medium.remove(path).map_err(|e| StoreError::io("remove", path, e))?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }

    /// Replaces a small file as one step: readers see the old bytes or the new ones.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let written =
            self.write_whole(&temporary, bytes).and_then(|()| self.rename(&temporary, path));
        if written.is_err() && self.medium.remove(&temporary).is_err() {
            tracing::warn!(path = %temporary.display(), "cannot remove a temporary file");
        }
        written
    }

    fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.open_as("create", path, How::Anew)?;
        file.write_at(0, bytes)?;
        file.sync()
    }

    /// Adds bytes to the end of a file, durably: all of them, or none that stays.
    pub(crate) fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let (file, new) = match self.medium.open(path, How::Write) {
            Ok(file) => (self.file(path, file), false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (self.create(path)?, true),
            Err(e) => return Err(StoreError::io("open", path, e)),
        };
        let end = file.len()?;
        let written = file.write_at(end, bytes).and_then(|()| file.sync());
        if written.is_err() && file.truncate(end).is_err() {
            tracing::warn!(path = %path.display(), "cannot take back an unfinished write");
        }
        written?;
        path.parent().filter(|_| new).map_or(Ok(()), |dir| self.sync_dir(dir))
    }

    /// The bytes of a small file; `None` if there is none.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        match self.medium.open(path, How::Read) {
            Ok(file) => self.file(path, file).read_from(0).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io("read", path, e)),
        }
    }

    pub(crate) fn is_there(&self, path: &Path) -> Result<bool, StoreError> {
        match self.medium.open(path, How::Read) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(StoreError::io("open", path, e)),
        }
    }

    /// Paths of what stands in a folder, sorted; none if the folder is not there.
    pub(crate) fn list(&self, dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
        match self.medium.list(dir) {
            Ok(mut paths) => {
                paths.sort();
                Ok(paths)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(StoreError::io("list", dir, e)),
        }
    }

    /// When a file was last written to, where it is there.
    pub(crate) fn modified(&self, path: &Path) -> Option<SystemTime> {
        self.medium.modified(path).ok()
    }

    /// How many bytes may still be written where `dir` lies.
    pub(crate) fn free_bytes(&self, dir: &Path) -> Result<u64, StoreError> {
        self.medium.free_bytes(dir).map_err(|e| StoreError::io("look for room in", dir, e))
    }
}

impl File {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        self.inner.len().map_err(|e| StoreError::io("examine", &self.path, e))
    }

    /// `len` bytes from `at`; an error if the file ends before.
    pub(crate) fn read_at(&self, at: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let bytes = self.fill(at, len)?;
        if bytes.len() < len {
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(StoreError::io("read", &self.path, short));
        }
        Ok(bytes)
    }

    /// Everything from `at` to the end.
    pub(crate) fn read_from(&self, at: u64) -> Result<Vec<u8>, StoreError> {
        let len = usize::try_from(self.len()?.saturating_sub(at)).unwrap_or(usize::MAX);
        self.fill(at, len)
    }

    /// Up to `len` bytes from `at`: fewer where the file ends.
    fn fill(&self, at: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read_at(at.saturating_add(filled as u64), rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(StoreError::io("read", &self.path, e)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(crate) fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.write_at(at, bytes).map_err(|e| StoreError::io("write", &self.path, e))
    }

    /// Reserves room up to `end`, so that a later write there finds it.
    pub(crate) fn reserve(&self, at: u64, end: u64) -> Result<(), StoreError> {
        let reserved = self.inner.reserve(at, end.saturating_sub(at));
        reserved.map_err(|e| StoreError::io("reserve room in", &self.path, e))
    }

    pub(crate) fn truncate(&self, len: u64) -> Result<(), StoreError> {
        self.inner.truncate(len).map_err(|e| StoreError::io("shorten", &self.path, e))
    }

    /// The bytes, and what is needed to find them again, are durable when this returns.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        sync_once(&self.broken, &self.path, || self.inner.sync())
    }
}

/// The exclusive right to write in a data folder; ends with the value, and with the process.
pub(crate) struct Lock(
    #[expect(dead_code, reason = "the lock lives as long as this")] Box<dyn Send + Sync>,
);

const LOCK: &str = "LOCK";
/// A `log verify` that looks whether the lock is held has it for some microseconds.
const LOCK_RETRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

impl Lock {
    pub(crate) fn take(disk: &Disk, dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK);
        let mut holder = None;
        for attempt in 0..=LOCK_RETRIES {
            if attempt > 0 {
                std::thread::sleep(LOCK_PAUSE);
            }
            match disk.medium.lock(&path).map_err(|e| StoreError::io("lock", &path, e))? {
                Locking::Taken(held) => return Ok(Self(held)),
                Locking::Held(pid) => holder = pid,
            }
        }
        Err(StoreError::Locked { dir: dir.into(), pid: holder })
    }

    /// Whether some process writes in `dir` now.
    pub(crate) fn is_held(disk: &Disk, dir: &Path) -> bool {
        disk.medium.is_locked(&dir.join(LOCK))
    }
}

/// For waiting times only; nothing stored depends on it.
#[expect(clippy::disallowed_methods, reason = "bounds how long a group waits; never stored")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Reads three bytes at once at most, and every other time is interrupted first.
    #[derive(Debug)]
    struct Halting(&'static [u8], AtomicUsize);

    impl MediumFile for Halting {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
            if self.1.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let rest = self.0.get(usize::try_from(at).unwrap()..).unwrap_or_default();
            let count = rest.len().min(bytes.len()).min(3);
            bytes[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }

        fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }

        fn reserve(&self, _: u64, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }

        fn truncate(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::ReadOnlyFilesystem.into())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_folder_that_is_not_there_has_nothing_and_a_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, file) = (Disk::default(), dir.path().join("file"));
        std::fs::write(&file, b"").unwrap();
        assert_eq!(disk.list(&dir.path().join("nothing")).unwrap(), [""; 0].map(PathBuf::from));
        assert_eq!(disk.list(dir.path()).unwrap(), vec![file.clone()]);
        assert!(disk.list(&file).unwrap_err().to_string().contains("list"));
    }

    #[test]
    fn a_read_that_comes_in_pieces_is_put_together_and_one_past_the_end_is_told() {
        let inner = Box::new(Halting(b"0123456789", AtomicUsize::new(0)));
        let file = Disk::default().file(Path::new("f"), inner);
        assert_eq!(file.read_at(2, 7).unwrap(), b"2345678");
        assert_eq!(file.read_from(4).unwrap(), b"456789");
        assert_eq!(file.read_from(11).unwrap(), b"");
        assert_eq!(file.fill(7, 9).unwrap(), b"789");
        assert!(file.read_at(7, 4).is_err());
        assert!(file.write_at(0, b"x").is_err());
    }
}
