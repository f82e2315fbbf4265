//! What values met before answer. Logs repeat themselves: the same programs, users and hosts come in event
//! after event, and what a value answers depends on the plan, its field and itself alone.
//!
//! 4,096 places, each for one value of at most 256 bytes and at most 64 answers: with its share of buffers
//! at most 2.5 MiB an engine. A new value takes the place of the one whose hash falls there.

use custos_event::Written;
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

const PLACES: usize = 4_096;
/// Longer texts seldom come twice.
const TEXT_BYTES_MAX: usize = 256;
const ANSWERS_MAX: usize = 64;

const HASH: FixedState = FixedState::with_seed(0x0063_7573_746f_7332);

#[derive(Debug)]
pub(super) struct Memo(Vec<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    hash: u64,
    /// Plan and field.
    of: u64,
    kind: u8,
    bits: u64,
    text: String,
    answers: Vec<u32>,
}

/// How often the values of one field are met again; what never comes again is not worth a look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    score: u8,
    waiting: u16,
}

impl Default for Chance {
    fn default() -> Self {
        Self { score: Self::START, waiting: 0 }
    }
}

impl Chance {
    const START: u8 = 32;
    const MAX: u8 = 128;
    /// Values of a field given up until it is tried again: three in a hundred looks are spent on trying.
    const WAIT: u16 = 1_024;

    fn is_worth(&mut self) -> bool {
        if self.score == 0 {
            self.waiting += 1;
            if self.waiting == Self::WAIT {
                *self = Self::default();
            }
        }
        self.score > 0
    }

    /// One value met again pays for the vain looks at three others.
    fn learn(&mut self, was_known: bool) {
        let score = if was_known { self.score.saturating_add(3) } else { self.score - 1 };
        self.score = score.min(Self::MAX);
    }
}

impl Memo {
    pub(super) fn new() -> Self {
        Self(vec![Known::default(); PLACES])
    }

    /// The predicates that a value answers: remembered, or found by `find`, which adds them to the list.
    pub(super) fn answers<'m>(
        &'m mut self,
        of: u64,
        written: Written<'_>,
        chance: &mut Chance,
        found: &'m mut Vec<u32>,
        find: impl FnOnce(&mut Vec<u32>),
    ) -> &'m [u32] {
        found.clear();
        if written.text.len() > TEXT_BYTES_MAX || !chance.is_worth() {
            find(found);
            return found;
        }
        let hash = HASH.hash_one((of, written.kind, written.bits, written.text));
        let known = &mut self.0[usize::try_from(hash).unwrap_or(0) % PLACES];
        let is_known = known.is(hash, of, written);
        chance.learn(is_known);
        if is_known {
            return &known.answers;
        }
        find(found);
        if found.len() <= ANSWERS_MAX {
            known.become_one(hash, of, written, found);
        }
        found
    }
}

impl Known {
    fn is(&self, hash: u64, of: u64, written: Written<'_>) -> bool {
        self.hash == hash
            && (self.of, self.kind, self.bits) == (of, written.kind, written.bits)
            && self.text == written.text
    }

    fn become_one(&mut self, hash: u64, of: u64, written: Written<'_>, answers: &[u32]) {
        (self.hash, self.of, self.kind, self.bits) = (hash, of, written.kind, written.bits);
        self.text.clear();
        self.text.push_str(written.text);
        self.answers.clear();
        self.answers.extend_from_slice(answers);
        self.answers.sort_unstable();
        self.answers.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_remembered_for_its_field_alone() {
        let (mut memo, mut chance, mut buffer) = (Memo::new(), Chance::default(), Vec::new());
        let text = |text| Written { kind: Written::TEXT, bits: 0, text };
        let mut ask = |of, value, answer: &[u32]| {
            memo.answers(of, value, &mut chance, &mut buffer, |found| found.extend(answer)).to_vec()
        };
        assert_eq!(ask(1, text("a"), &[7]), [7]);
        assert_eq!(ask(1, text("a"), &[8]), [7]);
        assert_eq!(ask(2, text("a"), &[8]), [8]);
        assert_eq!(ask(1, Written { kind: Written::ESCAPED, ..text("a") }, &[9]), [9]);
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert_eq!(ask(1, text(&long), &[1]), [1]);
        assert_eq!(ask(1, text(&long), &[2]), [2]);
    }

    #[test]
    fn a_field_that_never_repeats_is_given_up_and_tried_again() {
        let mut chance = Chance::default();
        let mut looks = 0;
        for _ in 0..2_200 {
            if chance.is_worth() {
                chance.learn(false);
                looks += 1;
            }
        }
        assert_eq!(looks, 3 * u32::from(Chance::START));
    }
}
