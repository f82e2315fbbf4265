//! What inflates as it is read, up to a bound.

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
