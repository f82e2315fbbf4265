//! A record of `MessagePack` as JSON, written as it is read: no more is held than an event may have.

use super::token::{Malformed, Token, Values};
use crate::limit::Gathered;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// An array or a map whose end has not been written.
struct Open {
    left: u64,
    is_map: bool,
    first: bool,
}

impl Open {
    fn end(&self) -> &'static [u8] {
        if self.is_map { b"}" } else { b"]" }
    }

    /// What stands before the next value; and is that a key?
    fn before(&mut self) -> (&'static [u8], bool) {
        let is_key = self.is_map && self.left.is_multiple_of(2);
        let before: &[u8] = match (self.is_map, is_key, self.first) {
            (true, false, _) => b":",
            (_, _, true) => b"",
            (_, _, false) => b",",
        };
        (self.first, self.left) = (false, self.left - 1);
        (before, is_key)
    }
}

/// Takes one value and writes it. Text that is no UTF-8 stays as it is: whoever reads the JSON will say so.
pub(super) fn write(values: &mut Values<'_>, to: &mut Gathered) -> Result<(), Malformed> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        while let Some(done) = open.pop_if(|last| last.left == 0) {
            to.add(done.end());
            if open.is_empty() {
                return Ok(());
            }
        }
        let (before, is_key) = open.last_mut().map_or((&b""[..], false), Open::before);
        to.add(before);
        let token = values.enter()?;
        let Some(left) = token.inside() else {
            write_plain(token, is_key, to);
            if open.is_empty() {
                return Ok(());
            }
            continue;
        };
        if is_key {
            return Err(Malformed::Key);
        }
        let is_map = matches!(token, Token::Map(_));
        to.add(if is_map { b"{" } else { b"[" });
        open.push(Open { left, is_map, first: true });
    }
}

fn write_plain(token: Token<'_>, is_key: bool, to: &mut Gathered) {
    let bare = match token {
        Token::Text(text) => return write_text(text, to),
        Token::Bytes(bytes) => return write_bytes(bytes, to),
        Token::Ext(0, stamp) if stamp.len() == 8 => event_time(stamp),
        Token::Ext(_, bytes) => return write_text(STANDARD.encode(bytes).as_bytes(), to),
        Token::Float(number) if !number.is_finite() => {
            return write_text(number.to_string().as_bytes(), to);
        }
        Token::Float(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| number.to_string(), |number| number.to_string()),
        Token::Nil | Token::Array(_) | Token::Map(_) => "null".into(),
        Token::Bool(yes) => yes.to_string(),
        Token::Int(number) => number.to_string(),
        Token::UInt(number) => number.to_string(),
    };
    if is_key { write_text(bare.as_bytes(), to) } else { to.add(bare.as_bytes()) }
}

/// Older clients write texts as bytes.
fn write_bytes(bytes: &[u8], to: &mut Gathered) {
    if std::str::from_utf8(bytes).is_ok() {
        write_text(bytes, to);
    } else {
        write_text(STANDARD.encode(bytes).as_bytes(), to);
    }
}

/// `EventTime`: seconds and nanoseconds, as one number.
fn event_time(stamp: &[u8]) -> String {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let (secs, nanos) = stamp.split_at_checked(4).unwrap_or_default();
    format!("{}.{:09}", number(secs), number(nanos))
}

pub(super) fn write_text(mut text: &[u8], to: &mut Gathered) {
    to.add(b"\"");
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    while let Some((plain, [byte, rest @ ..])) =
        text.iter().position(special).and_then(|at| text.split_at_checked(at))
    {
        to.add(plain);
        match byte {
            b'"' => to.add(b"\\\""),
            b'\\' => to.add(b"\\\\"),
            b'\n' => to.add(b"\\n"),
            b'\r' => to.add(b"\\r"),
            b'\t' => to.add(b"\\t"),
            other => to.add(format!("\\u{other:04x}").as_bytes()),
        }
        text = rest;
    }
    to.add(text);
    to.add(b"\"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(bytes: &[u8]) -> Result<String, Malformed> {
        let mut to = Gathered::default();
        write(&mut Values(bytes), &mut to)?;
        Ok(String::from_utf8_lossy(to.bytes()).into_owned())
    }

    #[test]
    fn each_kind_of_value_has_its_json() {
        for (bytes, expected) in [
            (&b"\x80"[..], "{}"),
            (b"\x82\xa1a\x93\x01\xff\xc0\xa1b\x81\x05\xc2", r#"{"a":[1,-1,null],"b":{"5":false}}"#),
            (b"\x81\xa1t\xd7\x00\x00\x00\x00\x02\x00\x00\x00\x07", r#"{"t":2.000000007}"#),
            (b"\x91\xa4\"\\\n\x01", r#"["\"\\\n\u0001"]"#),
            (b"\x91\xc4\x02ok", r#"["ok"]"#),
            (b"\x91\xc4\x02\xff\xfe", r#"["//4="]"#),
            (b"\x91\xcb\x7f\xf8\0\0\0\0\0\0", r#"["NaN"]"#),
            (b"\x91\xca\x3f\x8c\xcc\xcd", "[1.1]"),
            (b"\x92\x90\x91\x90", "[[],[[]]]"),
        ] {
            assert_eq!(json(bytes).as_deref(), Ok(expected));
        }
        assert_eq!(json(b"\x81\x90\x01"), Err(Malformed::Key));
        assert_eq!(json(b"\x81\xa1a"), Err(Malformed::Cut));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_writing_panic_and_what_is_written_is_json(bytes: Vec<u8>, count in 0_u8..16) {
            for head in [0x80, 0x90] {
                let bytes = [&[head | count][..], &bytes].concat();
                if let Ok(text) = json(&bytes) {
                    let read = serde_json::from_str::<serde::de::IgnoredAny>(&text);
                    prop_assert!(read.is_ok(), "{text}: {read:?}");
                }
            }
        }
    }
}
