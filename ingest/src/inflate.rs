//! What inflates as it is read, up to a bound.

use bytes::BytesMut;
use std::io::{self, Read};

/// 16 MiB of logs inflate tenfold. Nobody holds it whole; of a bomb, a message costs half a second of one thread.
const INFLATED_BYTES_MAX: u64 = 256 << 20;

/// What inflates to more than it may is an error.
pub(crate) struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R> Bounded<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, left: INFLATED_BYTES_MAX }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        let too_long = || io::Error::other("it inflates to more than 256 MiB");
        self.left = self.left.checked_sub(read as u64).ok_or_else(too_long)?;
        Ok(read)
    }
}

/// What is read at once.
const STEP_BYTES: usize = 64 << 10;

/// Adds some of what is left to `buffer`; false at the end.
pub(crate) fn fill(from: &mut impl Read, buffer: &mut BytesMut) -> io::Result<bool> {
    let had = buffer.len();
    buffer.resize(had + STEP_BYTES, 0);
    let read = from.read(buffer.get_mut(had..).unwrap_or_default());
    buffer.truncate(had + *read.as_ref().unwrap_or(&0));
    read.map(|read| read > 0)
}
