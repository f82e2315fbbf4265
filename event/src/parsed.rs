//! An event in memory: who said it, the bytes as stored, and its values by field.

use crate::{
    field::FieldId,
    flatten::{FlattenError, flatten},
    parser::Parser,
    scan::Scan,
    shape::Shape,
    time::Timestamp,
    value::ValueRef,
};
use bytes::Bytes;
use std::{borrow::Cow, sync::Arc};

/// What is noteworthy about a record; a set of bits, stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// The source gave no time that could be read: the received time stands in.
    pub const NO_TIME: Self = Self(1);
    /// The source's time is more than five minutes ahead of the received time.
    pub const TIME_AHEAD: Self = Self(1 << 1);
    /// The source's time is more than 30 days before the received time.
    pub const TIME_OLD: Self = Self(1 << 2);
    /// Longer than the limit: cut there, the digest of the whole kept.
    pub const TRUNCATED: Self = Self(1 << 3);
    /// No decoder could read it: kept with its reason, found only by who asks for rejects.
    pub const REJECTED: Self = Self(1 << 4);
    /// Some bytes are not UTF-8; they are kept, and read with replacement characters.
    pub const NOT_UTF8: Self = Self(1 << 5);
    /// The source's time had no year or no zone: completed from the received time.
    pub const TIME_COMPLETED: Self = Self(1 << 6);

    #[must_use]
    pub fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    pub fn has(self, some: Self) -> bool {
        self.0 & some.0 == some.0
    }
}

/// A piece of the raw bytes that was replaced before the record was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Where the replacement stands in the stored raw bytes.
    pub start: u32,
    pub len: u32,
    /// What it stands for: 1 a card number. Numbers are stored and never reused.
    pub kind: u8,
    /// Version of the detector that decided.
    pub detector: u16,
}

/// The whole of a record that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub bytes: u64,
    pub sha256: [u8; 32],
}

/// Everything about an event that is not a value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The configured source it came by, e.g. `kafka:doors` or the file's name.
    pub source: Arc<str>,
    pub received: Timestamp,
    /// When it happened, by its source; `received` where [`Flags::NO_TIME`] is set.
    pub time: Timestamp,
    pub flags: Flags,
    pub shape: Shape,
    /// The decoder that read it, and that decoder's version.
    pub decoder: Arc<str>,
    pub decoder_version: u16,
    /// Set exactly when [`Flags::TRUNCATED`] is.
    pub whole: Option<Whole>,
    /// Why it was not understood; set exactly when [`Flags::REJECTED`] is.
    pub rejection: Option<Arc<str>>,
    pub protections: Vec<Protection>,
}

impl Header {
    /// A header for something received now whose own time is not known yet.
    pub fn new(source: Arc<str>, received: Timestamp, shape: Shape, decoder: Arc<str>) -> Self {
        Self {
            source,
            received,
            time: received,
            flags: Flags::NO_TIME,
            shape,
            decoder,
            decoder_version: 1,
            whole: None,
            rejection: None,
            protections: Vec::new(),
        }
    }
}

/// Where a value came from, which decides whether it is stored beside the raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The generic parse of the raw bytes: read again, never stored.
    Native,
    /// The decoder.
    Decoder,
    /// What was known about an address or a name when the event came.
    Enrichment,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) field: FieldId,
    pub(crate) origin: Origin,
    kind: Kind,
    /// For a value that repeats another field's: that field. Stored instead of the value.
    pub(crate) alias_of: FieldId,
    bits: u64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Null,
    Bool,
    Int,
    UInt,
    Float,
    Str,
}

/// The values of an event: leaves over one buffer of text.
#[derive(Clone, Debug, Default)]
pub struct Leaves {
    text: String,
    leaves: Vec<Leaf>,
}

impl Leaves {
    pub(crate) fn push(&mut self, field: FieldId, value: ValueRef<'_>) {
        self.push_from(field, value, Origin::Native);
    }

