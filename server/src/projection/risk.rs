//! Who is at risk: what the alerts about somebody or something add up to, older ones for less.
//!
//! A fold of the board at one moment and nothing that is kept: a page of the past has the past's scores.

use super::board::{Board, Row};
use custos_event::{
    AlertId, Entity, EntityKind, RuleId, Timestamp, respond::Verdict, time::NANOS_PER_SEC,
};
use std::collections::HashMap;

/// After a day an alert weighs half.
pub(crate) const HALF_LIFE_SECS: i64 = 86_400;

/// What is older than 14 half-lives weighs less than a part in ten thousand.
const REACH_SECS: i64 = 14 * HALF_LIFE_SECS;

/// Scores from which on somebody is at this level: one alert alone keeps its own level for ten hours (0.75 of its weight).
const LEVELS: [(f64, &str); 3] = [(75.0, "critical"), (37.5, "high"), (15.0, "medium")];

/// One entity's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Risk {
    pub(crate) entity: Entity,
    pub(crate) score: f64,
    pub(crate) alerts: usize,
    pub(crate) newest: Timestamp,
    /// What weighs most, by rule.
    pub(crate) rules: Vec<RuleShare>,
}

/// What one rule's alerts add.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RuleShare {
    pub(crate) rule: RuleId,
    /// The one that weighs most.
    pub(crate) alert: AlertId,
    pub(crate) title: Box<str>,
    pub(crate) title_zh: Box<str>,
    pub(crate) score: f64,
    pub(crate) alerts: usize,
}

impl Risk {
    pub(crate) fn level(&self) -> &'static str {
        let reached = LEVELS.iter().find(|(from, _)| self.score >= *from);
        reached.map_or("low", |(_, level)| level)
    }
}

/// What an alert weighs on the day it is raised; nothing once somebody said that nothing was wrong.
fn weight(row: &Row) -> f64 {
    let judged = row.judged.as_ref().map(|judged| judged.verdict);
    if matches!(judged, Some(Verdict::FalsePositive | Verdict::Benign)) {
        return 0.0;
    }
    let of_level = || match &*row.level {
        "critical" => 100,
        "high" => 50,
        "medium" => 20,
        "low" => 5,
        _ => 1,
    };
    row.risk.unwrap_or_else(of_level).into()
}

#[expect(clippy::cast_precision_loss, reason = "seconds to weigh with, not to reckon with")]
fn decay(age_secs: i64) -> f64 {
    0.5_f64.powf(age_secs.max(0) as f64 / HALF_LIFE_SECS as f64)
}

/// All that alerts are about, those at the highest risk first.
pub(crate) fn scores(board: &Board, now: Timestamp) -> Vec<Risk> {
    let from = now.plus_secs(-REACH_SECS);
    // Upper and lower case are the same; what is shown is the newest spelling.
    let mut found: HashMap<(EntityKind, String), OfEntity<'_>> = HashMap::new();
    for row in board.newest().take_while(|row| row.raised_at >= from) {
        let age = (now.0 - row.raised_at.0) / NANOS_PER_SEC;
        let weight = weight(row) * decay(age);
        if weight > 0.0 {
            for entity in &row.entities {
                let name = (entity.kind, entity.value.to_lowercase());
                let of_entity =
                    found.entry(name).or_insert_with(|| OfEntity { entity, rules: HashMap::new() });
                of_entity.rules.entry(&row.rule).or_default().push((weight, row));
            }
        }
    }
    let mut risks: Vec<Risk> = found.into_values().filter_map(risk).collect();
    let by_score = |a: &Risk, b: &Risk| b.score.total_cmp(&a.score).then(a.entity.cmp(&b.entity));
    risks.sort_unstable_by(by_score);
    risks
}

struct OfEntity<'b> {
    entity: &'b Entity,
    rules: HashMap<&'b RuleId, Vec<(f64, &'b Row)>>,
}

