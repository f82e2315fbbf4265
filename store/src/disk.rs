//! Every touch of the disk, and the only clock of the store's own waiting. No other file here does I/O
//! (the catalog leaves it to sled).

use crate::error::StoreError;
use rustix::fs::{FallocateFlags, FlockOperation};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Files are Custos' alone: logs hold what people did.
const FILE_MODE: u32 = 0o600;

/// An open file that knows its name.
#[derive(Debug)]
pub(crate) struct File {
    file: fs::File,
    path: PathBuf,
}

impl File {
    /// A new file for reading and writing; an error if the name is taken.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE);
        let file = options.open(path).map_err(|e| StoreError::io("create", path, e))?;
        Ok(Self { file, path: path.into() })
    }

    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = fs::File::open(path).map_err(|e| StoreError::io("open", path, e))?;
        Ok(Self { file, path: path.into() })
    }

    pub(crate) fn open_to_write(path: &Path) -> Result<Self, StoreError> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path);
        Ok(Self { file: file.map_err(|e| StoreError::io("open", path, e))?, path: path.into() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        Ok(self.file.metadata().map_err(|e| StoreError::io("examine", &self.path, e))?.len())
    }

    /// `len` bytes from `at`; an error if the file ends before.
    pub(crate) fn read_at(&self, at: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len];
        let read = self.file.read_exact_at(&mut bytes, at);
        read.map_err(|e| StoreError::io("read", &self.path, e))?;
        Ok(bytes)
    }

    /// Everything from `at` to the end.
    pub(crate) fn read_from(&self, at: u64) -> Result<Vec<u8>, StoreError> {
        let len = usize::try_from(self.len()?.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, at.saturating_add(filled as u64)) {
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
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|e| StoreError::io("write", &self.path, e))
    }

    /// Reserves room up to `end`, so that a later write there finds it. A file system that cannot
    /// reserve is left to allocate while writing.
    pub(crate) fn reserve(&self, at: u64, end: u64) -> Result<(), StoreError> {
        let len = end.saturating_sub(at);
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), at, len) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(e) => Err(StoreError::io("reserve room in", &self.path, e.into())),
        }
    }

    pub(crate) fn truncate(&self, len: u64) -> Result<(), StoreError> {
        self.file.set_len(len).map_err(|e| StoreError::io("shorten", &self.path, e))
    }

    /// The bytes, and what is needed to find them again, are durable when this returns.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|e| StoreError::io("sync", &self.path, e))
    }
}

/// Makes names created, renamed or removed in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let file = fs::File::open(dir).map_err(|e| StoreError::io("open", dir, e))?;
    file.sync_all().map_err(|e| StoreError::io("sync", dir, e))
}

/// Creates the folder and those above it, durably; fine if it is there.
pub(crate) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), create_dir)?;
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(StoreError::io("create folder", dir, e))
        }
        _ => parent.map_or(Ok(()), sync_dir),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|e| StoreError::io("rename", from, e))?;
    to.parent().map_or(Ok(()), sync_dir)
}

pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    fs::remove_file(path).map_err(|e| StoreError::io("remove", path, e))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Replaces a small file as one step: readers see the old bytes or the new ones.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = write_whole(&temporary, bytes).and_then(|()| rename(&temporary, path));
    if written.is_err() && fs::remove_file(&temporary).is_err() {
        tracing::warn!(path = %temporary.display(), "cannot remove a temporary file");
    }
    written
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let mut file = options.open(path).map_err(|e| StoreError::io("create", path, e))?;
    file.write_all(bytes).map_err(|e| StoreError::io("write", path, e))?;
    file.sync_all().map_err(|e| StoreError::io("sync", path, e))
}

/// Adds bytes to the end of a file, durably.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = !path.exists();
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true).mode(FILE_MODE);
    let mut file = options.open(path).map_err(|e| StoreError::io("open", path, e))?;
    file.write_all(bytes).map_err(|e| StoreError::io("write", path, e))?;
    file.sync_data().map_err(|e| StoreError::io("sync", path, e))?;
    path.parent().filter(|_| new).map_or(Ok(()), sync_dir)
}

/// The bytes of a small file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::io("read", path, e)),
    }
}

/// Paths of what stands in a folder, sorted; none if the folder is not there.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StoreError::io("list", dir, e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|e| StoreError::io("list", dir, e))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The exclusive right to write in a data folder; ends with the value, and with the process.
#[derive(Debug)]
pub(crate) struct Lock(
    #[expect(dead_code, reason = "the lock lives as long as the file")] fs::File,
);

const LOCK: &str = "LOCK";
/// A `log verify` that looks whether the lock is held has it for some microseconds.
const LOCK_RETRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

fn try_lock(file: &fs::File) -> Result<(), rustix::io::Errno> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK);
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let mut file = options.open(&path).map_err(|e| StoreError::io("open", &path, e))?;
        let mut taken = try_lock(&file);
        for _ in 0..LOCK_RETRIES {
            if taken != Err(rustix::io::Errno::WOULDBLOCK) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            taken = try_lock(&file);
        }
        match taken {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::Locked { dir: dir.into(), pid });
            }
            Err(e) => return Err(StoreError::io("lock", &path, e.into())),
        }
        let pid = format!("{}\n", std::process::id());
        let written = file.set_len(0).and_then(|()| file.write_all(pid.as_bytes()));
        written.map_err(|e| StoreError::io("write", &path, e))?;
        Ok(Self(file))
    }

    /// Whether some process writes in `dir` now.
    pub(crate) fn is_held(dir: &Path) -> bool {
        let Ok(file) = fs::File::open(dir.join(LOCK)) else { return false };
        let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
        taken == Err(rustix::io::Errno::WOULDBLOCK)
    }
}

/// For waiting times only; nothing stored depends on it.
#[expect(clippy::disallowed_methods, reason = "bounds how long a group waits; never stored")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
