//! The events of one message, read as they are asked for: a chunk inflates by steps and is never held whole.

use super::{
    json,
    token::{Malformed, Scan, Token, Values},
};
use crate::{
    decode::is_known,
    decoding::{Context, Piece},
    inflate::{Bounded, fill},
    limit::Gathered,
};
use bytes::{Buf as _, Bytes, BytesMut};
use custos_event::Timestamp;
use flate2::read::MultiGzDecoder;
use std::{
    io::{self, Read},
    sync::Arc,
};

/// 1 MiB: four times what an event may have, so that a longer one still leaves its length and digest.
const ENTRY_BYTES_MAX: usize = 1 << 20;
/// Fluentd's largest chunk in memory, 8 MiB, has some 100,000; more of one message are somebody's mischief.
const ENTRIES_MAX: usize = 1_000_000;

/// How a chunk's entries are packed.
pub(super) enum Packing {
    Plain,
    Gzip,
}

/// Entries one behind the other.
pub(super) struct Entries {
    from: Box<dyn Read + Send>,
    /// What was sent, kept whole where it cannot be read to its end.
    sent: Bytes,
    tag: Arc<str>,
    buffer: BytesMut,
    scan: Scan,
    read: usize,
    ended: bool,
}

impl Entries {
    pub(super) fn new(tag: Arc<str>, sent: Bytes, packing: &Packing) -> Self {
        let reader = sent.clone().reader();
        let from: Box<dyn Read + Send> = match packing {
            Packing::Plain => Box::new(reader),
            Packing::Gzip => Box::new(Bounded::new(MultiGzDecoder::new(reader))),
        };
        let (buffer, scan) = (BytesMut::new(), Scan::default());
        Self { from, sent, tag, buffer, scan, read: 0, ended: false }
    }

    fn fault(&mut self, why: &str) -> Piece {
        self.ended = true;
        let fault = format!("a chunk of Fluentd behind its first {} events: {why}", self.read);
        let piece = Piece::faulty(self.sent.clone(), fault);
        let context = Context { tag: Some(Arc::clone(&self.tag)), ..Context::default() };
        Piece { context, ..piece }
    }

    /// False at the end.
    fn fill(&mut self) -> io::Result<bool> {
        fill(&mut self.from, &mut self.buffer)
    }
}

impl Iterator for Entries {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while !self.ended {
            match self.scan.end(&self.buffer) {
                Ok(Some(_)) if self.read == ENTRIES_MAX => {
                    return Some(self.fault("more than 1,000,000 in one; send smaller chunks"));
                }
                Ok(Some(end)) => {
                    let entry = self.buffer.split_to(end);
                    self.scan = Scan::default();
                    self.read += 1;
                    return Some(in_array(&entry, &self.tag));
                }
                Ok(None) if self.buffer.len() > ENTRY_BYTES_MAX => {
                    return Some(self.fault("an event of more than 1 MiB"));
                }
                Ok(None) => match self.fill() {
                    Ok(true) => {}
                    Ok(false) if self.buffer.is_empty() => self.ended = true,
                    Ok(false) => return Some(self.fault("it ends in the middle of an event")),
                    Err(error) => return Some(self.fault(&format!("it is not readable: {error}"))),
                },
                Err(error) => return Some(self.fault(&error.to_string())),
            }
        }
        None
    }
}

/// An entry as it stands in a chunk: an array of time and record.
fn in_array(entry: &[u8], tag: &Arc<str>) -> Piece {
    let mut values = Values(entry);
    match values.enter() {
        Ok(Token::Array(2..)) => piece(&mut values, tag),
        Ok(_) | Err(_) => faulty(entry, tag, "an entry that is no array of time and record"),
    }
}

/// Takes a time and a record, and makes an event of them.
pub(super) fn piece(values: &mut Values<'_>, tag: &Arc<str>) -> Piece {
    let all = values.0;
    read(values, tag).unwrap_or_else(|error| faulty(all, tag, &error.to_string()))
}

fn faulty(kept: &[u8], tag: &Arc<str>, why: &str) -> Piece {
    let context = Context { tag: Some(Arc::clone(tag)), ..Context::default() };
    Piece { context, ..Piece::faulty(Bytes::copy_from_slice(kept), format!("of Fluentd: {why}")) }
}

