//! GELF as it comes by sockets: in pieces and compressed over UDP, ended by a zero byte over TCP.

mod chunks;
mod frames;

pub(crate) use chunks::Chunks;
pub(crate) use frames::Frames;

use crate::{body::GZIP, decoding::Piece, limit::Gathered};
use bytes::Bytes;
use custos_event::parsed::Whole;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// 1 MiB: four times what an event may have, so that a longer one still leaves its length and digest. Of a bomb, a
/// datagram costs 3 ms until it is given up here.
const INFLATED_BYTES_MAX: usize = 1 << 20;
/// Read in such steps.
const STEP_BYTES: usize = 8 << 10;

/// A message as it was before its sender compressed it, which its first bytes tell. What cannot be inflated is kept
/// as it came, with the reason.
pub(crate) fn plain(piece: Piece) -> Piece {
    if piece.fault.is_some() {
        return piece;
    }
    let sent = &piece.bytes[..];
    let inflated = if sent.starts_with(&GZIP) {
        inflate("gzip", MultiGzDecoder::new(sent))
    } else if is_zlib(sent) {
        inflate("zlib", ZlibDecoder::new(sent))
    } else {
        return piece;
    };
    match inflated {
        Ok((bytes, whole)) => Piece { bytes, whole, ..piece },
        Err(fault) => Piece { fault: Some(fault), ..piece },
    }
}

/// RFC 1950: the method is deflate, and the first two bytes as a number are a multiple of 31.
fn is_zlib(sent: &[u8]) -> bool {
    let [first, second, ..] = *sent else { return false };
    first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

fn inflate(name: &str, mut from: impl Read) -> Result<(Bytes, Option<Whole>), Box<str>> {
    let (mut gathered, mut length) = (Gathered::default(), 0);
    let mut step = vec![0; STEP_BYTES];
    loop {
        let read =
            from.read(&mut step).map_err(|error| format!("not readable as {name}: {error}"))?;
        length += read;
        if length > INFLATED_BYTES_MAX {
            return Err(format!("longer than {INFLATED_BYTES_MAX} bytes when inflated").into());
        }
        match step.get(..read) {
            Some(some) if !some.is_empty() => gathered.add(some),
            _ => return gathered.finish().ok_or_else(|| "nothing when inflated".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::EVENT_BYTES_MAX;
    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;
    use std::io::Write as _;

    fn compressed(text: &[u8], gzip: bool) -> Bytes {
        if gzip {
            let mut to = GzEncoder::new(Vec::new(), Compression::best());
            to.write_all(text).unwrap();
            return to.finish().unwrap().into();
        }
        let mut to = ZlibEncoder::new(Vec::new(), Compression::fast());
        to.write_all(text).unwrap();
        to.finish().unwrap().into()
    }

    #[test]
    fn what_was_compressed_is_inflated_and_what_was_not_is_left() {
        let text = br#"{"version":"1.1","short_message":"m"}"#;
        for sent in [compressed(text, true), compressed(text, false), Bytes::from_static(text)] {
            let piece = plain(Piece::new(sent));
            assert_eq!((&piece.bytes[..], piece.fault), (&text[..], None));
        }
        for (sent, reason) in [
            (compressed(text, true).slice(..20), "not readable as gzip"),
            (compressed(text, false).slice(..20), "not readable as zlib"),
            (compressed(b" ", false), "nothing when inflated"),
        ] {
            let piece = plain(Piece::new(sent.clone()));
            assert!(piece.fault.as_deref().unwrap_or_default().starts_with(reason), "{piece:?}");
            assert_eq!(piece.bytes, sent);
        }
    }

    #[test]
    fn a_bomb_is_given_up_and_a_long_message_leaves_its_length() {
        let bomb = compressed(&vec![b'x'; 64 << 20], true);
        let piece = plain(Piece::new(bomb.clone()));
        assert!(piece.fault.unwrap().contains("1048576 bytes when inflated"));
        assert_eq!(piece.bytes, bomb);
        let long = vec![b'x'; EVENT_BYTES_MAX * 2];
        let piece = plain(Piece::new(compressed(&long, false)));
        assert_eq!(piece.whole.map(|whole| whole.bytes), Some(long.len() as u64));
        assert!(piece.bytes.len() < EVENT_BYTES_MAX + 1_000);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_inflating_panic(bytes: Vec<u8>, gzip: bool) {
            let begin: &[u8] = if gzip { &[0x1f, 0x8b, 8, 0] } else { &[0x78, 0x9c] };
            plain(Piece::new([begin, &bytes].concat().into()));
            plain(Piece::new(bytes.into()));
        }
    }
}
