//! Registers that directories give by LDAP: pulled into files of the data folder, which are read like any other
//! register. So what was known stays where a directory cannot be asked, over a restart too.

mod config;
mod ldap;
mod rows;
mod trouble;

pub(super) use config::{RawDirectory, check};

use super::register::{Kind, Register};
use anyhow::{Context as _, bail};
use custos_event::FieldTable;
use futures_util::future::join_all;
use rows::{Pulled, Rows};
use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// After a failure: 10 s, then twice as long each time, never longer than between two pulls.
const RETRY_SECS_MIN: u64 = 10;

/// A register that is pulled, as configured. Its password stays in its file until a pull.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Directory {
    name: String,
    kind: Kind,
    server: Server,
    base: String,
    filter: String,
    every: Duration,
    /// Columns of the register, and the attribute that each has.
    columns: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Server {
    url: String,
    /// TLS comes first.
    wrapped: bool,
    starttls: bool,
    /// Who signed its certificate; whom this machine trusts without.
    ca: Option<PathBuf>,
    /// Who signs in, and the file of the password.
    account: Option<(String, PathBuf)>,
}

impl Directory {
    fn encrypted(&self) -> bool {
        self.server.wrapped || self.server.starttls
    }

    fn user(&self) -> Option<&str> {
        self.server.account.as_ref().map(|(user, _)| user.as_str())
    }

    /// Whom the directory sees, for people.
    fn who(&self) -> String {
        self.user().map_or_else(|| "anybody (no user is set)".into(), |user| format!("'{user}'"))
    }

    /// Where its register lies.
    pub(super) fn file(&self, folder: &Path) -> PathBuf {
        folder.join(&self.name).with_extension("csv")
    }

    /// What was pulled last; nothing before the first pull. Only pulls write the file: one that does not hold is told, and
    /// the next pull makes it anew.
    pub(super) fn register(&self, folder: &Path, table: &FieldTable) -> Option<Register> {
        let file = self.file(folder);
        if !file.exists() {
            return None;
        }
        let read = Register::read(self.kind, &file, table);
        read.map_err(|error| {
            let error = format!("{error:#}");
            warn!(directory = self.name, error, "what was pulled does not hold; it is pulled anew");
        })
        .ok()
    }
}

/// The folder of the registers that were pulled, below that of the data.
pub(super) fn folder(data: &Path) -> PathBuf {
    data.join("directory")
}

/// Until `stop`: pulls from each directory when it is due.
pub(crate) async fn keep(
    directories: Vec<Directory>,
    data: PathBuf,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let folder = folder(&data);
    // Each at its own pace: one that does not answer keeps no other waiting.
    join_all(directories.iter().map(|directory| supply(directory, &folder, &stop))).await;
    stop.cancelled().await;
    Ok(())
}