fn risk(OfEntity { entity, rules }: OfEntity<'_>) -> Option<Risk> {
    let newest = rules.values().flatten().map(|(_, row)| row.time).max()?;
    let mut shares: Vec<RuleShare> = rules.into_values().filter_map(share).collect();
    shares.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.rule.cmp(&b.rule)));
    Some(Risk {
        entity: entity.clone(),
        score: shares.iter().map(|share| share.score).sum(),
        alerts: shares.iter().map(|share| share.alerts).sum(),
        newest,
        rules: shares,
    })
}

/// The second alert of a rule weighs a third of the first, the tenth a thirtieth (n to the power of -1.5): together never
/// more than 2.62 of them, so that one loud rule does not drown what several rules saw.
fn share(mut alerts: Vec<(f64, &Row)>) -> Option<RuleShare> {
    alerts.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.seq.cmp(&a.1.seq)));
    let (_, first) = alerts.first()?;
    let nth = (1_u32..).map(|nth| f64::from(nth).powf(-1.5));
    Some(RuleShare {
        rule: first.rule.clone(),
        alert: first.id,
        title: first.title.clone(),
        title_zh: first.title_zh.clone(),
        score: alerts.iter().zip(nth).map(|((weight, _), share)| weight * share).sum(),
        alerts: alerts.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::board::Judged;
    use custos_event::{Actor, Seq};

    const NOW: Timestamp = Timestamp(1_795_507_200 * NANOS_PER_SEC);

    fn row(seq: u64, rule: &str, level: &str, days_ago: i64, about: &[&str]) -> Row {
        let named = |value: &&str| Entity { kind: EntityKind::User, value: (*value).into() };
        let at = NOW.plus_secs(-days_ago * 86_400);
        Row {
            seq: Seq(seq),
            id: AlertId([u8::try_from(seq).unwrap(); 16]),
            rule: RuleId(rule.into()),
            title: rule.into(),
            title_zh: "".into(),
            level: level.into(),
            risk: None,
            time: at,
            raised_at: at,
            entities: about.iter().map(named).collect(),
            events: Box::default(),
            acknowledged: None,
            judged: None,
            incident: None,
            suppressed: crate::projection::board::Suppressed::default(),
        }
    }

    fn shown(rows: Vec<Row>) -> Vec<(String, i64, &'static str)> {
        let board = Board::load(rows.into_iter(), 0);
        let risks = scores(&board, NOW).into_iter();
        #[expect(clippy::cast_possible_truncation, reason = "small numbers to compare")]
        risks.map(|it| (it.entity.value.clone(), it.score.round() as i64, it.level())).collect()
    }

    #[test]
    fn several_rules_add_up_and_one_loud_rule_does_not() {
        let mut rows =
            vec![row(0, "a", "high", 0, &["mia"]), row(1, "b", "high", 0, &["MIA", "li"])];
        rows.extend((2..102).map(|seq| row(seq, "loud", "low", 0, &["root"])));
        let expected = [("MIA", 100, "critical"), ("li", 50, "high"), ("root", 12, "low")];
        assert_eq!(shown(rows), expected.map(|(who, score, level)| (who.to_owned(), score, level)));
    }

    #[test]
    fn a_day_halves_and_a_verdict_clears() {
        let mut cleared = row(2, "c", "critical", 0, &["li"]);
        let judged = |verdict| Judged {
            at: NOW,
            by: Actor::System { part: "t".into() },
            verdict,
            reason: "".into(),
        };
        cleared.judged = Some(judged(Verdict::FalsePositive));
        let mut true_one = row(3, "d", "medium", 1, &["mia"]);
        true_one.judged = Some(judged(Verdict::TruePositive));
        let mut own = row(4, "e", "low", 0, &["root"]);
        own.risk = Some(60);
        // The board is in the order of the journal: the oldest first.
        let rows = vec![
            row(0, "a", "critical", 15, &["old"]),
            row(1, "b", "high", 2, &["mia"]),
            true_one,
            cleared,
            own,
        ];
        let expected = [("root", 60, "high"), ("mia", 23, "medium")];
        assert_eq!(shown(rows), expected.map(|(who, score, level)| (who.to_owned(), score, level)));
    }
}
