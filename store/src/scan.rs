//! Walks the frames of a segment's bytes and finds what is damaged; says nothing of why.

use crate::frame::{self, FrameError, Framed};

/// A stretch of a segment, in order and without gaps.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A frame that matches its checksums.
    Frame { at: usize, framed: Framed },
    /// Bytes that are no frame, up to the next one or to the last byte that is not zero.
    Damage(Damage),
}

impl Piece {
    /// The header, if it is a frame.
    pub(crate) fn header(&self) -> Option<&frame::Header> {
        match self {
            Self::Frame { framed, .. } => Some(&framed.header),
            Self::Damage(_) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) at: usize,
    pub(crate) end: usize,
    /// The header, where that is whole.
    pub(crate) framed: Option<Framed>,
    pub(crate) error: FrameError,
    /// The bytes look as an unfinished write leaves them: some never reached the disk.
    pub(crate) unfinished: bool,
}

impl Damage {
    /// A frame that matches its checksums and is wrong all the same.
    pub(crate) fn of_frame(at: usize, framed: Framed, error: FrameError) -> Self {
        let end = at + framed.frame_bytes();
        Self { at, end, framed: Some(framed), error, unfinished: false }
    }
}

/// What the disk writes as one: a sector of zeros inside a frame was never written.
const SECTOR_BYTES: usize = 512;

/// The pieces of `bytes` from `from` on, and where the last one ends. Zeros behind that are room that was
/// reserved and not used.
pub(crate) fn scan(bytes: &[u8], from: usize) -> (Vec<Piece>, usize) {
    let used = used(bytes);
    let (mut pieces, mut at) = (Vec::new(), from);
    while at < used {
        let rest = bytes.get(at..).unwrap_or_default();
        match frame::check(rest) {
            Ok(framed) => {
                let len = framed.frame_bytes();
                pieces.push(Piece::Frame { at, framed });
                at += len;
            }
            Err(error) => {
                let next = next_frame(bytes, at + 1);
                let end = next.unwrap_or(used.max(at));
                let framed = frame::read_header(rest).ok();
                let unfinished = next.is_none() && is_unfinished(bytes, at, used);
                pieces.push(Piece::Damage(Damage { at, end, framed, error, unfinished }));
                at = end;
            }
        }
    }
    (pieces, at)
}

/// How many bytes there are up to the last one that is not zero: behind them is room that was reserved.
pub(crate) fn used(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    // Of 64 MiB most is zeros, and comparing slices is what processors do best.
    let mut rest = bytes;
    while let Some((before, last)) = rest.split_last_chunk()
        && *last == ZEROS
    {
        rest = before;
    }
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// The next place where a whole frame begins. That random bytes look like one has a chance of 2⁻⁹⁶.
fn next_frame(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let found = bytes.get(at..)?.windows(4).position(|window| window == frame::MAGIC)?;
        at += found;
        if bytes.get(at..).is_some_and(|rest| frame::check(rest).is_ok()) {
            return Some(at);
        }
        at += 1;
    }
}

/// Whether the frame that begins at `at` lacks bytes at its end or a whole sector within.
fn is_unfinished(bytes: &[u8], at: usize, used: usize) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((_, claimed)) = frame::claimed_bytes(rest) else { return true };
    let claimed = usize::try_from(claimed).unwrap_or(usize::MAX);
    if at.saturating_add(claimed) > used {
        return true;
    }
    let first = at.next_multiple_of(SECTOR_BYTES);
    let sectors = bytes.get(first..used).unwrap_or_default().chunks(SECTOR_BYTES);
    sectors.filter(|sector| sector.len() == SECTOR_BYTES).any(|s| s.iter().all(|b| *b == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes with the lengths of a header of 100 and a body of `body`, and no zeros.
    fn claimed(body: u32) -> Vec<u8> {
        let mut bytes = vec![7; 12];
        bytes.extend_from_slice(&100_u32.to_le_bytes());
        bytes.extend_from_slice(&body.to_le_bytes());
        let (_, whole) = frame::claimed_bytes(&bytes).unwrap();
        bytes.resize(usize::try_from(whole).unwrap(), 7);
        bytes
    }

    #[test]
    fn what_lacks_its_end_or_a_whole_sector_is_unfinished_and_nothing_else_is() {
        let whole = claimed(2_000);
        let unfinished = |bytes: &[u8]| is_unfinished(bytes, 0, used(bytes));
        assert!(!unfinished(&whole));
        assert!(unfinished(&whole[..whole.len() - 1]) && unfinished(&whole[..10]));
        let with_zeros = |range: std::ops::Range<usize>| {
            let mut bytes = whole.clone();
            bytes[range].fill(0);
            bytes
        };
        assert!(unfinished(&with_zeros(512..1_024)) && unfinished(&with_zeros(1_024..1_600)));
        assert!(!unfinished(&with_zeros(513..1_024)) && !unfinished(&with_zeros(600..1_500)));
    }
}
