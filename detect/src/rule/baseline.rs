//! What is more than usual, in a rule's `custos:` block: of all matches only those with which somebody's total in a
//! stretch of time leaves what it was on their own days before.

use super::{
    Problem,
    block::{Block, NOT_COUNTED, span_text},
    yaml::Node,
};
use custos_event::time::NANOS_PER_SEC;

const KEYS: [&str; 7] = ["by", "sum", "every", "above", "at_least", "learn", "remember"];
const DAY_SECS: i64 = 86_400;
const DAY: (i64, &str) = (DAY_SECS, "1d");
/// A day of one costs 16 bytes of memory, and of a hundred thousand 1.6 MB.
const REMEMBER_MAX: (i64, &str) = (90 * DAY_SECS, "90d");
const REMEMBER_SECS: i64 = 30 * DAY_SECS;
const LEARN_SECS: i64 = 7 * DAY_SECS;
const EVERY_SECS: i64 = 3_600;
const EVERY_MIN_SECS: i64 = 60;
/// A thousand times what is usual is beyond any doubt.
const ABOVE: u32 = 3;
const ABOVE_MAX: u32 = 1_000;
/// Of less nobody wants to hear, whatever is usual.
const AT_LEAST: u32 = 10;

/// From when on a total is more than usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Baseline {
    /// Sigma fields whose values say whose: each has its own. One for all, where there are none.
    pub(crate) by: Vec<String>,
    /// The number that is added up; matches are counted without one.
    pub(crate) sum: Option<String>,
    /// The stretches of a day that are compared, from midnight in UTC.
    pub(crate) every_secs: i64,
    /// So many times what is usual.
    pub(crate) above: u32,
    /// And at least so much.
    pub(crate) at_least: u32,
    /// Days on which something came, before anything is raised.
    pub(crate) learn_days: usize,
    /// Days that count.
    pub(crate) remember_days: i32,
}

impl Baseline {
    /// What is asked for where so much is usual; in no language: it stands in alerts.
    pub(crate) fn pattern(&self, usual: f64) -> String {
        format!("> {} × {usual} / {}", self.above, span_text(self.every_secs))
    }
}

/// That of a rule's document.
pub(super) fn read(document: &Node) -> Result<Option<Baseline>, Vec<Problem>> {
    let Some(mut block) = Block::find(document, "baseline", NOT_COUNTED, &KEYS)? else {
        return Ok(None);
    };
    let by = block.fields("by");
    let sum = block.fields("sum");
    block.unless(sum.len() <= 1, "'sum' is one field, as in 'custos.crm.records'");
    let why = "a day is compared with days";
    let every_secs = block.span("every", Some(EVERY_SECS), DAY, why) / NANOS_PER_SEC;
    block.unless(
        every_secs >= EVERY_MIN_SECS && DAY_SECS % every_secs == 0,
        "'every' is at least 1m and a day holds it a whole number of times, as 15m, 1h, 8h, 1d",
    );
    let above = block.number("above", ABOVE, ABOVE_MAX);
    let at_least = block.number("at_least", AT_LEAST, u32::MAX);
    let why = "what is usual changes";
    let remember = block.span("remember", Some(REMEMBER_SECS), REMEMBER_MAX, why) / NANOS_PER_SEC;
    let learn = block.span("learn", Some(LEARN_SECS), REMEMBER_MAX, why) / NANOS_PER_SEC;
    let are_days = |secs: i64| secs >= DAY_SECS && secs % DAY_SECS == 0;
    block.unless(are_days(learn) && are_days(remember), "'learn' and 'remember' are whole days");
    block.unless(learn <= remember, "'learn' has to be no longer than 'remember'");
    let days = |secs: i64| i32::try_from(secs / DAY_SECS).unwrap_or(i32::MAX);
    let (learn_days, remember_days) = (usize::try_from(days(learn)).unwrap_or(1), days(remember));
    let sum = sum.into_iter().next();
    block.done(Baseline { by, sum, every_secs, above, at_least, learn_days, remember_days })
}
