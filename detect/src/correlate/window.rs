//! Whether some window of a group's hits holds.

use super::state::{Group, Kept};
use crate::rule::{
    Expr,
    correlation::{Amount, Correlation, Measure},
};
use custos_event::Timestamp;
use hashbrown::HashMap;
use std::{collections::VecDeque, ops::Range};

/// A window that holds: a range of the group's hits.
#[derive(Debug, PartialEq)]
pub(super) struct Window {
    pub(super) hits: Range<usize>,
    /// The time of its last hit.
    pub(super) end: Timestamp,
    /// What was counted or measured.
    pub(super) measured: f64,
}

/// The first window, by its end, that holds and has a hit of the time `new` in it. A window ends at a
/// hit and reaches back by the time span, both ends included. One whose end is within a time span of an
/// alert's is passed over: two alerts of a group have no event in common.
pub(super) fn holding(group: &Group, new: Timestamp, correlation: &Correlation) -> Option<Window> {
    let span = correlation.timespan;
    let hits = &group.hits;
    let before = |time: i64| hits.partition_point(|hit| hit.time.0 < time);
    let mut ends = before(new.0)..before(new.0.saturating_add(span).saturating_add(1));
    let quiet = |end: Timestamp| {
        group.fired.iter().any(|(fired, _)| fired.0.abs_diff(end.0) <= span.unsigned_abs())
    };
    let mut gauge = Gauge::new(&correlation.measure);
    let (mut low, mut high) =
        (before(new.0.saturating_sub(span)), before(new.0.saturating_sub(span)));
    while let Some(end) = ends.next().and_then(|at| hits.get(at)).map(|hit| hit.time) {
        let above = before(end.0.saturating_add(1));
        ends.start = ends.start.max(above);
        if quiet(end) {
            continue;
        }
        for hit in hits.range(high..above) {
            gauge.push(hit, span);
        }
        high = above;
        while let Some(hit) = hits.get(low).filter(|hit| hit.time.0 < end.0.saturating_sub(span)) {
            gauge.pop(hit);
            low += 1;
        }
        let measured = gauge.measured(low..high, end.0.saturating_sub(span));
        if correlation.holds(measured) {
            return Some(Window { hits: low..high, end, measured });
        }
    }
    None
}

