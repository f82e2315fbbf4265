//! The Merkle tree over a log's records (RFC 9162, section 2.1): leaf and node hashes, the right edge
//! that grows with each record, and the root.

use sha2::{Digest, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// Nodes are kept from this level up: 256 leaves each, 32 bytes for about 190 KB of records; the
/// 255 below are 0.2 ms of hashing away.
pub const NODE_LEVEL: u32 = 8;

/// The root of a tree without leaves.
pub fn empty() -> Hash {
    Sha256::digest([]).into()
}

/// SHA-256(0x00 ‖ record).
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    let (_, hashes) = bytes.split_at_mut(1);
    let (to_left, to_right) = hashes.split_at_mut(32);
    to_left.copy_from_slice(left);
    to_right.copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// The roots of the complete subtrees that a tree's leaves fall into, largest first: all that is needed
/// to go on growing it, one hash for each bit set in its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// `None` if a tree of that size has another number of peaks.
    pub fn new(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds a leaf, for who keeps no nodes.
    pub fn add(&mut self, leaf: Hash) {
        self.push(leaf, &mut Vec::new());
    }

    /// Adds a leaf; the node of [`NODE_LEVEL`] that it completes, if any, goes to `nodes`.
    pub fn push(&mut self, leaf: Hash, nodes: &mut Vec<Hash>) {
        let mut hash = leaf;
        for level in 1..=self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node(&left, &hash);
            if level == NODE_LEVEL {
                nodes.push(hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// Adds a whole subtree of 2^`level` leaves by its root, where one may begin; false elsewhere.
    pub fn graft(&mut self, level: u32, root: Hash) -> bool {
        let Some(leaves) =
            1_u64.checked_shl(level).filter(|count| self.size.is_multiple_of(*count))
        else {
            return false;
        };
        let mut hash = root;
        for _ in 0..(self.size >> level).trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node(&left, &hash);
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(leaves);
        true
    }

    /// The tree's root; of no leaves, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty() };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    /// RFC 9162, section 2.1.1, word for word.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            more => {
                let k = 1 << (more.len() - 1).ilog2();
                node(&naive(&more[..k]), &naive(&more[k..]))
            }
        }
    }

    #[test]
    fn every_root_up_to_600_leaves_is_the_one_of_the_definition() {
        let leaves: Vec<_> = (0_u32..600).map(|n| leaf(&n.to_le_bytes())).collect();
        let (mut frontier, mut nodes) = (Frontier::default(), Vec::new());
        for size in 0..=leaves.len() {
            assert_eq!(frontier.root(), naive(&leaves[..size]), "size {size}");
            assert_eq!(nodes.len(), size / 256);
            if let Some(next) = leaves.get(size) {
                frontier.push(*next, &mut nodes);
            }
        }
        assert_eq!(nodes, [naive(&leaves[..256]), naive(&leaves[256..512])]);
    }

    #[test]
    fn the_published_vectors_of_certificate_transparency_hold() {
        let records: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut frontier = Frontier::default();
        for record in records {
            frontier.push(leaf(record), &mut Vec::new());
        }
        let root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
        assert_eq!(hex(&frontier.root()), root);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(&Frontier::default().root()), empty);
    }

    #[test]
    fn a_tree_grows_by_whole_subtrees_as_by_their_leaves() {
        let leaves: Vec<_> = (0_u32..64).map(|n| leaf(&n.to_le_bytes())).collect();
        let mut grafted = Frontier::default();
        for (from, level) in [(0, 2), (4, 2), (8, 0), (9, 0), (10, 1), (12, 2), (16, 4), (32, 5)] {
            assert!(grafted.graft(level, naive(&leaves[from..from + (1 << level)])), "at {from}");
            let mut whole = Frontier::default();
            leaves[..from + (1 << level)].iter().for_each(|leaf| whole.add(*leaf));
            assert_eq!(grafted, whole);
        }
        grafted.add(leaves[0]);
        assert!(!grafted.graft(1, leaves[0]), "65 leaves end within a pair");
    }

    #[test]
    fn a_frontier_is_refused_when_its_peaks_do_not_fit_its_size() {
        assert!(Frontier::new(3, vec![[0; 32]]).is_none());
        assert!(Frontier::new(3, vec![[0; 32]; 2]).is_some());
    }
}
