//! Messages as Fluentd, Fluent Bit and their clients write them, and what is none.

use super::*;
use crate::decoding::Piece;
use custos_event::{Private, Timestamp};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};
use std::io::Write as _;

/// `{"log":"<13>a line"}` and the like.
fn map(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0x80 | u8::try_from(pairs.len()).unwrap()];
    for (key, value) in pairs {
        bytes.extend(text(key));
        bytes.extend(text(value));
    }
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&[0xd9, u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
}

fn bin(bytes: &[u8]) -> Vec<u8> {
    [&[0xc6][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn array(values: &[Vec<u8>]) -> Vec<u8> {
    [&[0x90 | u8::try_from(values.len()).unwrap()][..], &values.concat()].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

const INTEGER: &[u8] = b"\xce\x00\x00\x00\x02";
const EVENT_TIME: &[u8] = b"\xd7\x00\x00\x00\x00\x02\x00\x00\x00\x07";

fn entry(time: &[u8], record: &[u8]) -> Vec<u8> {
    array(&[time.to_vec(), record.to_vec()])
}

/// The pieces and the answer of a message, or why it is refused.
fn turn(message: &[u8]) -> Result<(Vec<Piece>, Vec<u8>), String> {
    let mut buffer = BytesMut::from(message);
    let mut forward = Forward::new(None).unwrap();
    match forward.take(&mut buffer) {
        Some(Turn::Events { events, answer }) => Ok((events.collect(), answer)),
        Some(Turn::Refuse(refusal)) => {
            assert_eq!(refusal.kept, message);
            Err(refusal.reason)
        }
        None => Err("not whole".into()),
    }
}

fn pieces(message: &[u8]) -> Vec<Piece> {
    turn(message).unwrap().0
}

fn raw(piece: &Piece) -> &str {
    std::str::from_utf8(&piece.bytes).unwrap()
}

#[test]
fn each_mode_gives_its_events_with_tag_and_time_and_answers_by_name() {
    let record = map(&[("k", "v")]);
    let two = [entry(INTEGER, &record), entry(EVENT_TIME, &record)];
    let tag = text("app.web");
    let options = [&[0x82][..], &text("size"), &[2], &text("chunk"), &text("Q1==")].concat();
    let compressed =
        [&[0x82][..], &text("compressed"), &text("gzip"), &text("chunk"), &text("Q1==")].concat();
    let halves = [gzip(&two[0]), gzip(&two[1])].concat();
    for (message, count) in [
        (array(&[tag.clone(), INTEGER.to_vec(), record.clone(), options.clone()]), 1),
        (array(&[tag.clone(), array(&two), options.clone()]), 2),
        (array(&[tag.clone(), bin(&two.concat()), options.clone()]), 2),
        (array(&[tag.clone(), bin(&halves), compressed]), 2),
    ] {
        let (pieces, answer) = turn(&message).unwrap();
        let times = [Timestamp(2_000_000_000), Timestamp(2_000_000_007)];
        assert_eq!(pieces.len(), count);
        for (piece, time) in pieces.iter().zip(times) {
            assert_eq!((raw(piece), &piece.fault), (r#"{"k":"v"}"#, &None));
            assert_eq!(piece.context.tag.as_deref(), Some("app.web"));
            assert_eq!(piece.context.time, Some(time));
        }
        assert_eq!(answer, [&b"\x81\xa3ack"[..], &text("Q1==")].concat());
    }
    // Messages behind one another are one turn, up to what is none.
    let one = array(&[tag.clone(), INTEGER.to_vec(), record.clone(), options]);
    let mut forward = Forward::new(None).unwrap();
    let mut buffer = BytesMut::from(&[&one.repeat(3)[..], b"G"].concat()[..]);
    let Some(Turn::Events { events, answer }) = forward.take(&mut buffer) else { panic!("none") };
    assert_eq!(
        (events.count(), answer),
        (3, [&b"\x81\xa3ack"[..], &text("Q1==")].concat().repeat(3))
    );
    assert!(matches!(forward.take(&mut buffer), Some(Turn::Refuse(_))));
    // Who asks for no acknowledgement is not answered.
    let (_, answer) = turn(&array(&[tag, array(&two)])).unwrap();
    assert!(answer.is_empty());
    assert_eq!(turn(&[0xc0]).unwrap(), (Vec::new(), Vec::new()));
}

#[test]
fn a_record_that_is_one_known_line_is_that_line_and_any_other_is_kept_whole() {
    let line = "<38>Nov 24 03:14:15 gate sshd[7]: x";
    let of = |record: &[(&str, &str)]| {
        let message = array(&[text("t"), INTEGER.to_vec(), map(record)]);
        let piece = pieces(&message).remove(0);
        let context = piece.context.clone();
        (raw(&piece).to_owned(), context.host.map(String::from), context.file.map(String::from))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of(&[("log", &format!("{line}\n"))]), (line.into(), None, None));
    assert_eq!(
        of(&[("host", "gate"), ("message", line), ("filename", "/var/log/auth.log")]),
        (line.into(), some("gate"), some("/var/log/auth.log"))
    );
    assert_eq!(of(&[("log", r#"{"a":1}"#)]).0, r#"{"a":1}"#);
    for whole in [
        &[("log", line), ("stream", "stdout")][..],
        &[("log", "a text of no known form")],
        &[("log", line), ("message", line)],
        &[("host", "gate")],
        &[],
    ] {
        let (raw, host, file) = of(whole);
        assert!(raw.starts_with('{') && raw.ends_with('}'), "{raw}");
        assert_eq!((host, file), (None, None), "{raw}");
        assert!(whole.iter().all(|(key, _)| raw.contains(key)), "{raw}");
    }
}

#[test]
fn fluent_bits_metadata_stays_beside_its_record() {
    let time = |metadata: Vec<u8>| array(&[EVENT_TIME.to_vec(), metadata]);
    let of = |metadata| {
        let packed = bin(&entry(&time(metadata), &map(&[("a", "b")])));
        pieces(&array(&[text("t"), packed])).remove(0)
    };
    assert_eq!(raw(&of(map(&[]))), r#"{"a":"b"}"#);
    let with = of(map(&[("otlp", "x")]));
    assert_eq!(raw(&with), r#"{"record":{"a":"b"},"metadata":{"otlp":"x"}}"#);
    assert_eq!(with.context.time, Some(Timestamp(2_000_000_007)));
}

#[test]
fn what_cannot_be_read_is_kept_as_it_came_behind_what_could() {
    let whole = entry(INTEGER, &map(&[("k", "v")]));
    let option = [&[0x81][..], &text("compressed"), &text("gzip")].concat();
    let packed = |content: &[u8], option: &[u8]| {
        let message = array(&[text("t"), bin(content)]);
        [&[0x90 | 3][..], &message[1..], option].concat()
    };
    let cut = [&whole[..], &whole[..4]].concat();
    let torn = gzip(&whole.repeat(9));
    let torn = &torn[..torn.len() - 4];
    let bomb = gzip(&[&whole[..], &vec![0; 257 << 20]].concat());
    for (content, option, before, reason) in [
        (&cut[..], &[0x80][..], 1, "the middle of an event"),
        (torn, &option, 9, "not readable"),
        (b"\xc1", &[0x80], 0, "c1 stands for nothing"),
        (&[&[0xdb, 0, 0x20, 0, 0][..], &vec![b'x'; 2 << 20]].concat(), &[0x80], 0, "1 MiB"),
    ] {
        let pieces = pieces(&packed(content, option));
        let (last, rest) = pieces.split_last().unwrap();
        assert_eq!((rest.len(), &last.bytes[..]), (before, content), "{reason}");
        let fault = last.fault.as_deref().unwrap();
        assert!(fault.contains(reason) && fault.contains(&format!("first {before} ")), "{fault}");
    }
    // Each zero is an entry that is none; a million of them are enough.
    let pieces = pieces(&packed(&bomb, &option));
    assert_eq!(pieces.len(), 1_000_001);
    assert!(pieces.last().unwrap().fault.as_deref().unwrap().contains("more than 1,000,000"));
    let no_record = self::pieces(&array(&[text("t"), INTEGER.to_vec()])).remove(0);
    assert_eq!((no_record.fault.is_some(), &no_record.bytes[..]), (true, INTEGER));
    for (entry, reason) in [
        (array(&[INTEGER.to_vec(), text("no map")]), "no map"),
        (text("no array"), "no array"),
        (array(&[INTEGER.to_vec(), b"\x81\x90\x01".to_vec()]), "no plain value"),
    ] {
        let piece = self::pieces(&packed(&entry, &[0x80])).remove(0);
        assert!(piece.fault.as_deref().unwrap().contains(reason), "{piece:?}");
    }
}

#[test]
fn what_is_no_message_is_refused_with_its_reason() {
    let long = text(&"x".repeat(200));
    for (message, reason) in [
        (b"GET / HTTP/1.1".to_vec(), "no array"),
        (b"\xc1".to_vec(), "c1 stands for nothing"),
        (array(&[vec![1], vec![2], map(&[])]), "its tag"),
        ([&[0x93][..], &text("t"), &[0x90, 0x81], &text("chunk"), &[1]].concat(), "'chunk'"),
        (vec![0x91; 200], "nested deeper"),
    ] {
        let mut buffer = BytesMut::from(&message[..]);
        let Some(Turn::Refuse(refusal)) = Forward::new(None).unwrap().take(&mut buffer) else {
            panic!("{message:?} was taken")
        };
        assert!(refusal.reason.contains(reason), "{reason} in: {}", refusal.reason);
    }
    let chunk = [&[0xda, 1, 44][..], &[b'x'; 300]].concat();
    let message = [&[0x93][..], &long, &[0x90, 0x81], &text("chunk"), &chunk].concat();
    assert!(turn(&message).unwrap_err().contains("'chunk'"));
    let endless = [&[0x92, 0xa1, b't', 0xc6, 0xff, 0xff, 0xff, 0xff][..], &vec![0; 17 << 20]];
    assert!(turn(&endless.concat()).unwrap_err().contains("longer than 16 MiB"));
}

fn hex(parts: &[&[u8]]) -> String {
    let digest = Sha512::digest(parts.concat());
    digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn only_who_knows_the_key_may_send_and_is_shown_that_the_server_knows_it_too() {
    let key = || Some(Arc::new(SharedKey::new(Private::new(b"of this test".to_vec()))));
    let event = array(&[text("t"), INTEGER.to_vec(), map(&[("k", "v")])]);
    let ping = |greeting: &[u8], secret: &[u8]| {
        assert!(greeting.starts_with(b"\x92\xa4HELO\x83\xa5nonce\xc4\x10"));
        let digest = hex(&[b"salt", b"shop", &greeting[15..31], secret]);
        let texts = ["PING", "shop", "salt", &digest, "", ""].map(text);
        array(&texts)
    };
    let mut forward = Forward::new(key()).unwrap();
    let greeting = forward.greeting();
    let mut buffer = BytesMut::from(&[&ping(&greeting, b"of this test")[..], &event].concat()[..]);
    let Some(Turn::Events { answer, .. }) = forward.take(&mut buffer) else { panic!("refused") };
    let own = hex(&[b"salt", b"custos", &greeting[15..31], b"of this test"]);
    assert!(answer.starts_with(b"\x95\xa4PONG\xc3\xa0\xa6custos"));
    assert!(answer.ends_with(own.as_bytes()));
    assert!(buffer.is_empty(), "the event behind it was not taken");

    let refused = |first: fn(&[u8], &[u8]) -> Vec<u8>| {
        let mut forward = Forward::new(key()).unwrap();
        let greeting = forward.greeting();
        assert_ne!(greeting, Forward::new(key()).unwrap().greeting(), "the nonce is no nonce");
        let mut buffer = BytesMut::from(&first(&greeting, &event)[..]);
        let Some(Turn::Refuse(refusal)) = forward.take(&mut buffer) else { panic!("taken") };
        assert!(refusal.label == "auth" && refusal.kept.is_empty());
        (refusal.answer, refusal.reason)
    };
    let (answer, reason) = refused(|greeting, _| {
        let digest = hex(&[b"salt", b"shop", &greeting[15..31], b"of that test"]);
        array(&["PING", "shop", "salt", &digest, "", ""].map(text))
    });
    assert!(answer.starts_with(b"\x95\xa4PONG\xc2"), "{answer:?}");
    assert!(reason.contains("another one"), "{reason}");
    assert!(refused(|_, event| event.to_vec()).1.contains("else than PING"));
    assert!(refused(|_, _| vec![0xdb; 9_000]).1.contains("else than PING"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reading_panic_in_whatever_pieces_they_come(
        bytes: Vec<u8>,
        head in prop::sample::select(vec![&b""[..], b"\x92\xa1t", b"\x93\xa1t\x91\x92\x01", b"\x92\xa1t\xc4\x20\x92\x01"]),
        cut in 1_usize..40,
    ) {
        let bytes = [head, &bytes].concat();
        let read = |step: usize| {
            let (mut forward, mut buffer) = (Forward::new(None).unwrap(), BytesMut::new());
            let (mut count, mut answers) = (0, Vec::new());
            for some in bytes.chunks(step) {
                buffer.extend_from_slice(some);
                while let Some(turn) = forward.take(&mut buffer) {
                    match turn {
                        Turn::Events { events, answer } => {
                            count += events.count();
                            answers.extend(answer);
                        }
                        Turn::Refuse(_) => return (count, answers),
                    }
                }
            }
            (count, answers)
        };
        prop_assert_eq!(read(cut), read(bytes.len().max(1)));
        let key = Arc::new(SharedKey::new(Private::new(b"k".to_vec())));
        let mut stranger = Forward::new(Some(key)).unwrap();
        let taken = stranger.take(&mut BytesMut::from(&bytes[..]));
        prop_assert!(!matches!(taken, Some(Turn::Events { .. })), "a stranger was let in");
    }
}
