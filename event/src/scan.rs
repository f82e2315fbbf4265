//! A JSON object scanned where it stands: each value's field, kind and place, nothing copied, nothing
//! converted that nobody asks for.
//!
//! Quick, not complete: on anything it does not read at once (an error, an escape in a key, a pair of
//! surrogates, a number of more than 19 digits, too deep a nesting) it gives up, and `flatten` reads the whole again and judges. What
//! it does read it reads as `flatten` does; the property test below holds it to that.

use crate::{
    field::{FieldId, Node},
    flatten::{DEPTH_MAX, KEYS_MAX},
    parser::{NO_EDGE, Parser, Step},
    shape::Shape,
    value::ValueRef,
    values::Written,
};

/// The values of one object, in document order, and its outermost keys.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    pub(crate) marks: Vec<Mark>,
    roots: Vec<Root>,
}

/// An outermost key.
#[derive(Debug, Clone, Copy)]
pub struct Root {
    /// Where it leads: the same for the same key of the same shape.
    pub node: Node,
    /// Where it stands in the text, without its quotes.
    key: (u32, u32),
    /// The first byte of its value.
    pub first: u8,
}

impl Root {
    /// The key as it is written.
    pub fn key<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.key.0 as usize..self.key.1 as usize).unwrap_or_default()
    }
}

/// One value: its field, and what it is or where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) field: FieldId,
    pub(crate) kind: Kind,
    /// A number's bits; for a text its start, and its length below.
    bits: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Int,
    UInt,
    /// A number with a fraction or an exponent, as it is written.
    Float,
    Plain,
    /// A text with escapes in it.
    Escaped,
    /// A text with escapes that stand for what needs none: `\u0041`, `\/`.
    Spelled,
}

impl Mark {
    /// What stands in `text` for it; empty for what has no text of its own.
    #[inline]
    pub(crate) fn written<'t>(&self, text: &'t str) -> &'t str {
        match self.kind {
            Kind::Float | Kind::Plain | Kind::Escaped | Kind::Spelled => {
                let (start, len) = ((self.bits >> 32) as usize, (self.bits & 0xffff_ffff) as usize);
                text.get(start..start + len).unwrap_or_default()
            }
            Kind::Null | Kind::Bool | Kind::Int | Kind::UInt => "",
        }
    }

    pub(crate) fn bits(&self) -> u64 {
        match self.kind {
            Kind::Null | Kind::Bool | Kind::Int | Kind::UInt => self.bits,
            Kind::Float | Kind::Plain | Kind::Escaped | Kind::Spelled => 0,
        }
    }

    /// The value; made in `scratch` where it has escapes.
    #[inline]
    pub(crate) fn value<'t>(&self, text: &'t str, scratch: &'t mut String) -> ValueRef<'t> {
        match self.kind {
            Kind::Null => ValueRef::Null,
            Kind::Bool => ValueRef::Bool(self.bits != 0),
            Kind::Int => ValueRef::Int(self.bits.cast_signed()),
            Kind::UInt => ValueRef::UInt(self.bits),
            // The same reading as everywhere: its last bit depends on who reads.
            Kind::Float => {
                ValueRef::Float(serde_json::from_str(self.written(text)).unwrap_or_default())
            }
            Kind::Plain => ValueRef::Str(self.written(text)),
            Kind::Escaped | Kind::Spelled => {
                scratch.clear();
                unescape(self.written(text), scratch);
                ValueRef::Str(scratch)
            }
        }
    }
}

impl Scan {
    /// The outermost keys, in document order.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The field of value number `at`.
    pub fn field(&self, at: usize) -> FieldId {
        self.marks.get(at).map_or(FieldId::OVERFLOW, |mark| mark.field)
    }

    /// The place of the first value of `field`.
    pub fn find(&self, field: FieldId) -> Option<usize> {
        self.marks.iter().position(|mark| mark.field == field)
    }

    /// Value number `at` of what was scanned from `text`.
    pub fn value<'t>(&self, at: usize, text: &'t str, scratch: &'t mut String) -> ValueRef<'t> {
        self.marks.get(at).map_or(ValueRef::Null, |mark| mark.value(text, scratch))
    }

