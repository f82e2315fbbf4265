//! What is known of retention, holds, damage and scrubs: a fold of their facts, without clock or disk.

use custos_event::{Actor, Fact, HoldScope, LogId, Seq, Timestamp, UpkeepEvent};
use std::collections::{BTreeMap, VecDeque};

/// Drops and damages that a page shows; all of them are in the journal.
const SHOWN_MAX: usize = 100;

/// A legal hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hold {
    pub(crate) scope: HoldScope,
    pub(crate) reason: String,
    pub(crate) by: Actor,
    pub(crate) at: Timestamp,
    pub(crate) lifted: Option<Lifted>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lifted {
    pub(crate) at: Timestamp,
    pub(crate) by: Actor,
    pub(crate) reason: String,
}

/// Records that retention let go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drop {
    pub(crate) log: LogId,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) bytes: u64,
    pub(crate) through: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
}

/// Records that were found damaged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Damage {
    pub(crate) log: LogId,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
    /// When, and from which backup, they were put back.
    pub(crate) repaired: Option<(Timestamp, String)>,
}

/// The last scrub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scrubbed {
    pub(crate) at: Timestamp,
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    pub(crate) damaged: u64,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) holds: BTreeMap<String, Hold>,
    /// The newest last.
    pub(crate) drops: VecDeque<Drop>,
    pub(crate) dropped_bytes: u64,
    pub(crate) damages: VecDeque<Damage>,
    pub(crate) scrubbed: Option<Scrubbed>,
}

impl Kept {
    pub(crate) fn apply(&mut self, at: Timestamp, by: &Actor, fact: &Fact) {
        if let Fact::RangeQuarantined { log, first, last, reason } = fact {
            self.damage(at, (*log, *first, *last), reason);
        }
        let Fact::Upkeep { event } = fact else { return };
        match event.clone() {
            UpkeepEvent::LegalHoldPlaced { hold, scope, reason } => {
                let placed = Hold { scope, reason, by: by.clone(), at, lifted: None };
                self.holds.entry(hold).or_insert(placed);
            }
            UpkeepEvent::LegalHoldLifted { hold, reason } => {
                let lifted = Lifted { at, by: by.clone(), reason };
                if let Some(hold) = self.holds.get_mut(&hold) {
                    hold.lifted.get_or_insert(lifted);
                }
            }
            UpkeepEvent::SegmentsDropped { log, first, last, bytes, through, reason, .. } => {
                self.dropped_bytes = self.dropped_bytes.saturating_add(bytes);
                self.drops.push_back(Drop { log, first, last, bytes, through, at, reason });
                if self.drops.len() > SHOWN_MAX {
                    self.drops.pop_front();
                }
            }
            UpkeepEvent::RangeRepaired { log, first, last, backup, .. } => {
                let same = |damage: &&mut Damage| {
                    (damage.log, damage.first, damage.last) == (log, first, last)
                };
                for damage in self.damages.iter_mut().filter(same) {
                    damage.repaired.get_or_insert((at, backup.clone()));
                }
            }
            UpkeepEvent::ScrubCompleted { segments, bytes, damaged } => {
                self.scrubbed = Some(Scrubbed { at, segments, bytes, damaged });
            }
            UpkeepEvent::BackupCreated { .. }
            | UpkeepEvent::BackupFailed { .. }
            | UpkeepEvent::BackupVerified { .. }
            | UpkeepEvent::BackupsPruned { .. }
            | UpkeepEvent::RestoreDrilled { .. }
            | UpkeepEvent::Restored { .. } => {}
        }
    }

    /// A range may be told twice where a process ended in between; it is damaged once.
    fn damage(&mut self, at: Timestamp, (log, first, last): (LogId, Seq, Seq), reason: &str) {
        let same = |damage: &Damage| {
            (damage.log, damage.first, damage.last) == (log, first, last)
                && damage.repaired.is_none()
        };
        if self.damages.iter().any(same) {
            return;
        }
        let reason = reason.to_owned();
        self.damages.push_back(Damage { log, first, last, reason, at, repaired: None });
        if self.damages.len() > SHOWN_MAX {
            self.damages.pop_front();
        }
    }

    /// The holds that hold.
    pub(crate) fn standing(&self) -> impl Iterator<Item = (&String, &Hold)> {
        self.holds.iter().filter(|(_, hold)| hold.lifted.is_none())
    }

    /// The name of the next hold.
    pub(crate) fn next_hold(&self) -> String {
        format!("HOLD-{:06}", self.holds.len() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(kept: &mut Kept, secs: i64, event: UpkeepEvent) {
        let by = Actor::User { name: "lena".into() };
        kept.apply(Timestamp::from_secs(secs), &by, &Fact::Upkeep { event });
    }

    #[test]
    fn a_hold_holds_until_it_is_lifted_once() {
        let mut kept = Kept::default();
        let scope = HoldScope::Source { source: "kafka:doors".into() };
        let (hold, reason) = (kept.next_hold(), "case 4711".to_owned());
        apply(&mut kept, 1, UpkeepEvent::LegalHoldPlaced { hold: hold.clone(), scope, reason });
        assert_eq!((kept.standing().count(), kept.next_hold()), (1, "HOLD-000002".into()));
        for (secs, reason) in [(2, "settled"), (3, "again")] {
            let (hold, reason) = (hold.clone(), reason.to_owned());
            apply(&mut kept, secs, UpkeepEvent::LegalHoldLifted { hold, reason });
        }
        assert_eq!(kept.standing().count(), 0);
        let lifted = kept.holds[&hold].lifted.as_ref().unwrap();
        assert_eq!((lifted.at, lifted.reason.as_str()), (Timestamp::from_secs(2), "settled"));
    }

    #[test]
    fn a_range_is_damaged_once_until_it_is_repaired() {
        let mut kept = Kept::default();
        let (log, first, last) = (LogId::TELEMETRY, Seq(3), Seq(9));
        let by = Actor::System { part: "scrub".into() };
        let fact = Fact::RangeQuarantined { log, first, last, reason: "a bit".into() };
        let damaged = |kept: &mut Kept| kept.apply(Timestamp::from_secs(1), &by, &fact);
        damaged(&mut kept);
        damaged(&mut kept);
        assert_eq!(kept.damages.len(), 1);
        let (from, backup) = ("/b".into(), "B".into());
        apply(&mut kept, 5, UpkeepEvent::RangeRepaired { log, first, last, from, backup });
        assert_eq!(kept.damages[0].repaired, Some((Timestamp::from_secs(5), "B".into())));
        damaged(&mut kept);
        assert_eq!(kept.damages.len(), 2, "damaged again");
    }
}
