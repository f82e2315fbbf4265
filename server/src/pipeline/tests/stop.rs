//! A process that is asked to end while it still recalls the log.

use super::{CORRELATIONS, Node, wandering};
use crate::pipeline::{detector::Detector, follow::follow};
use custos_detect::{Ruleset, parse};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[test]
fn a_stop_while_the_log_is_recalled_is_heard_at_once_and_loses_nothing() {
    let commits = wandering(40);
    let (whole, node) = (Node::new(), Node::new());
    for commit in &commits {
        whole.append_refusals(commit);
    }
    whole.correlate();
    let (first, rest) = commits.split_at(20);
    for commit in first {
        node.append_refusals(commit);
    }
    node.correlate();
    let raised = node.alerts().len();
    for commit in rest {
        node.append_refusals(commit);
    }
    let node = node.restart();
    let evaluated = || node.opened.journal().unwrap().evaluated().unwrap();
    let before = evaluated();
    {
        let (store, table) = (&node.opened.store, &node.opened.table);
        let ruleset = Ruleset::compile(&parse(CORRELATIONS, "rules.yml").rules, table);
        let journal = node.opened.journal().unwrap();
        let mut detector = Detector::new(store.clone(), Arc::new(ruleset), &journal).unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        follow(store, table, &before, &mut detector, &stop).unwrap();
    }
    assert_eq!((evaluated(), node.alerts().len()), (before, raised), "nothing was evaluated");
    node.correlate();
    let ids = |node: &Node| -> Vec<_> { node.alerts().iter().map(|alert| alert.id).collect() };
    assert!(ids(&node).len() > raised && ids(&node) == ids(&whole), "{raised}");
}
