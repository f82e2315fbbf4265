//! `[[retention.class]]` of the configuration file: sources that are kept for a time of their own, in a log of their own.

use super::policy::{Limits, RawLimits};
use anyhow::{Context as _, bail};
use custos_event::LogId;
use serde::Deserialize;

/// Sources that are kept alike. Their log is named by hand, so that no other class takes it when the order of the
/// file changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) log: LogId,
    pub(crate) sources: Vec<SourceName>,
    pub(crate) limits: Limits,
}

/// A source by its whole name, or every one whose name begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceName {
    Whole(String),
    Beginning(String),
}

/// Which log keeps which source: that of the first class that names it, else the one of all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(Vec<Class>);

/// Each class's log has an open segment of up to 64 MiB, and a sync of its own for each commit.
const CLASSES_MAX: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawClass {
    name: String,
    log: String,
    sources: Vec<String>,
    keep: Option<String>,
    max: Option<String>,
}

impl SourceName {
    fn is_of(&self, source: &str) -> bool {
        match self {
            Self::Whole(name) => name == source,
            Self::Beginning(start) => source.starts_with(start),
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let (begins, is_whole) = match text.strip_suffix('*') {
            Some(begins) => (begins, false),
            None => (text, true),
        };
        if begins.is_empty() || begins.contains('*') {
            bail!("source \"{text}\": a name as the page Sources has it, or its beginning and a *");
        }
        Ok(if is_whole { Self::Whole(begins.into()) } else { Self::Beginning(begins.into()) })
    }
}

impl std::fmt::Display for SourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(name) => f.write_str(name),
            Self::Beginning(start) => write!(f, "{start}*"),
        }
    }
}

impl RawClass {
    fn check(self) -> anyhow::Result<Class> {
        let log: LogId = self.log.parse()?;
        if matches!(log, LogId::TELEMETRY | LogId::JOURNAL) {
            bail!("log = \"{log}\": a class has a log of its own, telemetry-2 or higher");
        }
        if self.sources.is_empty() {
            bail!("sources is empty: name some, as in [\"kafka:payments\", \"http:pos-*\"]");
        }
        let sources = self.sources.iter().map(|text| SourceName::parse(text));
        let sources = sources.collect::<anyhow::Result<_>>()?;
        let limits = RawLimits { keep: self.keep, max: self.max }.check()?;
        Ok(Class { name: self.name, log, sources, limits })
    }
}

impl Classes {
    pub(super) fn check(raw: Vec<RawClass>) -> anyhow::Result<Self> {
        if raw.len() > CLASSES_MAX {
            bail!("{} classes; at most {CLASSES_MAX} are possible", raw.len());
        }
        let mut classes: Vec<Class> = Vec::with_capacity(raw.len());
        for raw in raw {
            let name = raw.name.clone();
            let class = raw.check().with_context(|| format!("class \"{name}\""))?;
            let taken = |other: &&Class| other.log == class.log || other.name == class.name;
            if let Some(other) = classes.iter().find(taken) {
                let (one, two) = (&other.name, &class.name);
                bail!("classes \"{one}\" and \"{two}\": each has a name and a log of its own");
            }
            classes.push(class);
        }
        Ok(Self(classes))
    }

    pub(crate) fn log_of(&self, source: &str) -> LogId {
        let names = |class: &&Class| class.sources.iter().any(|name| name.is_of(source));
        self.0.iter().find(names).map_or(LogId::TELEMETRY, |class| class.log)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Class> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Raw {
        class: Vec<RawClass>,
    }

    fn parse(text: &str) -> anyhow::Result<Classes> {
        Classes::check(toml::from_str::<Raw>(text)?.class)
    }

    const TWO: &str = r#"
        [[class]]
        name = "payments"
        log = "telemetry-3"
        sources = ["kafka:payments", "http:pos-*"]
        keep = "2555d"
        [[class]]
        name = "noise"
        log = "telemetry-2"
        sources = ["http:*"]
        keep = "7d"
        max = "1GiB"
    "#;

    #[test]
    fn the_first_class_that_names_a_source_keeps_it() {
        let classes = parse(TWO).unwrap();
        let logs = ["kafka:payments", "kafka:payments-eu", "http:pos-7", "http:doors", "file:x"]
            .map(|source| classes.log_of(source).to_string());
        assert_eq!(logs, ["telemetry-3", "telemetry", "telemetry-3", "telemetry-2", "telemetry"]);
        let noise = classes.iter().nth(1).unwrap();
        assert_eq!(noise.limits.max, Some(("1GiB".into(), 1 << 30)));
        assert_eq!(noise.sources[0].to_string(), "http:*");
    }

    #[test]
    fn what_does_not_hold_is_named() {
        let two = |change: (&str, &str)| parse(&TWO.replace(change.0, change.1)).unwrap_err();
        for (change, part) in [
            (("telemetry-2", "telemetry-3"), "classes \"payments\" and \"noise\""),
            (("\"noise\"", "\"payments\""), "each has a name"),
            (("telemetry-3", "journal"), "class \"payments\": log = \"journal\""),
            (("telemetry-3", "telemetry"), "telemetry-2 or higher"),
            (("telemetry-3", "payments"), "'payments' is no log"),
            (("[\"http:*\"]", "[]"), "sources is empty"),
            (("\"http:*\"", "\"*\""), "source \"*\""),
            (("\"http:*\"", "\"ht*p\""), "source \"ht*p\""),
            (("keep = \"7d\"", "keep = \"long\""), "keep = \"long\""),
        ] {
            let error = format!("{:#}", two(change));
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
}
