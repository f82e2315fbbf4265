//! Kafka's primitive types off a buffer, as slices of it; nothing is allocated for a length not yet checked.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

/// Bytes that are not what Kafka's protocol says should stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no valid {what}")]
pub(crate) struct Malformed {
    pub(crate) what: &'static str,
}

/// A place in a request; each call takes something off its front.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    bytes: Bytes,
    /// The request's version writes lengths as varints and ends each struct with tagged fields.
    flexible: bool,
}

impl Wire {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, flexible: false }
    }

    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn rest(self) -> Bytes {
        self.bytes
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<Bytes, Malformed> {
        if len > self.bytes.len() {
            return Err(Malformed { what });
        }
        Ok(self.bytes.split_to(len))
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let array = *self.bytes.first_chunk::<N>().ok_or(Malformed { what })?;
        bytes::Buf::advance(&mut self.bytes, N);
        Ok(array)
    }

    pub(crate) fn i8(&mut self, what: &'static str) -> Result<i8, Malformed> {
        self.array(what).map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self, what: &'static str) -> Result<i16, Malformed> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, Malformed> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        self.array(what).map(i64::from_be_bytes)
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool, Malformed> {
        Ok(self.i8(what)? != 0)
    }

    /// Unsigned LEB128 of at most ten bytes.
    fn uvarlong(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        let bytes: &[u8] = &self.bytes;
        for (taken, byte) in (1..=10).zip(bytes) {
            value |= u64::from(byte & 0x7f) << (7 * (taken - 1));
            if *byte < 0x80 {
                bytes::Buf::advance(&mut self.bytes, taken);
                return Ok(value);
            }
        }
        Err(Malformed { what })
    }

    pub(crate) fn uvarint(&mut self, what: &'static str) -> Result<u32, Malformed> {
        u32::try_from(self.uvarlong(what)?).map_err(|_| Malformed { what })
    }

    pub(crate) fn varlong(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let zigzag = self.uvarlong(what)?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<i32, Malformed> {
        i32::try_from(self.varlong(what)?).map_err(|_| Malformed { what })
    }

    /// A length in the request's form; `None` is null.
    fn length(&mut self, what: &'static str, classic: Classic) -> Result<Option<usize>, Malformed> {
        let length = match (self.flexible, classic) {
            (true, _) => i64::from(self.uvarint(what)?) - 1,
            (false, Classic::Short) => i64::from(self.i16(what)?),
            (false, Classic::Long) => i64::from(self.i32(what)?),
        };
        if length == -1 {
            return Ok(None);
        }
        usize::try_from(length).map(Some).map_err(|_| Malformed { what })
    }

    pub(crate) fn text_or_null(
        &mut self,
        what: &'static str,
    ) -> Result<Option<StrBytes>, Malformed> {
        let Some(length) = self.length(what, Classic::Short)? else { return Ok(None) };
        let bytes = self.take(length, what)?;
        StrBytes::from_utf8(bytes).map(Some).map_err(|_| Malformed { what })
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<StrBytes, Malformed> {
        self.text_or_null(what)?.ok_or(Malformed { what })
    }

    pub(crate) fn bytes_or_null(&mut self, what: &'static str) -> Result<Option<Bytes>, Malformed> {
        let Some(length) = self.length(what, Classic::Long)? else { return Ok(None) };
        self.take(length, what).map(Some)
    }

    /// The items of an array; `None` is null. Room is made as items are read, never by the stated count:
    /// each item takes at least a byte, so the frame's own limit bounds them.
    pub(crate) fn items_or_null<T>(
        &mut self,
        what: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        let Some(count) = self.length(what, Classic::Long)? else { return Ok(None) };
        if count > self.remaining() {
            return Err(Malformed { what });
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(Some(items))
    }

    pub(crate) fn items<T>(
        &mut self,
        what: &'static str,
        item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.items_or_null(what, item)?.ok_or(Malformed { what })
    }

    /// Passes over the tagged fields that end a struct of a flexible version.
    pub(crate) fn tags(&mut self) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint("tagged fields")? {
            self.uvarint("tag")?;
            let len = self.uvarint("tagged field")? as usize;
            self.take(len, "tagged field")?;
        }
        Ok(())
    }
}

/// How wide a length is in versions that are not flexible.
#[derive(Clone, Copy)]
enum Classic {
    Short,
    Long,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_count_beyond_the_frame_is_refused_before_anything_is_allocated() {
        let mut wire = Wire::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3]));
        let items = wire.items("topics", |wire| wire.i8("byte"));
        assert_eq!(items, Err(Malformed { what: "topics" }));
    }

    #[test]
    fn zigzag_numbers_read_as_kafka_writes_them() {
        for (bytes, number) in [(&[0_u8][..], 0), (&[1], -1), (&[2], 1), (&[0x80, 0x01], 64)] {
            let mut wire = Wire::new(Bytes::copy_from_slice(bytes));
            assert_eq!(wire.varint("n"), Ok(number));
        }
        let mut endless = Wire::new(Bytes::from_static(&[0xff; 11]));
        assert!(endless.varlong("n").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flexible: bool) {
            let mut wire = Wire::new(bytes.into());
            wire.set_flexible(flexible);
            while wire.remaining() > 0 {
                let items = wire.items_or_null("items", |wire| {
                    wire.text_or_null("text")?;
                    wire.bytes_or_null("bytes")?;
                    wire.tags()
                });
                if items.is_err() && wire.i8("byte").is_err() {
                    break;
                }
            }
        }
    }
}
