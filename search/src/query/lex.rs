//! Signs of a query text: words with their escapes, quoted phrases, operators.

use super::pattern::Sign;
use crate::error::{QueryError, QueryFault};

/// A word as written, its wildcards told from escaped signs, or a quoted text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) signs: Vec<Sign>,
    pub(crate) quoted: bool,
    /// An escape was used: then `\and` is a word, no operator.
    escaped: bool,
    pub(crate) column: usize,
}

impl Word {
    /// The word without wildcards, if it has none.
    pub(crate) fn literal(&self) -> Option<String> {
        self.signs
            .iter()
            .map(|sign| match sign {
                Sign::Char(c) => Some(*c),
                Sign::One | Sign::Any => None,
            })
            .collect()
    }

    pub(crate) fn is_keyword(&self, keyword: &str) -> bool {
        !self.quoted
            && !self.escaped
            && self.literal().is_some_and(|text| text.eq_ignore_ascii_case(keyword))
    }
}

/// Signs that a backslash takes the meaning of. Before any other sign a backslash is itself, so that
/// Windows paths can be written as they are.
const ESCAPABLE: &str = "\\():\"*?<>= ";

/// A place in the query text.
#[derive(Debug)]
pub(crate) struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    pub(crate) fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0 }
    }

    pub(crate) fn column(&self) -> usize {
        self.at + 1
    }

    pub(crate) fn len(&self) -> usize {
        self.chars.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(crate) fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes `sign` if it is next.
    pub(crate) fn eat(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(sign);
        self.at += usize::from(found);
        found
    }

    /// Whether the next word is this operator; the place does not move.
    pub(crate) fn sees_keyword(&mut self, keyword: &str) -> bool {
        let at = self.at;
        let seen = self.word(true).is_ok_and(|word| word.is_keyword(keyword));
        self.at = at;
        seen
    }

    /// A word or a quoted text. In the place of a name a word also ends at `:`, `<` and `>`.
    pub(crate) fn word(&mut self, may_be_name: bool) -> Result<Word, QueryError> {
        let column = self.column();
        if self.eat('"') {
            return self.quoted(column);
        }
        let mut word = Word { signs: Vec::new(), quoted: false, escaped: false, column };
        while let Some(c) = self.peek() {
            let ends = c.is_whitespace()
                || matches!(c, '(' | ')' | '"')
                || (may_be_name && matches!(c, ':' | '<' | '>'));
            if ends {
                break;
            }
            self.at += 1;
            match (c, self.peek()) {
                ('\\', Some(next)) if ESCAPABLE.contains(next) => {
                    self.at += 1;
                    word.escaped = true;
                    word.signs.push(Sign::Char(next));
                }
                ('\\', Some(next)) if next.is_ascii_alphabetic() && word.signs.is_empty() => {
                    // `\and` is the word "and"; `\temp` stays a path.
                    word.escaped = true;
                    let keyword = self.keyword_ahead();
                    if !keyword {
                        word.signs.push(Sign::Char('\\'));
                    }
                }
                ('*', _) => word.signs.push(Sign::Any),
                ('?', _) => word.signs.push(Sign::One),
                (c, _) => word.signs.push(Sign::Char(c)),
            }
        }
        Ok(word)
    }

    fn keyword_ahead(&self) -> bool {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let word: String = rest.iter().take_while(|c| c.is_alphanumeric()).take(4).collect();
        ["and", "or", "not"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
    }

    fn quoted(&mut self, column: usize) -> Result<Word, QueryError> {
        let mut signs = Vec::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match (c, self.peek()) {
                ('"', _) => return Ok(Word { signs, quoted: true, escaped: false, column }),
                ('\\', Some(next @ ('"' | '\\'))) => {
                    self.at += 1;
                    signs.push(Sign::Char(next));
                }
                (c, _) => signs.push(Sign::Char(c)),
            }
        }
        Err(QueryError::new(
            QueryFault::OpenQuote,
            column,
            "this quote is never closed; end it with '\"'",
        ))
    }
}
