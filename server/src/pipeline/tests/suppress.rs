//! Alike matches held back over a real store: the same alerts and the same counts, wherever the process ends.

use super::{Node, RULE};
use crate::pipeline::{detector::for_each_fact, replay};
use custos_detect::{Ruleset, parse};
use custos_event::Fact;
use std::sync::Arc;

/// One alert a door and hour.
fn rule() -> String {
    format!("{RULE}custos: {{suppress: {{by: custos.door.name, within: 1h}}}}\n")
}

impl Node {
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
        node.detect_by(&rule(), round % 2 == 0);
        node = node.restart();
        node.detect_by(&rule(), false);
        assert_eq!((node.alerts().len(), node.held_back()), (4, expected), "round {round}");
    }
    let ruleset = Ruleset::compile(&parse(&rule(), "forced.yml").rules, &node.opened.table);
    let compared = replay::compare(&node.opened, Some(Arc::new(ruleset))).unwrap();
    assert!(!compared.differs() && compared.same == 4, "{compared:?}");
}
