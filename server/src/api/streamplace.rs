//! What a client of the stream asks for, and the places it goes on from.

use custos_event::{CommitNo, Cursor};
use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Alerts,
    Incidents,
    Sources,
    Events,
}

/// At least one topic.
#[derive(Clone, Debug)]
pub(super) struct Topics(Vec<Topic>);

impl Topics {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let topic = |name: &str| match name.trim() {
            "alerts" => Ok(Topic::Alerts),
            "incidents" => Ok(Topic::Incidents),
            "sources" => Ok(Topic::Sources),
            "events" => Ok(Topic::Events),
            other => {
                Err(format!("topics '{other}'; alerts, incidents, sources and events are possible"))
            }
        };
        text.split(',').map(topic).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn has(&self, topic: Topic) -> bool {
        self.0.contains(&topic)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Topic> + '_ {
        self.0.iter().copied()
    }
}

/// A place in the order of everything: behind a whole commit, or behind one entry of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) commit: CommitNo,
    pub(super) entry: Option<u64>,
}

impl Place {
    pub(super) fn after(commit: CommitNo) -> Self {
        Self { commit, entry: None }
    }

    /// From where the log is followed to go on behind this place.
    pub(super) fn cursor(self) -> Cursor {
        let back = u64::from(self.entry.is_some());
        Cursor::after(CommitNo(self.commit.0.saturating_sub(back)))
    }

    /// Whether what stands at this entry was sent.
    pub(super) fn covers(self, commit: CommitNo, entry: u64) -> bool {
        commit < self.commit
            || (commit == self.commit && self.entry.is_none_or(|last| entry <= last))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "{}.{entry}", self.commit),
            None => self.commit.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (commit, entry) = match text.split_once('.') {
            Some((commit, entry)) => (commit, Some(entry.parse().ok())),
            None => (text, None),
        };
        let read = commit
            .parse()
            .ok()
            .filter(|_| entry != Some(None))
            .map(|commit| Self { commit: CommitNo(commit), entry: entry.flatten() });
        let shown: String = text.chars().take(64).collect();
        read.ok_or_else(|| format!("'{shown}' is no id of this stream; hand back what it sent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_as_sent_and_covers_what_came_before_it() {
        let of = |text: &str| text.parse::<Place>();
        for text in ["0", "17", "17.0", "17.3"] {
            assert_eq!(of(text).unwrap().to_string(), text);
        }
        for text in ["", "x", "1.", "1.x", "-1", "1.2.3"] {
            assert!(of(text).is_err(), "{text}");
        }
        let (whole, part) = (of("17").unwrap(), of("17.3").unwrap());
        assert!(whole.covers(CommitNo(17), 9) && !whole.covers(CommitNo(18), 0));
        assert!(part.covers(CommitNo(17), 3) && !part.covers(CommitNo(17), 4));
        assert_eq!((whole.cursor(), part.cursor()), {
            (Cursor::after(CommitNo(17)), Cursor::after(CommitNo(16)))
        });
    }
}
