//! The leaves of an open segment's frames: decrypted, decompressed and hashed on all cores, which is nearly all that a
//! start after a crash costs. What follows from them is decided in order, by one thread.

use crate::{
    block,
    crypt::Key,
    frame::{self, FrameError, Framed},
    scan::Piece,
    tree::{self, Hash},
};
use std::{num::NonZero, panic, thread};

/// More threads than this wait for each other.
const THREADS_MAX: usize = 8;
/// Fewer frames are read sooner than a thread begins.
const FRAMES_MIN: usize = 8;

/// The leaves of one frame, in order, if it is one; the reason where its body does not hold.
pub(crate) type Leaves = Option<Result<Vec<Hash>, FrameError>>;

/// Those of each of `pieces` of the segment's `bytes`.
pub(crate) fn leaves(bytes: &[u8], pieces: &[Piece], key: &Key) -> Vec<Leaves> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let share = pieces.len().div_ceil(threads).max(FRAMES_MIN);
    let of_share = &|share: &[Piece]| -> Vec<Leaves> {
        let of_piece = |piece: &Piece| match piece {
            Piece::Frame { at, framed } => {
                Some(of_frame(bytes.get(*at..).unwrap_or_default(), framed, key))
            }
            Piece::Damage(_) => None,
        };
        share.iter().map(of_piece).collect()
    };
    let (first, others) = pieces.split_at(share.min(pieces.len()));
    thread::scope(|scope| {
        let spawn = |some| scope.spawn(move || of_share(some));
        let others: Vec<_> = others.chunks(share).map(spawn).collect();
        let mut all = of_share(first);
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| panic::resume_unwind(panic)));
        }
        all
    })
}

fn of_frame(bytes: &[u8], framed: &Framed, key: &Key) -> Result<Vec<Hash>, FrameError> {
    let block = block::read(&framed.header, frame::open(bytes, framed, key, None)?)?;
    Ok(block.iter().map(|(_, record)| tree::leaf(&record)).collect())
}
