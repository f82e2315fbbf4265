//! How a sealed personal value looks in a record (FORMAT.md §9); the store alone can make and open one.

use std::ops::Range;

/// What every sealed value begins with.
pub const PREFIX: &str = "prv_";
/// Hex digits of token and key, each followed by `_`.
const HEAD: [usize; 2] = [32, 16];
/// base64url of a tag of 16 bytes at least.
const BODY_MIN: usize = 22;

/// Where sealed values stand in a text.
pub fn find(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text.get(at..)?.find(PREFIX)?;
            at = start + PREFIX.len();
            if let Some(len) = len_at(text.as_bytes().get(start..)?) {
                at = start + len;
                return Some(start..at);
            }
        }
    })
}

/// Whether the whole text is one sealed value.
pub fn is_sealed(text: &str) -> bool {
    find(text).next() == Some(0..text.len())
}

/// `text` with each sealed value replaced by what `open` makes of it; one that it cannot is left.
pub fn replace(text: &str, mut open: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    for range in find(text) {
        let Some(clear) = text.get(range.clone()).and_then(&mut open) else { continue };
        let out = out.get_or_insert_default();
        out.push_str(text.get(copied..range.start).unwrap_or_default());
        out.push_str(&clear);
        copied = range.end;
    }
    let mut out = out?;
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

fn len_at(bytes: &[u8]) -> Option<usize> {
    let mut at = PREFIX.len();
    for digits in HEAD {
        let run = bytes.get(at..at + digits)?;
        if !run.iter().all(u8::is_ascii_hexdigit) || bytes.get(at + digits) != Some(&b'_') {
            return None;
        }
        at += digits + 1;
    }
    let is_body = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let body = bytes.get(at..)?.iter().take_while(is_body).count();
    (body >= BODY_MIN).then_some(at + body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(last: char) -> String {
        format!("prv_{}_{}_{}{last}", "0a".repeat(16), "1b".repeat(8), "x-_".repeat(8))
    }

    #[test]
    fn sealed_values_are_found_wherever_they_stand() {
        let (one, two) = (sealed('1'), sealed('2'));
        let text = format!("prv_ {one}, (\"{two}\") prv_{}", "0".repeat(32));
        let found: Vec<_> = find(&text).map(|range| &text[range]).collect();
        assert_eq!(found, [&one, &two]);
        assert!(is_sealed(&one) && !is_sealed(&text) && !is_sealed("prv_x"));
        let clear = replace(&text, |found| (found == two).then(|| "anna".to_owned())).unwrap();
        assert_eq!(clear, text.replace(&two, "anna"));
        assert_eq!(replace(&text, |_| None), None);
    }
}
