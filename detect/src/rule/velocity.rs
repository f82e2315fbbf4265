//! Impossible travel, in a rule's `custos:` block: of all matches only those that are too far from the one before.

use super::{
    Problem,
    block::{Block, NOT_COUNTED},
    yaml::Node,
};

const KEYS: [&str; 4] = ["by", "place", "above_kmh", "within"];
/// A start reads the log again for as long as a place is remembered.
const WITHIN_MAX: (i64, &str) = (86_400, "24h");
/// Aeroplanes fly up to so fast.
const ABOVE_KMH: u32 = 900;
/// No signal needs more.
const ABOVE_KMH_MAX: u32 = 1_000_000;
const PLACE: &str = "source.geo.location";

/// Who cannot have been in two places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Velocity {
    /// Sigma fields that say who.
    pub(crate) by: Vec<String>,
    /// The field with the place, as ECS has it: `lat` and `lon` under it, or `lat,lon` in it.
    pub(crate) place: String,
    /// Who is faster did not travel.
    pub(crate) above_kmh: u32,
    /// How long a place is remembered, in nanoseconds.
    pub(crate) within: i64,
}

/// That of a rule's document.
pub(super) fn read(document: &Node) -> Result<Option<Velocity>, Vec<Problem>> {
    let Some(mut block) = Block::find(document, "velocity", NOT_COUNTED, &KEYS)? else {
        return Ok(None);
    };
    let by = block.some_fields("by");
    let place = block.fields("place").into_iter().next().unwrap_or_else(|| PLACE.to_owned());
    let above_kmh = block.number("above_kmh", ABOVE_KMH, ABOVE_KMH_MAX);
    let why = "each start reads the log again for as long";
    let within = block.span("within", Some(WITHIN_MAX.0), WITHIN_MAX, why);
    block.done(Velocity { by, place, above_kmh, within })
}
