//! Proofs out of a real log, against the tree made anew from its records.

use crate::common::*;
use custos_event::{LogId, Partition, commit::LogReader as _};
use custos_evidence::{
    Hash,
    proof::{extends, includes},
    tree::{Frontier, leaf},
};
use custos_store::{Options, ProofError, Prover, Store};
use std::path::Path;

const TELEMETRY: (LogId, Partition) = (LogId::TELEMETRY, Partition(0));

fn prover(store: &Store) -> Prover<'_> {
    store.prover(TELEMETRY.0, TELEMETRY.1).unwrap().unwrap()
}

/// `rounds` processes append `each` records in commits of `step`; the last process stays open. Some segments
/// are sealed, the last ones are not.
fn grow(dir: &Path, rounds: usize, each: usize, step: usize) -> Store {
    for round in 0..rounds {
        let sealing = round + 2 < rounds;
        let segment_bytes = (each as u64 * 40).max(8 << 10);
        let options = Options { segment_bytes, seal: sealing, ..options() };
        let (store, _) = Store::open(dir, options).unwrap();
        for from in (0..each).step_by(step) {
            let texts: Vec<_> = (from..(from + step).min(each))
                .map(|n| format!("round {round} record {n} {}", "x".repeat(n % 97)))
                .collect();
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            store.append_blocking(append(LogId::TELEMETRY, &texts)).unwrap();
        }
        store.wait_sealed();
        if round + 1 == rounds {
            return store;
        }
        store.close().unwrap();
    }
    panic!("no rounds");
}

/// The leaves of the log, and the root of each size.
fn naive(store: &Store) -> (Vec<Hash>, Vec<Hash>) {
    let (mut leaves, mut frontier) = (Vec::new(), Frontier::default());
    let mut roots = vec![frontier.root()];
    let end = store.next_seq(TELEMETRY.0, TELEMETRY.1);
    let mut take = |_, bytes: bytes::Bytes| {
        leaves.push(leaf(&bytes));
        frontier.add(leaf(&bytes));
        roots.push(frontier.root());
        true
    };
    store.scan(TELEMETRY.0, TELEMETRY.1, custos_event::Seq(0), end, &mut take).unwrap();
    (leaves, roots)
}

#[test]
fn every_proof_of_every_size_up_to_300_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = grow(dir.path(), 3, 100, 7);
    let (leaves, roots) = naive(&store);
    assert_eq!(leaves.len(), 300);
    let mut prover = prover(&store);
    for size in 1..=leaves.len() {
        assert_eq!(prover.root(size as u64).unwrap(), roots[size]);
        for (index, leaf) in leaves.iter().enumerate().take(size) {
            let proof = prover.inclusion(index as u64, size as u64).unwrap();
            assert_eq!(proof.leaf, *leaf);
            let (size, index) = (size as u64, index as u64);
            let root = &roots[usize::try_from(size).unwrap()];
            assert!(includes(root, size, index, &proof.leaf, &proof.path), "{index} of {size}");
        }
        for old in 0..=size {
            let path = prover.consistency(old as u64, size as u64).unwrap();
            let (before, after) = ((old as u64, &roots[old]), (size as u64, &roots[size]));
            assert!(extends(before, after, &path), "{old} in {size}");
        }
    }
}

