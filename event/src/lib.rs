//! The vocabulary of Custos: what every stage says to every other one. Pure: no clock, no disk, no network.
//!
//! Read in this order: [`id`] (with [`Ends`], places at a moment) and [`time`] (where and when), [`field`], [`value`] and [`shape`] (what an
//! event is made of), [`scan`] and [`values`] (how rules see it), [`parsed`] and [`record`] (an event in memory and in bytes), [`fact`] (what
//! Custos and its people decided) with [`respond`] (incidents, runs, tasks), [`account`] (who they are), [`upkeep`] (how the log is kept),
//! [`rulebook`] (the life of a rule), [`source`] (sources that people make),
//! [`commit`] (how both enter and leave the log).

pub mod account;
pub mod commit;
pub mod decide;
pub mod ecs;
mod ends;
pub mod erasure;
pub mod fact;
pub mod field;
pub mod flatten;
pub mod id;
pub mod parsed;
mod parser;
pub mod private;
pub mod record;
pub mod respond;
pub mod rulebook;
pub mod scan;
pub mod sealed;
pub mod shape;
pub mod source;
pub mod suggest;
pub mod time;
pub mod upkeep;
pub mod value;
pub mod values;
pub mod wire;
pub mod yaml;

pub use account::{Account, AccountCommand, AccountEvent, Role, Sealed};
pub use commit::{Append, Commit, Committed, Entry, ProducerEntry, SourceRange};
pub use decide::Decider;
pub use ends::Ends;
pub use erasure::{Erasure, ErasureCommand, ErasureEvent, ErasureRejection, ErasureStage};
pub use fact::{
    Actor, Alert, Counted, Entity, EntityKind, Envelope, Fact, Matched, Publication, Sighting,
};
pub use field::{FieldId, FieldTable};
pub use id::{
    AlertId, CommitNo, Cursor, LogId, Partition, Position, RuleId, RulesetHash, Seq, ValueKey,
};
pub use parsed::{Flags, Header, ParsedEvent};
pub use parser::Parser;
pub use private::Private;
pub use respond::{IncidentId, RunId, TaskId};
pub use rulebook::{RuleStage, RuleText};
pub use scan::Scan;
pub use shape::Shape;
pub use source::SourceEvent;
pub use time::{Clock, Timestamp};
pub use upkeep::{HoldScope, UpkeepEvent};
pub use value::ValueRef;
pub use values::{Scanned, Values, Written};
