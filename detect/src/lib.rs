//! Records become detections: the Sigma reader, compiler and engine. Pure: no clock, no files.
//!
//! Read in this order: [`rule`] (a rule as read), [`logsource`] and [`fields`] (what an event is to
//! Sigma), `compile` (conditions over shared predicates), [`ruleset`] and `engine` (all rules at once),
//! [`mod@explain`] and [`mod@why_not`], [`entity`] and [`mod@alert`] (what a match becomes), [`correlate`] and [`watch`]
//! (matches counted, and alerts from a log), [`suppress`] (alike ones held back), [`mod@rulebook`] (which rules run where), [`cases`]
//! (what a rule is held against).

pub mod alert;
mod baseline;
pub mod cases;
mod compile;
pub mod correlate;
mod engine;
pub mod entity;
pub mod explain;
pub mod fields;
mod judge;
pub mod lint;
pub mod logsource;
pub mod memory;
pub mod naive;
pub mod rule;
pub mod rulebook;
pub mod ruleset;
pub mod suppress;
mod travel;
pub mod watch;
pub mod why_not;

pub use alert::alert;
pub use baseline::Missed;
pub use correlate::{Correlator, Fired, Firings, Hit, Incomplete, link::problems};
pub use engine::Engine;
pub use explain::explain;
pub use memory::{Learned, Memory};
pub use rule::{Parsed, Problem, Rule, RuleSource, list::unfilled, parse};
pub use rulebook::Rulebook;
pub use ruleset::{RuleIndex, Ruleset};
pub use suppress::Suppressed;
pub use watch::{Seen, Watch};
pub use why_not::why_not;