    fn push_from(&mut self, field: FieldId, value: ValueRef<'_>, origin: Origin) {
        let (kind, bits) = match value {
            ValueRef::Null => (Kind::Null, 0),
            ValueRef::Bool(value) => (Kind::Bool, u64::from(value)),
            ValueRef::Int(value) => (Kind::Int, value.cast_unsigned()),
            ValueRef::UInt(value) => (Kind::UInt, value),
            ValueRef::Float(value) => (Kind::Float, value.to_bits()),
            ValueRef::Str(value) => {
                let start = self.text.len() as u64;
                self.text.push_str(value);
                (Kind::Str, start << 32 | value.len() as u64)
            }
        };
        self.leaves.push(Leaf { field, origin, kind, alias_of: FieldId::OVERFLOW, bits });
    }

    /// Every (field, value), in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (FieldId, ValueRef<'_>)> {
        self.leaves.iter().map(|leaf| (leaf.field, self.value(leaf)))
    }

    /// Appends what was scanned from `text`.
    fn take(&mut self, scan: &Scan, text: &str) {
        let mut scratch = String::new();
        for mark in &scan.marks {
            self.push(mark.field, mark.value(text, &mut scratch));
        }
    }

    fn value(&self, leaf: &Leaf) -> ValueRef<'_> {
        match leaf.kind {
            Kind::Null => ValueRef::Null,
            Kind::Bool => ValueRef::Bool(leaf.bits != 0),
            Kind::Int => ValueRef::Int(leaf.bits.cast_signed()),
            Kind::UInt => ValueRef::UInt(leaf.bits),
            Kind::Float => ValueRef::Float(f64::from_bits(leaf.bits)),
            Kind::Str => {
                let (start, len) = ((leaf.bits >> 32) as usize, (leaf.bits & 0xffff_ffff) as usize);
                ValueRef::Str(self.text.get(start..start + len).unwrap_or_default())
            }
        }
    }
}

/// One event, read: what decoders make, the log keeps, rules and searches ask.
#[derive(Clone, Debug)]
pub struct ParsedEvent {
    pub header: Header,
    /// The bytes the source sent, after protection.
    pub raw: Bytes,
    values: Leaves,
}

/// Windows events, the widest common ones, have 30 to 60 values with those that the decoder adds.
const LEAVES_USUAL: usize = 64;

impl ParsedEvent {
    /// An event whose raw bytes no generic parse reads (`Shape::Text`), without fields yet.
    pub fn text(header: Header, raw: Bytes) -> Self {
        Self { header, raw, values: Leaves::default() }
    }

    /// An event with the fields that the generic parse of `raw` in the header's shape gives.
    ///
    /// The raw bytes may be at most 4 GiB; intake cuts them at 256 KiB.
    pub fn parse(header: Header, raw: Bytes, parser: &mut Parser) -> Result<Self, FlattenError> {
        let mut values = Leaves::default();
        if header.shape.is_json() {
            values.text.reserve(raw.len());
            values.leaves.reserve(LEAVES_USUAL);
            read(parser, header.shape, &raw, &mut values)?;
        }
        Ok(Self { header, raw, values })
    }

    /// Adds a value that the decoder found.
    pub fn add(&mut self, field: FieldId, value: ValueRef<'_>) {
        self.values.push_from(field, value, Origin::Decoder);
    }

    /// Adds a value that was looked up elsewhere.
    pub fn enrich(&mut self, field: FieldId, value: ValueRef<'_>) {
        self.values.push_from(field, value, Origin::Enrichment);
    }

    pub(crate) fn add_from(&mut self, field: FieldId, value: ValueRef<'_>, origin: Origin) {
        self.values.push_from(field, value, origin);
    }

    /// Says that `field` is what `native` already holds. Costs and stores no copy. False, and nothing
    /// added, where the event has no value at `native` or only an empty one.
    pub fn alias(&mut self, field: FieldId, native: FieldId) -> bool {
        let Some(leaf) = self.values.leaves.iter().find(|leaf| leaf.field == native).copied()
        else {
            return false;
        };
        if matches!(leaf.kind, Kind::Null) {
            return false;
        }
        self.values.leaves.push(Leaf { field, origin: Origin::Decoder, alias_of: native, ..leaf });
        true
    }

