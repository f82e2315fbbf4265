//! Fluentd's and Fluent Bit's forward protocol, version 1: messages of `MessagePack`, each answered when its events
//! are durable if its sender asks for that.

mod entries;
mod handshake;
mod json;
mod token;

pub use handshake::SharedKey;

use crate::port::dialogue::{Dialogue, Refusal, Turn};
use bytes::{Bytes, BytesMut};
use entries::{Entries, Packing};
use handshake::Handshake;
use std::{io, sync::Arc};
use token::{Malformed, Scan, Token, Values};

/// 16 MiB: twice what Fluentd gathers in memory before it sends, eight times what Fluent Bit does.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Stored at once: 10,000 events a second come in ten such runs.
const MESSAGES_MAX: usize = 1_024;
/// What a name for an acknowledgement has at most: it is 24 bytes of base64 everywhere.
const CHUNK_BYTES_MAX: usize = 256;
/// Who has not shown the key yet sends one short message.
const PING_BYTES_MAX: usize = 8 << 10;

/// One connection.
pub(crate) struct Forward {
    /// What is not yet answered of it.
    handshake: Option<Handshake>,
    scan: Scan,
    /// What comes behind the messages that are being stored.
    refusal: Option<Refusal>,
}

impl Forward {
    /// With a key, only who shows that it is known may send.
    pub(crate) fn new(key: Option<Arc<SharedKey>>) -> io::Result<Self> {
        let handshake = key.map(Handshake::new).transpose()?;
        Ok(Self { handshake, scan: Scan::default(), refusal: None })
    }

    fn turn(&mut self, message: &Bytes) -> Turn {
        let Some(handshake) = &self.handshake else {
            let malformed = |error| refuse(message.clone(), error);
            return read(message).unwrap_or_else(malformed);
        };
        match handshake.answer(message) {
            Ok(pong) => {
                self.handshake = None;
                Turn::answer(pong)
            }
            Err((pong, reason)) => {
                let kept = Bytes::new();
                Turn::Refuse(Refusal { answer: pong, label: "auth", reason: reason.into(), kept })
            }
        }
    }
}

fn refuse(kept: Bytes, error: impl std::fmt::Display) -> Turn {
    let reason = format!("no message of Fluentd's forward protocol: {error}");
    Turn::Refuse(Refusal { answer: Vec::new(), label: "malformed", reason, kept })
}

impl Dialogue for Forward {
    fn greeting(&self) -> Vec<u8> {
        self.handshake.as_ref().map(Handshake::greeting).unwrap_or_default()
    }

    /// Messages that lie behind one another become durable together: most clients send each event in one of its own.
    fn take(&mut self, buffer: &mut BytesMut) -> Option<Turn> {
        if let Some(refusal) = self.refusal.take() {
            return Some(Turn::Refuse(refusal));
        }
        let (mut all, mut answers) = (Vec::new(), Vec::new());
        while all.len() < MESSAGES_MAX {
            match self.next(buffer) {
                Some(Turn::Events { events, answer }) => {
                    all.push(events);
                    answers.extend(answer);
                }
                Some(Turn::Refuse(refusal)) if all.is_empty() => {
                    return Some(Turn::Refuse(refusal));
                }
                Some(Turn::Refuse(refusal)) => {
                    self.refusal = Some(refusal);
                    break;
                }
                None => break,
            }
        }
        let has_any = !all.is_empty();
        let events = Box::new(all.into_iter().flatten());
        has_any.then_some(Turn::Events { events, answer: answers })
    }

    /// Who asks for no acknowledgement never sends it again.
    fn cut(&self) -> Option<&'static str> {
        self.handshake
            .is_none()
            .then_some("the connection ended in the middle of a message of Fluentd")
    }
}

