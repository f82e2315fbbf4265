//! A process that is asked to end while it still recalls the log, or while it is far behind it.

use super::{CORRELATIONS, Node, wandering};
use crate::pipeline::{
    detector::Detector,
    follow::{feed, follow},
};
use custos_detect::{Ruleset, parse};
use custos_event::{Cursor, Parser};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A node that has half of the log before it when `work` ends at a stop: nothing of it is evaluated, and a later process
/// ends with the same alerts as one that was never stopped.
fn ends_unfed(work: impl FnOnce(&Node, &Cursor, &mut Detector, &CancellationToken)) {
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
        let ruleset = Ruleset::compile(&parse(CORRELATIONS, "rules.yml").rules, &node.opened.table);
        let journal = node.opened.journal().unwrap();
        let mut detector =
            Detector::new(node.opened.store.clone(), Arc::new(ruleset), &journal).unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        work(&node, &before, &mut detector, &stop);
    }
    assert_eq!((evaluated(), node.alerts().len()), (before, raised), "nothing was evaluated");
    node.correlate();
    let ids = |node: &Node| -> Vec<_> { node.alerts().iter().map(|alert| alert.id).collect() };
    assert!(ids(&node).len() > raised && ids(&node) == ids(&whole), "{raised}");
}

#[test]
fn a_stop_while_the_log_is_recalled_is_heard_at_once_and_loses_nothing() {
    ends_unfed(|node, before, detector, stop| {
        follow(&node.opened.store, &node.opened.table, before, detector, stop).unwrap();
    });
}

#[test]
fn what_a_stop_leaves_no_time_for_is_taken_in_after_the_next_start() {
    ends_unfed(|node, before, detector, stop| {
        let mut parser = Parser::new(Arc::clone(&node.opened.table));
        feed(&node.opened.store, before, detector, &mut parser, (stop, Duration::ZERO)).unwrap();
    });
}
