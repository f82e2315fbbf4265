//! Reads events of one thread: remembers the names it has met, so that it locks nothing for them, and the
//! order that keys came in, so that it seldom looks one up.

use crate::{
    field::{FieldId, FieldTable, Node},
    scan::{self, Scan},
    shape::Shape,
};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::{hash::BuildHasher, sync::Arc};

/// What one thread knows of names.
#[derive(Debug, Clone)]
pub struct Parser {
    table: Arc<FieldTable>,
    edges: Vec<Edge>,
    by_key: HashTable<u32>,
    /// All keys, each with the quote and the colon that stand behind it in JSON.
    keys: String,
    /// By node: the edge that the last object there began with.
    first: Vec<u32>,
    /// Where events are scanned, reused.
    pub(crate) scan: Scan,
}

#[derive(Debug, Clone)]
struct Edge {
    from: Node,
    key: (u32, u32),
    to: Node,
    field: FieldId,
    /// The edge that came after this one the last time.
    next: u32,
    /// The key stands in JSON as it is, without escapes.
    is_plain: bool,
}

/// One key read: where it leads, and the field that a value found there belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) edge: u32,
    pub(crate) to: Node,
    pub(crate) field: FieldId,
}

/// No edge yet, or none that is remembered.
pub(crate) const NO_EDGE: u32 = u32::MAX;

/// What stands behind a key.
const BEHIND: &str = "\":";

const HASH: FixedState = FixedState::with_seed(0x0063_7573_746f_7321);

fn hash(node: Node, key: &str) -> u64 {
    HASH.hash_one((node, key))
}

impl Parser {
    pub fn new(table: Arc<FieldTable>) -> Self {
        Self {
            table,
            edges: Vec::new(),
            by_key: HashTable::new(),
            keys: String::new(),
            first: Vec::new(),
            scan: Scan::default(),
        }
    }

    pub fn table(&self) -> &Arc<FieldTable> {
        &self.table
    }

    /// Scans the JSON object `text`, whose keys are those of `shape`, into `scan`. False where the scanner
    /// does not read on; that alone says nothing against the text.
    pub fn scan(&mut self, shape: Shape, text: &str, scan: &mut Scan) -> bool {
        scan::scan(self, shape, text, scan).is_some()
    }

    /// Where `key` leads from `node`, and the field that a value found there belongs to.
    pub(crate) fn child(&mut self, node: Node, key: &str) -> (Node, FieldId) {
        let step = self.step(node, NO_EDGE, key);
        (step.to, step.field)
    }

    /// The step that the same objects took here the last time, after `before`, if `rest` begins with its
    /// key, closing quote and colon; and the length of these.
    #[inline]
    pub(crate) fn expected(&self, node: Node, before: u32, rest: &[u8]) -> Option<(Step, usize)> {
        let guess = match self.edges.get(before as usize) {
            Some(edge) => edge.next,
            None => *self.first.get(node.0 as usize)?,
        };
        let edge = self.edges.get(guess as usize)?;
        let key = self.keys.as_bytes().get(edge.key.0 as usize..edge.key.1 as usize + 2)?;
        let found = edge.is_plain && edge.from == node && rest.starts_with(key);
        found.then_some((Step { edge: guess, to: edge.to, field: edge.field }, key.len()))
    }

    /// The step from `node` by `key`; it is expected after `before` from now on.
    pub(crate) fn step(&mut self, node: Node, before: u32, key: &str) -> Step {
        let text = |edge: &Edge| self.keys.get(edge.key.0 as usize..edge.key.1 as usize);
        let same = |number: &u32| {
            let edge = self.edges.get(*number as usize);
            edge.is_some_and(|edge| edge.from == node && text(edge) == Some(key))
        };
        let known = self.by_key.find(hash(node, key), same).copied();
        let number = known.unwrap_or(NO_EDGE);
        let step = match self.edges.get(number as usize) {
            Some(edge) => Step { edge: number, to: edge.to, field: edge.field },
            None => self.learn(node, key),
        };
        self.expect(node, before, step.edge);
        step
    }

    fn expect(&mut self, node: Node, before: u32, edge: u32) {
        if let Some(before) = self.edges.get_mut(before as usize) {
            before.next = edge;
        } else if edge != NO_EDGE {
            let at = node.0 as usize;
            if self.first.len() <= at {
                self.first.resize(at + 1, NO_EDGE);
            }
            self.first[at] = edge;
        }
    }

    #[cold]
    fn learn(&mut self, from: Node, key: &str) -> Step {
        let (to, field) = self.table.child(from, key);
        let ends = (u32::try_from(self.keys.len()), u32::try_from(self.keys.len() + key.len()));
        let (true, (Ok(start), Ok(end))) = (field != FieldId::OVERFLOW, ends) else {
            return Step { edge: NO_EDGE, to, field };
        };
        let edge = u32::try_from(self.edges.len()).unwrap_or(NO_EDGE);
        self.keys.push_str(key);
        self.keys.push_str(BEHIND);
        let is_plain = key.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        self.edges.push(Edge { from, key: (start, end), to, field, next: NO_EDGE, is_plain });
        let (edges, keys) = (&self.edges, &self.keys);
        self.by_key.insert_unique(hash(from, key), edge, |number| {
            let edge = &edges[*number as usize];
            let key = keys.get(edge.key.0 as usize..edge.key.1 as usize).unwrap_or_default();
            hash(edge.from, key)
        });
        Step { edge, to, field }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_number_whichever_shape_led_to_it() {
        let table = Arc::new(FieldTable::new());
        let mut parser = Parser::new(Arc::clone(&table));
        let (event, _) = parser.child(Shape::EvtxJson.root(), "Event");
        let (data, _) = parser.child(event, "EventData");
        let (_, lifted) = parser.child(data, "Process Name");
        let (_, flat) = parser.child(Shape::NxlogFlat.root(), "ProcessName");
        assert_eq!(lifted, flat);
        assert_eq!(&*table.name(flat), "winlog.event_data.ProcessName");
        assert_eq!(table.get("winlog.event_data.ProcessName"), Some(flat));
    }
}
