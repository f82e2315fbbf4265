//! `[retention]` and `[scrub]` of the configuration file, and what follows for a log's segments: pure.

use super::{
    classes::{Classes, RawClass},
    config::seconds,
};
use anyhow::{Context as _, anyhow, bail};
use custos_event::{CommitNo, LogId, Timestamp};
use custos_store::SegmentInfo;
use serde::Deserialize;

/// How long events are kept, and how many. Facts are kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Of every source that is in no class.
    pub(crate) limits: Limits,
    pub(crate) classes: Classes,
    /// Seconds between two looks.
    pub(crate) every: i64,
}

/// What may stay of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// As it is written, and in seconds.
    pub(crate) keep: Option<(String, i64)>,
    /// As it is written, and in bytes on the disk.
    pub(crate) max: Option<(String, u64)>,
}

impl Retention {
    /// `None` for the log of a class that is no longer configured: nobody says for how long, so it is kept.
    pub(crate) fn limits_of(&self, log: LogId) -> Option<&Limits> {
        if log == LogId::TELEMETRY {
            return Some(&self.limits);
        }
        self.classes.iter().find(|class| class.log == log).map(|class| &class.limits)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scrub {
    /// Seconds between two; `None`: never by itself.
    pub(crate) every: Option<i64>,
    /// What it reads at most, so that it disturbs nobody.
    pub(crate) bytes_per_sec: u64,
}

impl Default for Scrub {
    /// A week, and 20 MiB/s: 1 TB in 14 hours, a tenth of what a disk gives.
    fn default() -> Self {
        Self { every: Some(7 * 86_400), bytes_per_sec: 20 << 20 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRetention {
    keep: Option<String>,
    max: Option<String>,
    every: Option<String>,
    #[serde(default, rename = "class")]
    classes: Vec<RawClass>,
}

pub(super) struct RawLimits {
    pub(super) keep: Option<String>,
    pub(super) max: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawScrub {
    every: Option<String>,
    bytes_per_sec: Option<String>,
}

/// The least that is kept by size: two segments as they lie on the disk.
const MAX_BYTES_MIN: u64 = 1 << 20;
/// A look costs a footer a segment that is new: far below a second.
const EVERY: i64 = 3_600;

impl RawRetention {
    pub(crate) fn check(self) -> anyhow::Result<Retention> {
        let limits = RawLimits { keep: self.keep, max: self.max };
        // Where classes are named, all others may stay for ever without a word.
        let says = limits.keep.is_some() || limits.max.is_some() || self.classes.is_empty();
        let limits = if says { limits.check()? } else { Limits::default() };
        let every = self.every.as_deref().map(seconds).transpose().context("every")?;
        let classes = Classes::check(self.classes)?;
        Ok(Retention { limits, classes, every: every.flatten().unwrap_or(EVERY) })
    }
}

impl RawLimits {
    pub(super) fn check(self) -> anyhow::Result<Limits> {
        let keep = self.keep.as_deref().unwrap_or("never");
        let secs = seconds(keep).with_context(|| format!("keep = \"{keep}\""))?;
        let max = self.max.as_deref().unwrap_or("never");
        let bytes = bytes(max).with_context(|| format!("max = \"{max}\""))?;
        if bytes.is_some_and(|bytes| bytes < MAX_BYTES_MIN) {
            bail!("max = \"{max}\": less than 1MiB keeps nothing");
        }
        if secs.is_none() && bytes.is_none() {
            bail!(
                "say for how long events are kept, keep = \"365d\", or how many, max = \"500GiB\""
            );
        }
        Ok(Limits {
            keep: secs.map(|secs| (keep.to_owned(), secs)),
            max: bytes.map(|bytes| (max.to_owned(), bytes)),
        })
    }
}

impl RawScrub {
    pub(crate) fn check(&self) -> anyhow::Result<Scrub> {
        let standard = Scrub::default();
        let every = self.every.as_deref().map(seconds).transpose().context("every")?;
        let rate = self.bytes_per_sec.as_deref().map(bytes).transpose().context("bytes_per_sec")?;
        let bytes_per_sec = rate.unwrap_or(Some(standard.bytes_per_sec));
        let bytes_per_sec = bytes_per_sec.filter(|rate| *rate > 0);
        Ok(Scrub {
            every: every.unwrap_or(standard.every),
            bytes_per_sec: bytes_per_sec.ok_or_else(|| anyhow!("bytes_per_sec: expected 20MiB"))?,
        })
    }
}

/// `500GiB`, `20MiB`, or `never`.
fn bytes(text: &str) -> anyhow::Result<Option<u64>> {
    if text == "never" {
        return Ok(None);
    }
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let read = units.iter().find_map(|(unit, shift)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(1 << shift)
    });
    let wrong = || anyhow!("expected a number with KiB, MiB, GiB or TiB, as in 500GiB, or never");
    read.map(Some).ok_or_else(wrong)
}

/// Which segments, the oldest first, are to go and why. `seen`: followers have taken in everything up to there.
/// `held` is asked of each that would go; one that is held still counts towards the size.
pub(crate) fn due(
    limits: &Limits,
    segments: &[SegmentInfo],
    (now, seen): (Timestamp, CommitNo),
    held: &mut dyn FnMut(&SegmentInfo) -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<(SegmentInfo, String)>> {
    let mut total: u64 = segments.iter().map(|info| info.bytes).sum();
    let mut due = Vec::new();
    for info in segments.iter().filter(|info| info.last_commit <= seen) {
        let old = limits.keep.as_ref().filter(|(_, secs)| info.last_at.plus_secs(*secs) < now);
        let many = limits.max.as_ref().filter(|(_, max)| total > *max);
        let reason = match (old, many) {
            (Some((keep, _)), _) => format!("older than keep = {keep}"),
            (None, Some((max, _))) => format!("beyond max = {max}"),
            (None, None) => continue,
        };
        if !held(info)? {
            total = total.saturating_sub(info.bytes);
            due.push((*info, reason));
        }
    }
    Ok(due)
}

/// One fact and one step for at most so many: read whole, some 10 MB each, a minute.
const STEP_MAX: usize = 64;

/// Those that follow each other without a gap and go for one reason, together.
pub(crate) fn steps(due: &[(SegmentInfo, String)]) -> Vec<&[(SegmentInfo, String)]> {
    let runs = due.chunk_by(|(a, why), (b, other)| a.end == b.first && why == other);
    runs.flat_map(|run| run.chunks(STEP_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::Seq;

    fn segment(number: u64) -> SegmentInfo {
        let at = |n: u64| Timestamp::from_secs(86_400 * n.cast_signed());
        SegmentInfo {
            number,
            first: Seq(number * 10),
            end: Seq(number * 10 + 10),
            last_commit: CommitNo(number + 1),
            created_at: at(number),
            last_at: at(number + 1),
            bytes: 1 << 20,
        }
    }

    fn going(text: &str, now: u64, seen: u64, held: &[u64]) -> Vec<(u64, String)> {
        let raw: RawRetention = toml::from_str(text).unwrap();
        let segments: Vec<_> = (0..10).map(segment).collect();
        let at = (Timestamp::from_secs(86_400 * now.cast_signed()), CommitNo(seen));
        let due = due(&raw.check().unwrap().limits, &segments, at, &mut |info| {
            Ok(held.contains(&info.number))
        });
        due.unwrap().into_iter().map(|(info, why)| (info.number, why)).collect()
    }

    fn numbers(text: &str, now: u64, seen: u64, held: &[u64]) -> Vec<u64> {
        going(text, now, seen, held).into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn what_is_too_old_goes_and_what_nobody_has_seen_stays() {
        assert_eq!(numbers("keep = \"5d\"", 9, 99, &[]), [0, 1, 2]);
        assert_eq!(numbers("keep = \"5d\"", 9, 2, &[]), [0, 1]);
        assert_eq!(numbers("keep = \"5d\"", 5, 99, &[]), [0; 0]);
        assert_eq!(numbers("keep = \"365d\"", 9, 99, &[]), [0; 0]);
    }

    #[test]
    fn the_oldest_go_until_the_rest_is_small_enough() {
        assert_eq!(numbers("max = \"7MiB\"", 9, 99, &[]), [0, 1, 2]);
        // What is held counts: others go in its place.
        assert_eq!(numbers("max = \"7MiB\"", 9, 99, &[1]), [0, 2, 3]);
        assert_eq!(numbers("max = \"10MiB\"", 9, 99, &[]), [0; 0]);
        let both = going("keep = \"8d\"\nmax = \"8MiB\"", 10, 99, &[]);
        assert_eq!(both, [(0, "older than keep = 8d".into()), (1, "beyond max = 8MiB".into())]);
    }

    #[test]
    fn a_class_has_limits_of_its_own_and_one_that_is_not_named_any_more_stays() {
        let class =
            "[[class]]\nname = \"p\"\nlog = \"telemetry-2\"\nsources = [\"p\"]\nmax = \"2MiB\"\n";
        let raw: RawRetention = toml::from_str(&format!("keep = \"5d\"\n{class}")).unwrap();
        let policy = raw.check().unwrap();
        let of = |log| policy.limits_of(LogId(log)).map(|limits| (&limits.keep, &limits.max));
        assert_eq!(of(0), Some((&Some(("5d".into(), 432_000)), &None)));
        assert_eq!(of(2), Some((&None, &Some(("2MiB".into(), 2 << 20)))));
        assert_eq!(of(3), None);
        let raw: RawRetention = toml::from_str(class).unwrap();
        assert_eq!(raw.check().unwrap().limits, Limits::default(), "all others stay");
    }

    #[test]
    fn a_step_is_of_neighbours_that_go_for_one_reason() {
        let due: Vec<_> = [0, 1, 3, 4].map(|n| (segment(n), "old".to_owned())).to_vec();
        let steps: Vec<_> = steps(&due).iter().map(|step| step.len()).collect();
        assert_eq!(steps, [2, 2]);
    }

    #[test]
    fn what_does_not_hold_is_named() {
        for (text, part) in [
            ("", "keep = \"365d\""),
            ("keep = \"long\"", "keep = \"long\""),
            ("max = \"500GB\"", "max = \"500GB\""),
            ("max = \"4KiB\"", "keeps nothing"),
            ("keep = \"1d\"\nevery = \"0s\"", "every"),
        ] {
            let raw: RawRetention = toml::from_str(text).unwrap();
            let error = format!("{:#}", raw.check().unwrap_err());
            assert!(error.contains(part), "{part} in: {error}");
        }
        let raw: RawScrub = toml::from_str("bytes_per_sec = \"fast\"").unwrap();
        assert!(raw.check().is_err());
        let raw: RawScrub = toml::from_str("every = \"never\"").unwrap();
        assert_eq!(raw.check().unwrap(), Scrub { every: None, ..Scrub::default() });
    }
}
