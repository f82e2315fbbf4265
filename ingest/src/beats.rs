//! Lumberjack, version 2, as Beats and their kin speak it to Logstash: windows of JSON events, compressed or not, each
//! acknowledged when all of its events are durable.
//!
//! `2W` count · `2J` number, length, JSON · `2C` length, zlib of such frames · answered by `2A` number. Numbers have four
//! bytes, the highest first.

use crate::{
    decoding::Piece,
    inflate::{Bounded, fill},
    port::dialogue::{Dialogue, Refusal, Turn},
};
use bytes::{Buf as _, Bytes, BytesMut};
use flate2::read::ZlibDecoder;
use std::{
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// 16 MiB: Beats send at most 2,048 events at once, of a few hundred bytes.
const FRAME_BYTES_MAX: usize = 16 << 20;
/// 1 MiB of one event that comes compressed: four times what an event may have.
const PACKED_EVENT_BYTES_MAX: usize = 1 << 20;
/// `2C` and a length.
const PACKED_HEAD_BYTES: usize = 6;
/// An acknowledgement of nothing: the sender waits on.
const WAIT_ON: &[u8] = b"2A\0\0\0\0";

/// One connection.
#[derive(Default)]
pub(crate) struct Beats {
    /// So many events the sender puts into what it waits for.
    window: u32,
    seen: Arc<Mutex<Seen>>,
}

/// What was read of a window.
#[derive(Default)]
struct Seen {
    count: u32,
    last: u32,
    /// Why nothing more can be read.
    broken: Option<String>,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, PartialEq, Eq)]
enum Frame<'b> {
    Window(u32),
    Event { number: u32, json: &'b [u8] },
    Packed(&'b [u8]),
}

/// The frame at the front and its length; `None` if it is not whole.
fn frame(bytes: &[u8], max: usize) -> Result<Option<(Frame<'_>, usize)>, String> {
    let Some(([version, kind], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    if *version != b'2' {
        return Err(format!("version {} of Lumberjack; only 2 is read", version.escape_ascii()));
    }
    let Some((number, rest)) = number(rest) else { return Ok(None) };
    let (length, rest) = match kind {
        b'W' => return Ok(Some((Frame::Window(number), bytes.len() - rest.len()))),
        b'C' => (number, rest),
        b'J' => match self::number(rest) {
            Some(found) => found,
            None => return Ok(None),
        },
        other => return Err(format!("a frame of kind {}, which is none", other.escape_ascii())),
    };
    let length = length as usize;
    if length > max {
        return Err(format!("a frame of {length} bytes, of at most {max}; send smaller ones"));
    }
    let Some((content, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let frame = match kind {
        b'C' => Frame::Packed(content),
        _ => Frame::Event { number, json: content },
    };
    Ok(Some((frame, bytes.len() - rest.len())))
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

impl Beats {
    /// What is to be said of the events so far, which are all durable.
    fn settle(&self) -> Option<Turn> {
        let mut seen = lock(&self.seen);
        if let Some(reason) = seen.broken.take() {
            return Some(refuse(Bytes::new(), reason));
        }
        if seen.count == 0 || seen.count < self.window {
            return None;
        }
        seen.count = 0;
        Some(Turn::answer([&b"2A"[..], &seen.last.to_be_bytes()].concat()))
    }

    fn events(&self, sent: Bytes, from: Box<dyn Read + Send>) -> Turn {
        let (buffer, seen) = (BytesMut::new(), Arc::clone(&self.seen));
        let events = Events { from, sent, buffer, seen, ended: false };
        Turn::Events { events: Box::new(events), answer: Vec::new() }
    }

    /// How long the events at the front are, to the end of their window.
    fn run(&self, buffer: &[u8]) -> usize {
        let (mut end, mut count) = (0, lock(&self.seen).count);
        while count < self.window.max(1) {
            let rest = buffer.get(end..).unwrap_or_default();
            let Ok(Some((Frame::Event { .. }, length))) = frame(rest, FRAME_BYTES_MAX) else {
                break;
            };
            (end, count) = (end + length, count + 1);
        }
        end
    }
}

fn refuse(kept: Bytes, reason: String) -> Turn {
    Turn::Refuse(Refusal { answer: Vec::new(), label: "malformed", reason, kept })
}

impl Dialogue for Beats {
    fn take(&mut self, buffer: &mut BytesMut) -> Option<Turn> {
        if let Some(turn) = self.settle() {
            return Some(turn);
        }
        while let Ok(Some((Frame::Window(count), length))) = frame(buffer, FRAME_BYTES_MAX) {
            buffer.advance(length);
            self.window = count;
            lock(&self.seen).count = 0;
        }
        let run = self.run(buffer);
        if run > 0 {
            let sent = buffer.split_to(run).freeze();
            return Some(self.events(sent.clone(), Box::new(sent.reader())));
        }
        match frame(buffer, FRAME_BYTES_MAX) {
            Ok(None) => None,
            Ok(Some((_, length))) => {
                let sent = buffer.split_to(length).freeze();
                let packed = sent.slice(PACKED_HEAD_BYTES.min(length)..);
                let inflating = Bounded::new(ZlibDecoder::new(packed.reader()));
                Some(self.events(sent, Box::new(inflating)))
            }
            Err(reason) => Some(refuse(buffer.split().freeze(), reason)),
        }
    }

    fn patience(&self) -> Option<&'static [u8]> {
        Some(WAIT_ON)
    }
}

/// Events one behind the other, read as they are asked for.
struct Events {
    from: Box<dyn Read + Send>,
    /// What was sent, kept whole where it cannot be read to its end.
    sent: Bytes,
    buffer: BytesMut,
    seen: Arc<Mutex<Seen>>,
    ended: bool,
}

impl Events {
    fn fault(&mut self, why: &str) -> Piece {
        self.ended = true;
        let reason = format!("a frame of Lumberjack that is not read to its end: {why}");
        lock(&self.seen).broken = Some(reason.clone());
        Piece::faulty(self.sent.clone(), reason)
    }

    /// False at the end.
    fn fill(&mut self) -> io::Result<bool> {
        fill(&mut self.from, &mut self.buffer)
    }

    /// The event at the front, or the bytes that are missing to it.
    fn event(&mut self) -> Result<Option<Piece>, String> {
        // What is not compressed lies in memory already.
        let max = self.sent.len().max(PACKED_EVENT_BYTES_MAX);
        let Some((frame, length)) = frame(&self.buffer, max)? else { return Ok(None) };
        let Frame::Event { number, json } = frame else {
            return Err("something else than events in it".into());
        };
        let piece = Piece::new(Bytes::copy_from_slice(json));
        let mut seen = lock(&self.seen);
        (seen.count, seen.last) = (seen.count.saturating_add(1), number);
        drop(seen);
        self.buffer.advance(length);
        Ok(Some(piece))
    }
}

impl Iterator for Events {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while !self.ended {
            match self.event() {
                Ok(Some(piece)) => return Some(piece),
                Ok(None) => match self.fill() {
                    Ok(true) => {}
                    Ok(false) if self.buffer.is_empty() => self.ended = true,
                    Ok(false) => return Some(self.fault("it ends in the middle of an event")),
                    Err(error) => return Some(self.fault(&error.to_string())),
                },
                Err(error) => return Some(self.fault(&error)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
