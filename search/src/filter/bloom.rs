//! A split-block Bloom filter (Putze, Sanders, Singler 2007; Apache Parquet's layout): one key sets eight
//! bits of one 32-byte block, so that a question costs one read of 32 bytes.

/// A block: eight words, one bit of each a key.
pub(crate) type Block = [u32; 8];

pub(crate) const BLOCK_BYTES: usize = 32;

/// 8 bits a key: about 1 in 40 answers "maybe" for a key that is absent. A query asks several.
const BITS_A_KEY: usize = 8;

/// Odd multipliers of the Parquet specification.
const SALTS: Block = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

fn mask(key: u64) -> Block {
    let [a, b, c, d, ..] = key.to_le_bytes();
    let low = u32::from_le_bytes([a, b, c, d]);
    SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

/// The block that `key` lives in, of so many.
pub(crate) fn block_of(key: u64, blocks: u32) -> u32 {
    // A 32-bit number times a 32-bit number, shifted, is a 32-bit number.
    u32::try_from(((key >> 32) * u64::from(blocks)) >> 32).unwrap_or(0)
}

/// Whether a block may hold `key`.
pub(crate) fn may_hold(block: &[u8; BLOCK_BYTES], key: u64) -> bool {
    let (words, _) = block.as_chunks::<4>();
    words.iter().zip(mask(key)).all(|(word, bit)| u32::from_le_bytes(*word) & bit != 0)
}

/// The filter of so many keys, in bytes.
pub(crate) fn build(count: usize, keys: impl Iterator<Item = u64>) -> Vec<u8> {
    let blocks = (count * BITS_A_KEY).div_ceil(BLOCK_BYTES * 8).max(1);
    let mut filter = vec![[0_u32; 8]; blocks];
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    for key in keys {
        if let Some(block) = filter.get_mut(block_of(key, blocks) as usize) {
            for (word, bit) in block.iter_mut().zip(mask(key)) {
                *word |= bit;
            }
        }
    }
    filter.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::key::hash;
    use super::*;

    fn holds(filter: &[u8], key: u64) -> bool {
        let (blocks, _) = filter.as_chunks::<BLOCK_BYTES>();
        may_hold(&blocks[block_of(key, u32::try_from(blocks.len()).unwrap()) as usize], key)
    }

    #[test]
    fn no_key_is_missed_and_few_are_made_up() {
        let keys: Vec<u64> = (0..20_000_u64).map(|n| hash(&n.to_le_bytes())).collect();
        let filter = build(10_000, keys[..10_000].iter().copied());
        assert_eq!(filter.len() % BLOCK_BYTES, 0);
        assert!(keys[..10_000].iter().all(|key| holds(&filter, *key)));
        let made_up = keys[10_000..].iter().filter(|key| holds(&filter, **key)).count();
        assert!(made_up < 400, "{made_up} of 10,000");
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        assert!(!holds(&build(0, std::iter::empty()), 7));
    }
}
