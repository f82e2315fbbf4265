//! Correlations: matches of other rules, counted by group in sliding windows of event time.
//!
//! Read in this order: `link` (which rules feed which correlation), [`hit`] (what one event gives them;
//! no state, any thread), [`correlator`] (hits in log order in, firings out), `state` (the hits at hand,
//! bounded), `window` (whether some window of them holds).
//!
//! What decides, so that a restart and a replay decide alike:
//! - A hit is kept for its correlation's time span and [`LATENESS`] more of *log* time (the commits'
//!   `appended_at`, which never goes back), and within the limits the newest in log order stay. So the
//!   hits at hand are those of the last stretch of the log, whatever came before.
//! - That an alert was raised is read from the journal, not computed again.

pub mod correlator;
pub mod hit;
pub(crate) mod link;
mod state;
mod window;

pub use correlator::{Correlator, Fired, Firings, Incomplete};
pub use hit::Hit;
pub use state::Limits;

use custos_event::time::NANOS_PER_SEC;

/// An event that comes later than this may miss others of its window. 15 minutes cover a source that is
/// read again after a restart or ships in batches; a longer one costs memory, and re-reading at a start.
pub const LATENESS: i64 = 15 * 60 * NANOS_PER_SEC;

/// A source whose clock is ahead counts at most this much ahead.
pub const AHEAD: i64 = 5 * 60 * NANOS_PER_SEC;