    /// What tells value number `at` from others of its field.
    pub(crate) fn written<'t>(&self, at: usize, text: &'t str) -> Written<'t> {
        let Some(mark) = self.marks.get(at) else {
            return Written { kind: Written::NULL, bits: 0, text: "" };
        };
        let kind = match mark.kind {
            Kind::Plain => Written::TEXT,
            Kind::Escaped => Written::ESCAPED,
            Kind::Spelled => Written::SPELLED,
            Kind::Float => Written::FLOAT,
            Kind::Null => Written::NULL,
            Kind::Bool => 1 << 4 | Written::SCALAR,
            Kind::Int => 2 << 4 | Written::SCALAR,
            Kind::UInt => 3 << 4 | Written::SCALAR,
        };
        Written { kind, bits: mark.bits(), text: mark.written(text) }
    }

    /// Lets `field` have value number `at`, too.
    pub fn alias(&mut self, field: FieldId, at: usize) {
        if let Some(mark) = self.marks.get(at).copied() {
            self.marks.push(Mark { field, ..mark });
        }
    }
}

/// Scans `text`; `None` where the quick way ends.
pub(crate) fn scan(parser: &mut Parser, shape: Shape, text: &str, into: &mut Scan) -> Option<()> {
    into.marks.clear();
    into.roots.clear();
    // Places are kept in 32 bits.
    u32::try_from(text.len()).ok()?;
    let mut reader =
        Reader { text, bytes: text.as_bytes(), at: 0, keys_left: KEYS_MAX, parser, into };
    if reader.white()? != b'{' {
        return None;
    }
    reader.at += 1;
    reader.object(shape.root(), FieldId::OVERFLOW, 0)?;
    let rest = reader.bytes.get(reader.at..)?;
    rest.iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).then_some(())
}

struct Reader<'t, 'p> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    keys_left: u32,
    parser: &'p mut Parser,
    into: &'p mut Scan,
}

