//! What readers keep: opened sealed segments and decoded blocks, the least recently used dropped first.

use crate::{
    block::Block,
    disk::Disk,
    error::StoreError,
    keys::Masters,
    opened::{BlockRef, Opened},
    stream::Segment,
};
use custos_event::{LogId, Partition};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// 64 opened segments: 64 file descriptors, and about 64 × 120 KiB of index and dictionary.
const OPENED_MAX: usize = 64;

/// A block's place; the key number tells a segment from its rewriting.
pub(crate) type BlockKey = (LogId, Partition, u64, u32, u64);

pub(crate) fn block_key(opened: &Opened, block: &BlockRef) -> BlockKey {
    let header = &opened.header;
    (header.log, header.partition, header.number, header.key, block.at)
}

struct Lru<K, V> {
    held: HashMap<K, (V, usize, u64)>,
    weight: usize,
    weight_max: usize,
    tick: u64,
}

impl<K: Hash + Eq + Copy, V: Clone> Lru<K, V> {
    fn forget(&mut self, key: &K) {
        self.weight -= self.held.remove(key).map_or(0, |(_, weight, _)| weight);
    }

    fn new(weight_max: usize) -> Self {
        Self { held: HashMap::new(), weight: 0, weight_max, tick: 0 }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        self.tick += 1;
        let (value, _, used) = self.held.get_mut(key)?;
        *used = self.tick;
        Some(value.clone())
    }

    fn put(&mut self, key: K, value: V, weight: usize) {
        self.tick += 1;
        if let Some((_, old, _)) = self.held.insert(key, (value, weight, self.tick)) {
            self.weight -= old;
        }
        self.weight += weight;
        // The newest stays even if it alone is too heavy: its reader is about to ask again.
        while self.weight > self.weight_max && self.held.len() > 1 {
            let oldest = self.held.iter().min_by_key(|(_, (_, _, used))| *used);
            let Some(key) = oldest.map(|(key, _)| *key) else { break };
            self.weight -= self.held.remove(&key).map_or(0, |(_, weight, _)| weight);
        }
    }
}

pub(crate) struct Cache {
    opened: Mutex<Lru<(LogId, Partition, u64), Arc<Opened>>>,
    blocks: Mutex<Lru<BlockKey, Arc<Block>>>,
}

impl Cache {
    pub(crate) fn new(block_bytes: usize) -> Self {
        let opened = Mutex::new(Lru::new(OPENED_MAX));
        Self { opened, blocks: Mutex::new(Lru::new(block_bytes)) }
    }

    pub(crate) fn opened(
        &self,
        disk: &Disk,
        (log, partition): (LogId, Partition),
        segment: &Segment,
        masters: &Masters,
    ) -> Result<Arc<Opened>, StoreError> {
        if let Some(live) = &segment.live {
            return Ok(Arc::clone(live));
        }
        let key = (log, partition, segment.number);
        if let Some(opened) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(opened);
        }
        let opened = Arc::new(Opened::sealed(disk, &segment.path, masters)?);
        let mut held = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        held.put(key, Arc::clone(&opened), 1);
        Ok(opened)
    }

    /// The file of this number is gone or is another one.
    pub(crate) fn forget(&self, (log, partition): (LogId, Partition), number: u64) {
        let mut held = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        held.forget(&(log, partition, number));
    }

    pub(crate) fn block(&self, opened: &Opened, at: &BlockRef) -> Result<Arc<Block>, StoreError> {
        let key = block_key(opened, at);
        if let Some(block) = self.blocks.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(block);
        }
        let block = Arc::new(opened.read_block(at)?.1);
        let weight = block.weight();
        let mut held = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        held.put(key, Arc::clone(&block), weight);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_once_the_weight_is_over_its_bound() {
        let mut lru = Lru::new(10);
        lru.put('a', 1, 5);
        lru.put('b', 2, 5);
        assert_eq!((lru.get(&'a'), lru.get(&'b'), lru.weight), (Some(1), Some(2), 10), "just full");
        lru.get(&'a');
        lru.put('c', 3, 1);
        assert_eq!((lru.get(&'a'), lru.get(&'b'), lru.weight), (Some(1), None, 6));
        lru.put('a', 4, 2);
        assert_eq!((lru.get(&'a'), lru.weight), (Some(4), 3), "replaced, and weighed anew");
        lru.put('d', 5, 99);
        assert_eq!((lru.get(&'d'), lru.held.len(), lru.weight), (Some(5), 1, 99), "alone it stays");
        lru.forget(&'d');
        assert_eq!((lru.get(&'d'), lru.weight), (None, 0));
    }
}
