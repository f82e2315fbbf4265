//! Alike matches held back over a real store: the same alerts and the same counts, wherever the process ends.

use super::{Node, RULE};
use crate::pipeline::{
    detector::{Detector, activate, for_each_fact},
    follow::{Projection as _, catch_up},
    replay,
};
use custos_detect::{Ruleset, parse};
use custos_event::{Fact, Parser};
use std::{sync::Arc, time::Duration};

/// One alert a door and hour.
fn rule() -> String {
    format!("{RULE}custos: {{suppress: {{by: custos.door.name, within: 1h}}}}\n")
}

impl Node {
    fn suppressing(&self, dies: bool) {
        let parsed = parse(&rule(), "forced.yml");
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        let (store, table) = (&self.opened.store, &self.opened.table);
        let ruleset = Arc::new(Ruleset::compile(&parsed.rules, table));
        let journal = self.opened.journal().unwrap();
        activate(store, journal.ruleset().unwrap(), &ruleset, 0).unwrap();
        let cursor = journal.evaluated().unwrap();
        let mut detector = Detector::new(store.clone(), ruleset, &journal).unwrap();
        if dies {
            let commits = store.follow(&cursor).next(500, usize::MAX, Duration::ZERO).unwrap();
            detector.take(&commits, &mut Parser::new(Arc::clone(table))).unwrap();
        } else {
            catch_up(store, table, &cursor, &mut detector).unwrap();
        }
    }

    /// Matches that the journal says were held back.
    fn held_back(&self) -> u64 {
        let mut held = 0;
        let add = |_, envelope: custos_event::Envelope| {
            if let Fact::AlertSuppressed { matches, samples, .. } = envelope.fact {
                assert!(!samples.is_empty());
                held += matches;
            }
        };
        for_each_fact(&self.opened.store, add).unwrap();
        held
    }
}

#[test]
fn alike_matches_are_held_back_and_counted_once_wherever_the_process_ends() {
    let mut node = Node::new();
    let mut expected = 0;
    for round in 0..5 {
        // Doors d0 to d3, each forced three times.
        node.append_forced(4, 5, |nth| nth >= 2);
        expected += if round == 0 { 4 * 2 } else { 4 * 3 };
        node.suppressing(round % 2 == 0);
        node = node.restart();
        node.suppressing(false);
        assert_eq!((node.alerts().len(), node.held_back()), (4, expected), "round {round}");
    }
    let ruleset = Ruleset::compile(&parse(&rule(), "forced.yml").rules, &node.opened.table);
    let compared = replay::compare(&node.opened, Some(Arc::new(ruleset))).unwrap();
    assert!(!compared.differs() && compared.same == 4, "{compared:?}");
}