async fn supply(directory: &Directory, folder: &Path, stop: &CancellationToken) {
    let file = directory.file(folder);
    let mut state = State::begin(directory, &file).await;
    loop {
        let pulled = tokio::select! {
            () = stop.cancelled() => return,
            pulled = pull(directory, &file) => pulled,
        };
        let wait = state.take_note(pulled, &file);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn pull(directory: &Directory, file: &Path) -> anyhow::Result<Pulled> {
    let rows = ldap::pull(directory).await?;
    let (directory, file) = (directory.clone(), file.to_owned());
    tokio::task::spawn_blocking(move || put_rows(&directory, rows, &file)).await?
}

/// Puts what came where the register is read from, if it holds.
fn put_rows(directory: &Directory, rows: Rows, file: &Path) -> anyhow::Result<Pulled> {
    let (text, pulled) = rows.finish()?;
    let (base, filter) = (&directory.base, &directory.filter);
    if pulled.rows == 0 {
        // A right that was lost looks the same as people who are gone.
        bail!(
            "gives no rows ({} entries without a key): may {} read below '{base}', does filter = \"{filter}\" find them, \
             and are columns their attributes?",
            pulled.left_out,
            directory.who(),
        );
    }
    Register::parse(directory.kind, &text, &FieldTable::new())
        .context("gives what makes no register")?;
    let kept = fs::read(file).is_ok_and(|before| before == text);
    let written = if kept { Ok(()) } else { put(file, &text) };
    // Its time is that of the pull; the register's would have it read anew.
    let written = written.and_then(|()| put(&mark(file), b""));
    written.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(pulled)
}

/// The file beside a register that is as old as the last good pull.
fn mark(file: &Path) -> PathBuf {
    file.with_extension("pulled")
}

/// Replaces the file as one step. It tells of people: its owner alone may read it.
fn put(file: &Path, text: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = file.with_extension("part");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    let mut new = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
    new.write_all(text)?;
    new.sync_all()?;
    fs::rename(&unfinished, file)?;
    fs::File::open(folder)?.sync_all()
}

/// What is known of a directory's pulls.
struct State<'d> {
    directory: &'d Directory,
    failures: u32,
    /// What was last told, so that it is told once.
    error: Option<String>,
    pulled: Option<Pulled>,
}

impl<'d> State<'d> {
    /// Shows what an earlier run of the server has left.
    async fn begin(directory: &'d Directory, file: &Path) -> Self {
        let name = directory.name.as_str();
        failed(name).increment(0);
        if file.exists() && show_time(name, file) {
            let kept = file.to_owned();
            let rows = tokio::task::spawn_blocking(move || rows_in(&kept)).await;
            rows_gauge(name).set(rows.unwrap_or_default());
        } else {
            info!(directory = name, "nothing was pulled yet; the register is read when it comes");
        }
        Self { directory, failures: 0, error: None, pulled: None }
    }

    /// Tells what came of a pull, and how long it is until the next one.
    fn take_note(&mut self, pulled: anyhow::Result<Pulled>, file: &Path) -> Duration {
        let Directory { name, server, every, .. } = self.directory;
        match pulled {
            Ok(pulled) => {
                let Pulled { rows, left_out, doubled } = pulled;
                if self.error.take().is_some() || self.pulled != Some(pulled) {
                    info!(directory = name, rows, left_out, doubled, "a register was pulled");
                }
                (self.failures, self.pulled) = (0, Some(pulled));
                show(name, pulled);
                show_time(name, file);
                *every
            }
            Err(error) => {
                failed(name).increment(1);
                let error = format!("{error:#}");
                if self.error.as_ref() != Some(&error) {
                    let server = &server.url;
                    error!(
                        directory = name,
                        server, error, "a directory gave no register; what was known stays"
                    );
                }
                self.error = Some(error);
                let wait = retry_after(self.failures, *every);
                self.failures = self.failures.saturating_add(1);
                wait
            }
        }
    }
}

fn retry_after(failures: u32, every: Duration) -> Duration {
    Duration::from_secs(RETRY_SECS_MIN << failures.min(30)).min(every)
}

fn failed(name: &str) -> metrics::Counter {
    metrics::counter!("custos_directory_pull_failed_total", "directory" => name.to_owned())
}

fn rows_gauge(name: &str) -> metrics::Gauge {
    metrics::gauge!("custos_directory_rows", "directory" => name.to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "gauges; counts far below 2^52")]
fn show(name: &str, pulled: Pulled) {
    rows_gauge(name).set(pulled.rows as f64);
    let left_out = metrics::gauge!("custos_directory_left_out", "directory" => name.to_owned());
    left_out.set(pulled.left_out as f64);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; at most ROWS_MAX")]
fn rows_in(file: &Path) -> f64 {
    csv::Reader::from_path(file).map_or(0.0, |reader| reader.into_records().count() as f64)
}

/// When the last good pull was; false where there was none.
fn show_time(name: &str, file: &Path) -> bool {
    let written = mark(file).metadata().and_then(|found| found.modified());
    let Ok(at) = written else { return false };
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    metrics::gauge!("custos_directory_pulled_seconds", "directory" => name.to_owned()).set(at);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::SearchEntry;
    use std::collections::HashMap;

    fn directory(name: &str) -> Directory {
        let text = format!(
            "name = \"{name}\"\nkind = \"identities\"\nurl = \"ldaps://d\"\nbase = \"dc=d\"\n\
             every = \"1m\"\n[columns]\nuser = \"uid\"\n"
        );
        check(vec![toml::from_str(&text).unwrap()], &|path| path).unwrap().remove(0)
    }

    fn rows(directory: &Directory, attribute: &str) -> Rows {
        let mut rows = Rows::new(directory);
        let attrs = HashMap::from([(attribute.to_owned(), vec!["anna".to_owned()])]);
        let entry = SearchEntry { dn: "cn=anna".into(), attrs, bin_attrs: HashMap::new() };
        rows.add(&entry).unwrap();
        rows
    }

    #[test]
    fn a_pull_without_rows_is_not_believed_and_another_replaces_the_file_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (data, people) = (tempfile::tempdir().unwrap(), directory("people"));
        let file = people.file(&folder(data.path()));
        assert!(people.register(&folder(data.path()), &FieldTable::new()).is_none());
        put_rows(&people, rows(&people, "uid"), &file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "user\nanna\n");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(rows_in(&file).to_string(), "1");
        // The same again: nothing is read anew.
        let time = |file: &Path| file.metadata().unwrap().modified().unwrap();
        let before = time(&file);
        put_rows(&people, rows(&people, "uid"), &file).unwrap();
        assert_eq!(time(&file), before);
        assert!(mark(&file).exists() && show_time("people", &file));
        let error = put_rows(&people, rows(&people, "cn"), &file).unwrap_err().to_string();
        assert!(error.contains("1 entries") && error.contains("'dc=d'"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "user\nanna\n");
        assert!(people.register(&folder(data.path()), &FieldTable::new()).is_some());
        // What an interrupted pull has left is in nobody's way.
        fs::write(file.with_extension("part"), "us").unwrap();
        put_rows(&people, rows(&people, "uid"), &file).unwrap();
        fs::write(&file, "owner\nx\n").unwrap();
        assert!(people.register(&folder(data.path()), &FieldTable::new()).is_none());
    }

    #[test]
    fn a_failure_is_tried_again_later_each_time_but_no_later_than_a_pull_is_due() {
        let every = Duration::from_mins(1);
        let waits = [0, 1, 2, 3, u32::MAX].map(|failures| retry_after(failures, every).as_secs());
        assert_eq!(waits, [10, 20, 40, 60, 60]);
        assert_eq!(retry_after(0, Duration::from_secs(2)).as_secs(), 2);
        let people = directory("people");
        let mut state = State { directory: &people, failures: 0, error: None, pulled: None };
        let wait = state.take_note(Err(anyhow::anyhow!("cannot be reached")), Path::new("/"));
        assert_eq!((wait.as_secs(), state.failures), (10, 1));
        let wait = state.take_note(Ok(Pulled::default()), Path::new("/"));
        assert_eq!((wait, state.failures, state.error), (every, 0, None));
    }
}
