//! `MessagePack` token by token, without building trees: what is nested, and how deep, costs eight bytes a level.

use rmp::Marker;

/// Deeper than any record that is read (JSON ends at 32), with the frames around it.
const DEPTH_MAX: usize = 128;

/// One value, or the head of one that holds others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'b> {
    Nil,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(&'b [u8]),
    Bytes(&'b [u8]),
    Ext(i8, &'b [u8]),
    Array(u32),
    Map(u32),
}

impl<'b> Token<'b> {
    /// How many values stand inside; `None` where none can.
    pub(super) fn inside(self) -> Option<u64> {
        if let Self::Array(count) = self {
            Some(count.into())
        } else if let Self::Map(count) = self {
            Some(u64::from(count) * 2)
        } else {
            None
        }
    }

    /// Older clients write texts as bytes.
    pub(super) fn text(self) -> Option<&'b [u8]> {
        if let Self::Text(text) | Self::Bytes(text) = self { Some(text) } else { None }
    }
}

/// Why bytes are no `MessagePack` that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it is no MessagePack: the byte c1 stands for nothing")]
    Reserved,
    #[error("it is nested deeper than {DEPTH_MAX} levels")]
    Deep,
    #[error("it ends in the middle of a value")]
    Cut,
    #[error("a key in it is no plain value")]
    Key,
}

/// Bytes taken from the front; `None` where they do not suffice.
struct Front<'b>(&'b [u8]);

impl<'b> Front<'b> {
    fn some(&mut self, count: usize) -> Option<&'b [u8]> {
        let (some, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(some)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.some(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.fixed().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.fixed().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.fixed().map(u64::from_be_bytes)
    }

    fn ext(&mut self, length: u32) -> Option<Token<'b>> {
        let kind = self.fixed().map(i8::from_be_bytes)?;
        self.some(length as usize).map(|bytes| Token::Ext(kind, bytes))
    }
}

/// The token at the front and its length, with all of a text; `None` if it is not whole.
pub(super) fn token(bytes: &[u8]) -> Result<Option<(Token<'_>, usize)>, Malformed> {
    let mut front = Front(bytes);
    let Some(mark) = front.u8().map(Marker::from_u8) else { return Ok(None) };
    if mark == Marker::Reserved {
        return Err(Malformed::Reserved);
    }
    let token = behind(mark, &mut front);
    Ok(token.map(|token| (token, bytes.len() - front.0.len())))
}

fn behind<'b>(mark: Marker, front: &mut Front<'b>) -> Option<Token<'b>> {
    let token = match mark {
        Marker::Null | Marker::Reserved => Token::Nil,
        Marker::True => Token::Bool(true),
        Marker::False => Token::Bool(false),
        Marker::FixPos(number) => Token::UInt(number.into()),
        Marker::FixNeg(number) => Token::Int(number.into()),
        Marker::U8 => Token::UInt(front.u8()?.into()),
        Marker::U16 => Token::UInt(front.u16()?.into()),
        Marker::U32 => Token::UInt(front.u32()?.into()),
        Marker::U64 => Token::UInt(front.u64()?),
        Marker::I8 => Token::Int(front.fixed().map(i8::from_be_bytes)?.into()),
        Marker::I16 => Token::Int(front.fixed().map(i16::from_be_bytes)?.into()),
        Marker::I32 => Token::Int(front.fixed().map(i32::from_be_bytes)?.into()),
        Marker::I64 => Token::Int(front.fixed().map(i64::from_be_bytes)?),
        Marker::F32 => Token::Float(shortest(front.fixed().map(f32::from_be_bytes)?)),
        Marker::F64 => Token::Float(front.fixed().map(f64::from_be_bytes)?),
        Marker::FixStr(length) => Token::Text(front.some(length.into())?),
        Marker::Str8 => front.u8().and_then(|length| front.some(length.into())).map(Token::Text)?,
        Marker::Str16 => {
            front.u16().and_then(|length| front.some(length.into())).map(Token::Text)?
        }
        Marker::Str32 => {
            front.u32().and_then(|length| front.some(length as usize)).map(Token::Text)?
        }
        Marker::Bin8 => {
            front.u8().and_then(|length| front.some(length.into())).map(Token::Bytes)?
        }
        Marker::Bin16 => {
            front.u16().and_then(|length| front.some(length.into())).map(Token::Bytes)?
        }
        Marker::Bin32 => {
            front.u32().and_then(|length| front.some(length as usize)).map(Token::Bytes)?
        }
        Marker::FixExt1 => front.ext(1)?,
        Marker::FixExt2 => front.ext(2)?,
        Marker::FixExt4 => front.ext(4)?,
        Marker::FixExt8 => front.ext(8)?,
        Marker::FixExt16 => front.ext(16)?,
        Marker::Ext8 => front.u8().and_then(|length| front.ext(length.into()))?,
        Marker::Ext16 => front.u16().and_then(|length| front.ext(length.into()))?,
        Marker::Ext32 => front.u32().and_then(|length| front.ext(length))?,
        Marker::FixArray(count) => Token::Array(count.into()),
        Marker::Array16 => Token::Array(front.u16()?.into()),
        Marker::Array32 => Token::Array(front.u32()?),
        Marker::FixMap(count) => Token::Map(count.into()),
        Marker::Map16 => Token::Map(front.u16()?.into()),
        Marker::Map32 => Token::Map(front.u32()?),
    };
    Some(token)
}

