//! A condition as jumps: test a predicate, go on here or there. Terms that cannot change the outcome are
//! never tested.

use crate::compile::Cond;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) predicate: u32,
    pub(crate) yes: u32,
    pub(crate) no: u32,
}

/// Where a program ends.
pub(crate) const MATCH: u32 = u32::MAX;
pub(crate) const MISS: u32 = u32::MAX - 1;

/// Appends the steps of `cond` and returns the first one.
pub(crate) fn lay(cond: &Cond, yes: u32, no: u32, steps: &mut Vec<Step>) -> u32 {
    match cond {
        Cond::Const(true) => yes,
        Cond::Const(false) => no,
        Cond::Is(predicate) => {
            steps.push(Step { predicate: *predicate, yes, no });
            u32::try_from(steps.len() - 1).unwrap_or(MISS)
        }
        Cond::Not(inner) => lay(inner, no, yes, steps),
        Cond::All(terms) => terms.iter().rev().fold(yes, |next, term| lay(term, next, no, steps)),
        Cond::Any(terms) => terms.iter().rev().fold(no, |next, term| lay(term, yes, next, steps)),
    }
}

/// Runs from `first`; `holds` answers for predicates.
pub(crate) fn run(steps: &[Step], first: u32, mut holds: impl FnMut(u32) -> bool) -> bool {
    let mut at = first;
    loop {
        match at {
            MATCH => return true,
            MISS => return false,
            _ => {
                let step = steps[at as usize];
                at = if holds(step.predicate) { step.yes } else { step.no };
            }
        }
    }
}

/// A set of predicates of which one holds whenever the condition does, the cheapest by `cost`; `None`
/// when the condition may hold without any.
pub(crate) fn trigger(cond: &Cond, cost: &impl Fn(u32) -> u32) -> Option<(u32, Vec<u32>)> {
    match cond {
        Cond::Is(predicate) => Some((cost(*predicate), vec![*predicate])),
        Cond::All(terms) => {
            let triggers = terms.iter().filter_map(|term| trigger(term, cost));
            triggers.min_by_key(|(cost, set)| (*cost, set.len()))
        }
        Cond::Any(terms) => {
            let mut union = (0_u32, Vec::new());
            for term in terms {
                let (cost, set) = trigger(term, cost)?;
                union.0 = union.0.saturating_add(cost);
                union.1.extend(set);
            }
            Some(union)
        }
        Cond::Const(false) => Some((0, Vec::new())),
        Cond::Const(true) | Cond::Not(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(n: u32) -> Cond {
        Cond::Is(n)
    }

    fn check(cond: &Cond, bits: u32, expected: bool) {
        let mut steps = Vec::new();
        let first = lay(cond, MATCH, MISS, &mut steps);
        assert_eq!(run(&steps, first, |n| bits & 1 << n != 0), expected, "{cond:?} {bits:b}");
    }

    #[test]
    fn a_program_gives_what_its_condition_says() {
        let cond = Cond::All(vec![
            Cond::Any(vec![is(0), is(1)]),
            Cond::Not(Box::new(Cond::All(vec![is(2), Cond::Not(Box::new(is(3)))]))),
        ]);
        for bits in 0..16 {
            let bit = |n: u32| bits & 1 << n != 0;
            check(&cond, bits, (bit(0) || bit(1)) && (!bit(2) || bit(3)));
        }
    }

    #[test]
    fn a_trigger_is_the_cheapest_set_that_has_to_be_hit() {
        let cost = |n: u32| n;
        let either = Cond::Any(vec![is(1), is(2)]);
        let cond = Cond::All(vec![is(9), either.clone(), Cond::Not(Box::new(is(0)))]);
        assert_eq!(trigger(&cond, &cost), Some((3, vec![1, 2])));
        assert_eq!(trigger(&Cond::Not(Box::new(either)), &cost), None);
    }
}
