//! `[backup]` of the configuration file: as it is written, and once checked.

use anyhow::{Context as _, anyhow, bail};
use custos_store::{
    backup::{PrunePolicy, S3Options},
    keys::KeyDays,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where backups go, how often, and which stay.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backup {
    pub(crate) to: String,
    pub(crate) s3: S3Options,
    pub(crate) cadence: Cadence,
    pub(crate) policy: PrunePolicy,
    /// Where a drill restores to; a folder of its own is made below and removed again.
    pub(crate) scratch: Option<PathBuf>,
    /// The configuration file itself, to be taken along.
    pub(crate) file: Option<PathBuf>,
}

/// Seconds between two of a kind; `None`: never by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cadence {
    pub(crate) full: Option<i64>,
    pub(crate) differential: Option<i64>,
    pub(crate) incremental: Option<i64>,
    pub(crate) drill: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBackup {
    to: String,
    #[serde(default = "week")]
    full_every: String,
    #[serde(default = "day")]
    differential_every: String,
    #[serde(default = "hour")]
    incremental_every: String,
    #[serde(default = "week")]
    drill_every: String,
    scratch: Option<PathBuf>,
    keep_last: Option<u32>,
    keep_daily: Option<u32>,
    keep_weekly: Option<u32>,
    keys_days: Option<u32>,
    #[serde(default)]
    s3: RawS3,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawS3 {
    endpoint: Option<String>,
    region: Option<String>,
    access_key_id: Option<String>,
    /// The secret itself is never in the configuration.
    secret_access_key_file: Option<PathBuf>,
}

fn week() -> String {
    "7d".into()
}

fn day() -> String {
    "1d".into()
}

fn hour() -> String {
    "1h".into()
}

pub(crate) fn check(raw: RawBackup, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Backup> {
    let every =
        |name: &str, text: &str| seconds(text).with_context(|| format!("{name} = \"{text}\""));
    let cadence = Cadence {
        full: every("full_every", &raw.full_every)?,
        differential: every("differential_every", &raw.differential_every)?,
        incremental: every("incremental_every", &raw.incremental_every)?,
        drill: every("drill_every", &raw.drill_every)?,
    };
    let standard = PrunePolicy::default();
    let days = raw.keys_days.unwrap_or(standard.keys_days.get());
    let keys_days = KeyDays::new(days)
        .ok_or_else(|| anyhow!("keys_days = {days}; 1 to {} are possible", KeyDays::MAX.get()))?;
    let policy = PrunePolicy {
        last: raw.keep_last.unwrap_or(standard.last),
        daily: raw.keep_daily.unwrap_or(standard.daily),
        weekly: raw.keep_weekly.unwrap_or(standard.weekly),
        keys_days,
    };
    if policy.last == 0 {
        bail!("keep_last is at least 1");
    }
    let s3 = S3Options {
        endpoint: raw.s3.endpoint,
        region: raw.s3.region,
        access_key_id: raw.s3.access_key_id,
        secret_access_key: raw
            .s3
            .secret_access_key_file
            .map(|file| secret(&below(file)))
            .transpose()?,
    };
    let (to, scratch) = (raw.to, raw.scratch.map(below));
    Ok(Backup { to, s3, cadence, policy, scratch, file: None })
}

fn secret(path: &Path) -> anyhow::Result<String> {
    let read = std::fs::read_to_string(path);
    let text = read.with_context(|| format!("cannot read the secret in {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// `90s`, `15m`, `6h`, `7d`, or `never`.
pub(crate) fn seconds(text: &str) -> anyhow::Result<Option<i64>> {
    if text == "never" {
        return Ok(None);
    }
    let wrong = || anyhow!("expected a number with s, m, h or d, as in 6h, or never");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text.get(..text.len() - 1).unwrap_or("").parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err(wrong());
    }
    Ok(Some(i64::from(number).saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Backup> {
        check(toml::from_str(text)?, &|path| Path::new("/etc/custos").join(path))
    }

    #[test]
    fn what_is_not_said_has_a_value_that_serves() {
        let backup = parse("to = \"s3://vault/custos\"").unwrap();
        assert_eq!(backup.cadence.full, Some(604_800));
        assert_eq!(backup.cadence.incremental, Some(3_600));
        assert_eq!(backup.policy, PrunePolicy::default());
        let never = parse("to = \"/b\"\ndrill_every = \"never\"\nfull_every = \"90s\"").unwrap();
        assert_eq!((never.cadence.drill, never.cadence.full), (None, Some(90)));
    }

    #[test]
    fn what_does_not_hold_is_named() {
        for (text, part) in [
            ("to = \"/b\"\nfull_every = \"weekly\"", "full_every = \"weekly\""),
            ("to = \"/b\"\ndrill_every = \"0d\"", "drill_every"),
            ("to = \"/b\"\nkeep_last = 0", "keep_last"),
            ("to = \"/b\"\nkeys_days = 31", "keys_days"),
            ("to = \"s3://b\"\n[s3]\nsecret_access_key_file = \"none\"", "/etc/custos/none"),
            ("to = \"/b\"\nhourly = true", "hourly"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
}
