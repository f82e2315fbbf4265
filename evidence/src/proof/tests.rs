//! Every proof of every tree up to 300 leaves against the definition, and published ones.

#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::*;
use crate::{hex, tree::leaf, unhex};
use std::{cell::RefCell, collections::HashMap};

/// The leaves that the RFC's own text speaks of, with every root of every range looked up in one table.
struct Naive {
    leaves: Vec<Hash>,
    known: RefCell<HashMap<(usize, usize), Hash>>,
}

impl Naive {
    fn new(count: u32) -> Self {
        Self::of((0..count).map(|n| leaf(&n.to_le_bytes())).collect())
    }

    fn of(leaves: Vec<Hash>) -> Self {
        Self { leaves, known: RefCell::default() }
    }

    /// RFC 9162, section 2.1.1, word for word.
    fn root(&self, from: usize, to: usize) -> Hash {
        match to - from {
            0 => empty(),
            1 => self.leaves[from],
            count => {
                if let Some(known) = self.known.borrow().get(&(from, to)) {
                    return *known;
                }
                let middle = from + (1 << (count - 1).ilog2());
                let root = node(&self.root(from, middle), &self.root(middle, to));
                self.known.borrow_mut().insert((from, to), root);
                root
            }
        }
    }

    /// Section 2.1.3.1, word for word.
    fn path(&self, m: usize, from: usize, to: usize) -> Vec<Hash> {
        if to - from == 1 {
            return Vec::new();
        }
        let middle = from + (1 << (to - from - 1).ilog2());
        let (mut path, other) = if m < middle {
            (self.path(m, from, middle), self.root(middle, to))
        } else {
            (self.path(m, middle, to), self.root(from, middle))
        };
        path.push(other);
        path
    }

    /// Section 2.1.4.1, word for word.
    fn subproof(&self, m: usize, from: usize, to: usize, known: bool) -> Vec<Hash> {
        if m == to {
            return if known { Vec::new() } else { vec![self.root(from, to)] };
        }
        let middle = from + (1 << (to - from - 1).ilog2());
        let (mut path, other) = if m <= middle {
            (self.subproof(m, from, middle, known), self.root(middle, to))
        } else {
            (self.subproof(m, middle, to, false), self.root(from, middle))
        };
        path.push(other);
        path
    }

    fn hashes(&self, ranges: &[Leaves]) -> Vec<Hash> {
        let of = |leaves: &Leaves| {
            self.root(usize::try_from(leaves.from).unwrap(), usize::try_from(leaves.to).unwrap())
        };
        ranges.iter().map(of).collect()
    }
}

const SIZE: u32 = 300;

#[test]
fn every_inclusion_proof_up_to_300_leaves_is_that_of_the_definition_and_holds() {
    let naive = Naive::new(SIZE);
    for size in 1..=u64::from(SIZE) {
        let count = usize::try_from(size).unwrap();
        let root = naive.root(0, count);
        for index in 0..size {
            let at = usize::try_from(index).unwrap();
            let path = naive.hashes(&inclusion(index, size).unwrap());
            assert_eq!(path, naive.path(at, 0, count), "{index} of {size}");
            assert!(includes(&root, size, index, &naive.leaves[at], &path), "{index} of {size}");
        }
        assert_eq!(inclusion(size, size), None);
    }
}

#[test]
fn every_consistency_proof_up_to_300_leaves_is_that_of_the_definition_and_holds() {
    let naive = Naive::new(SIZE);
    let count = usize::try_from(SIZE).unwrap();
    let roots: Vec<_> = (0..=count).map(|size| naive.root(0, size)).collect();
    for new in 0..=count {
        for old in 0..=new {
            let (m, n) = (old as u64, new as u64);
            let path = naive.hashes(&consistency(m, n).unwrap());
            if old > 0 {
                assert_eq!(path, naive.subproof(old, 0, new, true), "{old} in {new}");
            }
            assert!(extends((m, &roots[old]), (n, &roots[new]), &path), "{old} in {new}");
        }
        assert_eq!(consistency(new as u64 + 1, new as u64), None);
    }
}

