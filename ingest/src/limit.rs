//! How long one event may be, and what is kept of a longer one.

use bytes::Bytes;
use custos_event::parsed::{Protection, Whole};
use sha2::{Digest as _, Sha256};

/// RELIABILITY §4: 256 KiB. Real events stay below 64 KiB; a thousand of these are 256 MiB, the most
/// that a full batch may cost.
pub(crate) const EVENT_BYTES_MAX: usize = 256 << 10;

/// Length and digest of bytes that are about to be cut.
pub(crate) fn whole(raw: &[u8]) -> Whole {
    Whole { bytes: raw.len() as u64, sha256: Sha256::digest(raw).into() }
}

/// Cuts what is longer than an event may be, and says what the whole was.
pub(crate) fn cut(raw: Bytes) -> (Bytes, Option<Whole>) {
    if raw.len() <= EVENT_BYTES_MAX {
        return (raw, None);
    }
    let whole = whole(&raw);
    (raw.slice(..EVENT_BYTES_MAX), Some(whole))
}

/// The beginning that is kept of protected bytes: not beyond the limit, and no token in halves.
pub(crate) fn head(raw: &Bytes, protections: &mut Vec<Protection>) -> Bytes {
    let end_of = |protection: &Protection| protection.start as usize + protection.len as usize;
    let mut end = raw.len().min(EVENT_BYTES_MAX);
    let halved = protections.iter().find(|protection| end_of(protection) > end);
    end = halved.map_or(end, |protection| end.min(protection.start as usize));
    protections.retain(|protection| end_of(protection) <= end);
    raw.slice(..end)
}

/// What is read of a longer event beyond the limit, so that no card number is cut in half unseen.
pub(crate) const MARGIN_BYTES: usize = 64;

/// An event that comes in pieces: gathered up to the limit, beyond it only its digest goes on.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    buffer: Vec<u8>,
    long: Option<Long>,
}

impl Gathered {
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.long = None;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        const KEPT: usize = EVENT_BYTES_MAX + MARGIN_BYTES;
        if self.long.is_none() && self.buffer.len() + piece.len() > EVENT_BYTES_MAX {
            self.long = Some(Long::begin(&self.buffer));
        }
        if let Some(long) = &mut self.long {
            long.add(piece);
        }
        let room = KEPT.saturating_sub(self.buffer.len()).min(piece.len());
        self.buffer.extend_from_slice(piece.get(..room).unwrap_or_default());
    }

    /// What was gathered as one line, without its CR; `None` if it is blank. Then begins anew.
    pub(crate) fn finish(&mut self) -> Option<(Bytes, Option<Whole>)> {
        let line = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        let content = (!is_blank).then(|| Bytes::copy_from_slice(line));
        let whole = self.long.take().map(Long::finish);
        self.buffer.clear();
        content.map(|bytes| (bytes, whole))
    }
}

/// The digest of what is over the limit, as it passes by.
#[derive(Debug)]
struct Long {
    bytes: u64,
    digest: Sha256,
}

impl Long {
    fn begin(before: &[u8]) -> Self {
        Self { bytes: before.len() as u64, digest: Sha256::new_with_prefix(before) }
    }

    fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.digest.update(piece);
    }

    fn finish(self) -> Whole {
        Whole { bytes: self.bytes, sha256: self.digest.finalize().into() }
    }
}

/// The reason under which a cut event is rejected.
pub(crate) fn too_long(bytes: u64) -> String {
    format!("longer than 256 KiB ({bytes} bytes): cut there, the digest of the whole is kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_kept_in_halves() {
        let raw = Bytes::from(vec![b'x'; EVENT_BYTES_MAX + 20]);
        let at = |start: usize| Protection {
            start: u32::try_from(start).unwrap(),
            len: 36,
            kind: 1,
            detector: 1,
        };
        let mut protections = vec![at(10), at(EVENT_BYTES_MAX - 20)];
        assert_eq!(head(&raw, &mut protections).len(), EVENT_BYTES_MAX - 20);
        assert_eq!(protections, [at(10)]);
        let mut protections = vec![at(EVENT_BYTES_MAX - 36), at(EVENT_BYTES_MAX + 4)];
        assert_eq!(head(&raw, &mut protections).len(), EVENT_BYTES_MAX);
        assert_eq!(protections, [at(EVENT_BYTES_MAX - 36)]);
    }
}
