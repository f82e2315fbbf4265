//! A JSON object becomes leaves: (field, value) pairs in document order. The one generic parse that live
//! reading and replay share; where `scan` reads an object, it reads it faster and to the same end.

use crate::{
    field::{FieldId, Node},
    parsed::Leaves,
    parser::Parser,
    shape::Shape,
    value::ValueRef,
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// RELIABILITY §4: deeper than any real source goes; keeps recursion within a thread's stack.
pub const DEPTH_MAX: u8 = 32;
/// RELIABILITY §4: keys of one event, over all its objects.
pub const KEYS_MAX: u32 = 2_000;

/// Why bytes are not an object that Custos reads.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FlattenError {
    #[error("not UTF-8 from byte {at}")]
    NotUtf8 { at: usize },
    #[error("not a JSON object: {0}")]
    NotJson(String),
}

/// Appends the leaves of the JSON object in `raw`, named after `shape`.
pub(crate) fn flatten(
    parser: &mut Parser,
    shape: Shape,
    raw: &[u8],
    leaves: &mut Leaves,
) -> Result<(), FlattenError> {
    let text = std::str::from_utf8(raw)
        .map_err(|error| FlattenError::NotUtf8 { at: error.valid_up_to() })?;
    let mut from = serde_json::Deserializer::from_str(text);
    let mut keys_left = KEYS_MAX;
    let root = Root(Walk {
        parser,
        leaves,
        keys_left: &mut keys_left,
        node: shape.root(),
        field: FieldId::OVERFLOW,
        depth: 0,
    });
    root.deserialize(&mut from)
        .and_then(|()| from.end())
        .map_err(|error| FlattenError::NotJson(error.to_string()))
}

/// Only an object stands at the root.
struct Root<'w>(Walk<'w>);

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self.0)
    }
}

struct Walk<'w> {
    parser: &'w mut Parser,
    leaves: &'w mut Leaves,
    keys_left: &'w mut u32,
    node: Node,
    field: FieldId,
    depth: u8,
}

impl Walk<'_> {
    fn leaf(self, value: ValueRef<'_>) {
        self.leaves.push(self.field, value);
    }

    /// The same walk, one level further in.
    fn inner<E: serde::de::Error>(&mut self, node: Node, field: FieldId) -> Result<Walk<'_>, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Walk {
            parser: self.parser,
            leaves: self.leaves,
            keys_left: self.keys_left,
            node,
            field,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == 0 { "an object" } else { "a value" })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.leaf(ValueRef::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.leaf(ValueRef::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.leaf(ValueRef::Int(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.leaf(i64::try_from(value).map_or(ValueRef::UInt(value), ValueRef::Int));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.leaf(ValueRef::Float(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.leaf(ValueRef::Str(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let (node, field) = (self.node, self.field);
        let mut empty = true;
        while items.next_element_seed(self.inner(node, field)?)?.is_some() {
            empty = false;
        }
        if empty {
            self.leaf(ValueRef::Null);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let mut empty = true;
        while let Some((node, field)) =
            entries.next_key_seed(Key { parser: self.parser, node: self.node })?
        {
            empty = false;
            let Some(left) = self.keys_left.checked_sub(1) else {
                return Err(A::Error::custom(format_args!("more than {KEYS_MAX} keys")));
            };
            *self.keys_left = left;
            entries.next_value_seed(self.inner(node, field)?)?;
        }
        if empty && self.depth > 0 {
            self.leaf(ValueRef::Null);
        }
        Ok(())
    }
}

struct Key<'w> {
    parser: &'w mut Parser,
    node: Node,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = (Node, FieldId);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = (Node, FieldId);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.parser.child(self.node, key))
    }
}
