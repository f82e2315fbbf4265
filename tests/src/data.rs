//! The recorded real events that live beside the repository, never in it.

use crate::root;
use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{Read, Write, stderr},
    path::{Path, PathBuf},
};

/// The data folder: `$CUSTOS_SHARED_DATA`, else `../shared/data` beside the repository. `None`, said
/// aloud, where it is absent.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("CUSTOS_SHARED_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    if folder.join("events").is_dir() {
        return Some(folder);
    }
    skipped("real data not present");
    None
}

/// Tells a person that a test did nothing, past the test runner's capture.
pub fn skipped(why: &str) {
    // A closed standard error is no reason to fail a test.
    drop(writeln!(stderr(), "skipped: {why}"));
}

/// The lines of a gzip file, without line ends and without blank lines.
pub fn lines(file: &Path) -> Result<Vec<Vec<u8>>> {
    let open = || format!("cannot read {}", file.display());
    let mut bytes = Vec::new();
    MultiGzDecoder::new(File::open(file).with_context(open)?)
        .read_to_end(&mut bytes)
        .with_context(open)?;
    let line = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    Ok(bytes.split(|byte| *byte == b'\n').map(line).filter(|line| !line.is_empty()).collect())
}

/// One named stream of events for a test: real ones where the data folder is there, else made ones.
pub fn events(file: &str, count: usize) -> Result<Vec<Vec<u8>>> {
    match folder() {
        Some(folder) => {
            let mut lines = lines(&folder.join("events").join(file))?;
            lines.truncate(count);
            Ok(lines)
        }
        None => Ok((0..count).map(made_line).collect()),
    }
}

/// A line of sshd's log with its number in it, so that each is different.
fn made_line(number: usize) -> Vec<u8> {
    let (day, hour, rest) = (1 + number / 86_400 % 28, number / 3_600 % 24, number % 3_600);
    let (minute, second) = (rest / 60, rest % 60);
    // Every tenth is one that a search may ask for, every thousandth one that trips a rule of ours.
    let said = match number {
        n if n % 1_000 == 0 => "Accepted password for root from 203.0.113.9".into(),
        n if n % 10 == 0 => format!("Failed password for root from 192.0.2.{}", n % 254 + 1),
        n => format!("Failed password for invalid user u{n} from 192.0.2.{}", n % 254 + 1),
    };
    format!(
        "Mar {day:2} {hour:02}:{minute:02}:{second:02} gate sshd[{number}]: {said} port {} ssh2",
        1024 + number % 60_000,
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_lines_are_all_different() {
        let lines: std::collections::HashSet<_> = (0..100_000).map(made_line).collect();
        assert_eq!(lines.len(), 100_000);
    }
}
