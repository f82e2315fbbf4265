//! Names of places and things: logs, positions in them, commits, rules, alerts.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// One append-only log of the node. Number 0 holds telemetry, 1 the journal; each further retention
/// class of telemetry takes the next number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub u8);

impl LogId {
    /// Records: what sources outside said.
    pub const TELEMETRY: Self = Self(0);
    /// Facts: what Custos and its people decided or did.
    pub const JOURNAL: Self = Self(1);

    pub fn is_telemetry(self) -> bool {
        self != Self::JOURNAL
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("telemetry"),
            1 => f.write_str("journal"),
            class => write!(f, "telemetry-{class}"),
        }
    }
}

/// A position, log or hash that does not read as one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{text}' is no {what}; expected {expected}")]
pub struct IdError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

impl IdError {
    pub(crate) fn new(text: &str, what: &'static str, expected: &'static str) -> Self {
        Self { text: text.into(), what, expected }
    }
}

impl FromStr for LogId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let class = match text {
            "telemetry" => Some(0),
            "journal" => Some(1),
            _ => text.strip_prefix("telemetry-").and_then(|n| n.parse().ok()).filter(|n| *n > 1),
        };
        class.map(Self).ok_or_else(|| IdError {
            text: text.into(),
            what: "log",
            expected: "'telemetry', 'journal' or 'telemetry-N'",
        })
    }
}

/// A part of a log with its own sequence; the first round has one partition (0) a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u16);

/// Place of one record in its log and partition; rises by exactly one, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The place `count` records further on.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Node-wide number of one commit, rising by exactly one over all logs; the first commit is 1, so that
/// 0 means "nothing yet".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct CommitNo(pub u64);

impl CommitNo {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for CommitNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a follower has read: the last commit taken in, for each node (one node today).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(Vec<CommitNo>);

impl Cursor {
    /// The place after `commit` on a single node.
    pub fn after(commit: CommitNo) -> Self {
        Self(vec![commit])
    }

    /// The last commit taken in on this node; 0 when none was.
    pub fn commit(&self) -> CommitNo {
        self.0.first().copied().unwrap_or_default()
    }
}

/// The address of one record: `telemetry/0/1234`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub log: LogId,
    pub partition: Partition,
    pub seq: Seq,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.log, self.partition.0, self.seq.0)
    }
}

impl FromStr for Position {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError {
            text: text.into(),
            what: "position",
            expected: "LOG/PARTITION/SEQ, as in 'telemetry/0/1234'",
        };
        let mut parts = text.split('/');
        let (Some(log), Some(partition), Some(seq), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        Ok(Self {
            log: log.parse()?,
            partition: Partition(partition.parse().map_err(|_| wrong())?),
            seq: Seq(seq.parse().map_err(|_| wrong())?),
        })
    }
}

macro_rules! serde_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use serde_as_text;

serde_as_text!(LogId, Position);

/// A rule's own `id`, or its path below the rules folder where it has none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub Arc<str>);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong =
                    || IdError { text: text.into(), what: $what, expected: "lower-case hex digits" };
                if text.len() != $bytes * 2 || !text.is_ascii() {
                    return Err(wrong());
                }
                let mut bytes = [0; $bytes];
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
                }
                Ok(Self(bytes))
            }
        }
        serde_as_text!($name);
    };
}

hex_id!(
    /// Derived from rule, rule version, group and first position: the same alert has the same id in
    /// every replay.
    AlertId, 16, "alert id"
);
hex_id!(
    /// What of a value, of whom and of which rule is kept to know it again: the first half of a SHA-256.
    ValueKey, 16, "key of a value"
);
hex_id!(
    /// SHA-256 over the rules that were live, in order, and the engine's version.
    RulesetHash, 32, "ruleset hash"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_written() {
        for text in ["telemetry/0/0", "journal/0/18446744073709551615", "telemetry-3/7/42"] {
            assert_eq!(text.parse::<Position>().map(|p| p.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_crooked_position_is_refused_with_the_form_it_should_have() {
        for text in ["", "telemetry", "telemetry/0", "telemetry/0/1/2", "telemetry/x/1", "moon/0/1"]
        {
            let error = text.parse::<Position>().unwrap_err().to_string();
            assert!(error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn a_hash_reads_back_as_written() {
        let id = AlertId([0xa5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("a5".parse::<AlertId>().is_err());
    }
}