impl Forward {
    /// The next message alone.
    fn next(&mut self, buffer: &mut BytesMut) -> Option<Turn> {
        if buffer.is_empty() {
            return None;
        }
        let has_key = self.handshake.is_none();
        let max = if has_key { MESSAGE_BYTES_MAX } else { PING_BYTES_MAX };
        match self.scan.end(buffer) {
            Ok(Some(end)) => {
                self.scan = Scan::default();
                let message = buffer.split_to(end).freeze();
                Some(self.turn(&message))
            }
            Ok(None) if buffer.len() <= max => None,
            // What strangers send is not kept.
            _ if !has_key => {
                let reason = "something else than PING came first".into();
                let (answer, kept) = (Vec::new(), Bytes::new());
                Some(Turn::Refuse(Refusal { answer, label: "auth", reason, kept }))
            }
            Ok(None) => {
                let error = "longer than 16 MiB; send smaller chunks (chunk_limit_size 8m)";
                Some(refuse(buffer.split().freeze(), error))
            }
            Err(error) => Some(refuse(buffer.split().freeze(), error)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum NoMessage {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("it is no array of two to four values")]
    Array,
    #[error("its tag is no text")]
    Tag,
    #[error("its 'chunk' is no short text")]
    Chunk,
}

fn read(message: &Bytes) -> Result<Turn, NoMessage> {
    let mut values = Values(message);
    let head = values.enter()?;
    // Some clients keep a connection open so.
    if head == Token::Nil {
        return Ok(Turn::answer(Vec::new()));
    }
    if !matches!(head, Token::Array(2..=4)) {
        return Err(NoMessage::Array);
    }
    let tag = values.enter()?.text().ok_or(NoMessage::Tag)?;
    let tag: Arc<str> = String::from_utf8_lossy(tag).into();
    let head = values.head()?;
    if let Some(packed) = head.text() {
        values.next()?;
        let options = Options::of(values)?;
        let packing = if options.is_gzip { Packing::Gzip } else { Packing::Plain };
        return Ok(options.turn(Entries::new(tag, message.slice_ref(packed), &packing)));
    }
    if let Token::Array(_) = head {
        let mut content = Values(values.next()?);
        content.enter()?;
        let options = Options::of(values)?;
        return Ok(options.turn(Entries::new(tag, message.slice_ref(content.0), &Packing::Plain)));
    }
    let piece = entries::piece(&mut values, &tag);
    Ok(Options::of(values)?.turn(std::iter::once(piece)))
}

/// What may stand behind the events.
#[derive(Default)]
struct Options<'m> {
    /// The name under which the sender waits for an acknowledgement, as it is written.
    chunk: Option<&'m [u8]>,
    is_gzip: bool,
}

impl<'m> Options<'m> {
    fn of(mut values: Values<'m>) -> Result<Self, NoMessage> {
        let mut options = Self::default();
        if values.0.is_empty() {
            return Ok(options);
        }
        let Token::Map(count) = values.enter()? else { return Ok(options) };
        for _ in 0..count {
            let key = Values(values.next()?).head()?;
            let value = values.next()?;
            match (key, Values(value).head()?) {
                (Token::Text(b"chunk"), Token::Text(name) | Token::Bytes(name)) => {
                    if name.len() > CHUNK_BYTES_MAX {
                        return Err(NoMessage::Chunk);
                    }
                    options.chunk = Some(value);
                }
                (Token::Text(b"chunk"), Token::Nil) => {}
                (Token::Text(b"chunk"), _) => return Err(NoMessage::Chunk),
                (Token::Text(b"compressed"), Token::Text(b"gzip")) => options.is_gzip = true,
                _ => {}
            }
        }
        Ok(options)
    }

    fn turn(&self, events: impl Iterator<Item = crate::decoding::Piece> + Send + 'static) -> Turn {
        let ack = |chunk| [&b"\x81\xa3ack"[..], chunk].concat();
        let answer = self.chunk.map(ack).unwrap_or_default();
        Turn::Events { events: Box::new(events), answer }
    }
}

#[cfg(test)]
mod tests;
