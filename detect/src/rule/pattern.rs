//! A Sigma string with wildcards, and what it means to match one.

use std::fmt;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Token {
    /// These characters.
    Text(String),
    /// Any one character: `?`.
    One,
    /// Any number of characters: `*`.
    Many,
    /// Any of the dashes that Windows programs take before an option: `|windash`.
    Dash,
}

/// The dashes of `windash`: hyphen, slash, en dash, em dash, horizontal bar.
pub(crate) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Tokens that have to cover a value from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern(Vec<Token>);

impl Pattern {
    /// Reads Sigma's escapes: `\*`, `\?` and `\\` stand for the second character; any other backslash
    /// stands for itself.
    pub(crate) fn parse(source: &str) -> Self {
        let mut pattern = Self(Vec::new());
        let mut chars = source.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => {
                    let escaped = chars.next_if(|next| matches!(next, '*' | '?' | '\\'));
                    pattern.push_char(escaped.unwrap_or('\\'));
                }
                '*' => pattern.push(Token::Many),
                '?' => pattern.push(Token::One),
                _ => pattern.push_char(c),
            }
        }
        pattern
    }

    /// A pattern without wildcards.
    pub(crate) fn literal(text: &str) -> Self {
        Self(if text.is_empty() { Vec::new() } else { vec![Token::Text(text.to_owned())] })
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.0
    }

    /// The text, if there is no wildcard in it.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Token::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn push_char(&mut self, c: char) {
        if let Some(Token::Text(text)) = self.0.last_mut() {
            text.push(c);
        } else {
            self.0.push(Token::Text(c.into()));
        }
    }

    fn push(&mut self, token: Token) {
        if !(token == Token::Many && self.0.last() == Some(&Token::Many)) {
            self.0.push(token);
        }
    }

    /// The same with `*` before it, after it, or both.
    pub(crate) fn open(mut self, start: bool, end: bool) -> Self {
        if start && self.0.first() != Some(&Token::Many) {
            self.0.insert(0, Token::Many);
        }
        if end {
            self.push(Token::Many);
        }
        self
    }

    /// A dash or slash that begins a word and follows none stands for every dash.
    pub(crate) fn with_any_dash(self) -> Self {
        let mut wide = Self(Vec::new());
        let word = |c: char| c.is_alphanumeric() || c == '_';
        for token in self.0 {
            let Token::Text(text) = token else {
                wide.push(token);
                continue;
            };
            let mut before = false;
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                let opens = matches!(c, '-' | '/') && !before;
                if opens && chars.peek().is_some_and(|next| word(*next)) {
                    wide.push(Token::Dash);
                } else {
                    wide.push_char(c);
                }
                before = word(c);
            }
        }
        wide
    }

    /// The same in folded case.
    pub(crate) fn folded(&self) -> Self {
        let fold = |token: &Token| match token {
            Token::Text(text) => Token::Text(fold(text)),
            Token::One | Token::Many | Token::Dash => token.clone(),
        };
        Self(self.0.iter().map(fold).collect())
    }

    /// Whether the tokens cover `value`, in the case they are in. Time is at most length × tokens.
    pub(crate) fn matches(&self, value: &str) -> bool {
        let (mut at, mut rest) = (0, value);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            match self.0.get(at) {
                Some(Token::Many) => {
                    if at + 1 == self.0.len() {
                        return true;
                    }
                    at += 1;
                    retry = Some((at, rest));
                    continue;
                }
                Some(token) => {
                    if let Some(after) = token.strip(rest) {
                        at += 1;
                        rest = after;
                        continue;
                    }
                }
                None if rest.is_empty() => return true,
                None => {}
            }
            let Some((again, from)) = retry else { return false };
            let mut chars = from.chars();
            if chars.next().is_none() {
                return false;
            }
            (at, rest) = (again, chars.as_str());
            retry = Some((again, rest));
        }
    }
}

impl Token {
    /// What is left of `value` after this token at its start.
    fn strip<'v>(&self, value: &'v str) -> Option<&'v str> {
        match self {
            Self::Text(text) => value.strip_prefix(text.as_str()),
            Self::One => {
                let mut chars = value.chars();
                chars.next().map(|_| chars.as_str())
            }
            Self::Dash => value.strip_prefix(DASHES),
            Self::Many => Some(value),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| match token {
            Token::Text(text) => f.write_str(text),
            Token::One => f.write_str("?"),
            Token::Many => f.write_str("*"),
            Token::Dash => f.write_str("-"),
        })
    }
}

/// One form for all cases of a text: each character's own lower case, whatever stands around it.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

/// Puts the folded text in place of what `folded` held.
pub(crate) fn fold_into(text: &str, folded: &mut String) {
    folded.clear();
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(text.chars().flat_map(char::to_lowercase));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, value: &str, expected: bool) {
        assert_eq!(Pattern::parse(pattern).matches(value), expected, "{pattern} on {value}");
    }

    #[test]
    fn wildcards_cover_the_whole_value() {
        check("abc", "abc", true);
        check("abc", "abcd", false);
        check("a*c", "abcbc", true);
        check("a*c", "abcb", false);
        check("a?c", "aéc", true);
        check("a?c", "ac", false);
        check("*", "", true);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b", "xxabxx", false);
        check("*ab?d", "ababcd", true);
    }

    #[test]
    fn a_backslash_escapes_only_wildcards_and_itself() {
        check(r"C:\x", r"C:\x", true);
        check(r"C:\\x", r"C:\x", true);
        check(r"C:\\\\x", r"C:\\x", true);
        check(r"a\*b", "a*b", true);
        check(r"a\*b", "axb", false);
        check(r"a\\*b", r"a\zzb", true);
        check(r"a\?", "a?", true);
        check("end\\", "end\\", true);
    }

    #[test]
    fn any_dash_stands_only_where_an_option_begins() {
        let wide = Pattern::parse(" -enc x-y /f").with_any_dash();
        assert!(wide.matches(" /enc x-y -f"));
        assert!(wide.matches(" \u{2013}enc x-y \u{2015}f"));
        assert!(!wide.matches(" -enc x/y /f"));
    }
}