/// What the hits between two places amount to; both places only move on.
enum Gauge<'g> {
    Events,
    Values(HashMap<&'g str, u32>),
    Rules(Vec<u32>),
    /// By number of rules that matched in their order: when the latest such row began.
    RulesInOrder(Vec<i64>),
    /// How often each rule matched, and what is asked of those that did.
    RulesThat(Vec<u32>, &'g Expr),
    /// All numbers, in order of size.
    Numbers(Vec<f64>, Amount),
}

impl<'g> Gauge<'g> {
    fn new(measure: &'g Measure) -> Self {
        match measure {
            Measure::Events => Self::Events,
            Measure::Values(_) => Self::Values(HashMap::new()),
            Measure::Rules => Self::Rules(vec![0; 64]),
            Measure::RulesInOrder => Self::RulesInOrder(Vec::new()),
            Measure::RulesThat(expr) => Self::RulesThat(vec![0; 64], expr),
            Measure::Numbers(amount, _) => Self::Numbers(Vec::new(), *amount),
        }
    }

    fn push(&mut self, hit: &'g Kept, span: i64) {
        match self {
            Self::Events => {}
            Self::Values(counts) => {
                hit.counted
                    .iter()
                    .for_each(|value| *counts.entry(&*value.folded).or_insert(0) += 1);
            }
            Self::Rules(counts) | Self::RulesThat(counts, _) => {
                bits(hit.rules).for_each(|bit| counts[bit] += 1);
            }
            Self::RulesInOrder(rows) => extend(rows, hit, span),
            Self::Numbers(sorted, _) => {
                for number in &hit.numbers {
                    let at = sorted.partition_point(|other| other.total_cmp(number).is_lt());
                    sorted.insert(at, *number);
                }
            }
        }
    }

    fn pop(&mut self, hit: &'g Kept) {
        match self {
            Self::Events | Self::RulesInOrder(_) => {}
            Self::Values(counts) => hit.counted.iter().for_each(|value| {
                if let Some(count) = counts.get_mut(&*value.folded) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&*value.folded);
                    }
                }
            }),
            Self::Rules(counts) | Self::RulesThat(counts, _) => {
                bits(hit.rules).for_each(|bit| counts[bit] -= 1);
            }
            Self::Numbers(sorted, _) => {
                for number in &hit.numbers {
                    let at = sorted.partition_point(|other| other.total_cmp(number).is_lt());
                    if at < sorted.len() {
                        sorted.remove(at);
                    }
                }
            }
        }
    }

    fn measured(&self, hits: Range<usize>, start: i64) -> f64 {
        let count = match self {
            Self::Events => hits.len(),
            Self::Values(counts) => counts.len(),
            Self::Rules(counts) => counts.iter().filter(|count| **count > 0).count(),
            Self::RulesInOrder(rows) => {
                rows.iter().rposition(|began| *began >= start).map_or(0, |at| at + 1)
            }
            Self::RulesThat(counts, expr) => {
                usize::from(expr.holds(&|rule| counts.get(rule).is_some_and(|count| *count > 0)))
            }
            Self::Numbers(sorted, amount) => return amount_of(*amount, sorted),
        };
        #[expect(clippy::cast_precision_loss, reason = "a window has at most some thousand hits")]
        let count = count as f64;
        count
    }
}

/// What numbers in order of size amount to; not a number where there are none, which no bound holds of.
/// Summed up afresh each time: nothing is left of what went.
fn amount_of(amount: Amount, sorted: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a window has at most some thousand numbers")]
    let count = sorted.len() as f64;
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    if sorted.is_empty() {
        return f64::NAN;
    }
    match amount {
        Amount::Sum => sorted.iter().sum(),
        Amount::Average => sorted.iter().sum::<f64>() / count,
        Amount::Median if sorted.len().is_multiple_of(2) => {
            f64::midpoint(at(sorted.len() / 2 - 1), at(sorted.len() / 2))
        }
        Amount::Median => at(sorted.len() / 2),
        Amount::Percentile(percent) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place among the numbers: from 0 to their count"
            )]
            let rank = (percent / 100.0 * count).ceil() as usize;
            at(rank.clamp(1, sorted.len()) - 1)
        }
    }
}

fn bits(rules: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |bit| rules & (1 << bit) != 0)
}

/// Lets a hit continue rows of rules in order, longest first: one event is one step of a row.
fn extend(rows: &mut Vec<i64>, hit: &Kept, span: i64) {
    let steps: Vec<usize> = bits(hit.rules).collect();
    for step in steps.into_iter().rev() {
        let began = match step.checked_sub(1) {
            None => hit.time.0,
            Some(before) => match rows.get(before) {
                Some(began) if hit.time.0.saturating_sub(*began) <= span => *began,
                Some(_) | None => continue,
            },
        };
        match rows.get_mut(step) {
            Some(known) => *known = began.max(*known),
            None => rows.push(began),
        }
    }
}

/// The distinct counted values of some hits, in log order of their first hit.
pub(super) fn counted(hits: &VecDeque<Kept>, window: &Range<usize>) -> Vec<String> {
    let mut in_order: Vec<&Kept> = hits.range(window.clone()).collect();
    in_order.sort_unstable_by_key(|hit| hit.number);
    let mut seen = hashbrown::HashSet::new();
    let values = in_order.into_iter().flat_map(|hit| hit.counted.iter());
    values.filter(|value| seen.insert(&*value.folded)).map(|value| value.own().to_owned()).collect()
}
