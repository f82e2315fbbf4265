//! Field names as numbers: one table for the process, and the tries that lead from a source's own keys
//! to canonical names.

use crate::{
    ecs,
    shape::{KeyForm, LIFTS, Shape},
};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A canonical field name's number in this process. Numbers below `ecs::NAMES.len()` are also the
/// stored ones; the others hold only while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u32);

impl FieldId {
    /// Stands for every name beyond the table's limit.
    pub const OVERFLOW: Self = Self(u32::MAX);

    pub fn is_well_known(self) -> bool {
        (self.0 as usize) < ecs::NAMES.len()
    }
}

/// A place in a source's own object: which key came before decides what the next one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node(pub(crate) u32);

impl Node {
    /// Tells it from others; small where few names were met.
    pub fn number(self) -> usize {
        self.0 as usize
    }
}

/// 65,536 names of at most 512 bytes: 32 MiB if somebody fills it on purpose; the public rule corpus and
/// all recorded data together need about 4,000.
const FIELDS_MAX: usize = 65_536;
const NAME_BYTES_MAX: usize = 512;

/// All field names of the process. Shared; reading an event does not touch it once its parser has
/// seen the names.
#[derive(Debug)]
pub struct FieldTable(Mutex<Names>);

#[derive(Debug)]
struct Names {
    by_number: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, FieldId>,
    nodes: Vec<NodeEntry>,
    edges: HashMap<(Node, Box<str>), Node>,
}

#[derive(Debug, Clone)]
struct NodeEntry {
    field: FieldId,
    prefix: Arc<str>,
    form: KeyForm,
}

impl Default for FieldTable {
    fn default() -> Self {
        Self::new()
    }
}

impl FieldTable {
    pub fn new() -> Self {
        let mut names = Names {
            by_number: Vec::new(),
            by_name: HashMap::new(),
            nodes: Vec::new(),
            edges: HashMap::new(),
        };
        for name in ecs::NAMES {
            names.intern(name);
        }
        for lift in LIFTS {
            let root = names.add_node(FieldId::OVERFLOW, lift.prefix, lift.form);
            debug_assert_eq!(root, lift.shape.root());
        }
        for lift in LIFTS {
            for (path, target) in lift.paths {
                names.lay_path(lift.shape.root(), path, target, lift.form);
            }
        }
        Self(Mutex::new(names))
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of `name`, given now if it has none. `OVERFLOW` once the table is full.
    pub fn intern(&self, name: &str) -> FieldId {
        self.lock().intern(name)
    }

    /// The number of `name`, if anything has named it yet.
    pub fn get(&self, name: &str) -> Option<FieldId> {
        self.lock().by_name.get(name).copied()
    }

    /// The name behind a number; `custos.overflow` for those beyond the limit.
    pub fn name(&self, field: FieldId) -> Arc<str> {
        match self.lock().by_number.get(field.0 as usize) {
            Some(name) => Arc::clone(name),
            None => Arc::from("custos.overflow"),
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.lock().by_number.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn child(&self, node: Node, key: &str) -> (Node, FieldId) {
        let mut names = self.lock();
        let child = names.child(node, key);
        (child, names.field_of(child))
    }
}

impl Names {
    fn intern(&mut self, name: &str) -> FieldId {
        if let Some(field) = self.by_name.get(name) {
            return *field;
        }
        let Ok(number) = u32::try_from(self.by_number.len()) else { return FieldId::OVERFLOW };
        if self.by_number.len() >= FIELDS_MAX || name.len() > NAME_BYTES_MAX {
            return FieldId::OVERFLOW;
        }
        let name: Arc<str> = name.into();
        self.by_number.push(Arc::clone(&name));
        self.by_name.insert(name, FieldId(number));
        FieldId(number)
    }

    fn add_node(&mut self, field: FieldId, prefix: &str, form: KeyForm) -> Node {
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(NodeEntry { field, prefix: prefix.into(), form });
        Node(number)
    }

    /// Lays one row of a lift: `Event/System/EventID` → `winlog.event_id`, or with `.*` at its end the
    /// prefix of everything below.
    fn lay_path(&mut self, root: Node, path: &str, target: &str, form: KeyForm) {
        let mut node = root;
        let mut keys = path.split('/').peekable();
        while let Some(key) = keys.next() {
            let prefix = target.strip_suffix(".*").unwrap_or(target);
            let last = keys.peek().is_none();
            if let Some(known) = self.edges.get(&(node, key.into())) {
                node = *known;
                continue;
            }
            let name = if last { prefix.to_owned() } else { self.child_name(node, key) };
            let field = self.intern(&name);
            let child = self.add_node(field, &name, form);
            self.edges.insert((node, key.into()), child);
            node = child;
        }
    }

    fn child_name(&self, node: Node, key: &str) -> String {
        let Some(parent) = self.nodes.get(node.0 as usize) else { return key.to_owned() };
        let key = parent.form.apply(key);
        if parent.prefix.is_empty() { key.into_owned() } else { format!("{}.{key}", parent.prefix) }
    }

    fn child(&mut self, node: Node, key: &str) -> Node {
        if let Some(known) = self.edges.get(&(node, key.into())) {
            return *known;
        }
        let name = self.child_name(node, key);
        let form = self.nodes.get(node.0 as usize).map_or(KeyForm::AsIs, |parent| parent.form);
        let field = self.intern(&name);
        if field == FieldId::OVERFLOW || self.edges.len() >= 2 * FIELDS_MAX {
            return OVERFLOW_NODE;
        }
        let child = self.add_node(field, &name, form);
        self.edges.insert((node, key.into()), child);
        child
    }

    fn field_of(&self, node: Node) -> FieldId {
        self.nodes.get(node.0 as usize).map_or(FieldId::OVERFLOW, |entry| entry.field)
    }
}

const OVERFLOW_NODE: Node = Node(u32::MAX);

impl Shape {
    /// Where the walk of an object of this shape begins.
    pub(crate) fn root(self) -> Node {
        Node(self as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_names_ends_at_the_limit_and_leaves_the_known_ones_alone() {
        let table = FieldTable::new();
        for n in 0..FIELDS_MAX + 10 {
            table.intern(&format!("flood.{n}"));
        }
        assert_eq!(table.len(), FIELDS_MAX);
        assert_eq!(table.intern("one.more"), FieldId::OVERFLOW);
        assert_eq!(table.intern("user.name"), ecs::USER_NAME);
    }
}
