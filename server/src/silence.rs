//! Sources that were heard and are no more: said in the journal once, and once when they are heard again.

use crate::{
    clock::SystemClock,
    exit::Failure,
    folder::{append_facts, system},
    projection::{follower::Views, sources::Counts},
    upkeep::config::seconds,
};
use anyhow::{Context as _, bail};
use custos_event::{Clock as _, CommitNo, Fact, Timestamp};
use custos_store::Store;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// How often is looked: a look costs a comparison for each source.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A quarter of an hour: shippers that are up send at least that often, if only a heartbeat.
const STANDARD_SECS: i64 = 900;
const OF_THEIR_OWN_MAX: usize = 1_000;

/// `[sources]`, as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSilence {
    silent_after: Option<String>,
    #[serde(default)]
    silent: Vec<RawOne>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOne {
    source: String,
    after: String,
}

/// After how many seconds a source is silent; `None`: never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    standard: Option<i64>,
    by_source: BTreeMap<String, Option<i64>>,
}

impl Default for Silence {
    fn default() -> Self {
        Self { standard: Some(STANDARD_SECS), by_source: BTreeMap::new() }
    }
}

impl RawSilence {
    pub(crate) fn check(self) -> anyhow::Result<Silence> {
        if self.silent.len() > OF_THEIR_OWN_MAX {
            bail!("{} [[sources.silent]]; {OF_THEIR_OWN_MAX} are possible", self.silent.len());
        }
        let standard = match self.silent_after.as_deref() {
            Some(after) => seconds(after).context("silent_after")?,
            None => Some(STANDARD_SECS),
        };
        let one = |RawOne { source, after }| {
            let after =
                seconds(&after).with_context(|| format!("[[sources.silent]] '{source}'"))?;
            Ok((source, after))
        };
        let by_source = self.silent.into_iter().map(one).collect::<anyhow::Result<_>>()?;
        Ok(Silence { standard, by_source })
    }
}

impl Silence {
    /// The same where these are never silent, unless the configuration says otherwise.
    #[must_use]
    pub(crate) fn without(mut self, sources: impl Iterator<Item = String>) -> Self {
        for source in sources {
            self.by_source.entry(source).or_insert(None);
        }
        self
    }

    /// Files are read once and then have nothing more to say.
    fn after(&self, source: &str) -> Option<i64> {
        match self.by_source.get(source) {
            Some(own) => *own,
            None if source.starts_with("file:") => None,
            None => self.standard,
        }
    }

    pub(crate) fn is_silent(&self, source: &str, last_seen: Timestamp, now: Timestamp) -> bool {
        self.after(source).is_some_and(|secs| last_seen.plus_secs(secs) < now)
    }

    /// What there is to be said of a source of which one thing or the other was said before.
    /// Nobody could send before `started`.
    fn news(
        &self,
        source: &str,
        counts: &Counts,
        (started, now): (Timestamp, Timestamp),
    ) -> Option<Fact> {
        let heard = counts.last_seen;
        let since = if counts.silent_told.is_some() { heard } else { heard.max(started) };
        let is_silent = self.is_silent(source, since, now);
        if is_silent == counts.silent_told.is_some() {
            return None;
        }
        let (source, last_seen) = (source.to_owned(), counts.last_seen);
        if is_silent {
            let after_secs = u64::try_from(self.after(&source)?).unwrap_or_default();
            return Some(Fact::SourceSilent { source, last_seen, after_secs });
        }
        Some(Fact::SourceHeard { source })
    }
}

impl Silence {
    /// The same of all sources; nothing as long as the views have not seen `commit`.
    fn all_news(&self, views: &Views, commit: CommitNo, started: Timestamp) -> Vec<Fact> {
        let folded = views.read();
        if folded.commit < commit {
            return Vec::new();
        }
        let now = SystemClock.now();
        let news = |(name, counts)| self.news(name, counts, (started, now));
        folded.sources.iter().filter_map(news).collect()
    }
}

/// Until `stop`.
pub(crate) async fn watch(
    views: Views,
    store: Store,
    silence: Silence,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let started = SystemClock.now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = every.tick() => {}
        }
        // What was said last has to be seen first, or it would be said again.
        views.reach(store.last_commit()).await;
        let news = silence.all_news(&views, store.last_commit(), started);
        if news.is_empty() {
            continue;
        }
        for fact in &news {
            if let Fact::SourceSilent { source, after_secs, .. } = fact {
                warn!(%source, after_secs, "a source has fallen silent");
            }
        }
        let teller = store.clone();
        let written = tokio::task::spawn_blocking(move || {
            append_facts(&teller, &system("sources"), news).map_err(Failure::into_error)
        });
        if let Err(failure) = written.await? {
            error!(error = format!("{failure:#}"), "a fact could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Silence> {
        toml::from_str::<RawSilence>(text)?.check()
    }

    #[test]
    fn silence_and_its_end_are_each_told_once() {
        let silence = read("silent_after = \"1m\"").unwrap();
        let at = Timestamp::from_secs;
        let mut counts = Counts::default();
        counts.last_seen = at(100);
        assert_eq!(silence.news("syslog:a", &counts, (at(0), at(160))), None);
        let silent =
            Fact::SourceSilent { source: "syslog:a".into(), last_seen: at(100), after_secs: 60 };
        assert_eq!(silence.news("syslog:a", &counts, (at(0), at(161))), Some(silent));
        counts.silent_told = Some(at(161));
        assert_eq!(silence.news("syslog:a", &counts, (at(0), at(500))), None);
        counts.last_seen = at(490);
        let heard = Fact::SourceHeard { source: "syslog:a".into() };
        assert_eq!(silence.news("syslog:a", &counts, (at(0), at(500))), Some(heard));
        // After a restart everybody gets the time to send again.
        counts.last_seen = at(1);
        counts.silent_told = None;
        assert_eq!(silence.news("syslog:a", &counts, (at(480), at(500))), None);
        assert_eq!(silence.news("file:auth.log", &Counts::default(), (at(0), at(500))), None);
    }

    #[test]
    fn a_source_may_have_a_time_of_its_own_or_none() {
        let text = "[[silent]]\nsource = \"kafka:a\"\nafter = \"never\"\n\
                    [[silent]]\nsource = \"kafka:b\"\nafter = \"2h\"\n";
        let silence = read(text).unwrap();
        let afters = ["kafka:a", "kafka:b", "kafka:c", "file:d"].map(|of| silence.after(of));
        assert_eq!(afters, [None, Some(7_200), Some(900), None]);
        assert_eq!(read("").unwrap(), Silence::default());
        let error = read("[[silent]]\nsource = \"x\"\nafter = \"soon\"\n");
        assert!(format!("{:#}", error.unwrap_err()).contains("'x'"));
    }
}
