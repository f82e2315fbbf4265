//! Where the master key comes from: a file, or a command that prints it. The key itself is in no error text
//! and in no log line.

use crate::{
    crypt::{self, KeyBytes, MasterId, MasterKey, hex, unhex},
    disk::{self, Disk},
    error::StoreError,
};
use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// A key store behind a network signs in and answers within seconds; a start must not hang for ever.
const COMMAND_WAIT: Duration = Duration::from_secs(30);
/// 64 digits and a line end; whoever prints more prints something else.
const COMMAND_BYTES_MAX: usize = 256;
const COMMAND_PAUSE: Duration = Duration::from_millis(10);
/// The least that a command is waited for once it has closed its output.
const EXIT_WAIT_MIN: Duration = Duration::from_millis(100);

/// Who holds the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file of 64 hex digits.
    File(PathBuf),
    /// A program and its arguments, run without a shell; it prints 64 hex digits on its standard output.
    Command(Vec<String>),
}

impl KeySource {
    /// What errors call it: the file, or the program without its arguments, which may hold secrets.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Command(argv) => argv.first().map(PathBuf::from).unwrap_or_default(),
        }
    }

    /// The key as it is now. A file that is absent is made if `create` is set.
    pub(crate) fn load(&self, disk: &Disk, create: bool) -> Result<MasterKey, StoreError> {
        match self {
            Self::File(path) => of_file(disk, path, create),
            Self::Command(argv) => of_command(argv, COMMAND_WAIT),
        }
    }

    /// The key of this id: where a rotation was broken off it may still lie beside the old one.
    pub(crate) fn find(&self, disk: &Disk, id: MasterId) -> Result<MasterKey, StoreError> {
        let present = self.load(disk, false);
        if present.as_ref().is_ok_and(|key| key.id == id) {
            return present;
        }
        let next = self.next().map(|path| of_file(disk, &path, false));
        match next {
            Some(Ok(key)) if key.id == id => Ok(key),
            _ => Err(wrong(&self.name(), id, present)),
        }
    }

    /// Where the key that follows lies until the keyring is under it.
    pub(crate) fn next(&self) -> Option<PathBuf> {
        let Self::File(path) = self else { return None };
        let mut name = path.file_name()?.to_os_string();
        name.push(".next");
        Some(path.with_file_name(name))
    }
}

fn wrong(name: &Path, id: MasterId, present: Result<MasterKey, StoreError>) -> StoreError {
    let found = match present {
        Ok(key) => hex(&key.id),
        Err(error) => return error,
    };
    let reason = format!("the keyring is for master key {}, not {found}", hex(&id));
    StoreError::KeyMissing { path: name.into(), reason }
}

fn missing(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::KeyMissing { path: path.into(), reason: reason.into() }
}

pub(super) fn of_file(disk: &Disk, path: &Path, create: bool) -> Result<MasterKey, StoreError> {
    if let Some(text) = disk.read(path)? {
        let text = String::from_utf8(text).unwrap_or_default();
        let bytes = unhex(text.trim()).ok_or_else(|| missing(path, "it is not 64 hex digits"))?;
        return Ok(MasterKey::new(bytes));
    }
    if !create {
        return Err(missing(path, "there is no such file"));
    }
    let bytes = crypt::random()?;
    write(disk, path, &bytes)?;
    Ok(MasterKey::new(bytes))
}

pub(super) fn write(disk: &Disk, path: &Path, key: &KeyBytes) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), |dir| disk.create_dir(dir))?;
    disk.replace(path, format!("{}\n", hex(key)).as_bytes())
}

fn of_command(argv: &[String], wait: Duration) -> Result<MasterKey, StoreError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(missing(Path::new("the key command"), "it names no program"));
    };
    let refuse = |reason: &str| missing(Path::new(program), format!("the key command {reason}"));
    let mut command = Command::new(program);
    // Its standard error goes nowhere: it is not known to be free of the key.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| refuse(&format!("does not start: {e}")))?;
    let printed = output(&mut child, wait);
    let text = match printed {
        Ok(text) => text,
        Err(reason) => {
            end(&mut child);
            return Err(refuse(&reason));
        }
    };
    let key = std::str::from_utf8(&text).ok().and_then(|text| unhex(text.trim()));
    key.map(MasterKey::new).ok_or_else(|| refuse("does not print 64 hex digits and nothing else"))
}

