//! What is new over a real store: raised once, wherever the process ends, and the same in a replay.

use super::{Node, RULE};
use crate::pipeline::{detector::for_each_fact, replay};
use custos_detect::{Ruleset, parse};
use custos_event::{Fact, Sighting};
use custos_store::catalog::Catalog;
use std::sync::Arc;

/// A door that was never forced before.
fn rule() -> String {
    format!("{RULE}custos: {{first_seen: {{value: custos.door.name, learn: 0}}}}\n")
}

impl Node {
    /// What the journal says that rules remember.
    fn sightings(&self) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        let add = |_, envelope: custos_event::Envelope| {
            if let Fact::ValuesSeen { seen, forgotten, .. } = envelope.fact {
                assert_eq!(forgotten, 0);
                sightings.extend(seen);
            }
        };
        for_each_fact(&self.opened.store, add).unwrap();
        sightings
    }
}

#[test]
fn what_is_new_is_raised_once_wherever_the_process_ends() {
    let mut node = Node::new();
    for doors in 2..7 {
        // Doors d0 and up, one more than in the round before, each forced three times.
        node.append_forced(doors, 5, |nth| nth >= 2);
        node.detect_by(&rule(), doors % 2 == 0);
        node = node.restart();
        node.detect_by(&rule(), false);
        assert_eq!(node.alerts().len(), doors as usize);
        // Each door once, and the rule itself: nothing is told twice.
        assert_eq!(node.sightings().len(), doors as usize + 1);
    }
    let ruleset = Ruleset::compile(&parse(&rule(), "forced.yml").rules, &node.opened.table);
    let compared = replay::compare(&node.opened, Some(Arc::new(ruleset))).unwrap();
    assert!(!compared.differs() && compared.same == 6, "{compared:?}");
}

#[test]
fn what_is_known_stands_in_the_journal_alone() {
    let node = Node::new();
    node.append_forced(3, 5, |nth| nth >= 2);
    node.detect_by(&rule(), false);
    let known = |node: &Node| node.opened.journal().unwrap().memory().unwrap().len();
    assert_eq!(known(&node), 4);
    let node = node.restart();
    Catalog::delete(&node.dir.path().join("catalog")).unwrap();
    assert_eq!(known(&node), 4, "read from the journal again");
    node.append_forced(4, 5, |nth| nth >= 2);
    node.detect_by(&rule(), false);
    assert_eq!(node.alerts().len(), 4);
}
