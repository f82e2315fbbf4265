//! Messages of GELF that came in pieces over UDP, put together again; bounded in time, number and bytes.
//!
//! A chunk: `1e 0f`, 8 bytes that name the message, its number from 0, how many there are, its part of the message.
//! What does not become whole is kept as rejected, as far as it came.

use crate::decoding::Piece;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

const MAGIC: [u8; 2] = [0x1e, 0x0f];
const HEAD_BYTES: usize = 12;
/// GELF's own limit of a message.
const CHUNKS_MAX: u8 = 128;
/// GELF: what is not whole after five seconds is given up. [`Chunks::tick`] comes every second.
const TICKS_MAX: u64 = 5;
/// Messages in the making. At 1,400 bytes a chunk, most have two to ten.
const MESSAGES_MAX: usize = 1_024;
/// What they hold together: as much as waits for the log at one port.
const BYTES_MAX: usize = 16 << 20;

/// Two senders may use the same name.
type Name = (SocketAddr, [u8; 8]);

/// The messages of one port that are not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// By the order in which they began.
    begun: BTreeMap<u64, Begun>,
    numbers: HashMap<Name, u64>,
    next: u64,
    bytes: usize,
    now: u64,
}

#[derive(Debug)]
struct Begun {
    name: Name,
    at: u64,
    parts: Vec<Option<Bytes>>,
}

impl Begun {
    fn missing(&self) -> usize {
        self.parts.iter().filter(|part| part.is_none()).count()
    }

    /// The parts that came, one behind the other.
    fn joined(&self) -> Bytes {
        let parts: Vec<&[u8]> = self.parts.iter().flatten().map(|part| &part[..]).collect();
        parts.concat().into()
    }

    fn bytes(&self) -> usize {
        self.parts.iter().flatten().map(Bytes::len).sum()
    }
}

struct Chunk<'d> {
    name: [u8; 8],
    nth: u8,
    count: u8,
    part: &'d [u8],
}

impl<'d> Chunk<'d> {
    fn of(datagram: &'d [u8]) -> Result<Self, String> {
        let Some((head, part)) = datagram.split_at_checked(HEAD_BYTES) else {
            return Err("a GELF chunk shorter than its head".into());
        };
        let [_, _, name @ .., nth, count] = head else {
            return Err("a GELF chunk without a head".into());
        };
        let (nth, count) = (*nth, *count);
        let name = <[u8; 8]>::try_from(name).map_err(|error| error.to_string())?;
        if count == 0 || count > CHUNKS_MAX || nth >= count {
            return Err(format!("a GELF chunk {nth} of {count}, of at most {CHUNKS_MAX}"));
        }
        Ok(Self { name, nth, count, part })
    }
}