    /// The same event with other texts: `change` gives the one that stands for a value, none to leave it.
    /// The raw bytes stay as they are.
    #[must_use]
    pub fn with_texts(&self, mut change: impl FnMut(&str) -> Option<String>) -> Self {
        let mut values = Leaves::default();
        for leaf in &self.values.leaves {
            let text = self.values.value(leaf);
            let bits = if let ValueRef::Str(text) = text {
                let start = values.text.len() as u64;
                let changed = change(text);
                values.text.push_str(changed.as_deref().unwrap_or(text));
                start << 32 | (values.text.len() as u64 - start)
            } else {
                leaf.bits
            };
            values.leaves.push(Leaf { bits, ..*leaf });
        }
        Self { header: self.header.clone(), raw: self.raw.clone(), values }
    }

    /// Every (field, value), native ones first, in document order.
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, ValueRef<'_>)> {
        self.values.iter()
    }

    /// Every field that is what another one already holds, with that one: (field, native).
    pub fn aliases(&self) -> impl Iterator<Item = (FieldId, FieldId)> {
        let aliases = self.values.leaves.iter().map(|leaf| (leaf.field, leaf.alias_of));
        aliases.filter(|(_, native)| *native != FieldId::OVERFLOW)
    }

    /// Every value that the source itself gave, in document order.
    pub fn native(&self) -> impl Iterator<Item = ValueRef<'_>> {
        let native = |leaf: &&Leaf| leaf.origin == Origin::Native;
        self.values.leaves.iter().filter(native).map(|leaf| self.values.value(leaf))
    }

    pub(crate) fn len(&self) -> usize {
        self.values.leaves.len()
    }

    /// Field and origin of value number `at`.
    pub(crate) fn leaf(&self, at: usize) -> (FieldId, Origin) {
        let leaf = self.values.leaves.get(at);
        leaf.map_or((FieldId::OVERFLOW, Origin::Native), |leaf| (leaf.field, leaf.origin))
    }

    /// Value number `at`.
    pub(crate) fn nth(&self, at: usize) -> ValueRef<'_> {
        self.values.leaves.get(at).map_or(ValueRef::Null, |leaf| self.values.value(leaf))
    }

    /// Every (field, value) that a decoder or an enrichment added: the ECS reading of the event.
    pub fn found(&self) -> impl Iterator<Item = (FieldId, ValueRef<'_>)> {
        self.stored().map(|(leaf, value)| (leaf.field, value))
    }

    pub(crate) fn stored(&self) -> impl Iterator<Item = (&Leaf, ValueRef<'_>)> {
        let stored = |leaf: &&Leaf| leaf.origin != Origin::Native;
        self.values.leaves.iter().filter(stored).map(|leaf| (leaf, self.values.value(leaf)))
    }

    /// The first value of `field`.
    pub fn get(&self, field: FieldId) -> Option<ValueRef<'_>> {
        self.all(field).next()
    }

    /// Every value of `field`, in order.
    pub fn all(&self, field: FieldId) -> impl Iterator<Item = ValueRef<'_>> {
        let mine = move |leaf: &&Leaf| leaf.field == field;
        self.values.leaves.iter().filter(mine).map(|leaf| self.values.value(leaf))
    }

    /// The first value of `field` if it is a string.
    pub fn str(&self, field: FieldId) -> Option<&str> {
        self.get(field).and_then(ValueRef::as_str)
    }

    /// The raw bytes as text.
    pub fn raw_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }

    /// Memory held by this event, for bounding queues: bytes, approximately.
    pub fn weight(&self) -> usize {
        self.raw.len()
            + self.values.text.len()
            + self.values.leaves.len() * size_of::<Leaf>()
            + size_of::<Self>()
    }
}

/// By the quick way where it leads to the end, else by the complete one, which also judges.
fn read(
    parser: &mut Parser,
    shape: Shape,
    raw: &[u8],
    values: &mut Leaves,
) -> Result<(), FlattenError> {
    let Ok(text) = simdutf8::basic::from_utf8(raw) else {
        return flatten(parser, shape, raw, values);
    };
    let mut scan = std::mem::take(&mut parser.scan);
    let is_whole = parser.scan(shape, text, &mut scan);
    if is_whole {
        values.take(&scan, text);
    }
    parser.scan = scan;
    if is_whole { Ok(()) } else { flatten(parser, shape, raw, values) }
}
