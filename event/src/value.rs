//! One value of an event, borrowed from it.

use std::fmt;

/// A leaf of an event. Objects and arrays are flattened before: an array gives its field several
/// values, an object gives longer field names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// JSON null, an empty array or an empty object.
    Null,
    Bool(bool),
    Int(i64),
    /// Only what does not fit `Int`.
    UInt(u64),
    Float(f64),
    Str(&'a str),
}

impl<'a> ValueRef<'a> {
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::UInt(_) | Self::Float(_) => None,
        }
    }

    /// The number this is or, for a string, spells.
    pub fn as_f64(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "comparisons of this size tolerate it")]
        match self {
            Self::Int(n) => Some(n as f64),
            Self::UInt(n) => Some(n as f64),
            Self::Float(n) => Some(n),
            Self::Str(text) => text.parse().ok(),
            Self::Null | Self::Bool(_) => None,
        }
    }
}

/// As text, the way it is searched and compared: `true`, `4624`, the string itself; null is empty.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::UInt(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Str(value) => value.fmt(f),
        }
    }
}

impl From<ValueRef<'_>> for serde_json::Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Bool(value) => value.into(),
            ValueRef::Int(value) => value.into(),
            ValueRef::UInt(value) => value.into(),
            ValueRef::Float(value) => value.into(),
            ValueRef::Str(value) => value.into(),
        }
    }
}