impl Reader<'_, '_> {
    /// Goes to the next byte that is no white space.
    #[inline]
    fn white(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' {
                return Some(byte);
            }
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return None;
            }
            self.at += 1;
        }
    }

    fn mark(&mut self, field: FieldId, kind: Kind, bits: u64) {
        self.into.marks.push(Mark { field, kind, bits });
    }

    /// Behind the opening brace.
    fn object(&mut self, node: Node, field: FieldId, depth: u8) -> Option<()> {
        if self.white()? == b'}' {
            self.at += 1;
            if depth > 0 {
                self.mark(field, Kind::Null, 0);
            }
            return Some(());
        }
        if depth >= DEPTH_MAX {
            return None;
        }
        let mut before = NO_EDGE;
        loop {
            if self.white()? != b'"' {
                return None;
            }
            let start = self.at + 1;
            let (step, end) = self.key(node, before)?;
            before = step.edge;
            let first = self.white()?;
            if depth == 0 {
                // Below 4 GiB, as the whole text.
                #[expect(clippy::cast_possible_truncation, reason = "checked for the whole text")]
                let key = (start as u32, end as u32);
                self.into.roots.push(Root { node: step.to, key, first });
            }
            self.value(first, step.to, step.field, depth + 1)?;
            match self.white()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// From the opening quote to behind the colon; where the key's text ends comes back, too.
    #[inline]
    fn key(&mut self, node: Node, before: u32) -> Option<(Step, usize)> {
        self.keys_left = self.keys_left.checked_sub(1)?;
        self.at += 1;
        let rest = self.bytes.get(self.at..)?;
        if let Some((step, len)) = self.parser.expected(node, before, rest) {
            self.at += len;
            return Some((step, self.at - 2));
        }
        self.other_key(node, before)
    }

    #[inline(never)]
    fn other_key(&mut self, node: Node, before: u32) -> Option<(Step, usize)> {
        let (start, end, kind) = self.string()?;
        // A key with escapes has two ways to be written: `flatten` reads such objects.
        let key = self.text.get(start..end).filter(|_| kind == Kind::Plain)?;
        let step = self.parser.step(node, before, key);
        if self.white()? != b':' {
            return None;
        }
        self.at += 1;
        Some((step, end))
    }

    /// On the value's first byte.
    #[inline]
    fn value(&mut self, first: u8, node: Node, field: FieldId, depth: u8) -> Option<()> {
        match first {
            b'"' => {
                self.at += 1;
                let (start, end, kind) = self.string()?;
                self.mark(field, kind, (start as u64) << 32 | (end - start) as u64);
                Some(())
            }
            b'{' => {
                self.at += 1;
                self.object(node, field, depth)
            }
            b'[' => {
                self.at += 1;
                self.array(node, field, depth)
            }
            b'-' | b'0'..=b'9' => self.number(field),
            b't' => self.word(b"true", field, Kind::Bool, 1),
            b'f' => self.word(b"false", field, Kind::Bool, 0),
            b'n' => self.word(b"null", field, Kind::Null, 0),
            _ => None,
        }
    }

    /// Behind the opening bracket.
    fn array(&mut self, node: Node, field: FieldId, depth: u8) -> Option<()> {
        if depth >= DEPTH_MAX {
            return None;
        }
        let mut first = self.white()?;
        if first == b']' {
            self.at += 1;
            self.mark(field, Kind::Null, 0);
            return Some(());
        }
        loop {
            self.value(first, node, field, depth + 1)?;
            match self.white()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
            first = self.white()?;
        }
    }

    fn word(&mut self, word: &[u8], field: FieldId, kind: Kind, bits: u64) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            self.mark(field, kind, bits);
        })
    }

    fn digits(&mut self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn number(&mut self, field: FieldId) -> Option<()> {
        let start = self.at;
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let whole = self.at;
        let count = self.digits();
        // 19 digits always fit 64 bits.
        if count == 0 || count > 19 || (count > 1 && self.bytes.get(whole) == Some(&b'0')) {
            return None;
        }
        if matches!(self.bytes.get(self.at), Some(b'.' | b'e' | b'E')) {
            return self.float(start, field);
        }
        let digits = self.bytes.get(whole..self.at)?;
        let number = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        match (negative, i64::try_from(number)) {
            (false, Ok(_)) => self.mark(field, Kind::Int, number),
            (false, Err(_)) => self.mark(field, Kind::UInt, number),
            (true, Ok(1..)) => self.mark(field, Kind::Int, number.wrapping_neg()),
            (true, Err(_)) if number == 1 << 63 => self.mark(field, Kind::Int, number),
            // Minus zero and what is below 64 bits are floats to JSON.
            (true, Ok(_) | Err(_)) => return None,
        }
        Some(())
    }

    /// Behind the whole digits, at most 19 of them; with at most two digits of an exponent it stays finite.
    fn float(&mut self, start: usize, field: FieldId) -> Option<()> {
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            let count = self.digits();
            if count == 0 || count > 64 {
                return None;
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            if !matches!(self.digits(), 1 | 2) {
                return None;
            }
        }
        self.mark(field, Kind::Float, (start as u64) << 32 | (self.at - start) as u64);
        Some(())
    }

    /// Behind the opening quote, to behind the closing one: start, end, and whether there are escapes.
    #[inline]
    fn string(&mut self) -> Option<(usize, usize, Kind)> {
        let start = self.at;
        let mut kind = Kind::Plain;
        loop {
            let rest = self.bytes.get(self.at..)?;
            self.at += plain_bytes(rest);
            match *self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some((start, self.at - 1, kind));
                }
                b'\\' => {
                    let is_spelled = self.escape()? || kind == Kind::Spelled;
                    kind = if is_spelled { Kind::Spelled } else { Kind::Escaped };
                }
                _ => return None,
            }
        }
    }

    /// On a backslash; whether it stands for what needs none.
    fn escape(&mut self) -> Option<bool> {
        let what = *self.bytes.get(self.at + 1)?;
        match what {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let code = self.text.get(self.at + 2..self.at + 6)?;
                if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                // Half of a pair: `flatten` knows how.
                char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
                self.at += 6;
            }
            _ => return None,
        }
        Some(matches!(what, b'u' | b'/'))
    }
}

/// How many bytes stand before the first quote, backslash or control character: eight at a time.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quote | backslash | control;
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let plain = |byte: &&u8| **byte >= b' ' && !matches!(**byte, b'"' | b'\\');
    words.len() * 8 + rest.iter().take_while(plain).count()
}

/// Appends what `written`, a text that the scanner took, stands for.
fn unescape(written: &str, into: &mut String) {
    into.reserve(written.len());
    let (bytes, mut copied) = (written.as_bytes(), 0);
    for at in memchr::memchr_iter(b'\\', bytes) {
        if at < copied {
            // The second of two.
            continue;
        }
        into.push_str(written.get(copied..at).unwrap_or_default());
        let (c, len) = match bytes.get(at + 1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => {
                let code = written.get(at + 2..at + 6);
                let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
                (code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
            }
            Some(other) => (char::from(*other), 2),
            None => return,
        };
        into.push(c);
        copied = at + len;
    }
    into.push_str(written.get(copied..).unwrap_or_default());
}

#[cfg(test)]
mod tests;