/// What the command prints, if it ends well within the time.
fn output(child: &mut Child, wait: Duration) -> Result<Vec<u8>, String> {
    let deadline = disk::monotonic() + wait;
    let stdout = child.stdout.take().ok_or("has no output")?;
    let (send, printed) = mpsc::sync_channel(1);
    let read = move || {
        let mut bytes = Vec::new();
        let read = stdout.take(COMMAND_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        // Nobody listens once the time is over.
        drop(send.send(read.map(|_| bytes)));
    };
    let thread = std::thread::Builder::new().name("custos-key".into());
    thread.spawn(read).map_err(|e| format!("cannot be read: {e}"))?;
    let bytes = match printed.recv_timeout(wait) {
        Ok(bytes) => bytes.map_err(|e| format!("cannot be read: {e}"))?,
        Err(_) => return Err(format!("does not answer within {} s", wait.as_secs_f32())),
    };
    if bytes.len() > COMMAND_BYTES_MAX {
        return Err(format!("prints more than {COMMAND_BYTES_MAX} bytes"));
    }
    let deadline = deadline.max(disk::monotonic() + EXIT_WAIT_MIN);
    loop {
        match child.try_wait().map_err(|e| format!("cannot be waited for: {e}"))? {
            Some(status) if status.success() => return Ok(bytes),
            Some(status) => return Err(format!("fails ({status}); run it by hand to see why")),
            None if disk::monotonic() >= deadline => {
                return Err(format!("does not end within {} s", wait.as_secs_f32()));
            }
            None => std::thread::sleep(COMMAND_PAUSE),
        }
    }
}

fn end(child: &mut Child) {
    if child.kill().and_then(|()| child.wait()).is_err() {
        tracing::warn!(pid = child.id(), "the key command could not be ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(argv: &[&str], wait: Duration) -> Result<MasterKey, String> {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        of_command(&argv, wait).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_command_gives_the_key_it_prints_or_a_reason_without_what_it_printed() {
        let digits = "ab".repeat(32);
        let wait = Duration::from_secs(20);
        let key = run(&["printf", "%s\\n", &digits], wait).unwrap();
        assert_eq!(key.id, MasterKey::new([0xab; 32]).id);
        let secret = "c0ffee".repeat(5);
        for (argv, reason) in [
            (&["/nowhere/vault", &secret][..], "does not start"),
            (&["false", &secret], "fails (exit status: 1)"),
            (&["printf", "%s", &secret], "64 hex digits"),
            (&["printf", "%s %s", &digits, &secret], "64 hex digits"),
            (&["yes", &secret], "more than 256 bytes"),
            // No shell reads the words.
            (&["echo", "$(printf", "x)", ";", &secret], "64 hex digits"),
            (&[][..], "names no program"),
        ] {
            let error = run(argv, wait).err().unwrap();
            assert!(error.contains(reason), "{reason} in: {error}");
            assert!(!error.contains(&secret), "{error}");
        }
    }

    #[test]
    fn a_key_command_that_hangs_is_ended() {
        for argv in [
            &["tail", "-f", "/dev/null"][..],
            &["sh", "-c", "exec >/dev/null; exec tail -f /dev/null"],
        ] {
            let error = run(argv, Duration::from_millis(200)).err().unwrap();
            assert!(error.contains("within 0.2 s"), "{error}");
        }
    }

    #[test]
    fn a_key_file_that_is_no_key_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        assert!(matches!(
            of_file(&Disk::default(), &path, false),
            Err(StoreError::KeyMissing { .. })
        ));
        let made = of_file(&Disk::default(), &path, true).unwrap();
        assert_eq!(of_file(&Disk::default(), &path, false).unwrap().id, made.id);
        std::fs::write(&path, "zz").unwrap();
        let error = of_file(&Disk::default(), &path, true).err().unwrap().to_string();
        assert!(error.contains("master.key") && error.contains("64 hex digits"), "{error}");
    }
}
