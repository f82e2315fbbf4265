//! Where the values of a JSON object stand in its bytes, by the path of their keys.

/// As deep as the generic parse goes.
const DEPTH_MAX: usize = 32;

/// One value: its bytes from `start` to `end`, quotes of a string included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Calls `each` with the path (keys joined by dots; the places in a list do not count) and the span of every
/// string and number. False where the bytes are no JSON object, as far as that was seen.
pub(super) fn each_value(raw: &[u8], each: &mut dyn FnMut(&str, Span)) -> bool {
    let mut scan = Scan { raw, at: 0, path: String::new(), each };
    scan.skip_space();
    scan.peek() == Some(b'{') && scan.value(0).is_some()
}

struct Scan<'a> {
    raw: &'a [u8],
    at: usize,
    path: String,
    each: &'a mut dyn FnMut(&str, Span),
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.raw.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.skip_space();
        let start = self.at;
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => {
                let end = self.string()?;
                (self.each)(&self.path, Span { start, end });
                Some(())
            }
            b't' | b'f' | b'n' => {
                self.word();
                Some(())
            }
            _ => {
                self.word();
                (self.each)(&self.path, Span { start, end: self.at });
                (self.at > start).then_some(())
            }
        }
    }

    /// A number or a literal.
    fn word(&mut self) {
        let is_end = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']');
        while self.peek().is_some_and(|byte| !is_end(byte)) {
            self.at += 1;
        }
    }

    /// Behind the string that begins here.
    fn string(&mut self) -> Option<usize> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(self.at);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.take(b'{')?;
        let above = self.path.len();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.skip_space();
            let start = self.at;
            let end = self.string()?;
            let key = unquote(self.raw.get(start..end)?)?;
            if above > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            self.take(b':')?;
            self.value(depth + 1)?;
            self.path.truncate(above);
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
    }
}

/// The text of a JSON string or number.
pub(super) fn unquote(json: &[u8]) -> Option<String> {
    if json.first() == Some(&b'"') {
        return serde_json::from_slice(json).ok();
    }
    std::str::from_utf8(json).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(raw: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        each_value(raw.as_bytes(), &mut |path, span| {
            found.push((path.to_owned(), raw[span.start..span.end].to_owned()));
        });
        found
    }

    #[test]
    fn values_are_found_by_their_path() {
        let raw =
            r#" {"a":{"b":"x\"}","\u0063":[1,{"d":"y"}]},"e":null,"f":-1.5e3,"g":{},"h":[]} "#;
        let found = values(raw);
        let found: Vec<_> =
            found.iter().map(|(path, json)| (path.as_str(), json.as_str())).collect();
        assert_eq!(
            found,
            [("a.b", r#""x\"}""#), ("a.c", "1"), ("a.c.d", r#""y""#), ("f", "-1.5e3")]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_span_lies_inside(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut ends = Vec::new();
            each_value(&raw, &mut |_, span| ends.push(span));
            prop_assert!(ends.iter().all(|span| span.start <= span.end && span.end <= raw.len()));
        }

        #[test]
        fn broken_json_never_panics(raw in "[\\[\\]{}\",:a1\\\\ ]{0,40}") {
            each_value(raw.as_bytes(), &mut |_, span| assert!(span.end <= raw.len()));
        }
    }
}
