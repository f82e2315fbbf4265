//! Reading and writing bytes: LEB128 lengths, little-endian numbers, bounds checked on every read.

/// Bytes that do not read as what they should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WireError {
    #[error("ends at byte {at}, in the middle of {what}")]
    Short { at: usize, what: &'static str },
    #[error("has an impossible {what} at byte {at}")]
    Impossible { at: usize, what: &'static str },
}

/// Appends an unsigned LEB128 number: seven bits a byte, lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a length (LEB128) and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A place in a buffer; each call takes something off its front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were taken.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let end = self.at.checked_add(len).ok_or(WireError::Impossible { at: self.at, what })?;
        let bytes =
            self.bytes.get(self.at..end).ok_or(WireError::Short { at: self.bytes.len(), what })?;
        self.at = end;
        Ok(bytes)
    }

    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let at = self.at;
        self.take(N, what)?.try_into().map_err(|_| WireError::Impossible { at, what })
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub fn u16(&mut self, what: &'static str) -> Result<u16, WireError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub fn i64(&mut self, what: &'static str) -> Result<i64, WireError> {
        self.array(what).map(i64::from_le_bytes)
    }

    pub fn varint(&mut self, what: &'static str) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Impossible { at: self.at, what })
    }

    /// A number that must fit the asked type.
    pub fn number<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, WireError> {
        let at = self.at;
        T::try_from(self.varint(what)?).map_err(|_| WireError::Impossible { at, what })
    }

    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.number(what)?;
        self.take(len, what)
    }

    pub fn str(&mut self, what: &'static str) -> Result<&'a str, WireError> {
        let at = self.at;
        let bytes = self.bytes(what)?;
        std::str::from_utf8(bytes).map_err(|_| WireError::Impossible { at, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_bytes_read_back_as_written(n: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            put_bytes(&mut out, &bytes);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint("n"), Ok(n));
            prop_assert_eq!(reader.bytes("b"), Ok(&bytes[..]));
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.bytes("b").is_ok() && !reader.rest().is_empty() {}
        }
    }
}
