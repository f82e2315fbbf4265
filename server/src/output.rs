//! Machine output on stdout, one JSON value a line; text for people where `--json` is absent.

use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Stdout, buffered and locked for one command.
pub(crate) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(crate) fn new() -> Self {
        // 64 KiB: a pipe's own buffer.
        Self(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, value)?;
        self.0.write_all(b"\n")
    }

    /// A line for people; control characters from outside are shown as escapes.
    pub(crate) fn text(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(visible(line).as_bytes())?;
        self.0.write_all(b"\n")
    }

    pub(crate) fn raw(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// `text` without anything that could steer a terminal or turn its direction.
pub(crate) fn visible(text: &str) -> std::borrow::Cow<'_, str> {
    let hostile = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hostile) {
        return text.into();
    }
    text.chars()
        .fold(String::with_capacity(text.len() + 16), |mut shown, c| {
            if hostile(c) {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            shown
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_turned_text_reach_no_terminal() {
        assert_eq!(visible("plain\t文"), "plain\t文");
        assert_eq!(visible("\x1b[31mred\n"), "\\u{1b}[31mred\\n");
        assert_eq!(visible("a\u{202e}b"), "a\\u{202e}b");
    }
}
