//! How far a backup, a check or a restore has come, and whether it is to go on.

use crate::error::StoreError;

/// Told after each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub parts: u64,
    pub parts_total: u64,
    pub bytes: u64,
    pub bytes_total: u64,
    /// Of these, bytes that went to the target or came from it.
    pub moved: u64,
}

/// Who is told; false ends the work with [`StoreError::Stopped`].
pub type Tell<'a> = dyn FnMut(Progress) -> bool + 'a;

pub(super) struct Meter<'a> {
    progress: Progress,
    tell: &'a mut Tell<'a>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(tell: &'a mut Tell<'a>) -> Self {
        Self { progress: Progress::default(), tell }
    }

    pub(super) fn expect(&mut self, parts: u64, bytes: u64) {
        // What was moved before was not counted in: it is small.
        self.progress = Progress { parts_total: parts, bytes_total: bytes, ..Progress::default() };
    }

    pub(super) fn moved(&mut self, bytes: u64) {
        self.progress.moved += bytes;
        self.progress.bytes += bytes;
    }

    /// A part is done.
    pub(super) fn part(&mut self) -> Result<(), StoreError> {
        self.progress.parts += 1;
        if (self.tell)(self.progress) { Ok(()) } else { Err(StoreError::Stopped) }
    }

    /// A part of which so many bytes were there already.
    pub(super) fn passed(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.progress.bytes += bytes;
        self.part()
    }
}
