//! How a line is recognised as a mapping's, where no type is configured for its source.

use super::super::{sniff, syslog};
use regex::bytes::Regex;

/// All of them have to hold; a line of a mapping without any is read by it only where the source says so.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Names of programs, one of which stands in the line's syslog header.
    pub(super) programs: Vec<String>,
    /// Found somewhere in the line.
    pub(super) pattern: Option<Regex>,
    /// Outermost keys that an object has.
    pub(super) keys: Vec<String>,
}

/// Where a syslog header ends at the latest.
const HEADER_BYTES_MAX: usize = 1 << 10;

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.pattern.is_none() && self.keys.is_empty()
    }

    pub(super) fn hold(&self, raw: &[u8]) -> bool {
        let has_program = || syslog::program(head(raw)).is_some_and(|it| self.names(it));
        !self.is_empty()
            && (self.programs.is_empty() || has_program())
            && (self.keys.is_empty() || sniff::has_keys(raw, &self.keys))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(raw))
    }

    pub(super) fn names(&self, program: &str) -> bool {
        self.programs.iter().any(|known| known == program)
    }
}

fn head(raw: &[u8]) -> &str {
    let head = raw.get(..raw.len().min(HEADER_BYTES_MAX)).unwrap_or_default();
    head.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default()
}
