//! One question to one field, as the engine asks it.

use crate::rule::Test;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct Predicate {
    /// Sigma's name of the field; none for a keyword, which asks every value.
    pub(crate) field: Option<Arc<str>>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Any of these, found for all rules at once.
    Any(Vec<Eager>),
    /// The field has a value.
    Present,
    /// Run when a rule needs the answer.
    Lazy(Lazy),
}

/// A comparison that the field's index answers. Texts are folded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Eager {
    Exact(String),
    Start(String),
    End(String),
    Inside(String),
    /// The bits of an `f64` that is not negative zero.
    Number(u64),
}

impl Eager {
    pub(crate) fn number(number: f64) -> Self {
        Self::Number(bits(number))
    }
}

/// One form for each number: zero has no sign.
pub(crate) fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

#[derive(Clone, Debug)]
pub(crate) struct Lazy {
    /// Modifiers and value as written: the same name on the same field is the same test.
    pub(crate) name: String,
    pub(crate) test: Test,
    /// Folded texts of which a value has to contain one; any value when empty.
    pub(crate) gate: Vec<String>,
}

/// What makes two predicates the same.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Option<Arc<str>>, KindKey);

#[derive(Debug, PartialEq, Eq, Hash)]
enum KindKey {
    Any(Vec<Eager>),
    Present,
    Lazy(String),
}

impl Predicate {
    pub(crate) fn key(&self) -> Key {
        let kind = match &self.kind {
            Kind::Any(forms) => KindKey::Any(forms.clone()),
            Kind::Present => KindKey::Present,
            Kind::Lazy(lazy) => KindKey::Lazy(lazy.name.clone()),
        };
        Key(self.field.clone(), kind)
    }
}
