//! How often each rule hit, and what people made of it.

use super::board::Board;
use custos_event::{Fact, Position, RuleId, Timestamp, respond::Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules that are counted: four times the public corpus. Later ones are not, and the log has them.
const RULES_MAX: usize = 20_000;

/// One rule's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleHits {
    pub(crate) hits: u64,
    /// Event time of the newest.
    pub(crate) last: Timestamp,
    pub(crate) verdicts: Verdicts,
    #[serde(default)]
    pub(crate) shadow: InShadow,
}

/// What the version that was last in shadow matched there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InShadow {
    pub(crate) version: String,
    pub(crate) matches: u64,
    /// Event time of the newest.
    pub(crate) last: Timestamp,
    /// Some of the newest events.
    pub(crate) samples: Vec<Position>,
}

/// Events that are at hand of a rule in shadow; the facts name more.
const SAMPLES_MAX: usize = 20;

/// Alerts by their newest verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdicts {
    pub(crate) true_positive: u64,
    pub(crate) false_positive: u64,
    pub(crate) benign: u64,
}

impl Verdicts {
    fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::TruePositive => &mut self.true_positive,
            Verdict::FalsePositive => &mut self.false_positive,
            Verdict::Benign => &mut self.benign,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hits(BTreeMap<RuleId, RuleHits>);

impl Hits {
    pub(crate) fn load(rows: impl Iterator<Item = (RuleId, RuleHits)>) -> Self {
        Self(rows.collect())
    }

    /// Which rule's counts changed. `board`: as it was before this fact.
    pub(crate) fn apply(&mut self, fact: &Fact, board: &Board) -> Option<RuleId> {
        if let Fact::AlertRaised(alert) = fact {
            let hits = self.of(&alert.rule)?;
            hits.hits += 1;
            hits.last = hits.last.max(alert.time);
            return Some(alert.rule.clone());
        }
        if let Fact::ShadowMatched { rule, version, matches, last, samples, .. } = fact {
            let shadow = &mut self.of(rule)?.shadow;
            if shadow.version != *version {
                *shadow = InShadow { version: version.clone(), ..InShadow::default() };
            }
            shadow.matches += matches;
            shadow.last = shadow.last.max(*last);
            shadow.samples.extend(samples);
            let old = shadow.samples.len().saturating_sub(SAMPLES_MAX);
            shadow.samples.drain(..old);
            return Some(rule.clone());
        }
        let Fact::AlertJudged { alert, verdict, .. } = fact else { return None };
        let row = board.get(*alert)?;
        let hits = self.of(&row.rule)?;
        if let Some(before) = &row.judged {
            let count = hits.verdicts.of(before.verdict);
            *count = count.saturating_sub(1);
        }
        *hits.verdicts.of(*verdict) += 1;
        Some(row.rule.clone())
    }

    fn of(&mut self, rule: &RuleId) -> Option<&mut RuleHits> {
        if !self.0.contains_key(rule) && self.0.len() >= RULES_MAX {
            return None;
        }
        Some(self.0.entry(rule.clone()).or_default())
    }

    pub(crate) fn get(&self, rule: &RuleId) -> RuleHits {
        self.0.get(rule).cloned().unwrap_or_default()
    }
}
