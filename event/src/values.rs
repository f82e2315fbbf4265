//! The values of an event, however it holds them: read whole ([`ParsedEvent`]), or scanned for rules alone
//! ([`Scanned`]).

use crate::{
    field::FieldId,
    parsed::{Origin, ParsedEvent},
    scan::Scan,
    shape::Shape,
    value::ValueRef,
};

/// What rules ask of an event.
pub trait Values {
    fn shape(&self) -> Shape;

    /// The bytes as stored.
    fn raw(&self) -> &[u8];

    /// How many values there are.
    fn count(&self) -> usize;

    /// The field of value number `at`; `at` is below the count.
    fn field(&self, at: usize) -> FieldId;

    /// Whether the source said it, and not the decoder or an enrichment.
    fn is_native(&self, at: usize) -> bool;

    /// Value number `at`; made in `scratch` where it does not stand anywhere as it is.
    fn value<'v>(&'v self, at: usize, scratch: &'v mut String) -> ValueRef<'v>;

    /// What tells value number `at` from others of its field, for less than the value costs.
    fn written(&self, at: usize) -> Written<'_>;
}

/// A value as it is held. Two that are the same are the same value; the reverse need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'v> {
    /// The way it is written.
    pub kind: u8,
    pub bits: u64,
    pub text: &'v str,
}

impl Written<'_> {
    /// What a value that is a text as it stands has for `kind`.
    pub const TEXT: u8 = 0;
    /// What a value that is no text has.
    pub const SCALAR: u8 = 1;
    /// And a text with escapes: of quotes, backslashes and control characters alone.
    pub const ESCAPED: u8 = 2;
    /// And a number with a fraction.
    pub const FLOAT: u8 = 3;
    /// What null has.
    pub const NULL: u8 = 4;
    /// And a text with any escapes.
    pub const SPELLED: u8 = 5;

    pub fn is_null(&self) -> bool {
        self.kind == Self::NULL
    }
}

impl Values for ParsedEvent {
    fn shape(&self) -> Shape {
        self.header.shape
    }

    fn raw(&self) -> &[u8] {
        &self.raw
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn field(&self, at: usize) -> FieldId {
        self.leaf(at).0
    }

    fn is_native(&self, at: usize) -> bool {
        self.leaf(at).1 == Origin::Native
    }

    fn value<'v>(&'v self, at: usize, _: &'v mut String) -> ValueRef<'v> {
        self.nth(at)
    }

    fn written(&self, at: usize) -> Written<'_> {
        let scalar = |kind: u8, bits| Written { kind: kind << 4 | Written::SCALAR, bits, text: "" };
        match self.nth(at) {
            ValueRef::Str(text) => Written { kind: Written::TEXT, bits: 0, text },
            ValueRef::Null => Written { kind: Written::NULL, bits: 0, text: "" },
            ValueRef::Bool(value) => scalar(1, u64::from(value)),
            ValueRef::Int(value) => scalar(2, value.cast_unsigned()),
            ValueRef::UInt(value) => scalar(3, value),
            ValueRef::Float(value) => scalar(4, value.to_bits()),
        }
    }
}

/// A JSON event scanned where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Scanned<'t> {
    pub text: &'t str,
    pub shape: Shape,
    pub scan: &'t Scan,
    /// How many of the values are the source's own; what a decoder would add follows.
    pub own: usize,
}

impl Values for Scanned<'_> {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn raw(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn count(&self) -> usize {
        self.scan.len()
    }

    #[inline]
    fn field(&self, at: usize) -> FieldId {
        self.scan.field(at)
    }

    #[inline]
    fn is_native(&self, at: usize) -> bool {
        at < self.own
    }

    #[inline]
    fn value<'v>(&'v self, at: usize, scratch: &'v mut String) -> ValueRef<'v> {
        self.scan.value(at, self.text, scratch)
    }

    #[inline]
    fn written(&self, at: usize) -> Written<'_> {
        self.scan.written(at, self.text)
    }
}
