//! Where one GELF message ends and the next begins on a stream: at a zero byte, which JSON never has.

use crate::{decoding::Piece, limit::Gathered};

/// The messages of one connection.
#[derive(Debug, Default)]
pub(crate) struct Frames(Gathered);

impl Frames {
    /// Takes what came next; the messages that are whole by now go to `whole`.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut whole: impl FnMut(Piece)) {
        while let Some((message, rest)) =
            memchr::memchr(0, bytes).and_then(|end| bytes.split_at_checked(end))
        {
            self.0.add(message);
            self.end(&mut whole);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.0.add(bytes);
    }

    /// The stream has ended: what is left is a message whose sender did without the zero byte, or was cut short.
    pub(crate) fn end(&mut self, mut whole: impl FnMut(Piece)) {
        if let Some((bytes, cut)) = self.0.finish() {
            whole(Piece { whole: cut, ..Piece::new(bytes) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{EVENT_BYTES_MAX, MARGIN_BYTES};
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut frames, mut read) = (Frames::default(), Vec::new());
        for chunk in chunks {
            frames.take(chunk, |piece| read.push(piece.bytes.to_vec()));
        }
        frames.end(|piece| read.push(piece.bytes.to_vec()));
        read
    }

    #[test]
    fn a_long_message_is_bounded_and_leaves_its_length() {
        let (mut frames, mut read) = (Frames::default(), Vec::new());
        for _ in 0..4 {
            frames.take(&vec![b'x'; EVENT_BYTES_MAX], |piece| read.push(piece));
            assert!(frames.0.bytes().len() <= EVENT_BYTES_MAX + MARGIN_BYTES);
        }
        frames.take(b"\0{}\0", |piece| read.push(piece));
        let lengths = read.iter().map(|piece| piece.whole.as_ref().map(|whole| whole.bytes));
        assert_eq!(lengths.collect::<Vec<_>>(), [Some(4 * EVENT_BYTES_MAX as u64), None]);
    }

    proptest! {
        #[test]
        fn messages_come_back_in_whatever_pieces(
            messages in prop::collection::vec("\\{[a-z\n\":, ]{0,40}\\}", 0..8),
            cut in 1_usize..30,
            ended: bool,
        ) {
            let mut sent = messages.join("\0").into_bytes();
            if ended {
                sent.extend(b"\0\n\0");
            }
            let chunks: Vec<&[u8]> = sent.chunks(cut).collect();
            let expected: Vec<_> = messages.iter().map(|text| text.as_bytes().to_vec()).collect();
            prop_assert_eq!(read(&chunks), expected);
        }
    }
}