/// Every other index, size, leaf and every single changed, missing or added hash is refused.
#[test]
fn no_changed_inclusion_proof_holds() {
    let naive = Naive::new(40);
    for size in 1..=40_u64 {
        let root = naive.root(0, usize::try_from(size).unwrap());
        for index in 0..size {
            let leaf = naive.leaves[usize::try_from(index).unwrap()];
            let path = naive.hashes(&inclusion(index, size).unwrap());
            for other in (0..=size).filter(|other| *other != index) {
                assert!(!includes(&root, size, other, &leaf, &path), "{index} as {other}");
            }
            for at in 0..path.len() {
                let mut changed = path.clone();
                changed[at][7] ^= 1;
                assert!(!includes(&root, size, index, &leaf, &changed));
                changed.remove(at);
                assert!(!includes(&root, size, index, &leaf, &changed));
            }
            assert!(!includes(&root, size, index, &leaf, &[path.clone(), vec![root]].concat()));
            assert!(!includes(&root, size, index, &crate::tree::leaf(b"x"), &path));
        }
    }
}

#[test]
fn no_changed_consistency_proof_holds() {
    let naive = Naive::new(40);
    let roots: Vec<_> = (0..=40).map(|size| naive.root(0, size)).collect();
    for new in 1..=40_usize {
        for old in 1..new {
            let path = naive.hashes(&consistency(old as u64, new as u64).unwrap());
            let holds = |old: usize, old_root: &Hash, path: &[Hash]| {
                extends((old as u64, old_root), (new as u64, &roots[new]), path)
            };
            for other in (0..=40).filter(|other| *other != old) {
                assert!(!holds(old, &roots[other], &path), "{other} for {old} in {new}");
            }
            for at in 0..path.len() {
                let mut changed = path.clone();
                changed[at][31] ^= 0x80;
                assert!(!holds(old, &roots[old], &changed), "{old} in {new}, hash {at}");
                changed.remove(at);
                assert!(!holds(old, &roots[old], &changed), "{old} in {new}, without {at}");
            }
            assert!(!holds(old, &roots[old], &[path.clone(), vec![roots[1]]].concat()));
        }
    }
}

/// The test tree of Certificate Transparency's reference implementation: eight leaves, four paths, four proofs.
fn published() -> Naive {
    let records = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let bytes = |text: &str| -> Vec<u8> {
        (0..text.len() / 2).map(|n| unhex::<1>(&text[2 * n..2 * n + 2]).unwrap()[0]).collect()
    };
    Naive::of(records.iter().map(|text| leaf(&bytes(text))).collect())
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| unhex(text).unwrap()).collect()
}

#[test]
fn the_published_roots_and_paths_of_certificate_transparency_hold() {
    let naive = published();
    let roots = [
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ];
    for (size, root) in roots {
        assert_eq!(hex(&naive.root(0, size)), root, "size {size}");
    }
    let inclusions: [(u64, u64, &[&str]); 4] = [
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (index, size, path) in inclusions {
        let (at, count) = (usize::try_from(index).unwrap(), usize::try_from(size).unwrap());
        let path = hashes(path);
        assert_eq!(naive.hashes(&inclusion(index, size).unwrap()), path, "{index} of {size}");
        assert!(includes(&naive.root(0, count), size, index, &naive.leaves[at], &path));
    }
}

#[test]
fn the_published_consistency_proofs_of_certificate_transparency_hold() {
    let naive = published();
    let consistencies: [(u64, u64, &[&str]); 4] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (old, new, path) in consistencies {
        let (m, n) = (usize::try_from(old).unwrap(), usize::try_from(new).unwrap());
        let path = hashes(path);
        assert_eq!(naive.hashes(&consistency(old, new).unwrap()), path, "{old} in {new}");
        assert!(extends((old, &naive.root(0, m)), (new, &naive.root(0, n)), &path));
    }
}

#[test]
fn sizes_at_the_end_of_numbers_neither_panic_nor_hold() {
    let hash = [7; 32];
    for size in [0, 1, u64::MAX - 1, u64::MAX] {
        for index in [0, 1, 1 << 63, u64::MAX - 1, u64::MAX] {
            assert!(!includes(&hash, size, index, &leaf(b""), &[hash; 70]));
            assert!(!extends((index, &leaf(b"")), (size, &hash), &[hash; 70]));
            assert!(inclusion(index, size).is_none_or(|path| path.len() <= 64));
            assert!(consistency(index, size).is_none_or(|path| path.len() <= 65));
        }
    }
}