/// Enough records for roots of 65,536 leaves, from sealed segments, closed ones, and the open one; asked again
/// by the next process, which has to find all of it on the disk.
#[test]
fn proofs_hold_over_sealed_closed_and_open_segments_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = grow(dir.path(), 5, 14_001, 900);
    let (leaves, roots) = naive(&store);
    let check = |store: &Store| {
        let mut prover = prover(store);
        let count = leaves.len() as u64;
        let mut sizes: Vec<_> = (0..60).map(|n| 1 + n * 2_251 % count).collect();
        sizes.extend([count, 65_536, 65_537, 70_000, 256, 257]);
        for size in sizes {
            let root = &roots[usize::try_from(size).unwrap()];
            for index in [0, size / 3, size / 2, size - 1] {
                let proof = prover.inclusion(index, size).unwrap();
                assert_eq!(proof.leaf, leaves[usize::try_from(index).unwrap()]);
                assert!(includes(root, size, index, &proof.leaf, &proof.path), "{index} of {size}");
                let old = &roots[usize::try_from(index).unwrap()];
                let path = prover.consistency(index, size).unwrap();
                assert!(extends((index, old), (size, root), &path), "{index} in {size}");
            }
        }
    };
    check(&store);
    store.close().unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    check(&store);
    store.wait_sealed();
    check(&store);
}

#[test]
fn what_is_not_in_the_log_has_no_proof() {
    let dir = tempfile::tempdir().unwrap();
    let store = grow(dir.path(), 1, 10, 10);
    assert!(store.prover(LogId::JOURNAL, Partition(0)).unwrap().is_none());
    let mut prover = prover(&store);
    for (index, size) in [(10, 10), (3, 11), (0, 0), (u64::MAX, u64::MAX)] {
        assert!(matches!(prover.inclusion(index, size), Err(ProofError::Beyond { .. })));
    }
    for (old, new) in [(11, 10), (3, 11)] {
        assert!(matches!(prover.consistency(old, new), Err(ProofError::Beyond { .. })));
    }
}

/// Retention drops whole segments from the front: what is left is proven under trees that have all records,
/// what is gone is not.
#[test]
fn records_behind_dropped_segments_are_still_proven() {
    let dir = tempfile::tempdir().unwrap();
    let store = grow(dir.path(), 3, 1_000, 100);
    let (leaves, roots) = naive(&store);
    store.close().unwrap();
    let files = segments(dir.path(), LogId::TELEMETRY);
    assert!(files.len() > 4, "{files:?}");
    files[..3].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let mut first = None;
    let mut take = |seq: custos_event::Seq, _| {
        first = Some(seq.0);
        false
    };
    let end = custos_event::Seq(leaves.len() as u64);
    store.scan(TELEMETRY.0, TELEMETRY.1, custos_event::Seq(0), end, &mut take).unwrap();
    let first = first.unwrap();
    let mut prover = prover(&store);
    let size = leaves.len() as u64;
    let root = &roots[leaves.len()];
    for index in first..size {
        let proof = prover.inclusion(index, size).unwrap();
        assert_eq!(proof.leaf, leaves[usize::try_from(index).unwrap()]);
        assert!(includes(root, size, index, &proof.leaf, &proof.path), "{index}");
        let path = prover.consistency(index, size).unwrap();
        let old = &roots[usize::try_from(index).unwrap()];
        assert!(extends((index, old), (size, root), &path), "{index} in {size}");
    }
    assert!(matches!(prover.inclusion(first - 1, size), Err(ProofError::Dropped { .. })));
}

/// A damaged block: what its records would have proven is refused, never wrong; the rest is proven.
#[test]
fn no_wrong_proof_comes_out_of_a_damaged_segment() {
    let dir = tempfile::tempdir().unwrap();
    let store = grow(dir.path(), 3, 1_000, 100);
    let (leaves, roots) = naive(&store);
    store.close().unwrap();
    let files = segments(dir.path(), LogId::TELEMETRY);
    let mut bytes = std::fs::read(&files[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&files[1], bytes).unwrap();
    let (store, _) = Store::open(dir.path(), options()).unwrap();
    let mut prover = prover(&store);
    let (size, mut held) = (leaves.len() as u64, 0);
    for index in 0..size {
        match prover.inclusion(index, size) {
            Ok(proof) => {
                let root = &roots[leaves.len()];
                assert!(includes(root, size, index, &proof.leaf, &proof.path));
                held += 1;
            }
            Err(ProofError::Damaged { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(held >= 1_500 && held < leaves.len(), "{held}");
}
