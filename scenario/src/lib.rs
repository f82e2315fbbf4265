//! A day at a payments company, made from a seed: what its doors, tills, machines, sensors, customer system and
//! backups say, in the formats they really use, with six attacks inside. For demos, drills and loads.
//!
//! Pure: the same seed and the same end give the same bytes. [`Day`] is the written day, [`Traffic`] goes on
//! for ever without any attack. Inside: a [`cast`](Cast) of people and places drawn from the seed, one
//! [`form`] a source, the [`office`] and the [`machines`] as the background, [`almost`] for what looks bad
//! and is not, and one file a [`story`].

mod almost;
mod cast;
mod day;
mod form;
mod machines;
mod office;
mod offset;
mod random;
mod script;
mod story;
mod topic;
mod traffic;

pub use cast::Cast;
pub use day::Day;
pub use offset::Offset;
pub use script::Event;
pub use story::Story;
pub use topic::Topic;
pub use traffic::Traffic;