fn read(values: &mut Values<'_>, tag: &Arc<str>) -> Result<Piece, Malformed> {
    let (time, metadata) = when(values.next()?)?;
    let record = values.next()?;
    let mut context = Context { time, tag: Some(Arc::clone(tag)), ..Context::default() };
    if !matches!(Values(record).head()?, Token::Map(_)) {
        return Ok(faulty(record, tag, "a record that is no map"));
    }
    let mut to = Gathered::default();
    if let Some(metadata) = metadata {
        beside(record, metadata, &mut to)?;
    } else if let Some(line) = Line::of(record)? {
        to.add(line.text);
        (context.host, context.file) = (line.host.map(text), line.file.map(text));
    } else {
        json::write(&mut Values(record), &mut to)?;
    }
    let (bytes, whole) = to.finish().unwrap_or_default();
    Ok(Piece { whole, context, ..Piece::new(bytes) })
}

/// What Fluent Bit says of a record beside it has no other place.
fn beside(record: &[u8], metadata: &[u8], to: &mut Gathered) -> Result<(), Malformed> {
    to.add(b"{\"record\":");
    json::write(&mut Values(record), to)?;
    to.add(b",\"metadata\":");
    json::write(&mut Values(metadata), to)?;
    to.add(b"}");
    Ok(())
}

/// The time, and the metadata that Fluent Bit may put beside it where there is some.
fn when(value: &[u8]) -> Result<(Option<Timestamp>, Option<&[u8]>), Malformed> {
    let mut values = Values(value);
    if let Token::Array(2) = values.head()? {
        values.enter()?;
        let time = time(values.enter()?);
        let metadata = values.next()?;
        let is_empty = matches!(Values(metadata).head()?, Token::Map(0) | Token::Nil);
        return Ok((time, (!is_empty).then_some(metadata)));
    }
    Ok((time(values.head()?), None))
}

/// Whole seconds, `EventTime` (seconds and nanoseconds), or a number with a fraction as some clients write it.
fn time(token: Token<'_>) -> Option<Timestamp> {
    let whole = |secs: i64| secs.checked_mul(1_000_000_000).map(Timestamp);
    match token {
        Token::UInt(secs) => whole(i64::try_from(secs).ok()?),
        Token::Int(secs) => whole(secs),
        Token::Float(secs) => Timestamp::from_secs_f64(secs),
        Token::Ext(0, stamp) => {
            let (secs, nanos) = stamp.split_first_chunk::<4>()?;
            let nanos = u32::from_be_bytes(nanos.try_into().ok()?);
            let time = whole(u32::from_be_bytes(*secs).into())?;
            (nanos < 1_000_000_000).then(|| Timestamp(time.0 + i64::from(nanos)))
        }
        Token::Nil
        | Token::Bool(_)
        | Token::Text(_)
        | Token::Bytes(_)
        | Token::Ext(..)
        | Token::Array(_)
        | Token::Map(_) => None,
    }
}

fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

/// A record that says nothing beyond one line, its host and its file, as tails of files ship it.
#[derive(Default)]
struct Line<'r> {
    text: &'r [u8],
    host: Option<&'r [u8]>,
    file: Option<&'r [u8]>,
}

impl<'r> Line<'r> {
    /// Only if the line is of a format that is read; else the record says more as it is.
    fn of(record: &'r [u8]) -> Result<Option<Self>, Malformed> {
        let mut values = Values(record);
        let Token::Map(count @ 1..=3) = values.enter()? else { return Ok(None) };
        let mut line = Self::default();
        for _ in 0..count {
            let (Token::Text(key), Token::Text(value)) = (values.enter()?, values.enter()?) else {
                return Ok(None);
            };
            match key {
                b"log" | b"message" if line.text.is_empty() => {
                    line.text = value;
                }
                b"host" | b"hostname" if line.host.is_none() => line.host = Some(value),
                b"path" | b"file" | b"filename" if line.file.is_none() => line.file = Some(value),
                _ => return Ok(None),
            }
        }
        line.text = line.text.trim_ascii_end();
        Ok(is_known(line.text).then_some(line))
    }
}
