//! Records become detections: the Sigma reader, compiler and engine. Pure: no clock, no files.
//!
//! Read in this order: [`rule`] (a rule as read), [`logsource`] and [`fields`] (what an event is to
//! Sigma), `compile` (conditions over shared predicates), [`ruleset`] and `engine` (all rules at once),
//! [`mod@explain`], [`entity`] and [`mod@alert`] (what a match becomes).

pub mod alert;
mod compile;
mod engine;
pub mod entity;
pub mod explain;
pub mod fields;
pub mod logsource;
pub mod naive;
pub mod rule;
pub mod ruleset;

pub use alert::alert;
pub use engine::Engine;
pub use explain::explain;
pub use rule::{Parsed, Problem, Rule, RuleSource, parse};
pub use ruleset::{RuleIndex, Ruleset};
