//! Torn, corrupt or undecided: what damage means, judged by what is known to have been durable.

use crate::scan::Damage;
use custos_event::{CommitNo, Seq};

/// What is known of a log besides its own damaged bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Witness {
    /// The highest commit that some frame or segment header, of any log, calls durable.
    pub(crate) synced_through: CommitNo,
    /// Commits up to there that no whole frame of any log holds.
    pub(crate) missing: bool,
    /// How many records of this log the largest known checkpoint counts.
    pub(crate) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The end of a write that was never finished, nor acknowledged.
    Torn,
    /// Bytes that were durable are not what they were.
    Corrupt,
    /// A last frame that has all its bytes, some of them wrong, and no witness either way.
    Undecided,
}

/// Judges damage that begins where record `next` should stand. `followed`: whole frames of this log come
/// after it.
pub(crate) fn judge(damage: &Damage, next: Seq, followed: bool, witness: &Witness) -> Verdict {
    let vouched = match &damage.framed {
        Some(framed) => framed.header.first_commit <= witness.synced_through,
        None => witness.missing,
    };
    if followed || vouched || next.0 < witness.size {
        return Verdict::Corrupt;
    }
    if damage.unfinished { Verdict::Torn } else { Verdict::Undecided }
}
