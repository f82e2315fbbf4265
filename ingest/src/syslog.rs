//! Where one syslog message ends and the next begins on a stream (RFC 6587): counted, or ended by a line feed.

use crate::{decoding::Piece, limit::Gathered};

/// A count of more digits than this is none: 999,999,999 bytes are a gigabyte.
const COUNT_DIGITS_MAX: usize = 9;

/// The messages of one connection. Each is told anew: `83 <34>1 …` is counted, everything else ends with its
/// line. Senders that mix both exist.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    gathered: Gathered,
    within: Within,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    /// Before a message, or in the digits that may count it.
    #[default]
    Beginning,
    Line,
    /// So many bytes are still to come.
    Counted(usize),
}

impl Frames {
    /// Takes what came next; the messages that are whole by now go to `whole`.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut whole: impl FnMut(Piece)) {
        while !bytes.is_empty() {
            bytes = match self.within {
                Within::Beginning => self.begin(bytes),
                Within::Line => self.line(bytes, &mut whole),
                Within::Counted(left) => self.counted(left, bytes, &mut whole),
            };
        }
    }

    /// The stream has ended: what is left is a message that may have been cut short.
    pub(crate) fn end(&mut self, whole: impl FnMut(Piece)) {
        self.finish(whole);
    }

    fn begin<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some((&byte, rest)) = bytes.split_first() else { return bytes };
        let digits = self.gathered.bytes();
        match byte {
            // Between counted messages some senders put a line feed too.
            b'\n' | b'\r' | 0 if digits.is_empty() => rest,
            b'1'..=b'9' if digits.is_empty() => self.gather(byte, rest),
            b'0'..=b'9' if !digits.is_empty() && digits.len() < COUNT_DIGITS_MAX => {
                self.gather(byte, rest)
            }
            b' ' if !digits.is_empty() => match count(digits) {
                Some(count) => {
                    self.gathered.clear();
                    self.within = Within::Counted(count);
                    rest
                }
                None => self.as_line(bytes),
            },
            _ => self.as_line(bytes),
        }
    }

    fn gather<'b>(&mut self, digit: u8, rest: &'b [u8]) -> &'b [u8] {
        self.gathered.add(&[digit]);
        rest
    }

    fn as_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        self.within = Within::Line;
        bytes
    }

    fn line<'b>(&mut self, bytes: &'b [u8], whole: impl FnMut(Piece)) -> &'b [u8] {
        match memchr::memchr2(b'\n', 0, bytes) {
            None => {
                self.gathered.add(bytes);
                &[]
            }
            Some(end) => {
                let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
                self.gathered.add(line);
                self.finish(whole);
                rest.get(1..).unwrap_or_default()
            }
        }
    }

    fn counted<'b>(&mut self, left: usize, bytes: &'b [u8], whole: impl FnMut(Piece)) -> &'b [u8] {
        let (piece, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
        self.gathered.add(piece);
        self.within = Within::Counted(left - piece.len());
        if piece.len() == left {
            self.finish(whole);
        }
        rest
    }

    fn finish(&mut self, mut whole: impl FnMut(Piece)) {
        self.within = Within::Beginning;
        if let Some((bytes, cut)) = self.gathered.finish() {
            let end = bytes.len() - bytes.iter().rev().take_while(|byte| is_end(**byte)).count();
            whole(Piece { whole: cut, ..Piece::new(bytes.slice(..end)) });
        }
    }
}

/// What senders put behind a message that is no part of it.
fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

fn count(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{EVENT_BYTES_MAX, MARGIN_BYTES};
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let (mut frames, mut read) = (Frames::default(), Vec::new());
        let mut take = |piece: Piece| read.push(String::from_utf8_lossy(&piece.bytes).into_owned());
        for chunk in chunks {
            frames.take(chunk, &mut take);
        }
        frames.end(&mut take);
        read
    }

    #[test]
    fn counted_and_ended_messages_may_follow_each_other() {
        for (text, expected) in [
            ("<13>a\n<13>b\r\n\n<13>c", &["<13>a", "<13>b", "<13>c"][..]),
            ("5 <13>a6 <13>b\n7 <13>c\nd", &["<13>a", "<13>b", "<13>c\nd"]),
            ("5 <13>a\n5 <13>b<13>c\n", &["<13>a", "<13>b", "<13>c"]),
            ("2026-11-26T07:00:00Z gate x\n5 <13>a", &["2026-11-26T07:00:00Z gate x", "<13>a"]),
            ("1234567890 x\n0 y\n", &["1234567890 x", "0 y"]),
            ("<13>a\0<13>b\0", &["<13>a", "<13>b"]),
            ("99 <13>cut", &["<13>cut"]),
            ("12", &["12"]),
            ("\n\r\n \n", &[]),
        ] {
            assert_eq!(read(&[text.as_bytes()]), expected, "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(read(&bytes), expected, "{text:?} byte by byte");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_bounded_and_its_digest_is_of_the_whole() {
        let long = vec![b'x'; EVENT_BYTES_MAX * 3];
        for (head, tail) in [(format!("{} ", long.len()), ""), ("y".into(), "\n")] {
            let (mut frames, mut read) = (Frames::default(), Vec::new());
            frames.take(head.as_bytes(), |piece| read.push(piece));
            for chunk in long.chunks(10_000) {
                frames.take(chunk, |piece| read.push(piece));
                assert!(frames.gathered.bytes().len() <= EVENT_BYTES_MAX + MARGIN_BYTES);
            }
            frames.take(tail.as_bytes(), |piece| read.push(piece));
            frames.take(b"5 <13>a", |piece| read.push(piece));
            assert_eq!(read.len(), 2);
            let whole = read[0].whole.clone().unwrap();
            let sent = if tail.is_empty() { long.clone() } else { [b"y", &long[..]].concat() };
            assert_eq!(whole.bytes, sent.len() as u64);
            assert_eq!(whole.sha256[..], Sha256::digest(&sent)[..]);
            assert_eq!(read[1].bytes, "<13>a");
        }
    }

    proptest! {
        #[test]
        fn what_is_counted_comes_back_in_whatever_pieces(
            messages in prop::collection::vec("[a-z<>\n0-9 ]{0,40}[a-z]", 0..8), cut in 1_usize..30,
        ) {
            let counted = |text: &String| format!("{} {text}", text.len());
            let sent = messages.iter().map(counted).collect::<Vec<_>>().concat();
            let chunks: Vec<&[u8]> = sent.as_bytes().chunks(cut).collect();
            prop_assert_eq!(read(&chunks), messages);
        }

        #[test]
        fn no_bytes_make_the_framing_panic(bytes: Vec<u8>, cut in 1_usize..9) {
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            read(&chunks);
        }
    }
}
