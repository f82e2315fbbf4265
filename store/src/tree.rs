//! The Merkle tree over a log's records: the code is the verifier's own, so that both mean the same tree.

pub use custos_evidence::tree::{Frontier, Hash, NODE_LEVEL, leaf, node};

/// Leaves below one kept node.
pub(crate) const GROUP: u64 = 1 << NODE_LEVEL;

/// Stands in the tree for a record that was lost; nobody knows bytes whose SHA-256 is zero.
pub(crate) const LOST: Hash = [0; 32];
