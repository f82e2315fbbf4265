//! Windows as Beats write them, and what is none.

use super::*;
use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;
use std::io::Write as _;

fn window(count: u32) -> Vec<u8> {
    [&b"2W"[..], &count.to_be_bytes()].concat()
}

fn event(number: u32, json: &[u8]) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap().to_be_bytes();
    [&b"2J"[..], &number.to_be_bytes(), &length, json].concat()
}

fn packed(frames: &[u8]) -> Vec<u8> {
    let mut to = ZlibEncoder::new(Vec::new(), Compression::fast());
    to.write_all(frames).unwrap();
    let packed = to.finish().unwrap();
    [&b"2C"[..], &u32::try_from(packed.len()).unwrap().to_be_bytes(), &packed].concat()
}

/// What comes of bytes, as they come: texts of events, `!` and the fault, `=` and an answer, `#` and a refusal.
#[derive(Default)]
struct Talk {
    beats: Beats,
    buffer: BytesMut,
    told: Vec<String>,
    refused: bool,
}

impl Talk {
    fn hear(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while let Some(turn) = self.beats.take(&mut self.buffer).filter(|_| !self.refused) {
            match turn {
                Turn::Events { events, answer } => {
                    for piece in events {
                        let text = String::from_utf8_lossy(&piece.bytes).into_owned();
                        self.told.push(piece.fault.map_or(text, |fault| format!("!{fault}")));
                    }
                    if !answer.is_empty() {
                        self.told.push(format!("={}", answer.escape_ascii()));
                    }
                }
                Turn::Refuse(refusal) => {
                    self.refused = true;
                    self.told.push(format!("#{}", refusal.reason));
                }
            }
        }
    }
}

fn told(bytes: &[u8], step: usize) -> Vec<String> {
    let mut talk = Talk::default();
    bytes.chunks(step).for_each(|some| talk.hear(some));
    talk.told
}

#[test]
fn a_window_is_acknowledged_by_its_last_event_however_it_is_sent() {
    let (one, two) = (event(1, b"{}"), event(2, b"{\"a\":1}"));
    let expected = ["{}", "{\"a\":1}", "=2A\\x00\\x00\\x00\\x02"];
    for sent in [
        [window(2), one.clone(), two.clone()].concat(),
        [window(2), packed(&[one.clone(), two.clone()].concat())].concat(),
        [window(2), packed(&one), two.clone()].concat(),
        [window(2), one.clone(), packed(&two)].concat(),
    ] {
        for step in [1, 7, sent.len()] {
            assert_eq!(told(&sent, step), expected);
        }
        let twice = sent.repeat(2);
        assert_eq!(told(&twice, twice.len()), [expected, expected].concat());
    }
    // What is missing is waited for, and nothing is acknowledged before.
    assert_eq!(told(&[window(3), one, two].concat(), 99), expected[..2]);
}

#[test]
fn what_is_no_window_is_refused_and_what_cannot_be_inflated_is_kept() {
    let torn = packed(&event(1, &b"{}".repeat(40)));
    let torn = [&torn[..20], &vec![b'!'; torn.len() - 20]].concat();
    let bomb = packed(&vec![0; 64 << 20]);
    let long = packed(&event(1, &vec![b' '; 2 << 20]));
    let endless = [&b"2J\0\0\0\x01"[..], &u32::MAX.to_be_bytes()[..]].concat();
    for (sent, told_first, reason) in [
        (b"1W\0\0\0\x01".to_vec(), "#", "version 1 of Lumberjack"),
        (b"GET / HTTP/1.1".to_vec(), "#", "version G"),
        (b"2X\0\0\0\x01".to_vec(), "#", "kind X"),
        (endless, "#", "a frame of 4294967295 bytes"),
        (torn, "!", "not read to its end"),
        (bomb, "!", "version \\x00"),
        (long, "!", "a frame of 2097152 bytes"),
        (packed(&window(1)), "!", "something else than events"),
        (packed(&event(1, b"{}")[..9]), "!", "the middle of an event"),
    ] {
        let told = told(&[window(1), sent].concat(), usize::MAX);
        let first = told.first().unwrap();
        assert!(first.starts_with(told_first) && first.contains(reason), "{reason} in: {told:?}");
        assert!(told.last().unwrap().starts_with('#'), "not hung up on: {told:?}");
        assert!(!told.iter().any(|told| told.starts_with('=')), "acknowledged: {told:?}");
    }
}

#[test]
fn windows_without_end_and_events_without_windows_cost_no_stack_and_no_memory() {
    let mut talk = Talk::default();
    talk.hear(&window(7).repeat(200_000));
    assert!(talk.told.is_empty() && talk.buffer.is_empty());
    assert_eq!(told(&event(9, b"{}"), 99), ["{}", "=2A\\x00\\x00\\x00\\t"]);
}

proptest! {
    #[test]
    fn no_bytes_make_the_windows_panic_in_whatever_pieces_they_come(
        bytes: Vec<u8>,
        head in prop::sample::select(vec![&b""[..], b"2W\0\0\0\x02", b"2W\0\0\0\x012J\0\0\0\x01\0\0\0", b"2C\0\0\0"]),
        is_packed: bool,
        cut in 1_usize..40,
    ) {
        let sent = [head, &bytes].concat();
        let sent = if is_packed { packed(&sent) } else { sent };
        prop_assert_eq!(told(&sent, cut), told(&sent, usize::MAX));
    }
}
