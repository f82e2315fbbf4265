//! What is new or rare, in a rule's `custos:` block: of all matches only those whose values were not seen before.

use super::{
    Problem,
    block::{Block, NOT_COUNTED, span_text},
    yaml::Node,
};
use custos_event::time::NANOS_PER_SEC;
use std::fmt;

const KEYS: [&str; 5] = ["value", "by", "remember", "learn", "at_most"];
/// A year: longer ago is as if never.
const REMEMBER_MAX: (i64, &str) = (366 * 86_400, "366d");
const REMEMBER_SECS: i64 = 30 * 86_400;
const LEARN_SECS: i64 = 7 * 86_400;
/// What was seen more often is not rare.
const AT_MOST_MAX: u32 = 100;

/// Which values a match has to bring for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FirstSeen {
    /// Sigma fields whose values together are new or known.
    pub(crate) value: Vec<String>,
    /// Sigma fields whose values say for whom: each has its own memory. One for all, where there are none.
    pub(crate) by: Vec<String>,
    /// A value that did not come for so long is new again; in nanoseconds.
    pub(crate) remember: i64,
    /// What comes within so long of the first that was seen of somebody is only learned; in nanoseconds.
    pub(crate) learn: i64,
    /// The match with a value that was seen so often, this one included, still counts.
    pub(crate) at_most: u32,
}

/// That of a rule's document.
pub(super) fn read(document: &Node) -> Result<Option<FirstSeen>, Vec<Problem>> {
    let Some(mut block) = Block::find(document, "first_seen", NOT_COUNTED, &KEYS)? else {
        return Ok(None);
    };
    let value = block.some_fields("value");
    let by = block.fields("by");
    let why = "what was last seen longer ago counts as never seen";
    let remember = block.span("remember", Some(REMEMBER_SECS), REMEMBER_MAX, why);
    let why = "a rule that learns for longer finds nothing for as long";
    let learn = block.span("learn", Some(LEARN_SECS), REMEMBER_MAX, why);
    block.unless(learn < remember, "'learn' has to be shorter than 'remember'");
    let at_most = block.number("at_most", 1, AT_MOST_MAX);
    block.done(FirstSeen { value, by, remember, learn, at_most })
}

/// In no language: it stands in alerts.
impl fmt::Display for FirstSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "≤ {} / {}", self.at_most, span_text(self.remember / NANOS_PER_SEC))
    }
}
