//! Proofs over the tree (RFC 9162, sections 2.1.3 and 2.1.4): which subtrees' roots make one, and whether one
//! holds.

use crate::tree::{Hash, empty, node};

/// The leaves `from..to`, whose root is one hash of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leaves {
    pub from: u64,
    pub to: u64,
}

/// The largest power of two below `count`, where a tree of so many leaves divides; `count` is at least 2.
pub fn split(count: u64) -> u64 {
    1 << (count.saturating_sub(1)).checked_ilog2().unwrap_or(0)
}

/// What proves that leaf `index` is in the tree of `size` leaves: PATH of the RFC. `None` if it is not in it.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Leaves>> {
    if index >= size {
        return None;
    }
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(Leaves { from: middle, to });
            to = middle;
        } else {
            path.push(Leaves { from, to: middle });
            from = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// What proves that the tree of `new` leaves begins with that of `old`: PROOF of the RFC. Empty for equal
/// ones and where the old one is empty; `None` if the old one is larger.
pub fn consistency(old: u64, new: u64) -> Option<Vec<Leaves>> {
    if old > new {
        return None;
    }
    if old == 0 {
        return Some(Vec::new());
    }
    let (mut from, mut to) = (0, new);
    // Whether the verifier has the root of `from..old` already: it is the old tree's.
    let mut known = true;
    let mut path = Vec::new();
    while to > old {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(Leaves { from: middle, to });
            to = middle;
        } else {
            path.push(Leaves { from, to: middle });
            from = middle;
            known = false;
        }
    }
    if !known {
        path.push(Leaves { from, to });
    }
    path.reverse();
    Some(path)
}

/// Whether `path` proves that `leaf` is number `index` in the tree of `size` leaves with this root.
pub fn includes(root: &Hash, size: u64, index: u64, leaf: &Hash, path: &[Hash]) -> bool {
    let Some(mut last) = size.checked_sub(1).filter(|last| index <= *last) else { return false };
    let (mut at, mut hash) = (index, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            climb(&mut at, &mut last);
        } else {
            hash = node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// At the right edge, levels at which there is no sibling are passed over.
fn climb(at: &mut u64, last: &mut u64) {
    while *at & 1 == 0 && *at != 0 {
        (*at, *last) = (*at >> 1, *last >> 1);
    }
}

/// Whether `path` proves that the tree of `new` leaves begins with all leaves of the tree of `old`, unchanged.
pub fn extends(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    path: &[Hash],
) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    let Some(mut at) = old.checked_sub(1) else { return path.is_empty() && *old_root == empty() };
    let mut last = new - 1;
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // The old tree's own root stands in front where it is a node of the new tree.
    let (first, rest) = match path.split_first() {
        _ if old.is_power_of_two() => (old_root, path),
        Some(split) => split,
        None => return false,
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node(sibling, &old_hash);
            new_hash = node(sibling, &new_hash);
            climb(&mut at, &mut last);
        } else {
            new_hash = node(&new_hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests;
