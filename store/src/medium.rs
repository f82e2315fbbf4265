//! What the store asks of a disk, as few and as small steps as it takes; and the file system, which takes
//! them. The tests' twin drops and garbles what was not synced, and fails any step.

use rustix::fs::{FallocateFlags, FlockOperation};
use std::{
    fmt::Debug,
    fs,
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Files are Custos' alone: logs hold what people did.
const FILE_MODE: u32 = 0o600;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Read,
    /// Reading and writing of a file that is there.
    Write,
    /// Reading and writing of a file that is not there yet.
    New,
    /// Writing of a file that is made, or emptied.
    Anew,
}

/// What came of asking for a lock.
pub enum Locking {
    /// It is held until this is dropped, and no longer than the process lives.
    Taken(Box<dyn Send + Sync>),
    /// Somebody else holds it: the process with this number, if the file says so.
    Held(Option<u32>),
}

/// Files and folders. Nothing is durable before its `sync`: bytes and length by [`MediumFile::sync`], names made,
/// changed or removed by [`Medium::sync_dir`] of their folder.
pub trait Medium: Debug + Send + Sync {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn MediumFile>>;
    /// Paths of what stands in a folder, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    fn is_dir(&self, path: &Path) -> bool;
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Replaces what stands at `to`, as one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// When a file was last written to.
    fn modified(&self, path: &Path) -> io::Result<SystemTime>;
    /// How many bytes may still be written where `dir` lies.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the exclusive lock that the file at `path` stands for; makes the file if it is absent.
    fn lock(&self, path: &Path) -> io::Result<Locking>;
    fn is_locked(&self, path: &Path) -> bool;
}

/// An open file.
pub trait MediumFile: Debug + Send + Sync {
    fn len(&self) -> io::Result<u64>;
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
    /// Fills a part of `bytes`, and says how much; 0 only at the end.
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes`, or fails with any part of them written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes room from `at` on, `len` bytes, so that a later write there finds it; the file grows by zeros.
    fn reserve(&self, at: u64, len: u64) -> io::Result<()>;
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// The bytes, and what is needed to find them again, are durable when this returns.
    fn sync(&self) -> io::Result<()>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Medium for FileSystem {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn MediumFile>> {
        let mut options = fs::OpenOptions::new();
        options.read(how != How::Anew).write(how != How::Read).mode(FILE_MODE);
        options.create_new(how == How::New).create(how == How::Anew).truncate(how == How::Anew);
        Ok(Box::new(options.open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        fs::metadata(path)?.modified()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Locking> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let mut file = options.open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text).ok();
                return Ok(Locking::Held(read.and_then(|_| text.trim().parse().ok())));
            }
            Err(error) => return Err(error.into()),
        }
        let pid = format!("{}\n", std::process::id());
        // A full disk keeps nobody from holding the lock; only its holder's number is not told then.
        match file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())) {
            Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(error),
            _ => Ok(Locking::Taken(Box::new(file))),
        }
    }

    fn is_locked(&self, path: &Path) -> bool {
        let Ok(file) = fs::File::open(path) else { return false };
        let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
        taken == Err(rustix::io::Errno::WOULDBLOCK)
    }
}

impl MediumFile for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, bytes, at)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    /// A file system that cannot reserve is left to allocate while writing.
    fn reserve(&self, at: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, FallocateFlags::empty(), at, len) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