/// 1.1 of four bytes is 1.1, not 1.100000023841858.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}

/// Finds where a value ends; goes on where it stopped when more has come.
#[derive(Debug, Default)]
pub(super) struct Scan {
    at: usize,
    /// How many values are missing in each array or map that is open.
    open: Vec<u64>,
}

impl Scan {
    /// Where the value at the front of `bytes` ends, which may only have become longer since the last call.
    /// `None` if it is not whole.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some((token, length)) = token(rest)? else { return Ok(None) };
            self.at += length;
            let inside = token.inside().unwrap_or_default();
            if inside > 0 {
                self.open.push(inside);
            } else if self.is_whole() {
                return Ok(Some(self.at));
            }
            if self.open.len() > DEPTH_MAX {
                return Err(Malformed::Deep);
            }
        }
    }

    /// One more value is whole; are those around it too, to the outermost?
    fn is_whole(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }
}

/// Values one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'b>(pub(super) &'b [u8]);

impl<'b> Values<'b> {
    /// The head of the next value, which is not taken.
    pub(super) fn head(&self) -> Result<Token<'b>, Malformed> {
        token(self.0)?.map(|(token, _)| token).ok_or(Malformed::Cut)
    }

    /// Takes one token; of an array or a map only its head.
    pub(super) fn enter(&mut self) -> Result<Token<'b>, Malformed> {
        let (token, length) = token(self.0)?.ok_or(Malformed::Cut)?;
        self.0 = self.0.get(length..).unwrap_or_default();
        Ok(token)
    }

    /// Takes the whole next value, as it is written.
    pub(super) fn next(&mut self) -> Result<&'b [u8], Malformed> {
        let end = Scan::default().end(self.0)?.ok_or(Malformed::Cut)?;
        let (value, rest) = self.0.split_at_checked(end).ok_or(Malformed::Cut)?;
        self.0 = rest;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_mark_is_read_with_its_length() {
        for (bytes, expected) in [
            (&[0xc0][..], Token::Nil),
            (&[0xc3], Token::Bool(true)),
            (&[0x7f], Token::UInt(127)),
            (&[0xff], Token::Int(-1)),
            (&[0xcd, 1, 0], Token::UInt(256)),
            (&[0xd1, 0xff, 0], Token::Int(-256)),
            (&[0xca, 0x3f, 0x8c, 0xcc, 0xcd], Token::Float(1.1)),
            (&[0xa2, b'o', b'k'], Token::Text(b"ok")),
            (&[0xd9, 1, b'x'], Token::Text(b"x")),
            (&[0xc4, 2, 0, 1], Token::Bytes(&[0, 1])),
            (&[0xd7, 0, 1, 2, 3, 4, 5, 6, 7, 8], Token::Ext(0, &[1, 2, 3, 4, 5, 6, 7, 8])),
            (&[0xc7, 2, 9, 1, 2], Token::Ext(9, &[1, 2])),
            (&[0xdd, 0, 1, 0, 0], Token::Array(65_536)),
            (&[0x81], Token::Map(1)),
        ] {
            assert_eq!(token(bytes), Ok(Some((expected, bytes.len()))));
            assert_eq!(token(&bytes[..bytes.len() - 1]), Ok(None));
        }
        assert_eq!(token(&[0xc1]), Err(Malformed::Reserved));
    }

    #[test]
    fn depth_is_bounded_and_so_is_what_it_costs() {
        let mut scan = Scan::default();
        assert_eq!(scan.end(&vec![0x91; 1 << 20]), Err(Malformed::Deep));
        assert!(scan.open.capacity() <= 2 * DEPTH_MAX);
        let deep = [&vec![0x91; DEPTH_MAX][..], &[0xc0]].concat();
        assert_eq!(Scan::default().end(&deep), Ok(Some(deep.len())));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_scanning_panic_and_where_it_stops_changes_nothing(
            bytes: Vec<u8>, head in prop::sample::select(vec![0x92_u8, 0xdc, 0x82, 0xdf, 0xc6]), cut: usize,
        ) {
            let bytes = [&[head][..], &bytes].concat();
            let at_once = Scan::default().end(&bytes);
            let mut scan = Scan::default();
            let begun = scan.end(&bytes[..cut % (bytes.len() + 1)]);
            let in_two = if matches!(begun, Ok(None)) { scan.end(&bytes) } else { begun };
            prop_assert_eq!(at_once, in_two);
        }
    }
}
