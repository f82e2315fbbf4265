//! What stands around digits, and whether that makes them part of something else: a longer token, a
//! decimal fraction, an escape, a known identifier.

/// How far a key is looked for before its value: the longest list of numbers that is still understood.
const LOOK_BACK_BYTES_MAX: usize = 4_096;

fn at(raw: &[u8], place: usize) -> Option<u8> {
    raw.get(place).copied()
}

fn before(raw: &[u8], place: usize) -> Option<u8> {
    place.checked_sub(1).and_then(|place| at(raw, place))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Where the digits begin that are not part of an escape right before them: `\u0020` in JSON, `%20`.
pub(super) fn after_escape(raw: &[u8], start: usize, is_json: bool) -> usize {
    if before(raw, start) == Some(b'%') {
        return start + 2;
    }
    // The digits may begin inside the escape's own four: look for the `\u` up to five bytes back.
    for back in 1..=5 {
        let Some(u) = start.checked_sub(back) else { break };
        if at(raw, u) == Some(b'u') && is_json && is_escaped(raw, u) {
            return start.max(u + 5);
        }
    }
    start
}

/// Whether the byte at `place` is made an escape by the backslashes before it.
fn is_escaped(raw: &[u8], place: usize) -> bool {
    let before = raw.get(..place).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Whether a number may begin at `start`: nothing before it makes it the end of a longer token.
pub(super) fn is_border_before(raw: &[u8], start: usize, is_json: bool) -> bool {
    let Some(left) = before(raw, start) else { return true };
    let further = start.checked_sub(2).and_then(|place| at(raw, place));
    match left {
        b'n' | b'r' | b't' | b'b' | b'f' if is_json => is_escaped(raw, start - 1),
        b'.' | b',' | b'-' => !further.is_some_and(|byte| byte.is_ascii_alphanumeric()),
        // The end of an escape that `after_escape` stepped over.
        _ if ends_escape(raw, start, is_json) => true,
        b'\\' => !is_json,
        _ => !is_word(left) || is_wide_letter_end(raw, start),
    }
}

fn ends_escape(raw: &[u8], start: usize, is_json: bool) -> bool {
    let unicode = start
        .checked_sub(5)
        .is_some_and(|u| is_json && at(raw, u) == Some(b'u') && is_escaped(raw, u));
    unicode || start.checked_sub(3).is_some_and(|percent| at(raw, percent) == Some(b'%'))
}

/// Chinese, Japanese and Korean are written without spaces: `卡号4111…` has a border before its digits.
fn is_wide_letter_end(raw: &[u8], start: usize) -> bool {
    let tail = raw.get(start.saturating_sub(4)..start).unwrap_or_default();
    tail.utf8_chunks().last().and_then(|chunk| chunk.valid().chars().last()).is_some_and(is_wide)
}

fn is_wide(letter: char) -> bool {
    matches!(letter, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{ff00}'..='\u{ffef}')
        || (!letter.is_alphanumeric() && !letter.is_ascii())
}

/// Whether a number may end before `end`.
pub(super) fn is_border_after(raw: &[u8], end: usize) -> bool {
    let Some(right) = at(raw, end) else { return true };
    let further = at(raw, end + 1);
    match right {
        b'.' | b'-' => !further.is_some_and(|byte| byte.is_ascii_alphanumeric()),
        b',' => true,
        0x80.. => {
            let head = raw.get(end..raw.len().min(end + 4)).unwrap_or_default();
            let letter = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
            letter.is_none_or(is_wide)
        }
        _ => !is_word(right),
    }
}

/// Tells for one place after the other whether it lies inside a JSON string; places only rise.
#[derive(Debug, Default)]
pub(super) struct Strings {
    at: usize,
    inside: bool,
}

impl Strings {
    pub(super) fn holds(&mut self, raw: &[u8], place: usize) -> bool {
        let text = raw.get(..place).unwrap_or_default();
        while let Some(quote) = text.get(self.at..).and_then(|rest| memchr::memchr(b'"', rest)) {
            let quote = self.at + quote;
            if !(self.inside && is_escaped(text, quote)) {
                self.inside = !self.inside;
            }
            self.at = quote + 1;
        }
        self.inside
    }
}

/// Whether the digits are the whole value of a field that holds an identifier: `"flow_id":41…`,
/// `"ids":["41…"]`, `flow_id=41…`.
pub(super) fn is_known_id(raw: &[u8], start: usize, end: usize, is_json: bool) -> bool {
    key_of(raw, start, end, is_json).is_some_and(is_id_name)
}

fn key_of(raw: &[u8], start: usize, end: usize, is_json: bool) -> Option<&[u8]> {
    let floor = start.saturating_sub(LOOK_BACK_BYTES_MAX);
    let left = raw.get(floor..start)?;
    if left.last() == Some(&b'=') {
        return Some(last_word(left.strip_suffix(b"=")?));
    }
    if !is_json {
        return None;
    }
    let left = match (left.strip_suffix(b"\""), at(raw, end)) {
        (Some(left), Some(b'"')) => left,
        (Some(_), _) => return None,
        (None, _) => left,
    };
    // Back over a list's earlier members.
    let is_member = |byte: &u8| byte.is_ascii_digit() || b", \"\t\r\n".contains(byte);
    let members = left.iter().rev().take_while(|byte| is_member(byte)).count();
    let left = left.get(..left.len() - members)?;
    let left = left.strip_suffix(b"[").unwrap_or(left);
    Some(last_word(left.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"")?))
}

fn last_word(text: &[u8]) -> &[u8] {
    let len = text.iter().rev().take_while(|byte| is_word(**byte) || b".@-".contains(byte)).count();
    text.get(text.len() - len..).unwrap_or_default()
}

/// Names of counters, times and masks that hold many digits in logs.
const NUMBER_NAMES: [&[u8]; 13] = [
    b"keywords",
    b"recordnumber",
    b"record_number",
    b"serial",
    b"certificate_serial",
    b"timestamp",
    b"ts",
    b"time",
    b"nonce",
    b"trace",
    b"offset",
    b"inode",
    b"weight",
];

/// `id`, `flow_id`, `requestId`, `EventRecordID`, `guid`, and the names above; but never where the
/// name speaks of a card, an account or a payment.
fn is_id_name(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let has = |part: &[u8]| lower.windows(part.len()).any(|window| window == part);
    let is_pan = lower == b"pan" || lower.starts_with(b"pan_") || lower.ends_with(b"_pan");
    if is_pan || has(b"card") || has(b"account") || has(b"payment") {
        return false;
    }
    let tail = name.strip_suffix(b"s").unwrap_or(name);
    let camel = tail.ends_with(b"Id") || tail.ends_with(b"ID");
    let lower = lower.strip_suffix(b"s").unwrap_or(&lower);
    camel
        || [&b"_id"[..], b"-id", b".id", b"guid", b"uuid"].iter().any(|end| lower.ends_with(end))
        || lower == b"id"
        || lower == b"uid"
        || NUMBER_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Track 1 `%B4111111111111111^NAME^…`, track 2 `4111111111111111D2512…` (`=` for `D` is a border).
pub(super) fn card_in_track(raw: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let left = raw.get(..start)?;
    let right = raw.get(end..)?;
    let first = left.ends_with(b"%B") && right.first() == Some(&b'^');
    let second = matches!(right, [b'D' | b'd', year @ ..] if year.iter().take(7).all(u8::is_ascii_digit) && year.len() >= 7)
        && left.last().is_none_or(|byte| !is_word(*byte));
    (first || second).then_some((start, end))
}

/// Message type 4, two bitmaps 32, length 2: what stands before field 2 at most.
const ISO8583_HEAD_BYTES_MAX: usize = 38;

/// Message type, one or two bitmaps in hex with bit 2 set, two digits of length, the card number:
/// `0200` `7238…` `16` `4111111111111111`. `start..end` is a run of digits somewhere in the message.
pub(super) fn card_in_iso8583(raw: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let floor = start.saturating_sub(ISO8583_HEAD_BYTES_MAX + 1);
    let left = raw.get(floor..start)?;
    let token = start - left.iter().rev().take_while(|byte| is_hex(**byte)).count();
    let message = raw.get(token..)?;
    let [b'0' | b'1' | b'2', b'1' | b'2' | b'4' | b'8', b'0'..=b'3', b'0'..=b'5'] =
        message.get(..4)?
    else {
        return None;
    };
    let bitmap = message.get(4..20)?;
    if !bitmap.iter().all(|byte| is_hex(*byte)) {
        return None;
    }
    let first = char::from(*bitmap.first()?).to_digit(16)?;
    let length_at = if first & 0b1000 == 0 { 20 } else { 36 };
    let length = message.get(length_at..length_at + 2)?;
    let length = std::str::from_utf8(length).ok()?.parse::<usize>().ok()?;
    let pan = token + length_at + 2;
    let has_field_2 = first & 0b0100 != 0 && (13..=19).contains(&length);
    (has_field_2 && start <= pan && pan + length <= end).then_some((pan, pan + length))
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}