impl Chunks {
    /// Takes a datagram; what is whole with it goes to `whole`, and so does what has to give way to it.
    pub(crate) fn take(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        mut whole: impl FnMut(SocketAddr, Piece),
    ) {
        let kept = || Bytes::copy_from_slice(datagram);
        if !datagram.starts_with(&MAGIC) {
            return whole(from, Piece::new(kept()));
        }
        let added = Chunk::of(datagram).and_then(|chunk| self.add(from, &chunk));
        match added {
            Err(fault) => whole(from, Piece::faulty(kept(), fault)),
            Ok(number) if self.begun.get(&number).is_some_and(|begun| begun.missing() == 0) => {
                if let Some(begun) = self.remove(number) {
                    whole(from, Piece::new(begun.joined()));
                }
            }
            Ok(_) => {}
        }
        while self.begun.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            self.give_up("before too many others began", &mut whole);
        }
    }

    /// A second has passed.
    pub(crate) fn tick(&mut self, mut whole: impl FnMut(SocketAddr, Piece)) {
        self.now += 1;
        let is_old = |begun: &Begun, now| now - begun.at > TICKS_MAX;
        while self.begun.first_key_value().is_some_and(|(_, first)| is_old(first, self.now)) {
            self.give_up("within 5 s", &mut whole);
        }
    }

    /// The port closes.
    pub(crate) fn end(&mut self, mut whole: impl FnMut(SocketAddr, Piece)) {
        while !self.begun.is_empty() {
            self.give_up("before the server stopped", &mut whole);
        }
    }

    fn add(&mut self, from: SocketAddr, chunk: &Chunk<'_>) -> Result<u64, String> {
        let name = (from, chunk.name);
        let number = *self.numbers.entry(name).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        let parts = || vec![None; usize::from(chunk.count)];
        let new = || Begun { name, at: self.now, parts: parts() };
        let begun = self.begun.entry(number).or_insert_with(new);
        let count = begun.parts.len();
        let fault = || format!("GELF chunk {} does not fit those before it", chunk.nth);
        if count != usize::from(chunk.count) {
            return Err(fault());
        }
        let part = begun.parts.get_mut(usize::from(chunk.nth)).ok_or_else(fault)?;
        match part {
            // Networks may deliver a datagram twice.
            Some(known) if known == chunk.part => {}
            Some(_) => return Err(fault()),
            None => {
                self.bytes += chunk.part.len();
                *part = Some(Bytes::copy_from_slice(chunk.part));
            }
        }
        Ok(number)
    }

    fn remove(&mut self, number: u64) -> Option<Begun> {
        let begun = self.begun.remove(&number)?;
        self.numbers.remove(&begun.name);
        self.bytes -= begun.bytes();
        Some(begun)
    }

    /// Lets the oldest go.
    fn give_up(&mut self, when: &str, whole: &mut impl FnMut(SocketAddr, Piece)) {
        let first = self.begun.first_key_value().map(|(number, _)| *number);
        if let Some(begun) = first.and_then(|number| self.remove(number)) {
            let (missing, all) = (begun.missing(), begun.parts.len());
            let fault = format!("{missing} of {all} GELF chunks did not come {when}");
            whole(begun.name.0, Piece::faulty(begun.joined(), fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(port: u16) -> SocketAddr {
        ([192, 0, 2, 7], port).into()
    }

    fn chunk(name: u8, nth: u8, count: u8, part: &[u8]) -> Vec<u8> {
        [&MAGIC[..], &[name; 8], &[nth, count], part].concat()
    }

    /// What came of it: the text, or the fault.
    fn told(pieces: &mut Vec<String>) -> impl FnMut(SocketAddr, Piece) {
        |_, piece| {
            let text = String::from_utf8_lossy(&piece.bytes).into_owned();
            pieces.push(piece.fault.map_or(text.clone(), |fault| format!("{text}! {fault}")));
        }
    }

    fn read(datagrams: &[(u16, Vec<u8>)]) -> (Vec<String>, Chunks) {
        let (mut chunks, mut pieces) = (Chunks::default(), Vec::new());
        for (port, datagram) in datagrams {
            chunks.take(datagram, from(*port), told(&mut pieces));
        }
        (pieces, chunks)
    }

    #[test]
    fn chunks_make_a_message_in_any_order_and_of_each_sender_its_own() {
        let (pieces, chunks) = read(&[
            (1, chunk(7, 1, 2, b"world")),
            (2, chunk(7, 0, 2, b"other ")),
            (1, b"{}".to_vec()),
            (1, chunk(7, 1, 2, b"world")),
            (1, chunk(7, 0, 2, b"hello ")),
            (2, chunk(7, 1, 2, b"words")),
            (1, chunk(7, 0, 1, b"again")),
        ]);
        assert_eq!(pieces, ["{}", "hello world", "other words", "again"]);
        assert_eq!((chunks.begun.len(), chunks.numbers.len(), chunks.bytes), (0, 0, 0));
    }

    #[test]
    fn what_is_no_chunk_is_kept_with_its_reason() {
        for (datagram, reason) in [
            (MAGIC.to_vec(), "shorter than its head"),
            (chunk(7, 0, 0, b""), "chunk 0 of 0"),
            (chunk(7, 2, 2, b""), "chunk 2 of 2"),
            (chunk(7, 0, 129, b""), "chunk 0 of 129"),
        ] {
            let (pieces, chunks) = read(&[(1, datagram)]);
            assert!(pieces.len() == 1 && pieces[0].contains(reason), "{pieces:?}");
            assert!(chunks.begun.is_empty());
        }
        let (pieces, _) = read(&[
            (1, chunk(7, 0, 2, b"a")),
            (1, chunk(7, 0, 2, b"b")),
            (1, chunk(7, 1, 3, b"c")),
        ]);
        assert!(pieces.len() == 2 && pieces[1].contains("chunk 1 does not fit"), "{pieces:?}");
    }

    #[test]
    fn what_does_not_become_whole_in_time_is_told_as_far_as_it_came() {
        let (mut pieces, mut chunks) = read(&[(1, chunk(7, 1, 3, b"b"))]);
        (0..5).for_each(|_| chunks.tick(told(&mut pieces)));
        chunks.take(&chunk(8, 0, 2, b"later"), from(1), told(&mut pieces));
        assert!(pieces.is_empty());
        chunks.tick(told(&mut pieces));
        assert_eq!(pieces, ["b! 2 of 3 GELF chunks did not come within 5 s"]);
        chunks.end(told(&mut pieces));
        assert!(pieces[1].starts_with("later! 1 of 2") && chunks.bytes == 0, "{pieces:?}");
    }

    #[test]
    fn messages_in_the_making_are_bounded_in_number_and_bytes() {
        let (mut chunks, mut pieces) = (Chunks::default(), Vec::new());
        for port in 1..=3_000 {
            chunks.take(&chunk(7, 0, 2, b"a"), from(port), told(&mut pieces));
            assert!(chunks.begun.len() <= MESSAGES_MAX && chunks.numbers.len() <= MESSAGES_MAX);
        }
        assert_eq!(pieces.len(), 3_000 - MESSAGES_MAX);
        let part = vec![b'x'; 60_000];
        for name in 0..=255 {
            for nth in 0..2 {
                chunks.take(&chunk(name, nth, 3, &part), from(1), told(&mut pieces));
                assert!(chunks.bytes <= BYTES_MAX);
            }
        }
        assert!(pieces.last().unwrap().contains("before too many others began"));
        let of_all: usize = chunks.begun.values().map(Begun::bytes).sum();
        assert_eq!(of_all, chunks.bytes);
    }

    proptest! {
        #[test]
        fn every_byte_of_a_message_comes_back_or_is_told(
            parts in prop::collection::vec("[a-z]{1,9}", 1..20),
            order in any::<prop::sample::Index>(),
            lost in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let count = u8::try_from(parts.len()).unwrap();
            let mut sent: Vec<_> = (0..count)
                .zip(&parts)
                .map(|(nth, part)| (1, chunk(1, nth, count, part.as_bytes())))
                .collect();
            sent.rotate_left(order.index(parts.len()));
            let mut expected = parts.concat();
            if let Some(lost) = lost {
                let (_, gone) = sent.remove(lost.index(parts.len()));
                let nth = usize::from(gone[10]);
                expected = parts.iter().enumerate().filter(|(at, _)| *at != nth)
                    .map(|(_, part)| part.as_str()).collect();
                expected = format!(
                    "{expected}! 1 of {count} GELF chunks did not come before the server stopped"
                );
            }
            let (mut pieces, mut chunks) = read(&sent);
            chunks.end(told(&mut pieces));
            if sent.is_empty() {
                prop_assert!(pieces.is_empty());
            } else {
                prop_assert_eq!(pieces, [expected]);
            }
        }

        #[test]
        fn no_datagrams_make_it_panic(
            datagrams in prop::collection::vec((0_u8..3, 0_u8..4, 0_u8..4, any::<Vec<u8>>()), 0..40),
        ) {
            let sent: Vec<_> = datagrams.into_iter()
                .map(|(name, nth, count, part)| (1, chunk(name, nth, count, &part)))
                .collect();
            let (mut pieces, mut chunks) = read(&sent);
            chunks.end(told(&mut pieces));
            prop_assert_eq!((chunks.bytes, chunks.numbers.len()), (0, 0));
        }
    }
}
