//! What follows from detections: incidents, playbook runs, recovery tasks, and their effects on the world.
//!
//! Read in this order: [`mod@group`] and [`incident`] (alerts become incidents), [`playbook`] with [`input`],
//! [`template`] and [`expr`] (what may be done), [`run`] and [`task`] (what is decided about it), [`mod@react`]
//! (which effects a fact calls for), [`effect`] (the only place that touches the world).
//!
//! Everything but [`effect`] is pure: commands carry time and positions, decisions become facts.

pub mod effect;
pub mod expr;
pub mod group;
pub mod incident;
pub mod input;
pub mod limits;
pub mod playbook;
pub mod react;
pub mod rehearse;
pub mod rejection;
pub mod run;
pub mod task;
pub mod template;

pub use group::{Grouping, group};
pub use incident::Incident;
pub use limits::Limits;
pub use playbook::Playbook;
pub use react::{Call, Key, react};
pub use rejection::Rejection;
pub use run::Run;
pub use task::Task;

/// Bytes as lower-case hex digits.
fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}
