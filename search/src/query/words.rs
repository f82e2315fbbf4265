//! Text as it is compared: folded to lower case, and cut into words. The index, the block filters and
//! [`crate::Query::matches`] all use these functions, which is why they agree.

use std::borrow::Cow;

/// Only the first 64 characters of a word count, so that a blob in Base64 is no entry of 100 KB in the
/// dictionary. The longest English words in the recorded events have 22.
pub(crate) const WORD_CHARS_MAX: usize = 64;

/// Chinese and Japanese script has no spaces: each of its characters is a word of its own, and a run of
/// them is found as a phrase.
pub(crate) fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        && c.is_alphanumeric()
}

/// `text` in lower case, character by character (so that a part of a text folds to a part of the folded
/// text, which `str::to_lowercase` does not promise for Greek).
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        }
    } else {
        Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
    }
}

/// Whether `text` folds to `folded`; allocates nothing.
pub(crate) fn folds_to(text: &str, folded: &str) -> bool {
    if text.is_ascii() {
        text.len() == folded.len() && text.eq_ignore_ascii_case(folded)
    } else {
        text.chars().flat_map(char::to_lowercase).eq(folded.chars())
    }
}

/// Walks the words of a text.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Puts the next word, folded, into `word` and says where in the text it stands.
    pub(crate) fn next_into(&mut self, word: &mut String) -> Option<(usize, usize)> {
        word.clear();
        let bytes = self.text.as_bytes();
        let rest = bytes.get(self.at..)?;
        let start = self.at + rest.iter().take_while(|b| is_ascii_border(**b)).count();
        let rest = bytes.get(start..)?;
        let end = start + rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        if bytes.get(end).is_some_and(|b| !b.is_ascii()) {
            self.at = start;
            return self.next_of_any_script(word);
        }
        self.at = end;
        word.push_str(self.text.get(start..end.min(start + WORD_CHARS_MAX))?);
        word.make_ascii_lowercase();
        (start < end).then_some((start, end))
    }

    fn next_of_any_script(&mut self, word: &mut String) -> Option<(usize, usize)> {
        let (mut start, mut chars) = (None, 0);
        while let Some(c) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            let here = self.at;
            match (c.is_alphanumeric(), start) {
                (false, Some(start)) => return Some((start, here)),
                (true, Some(start)) if is_ideograph(c) => return Some((start, here)),
                (true, None) if is_ideograph(c) => {
                    self.at += c.len_utf8();
                    word.extend(c.to_lowercase());
                    return Some((here, self.at));
                }
                (false, None) => {}
                (true, _) => {
                    start = start.or(Some(here));
                    chars += 1;
                    if chars <= WORD_CHARS_MAX {
                        push_lower(word, c);
                    }
                }
            }
            self.at += c.len_utf8();
        }
        start.map(|start| (start, self.at))
    }
}

fn is_ascii_border(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric()
}

fn push_lower(word: &mut String, c: char) {
    if c.is_ascii() {
        word.push(c.to_ascii_lowercase());
    } else {
        word.extend(c.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        let (mut walk, mut word, mut all) = (Words::new(text), String::new(), Vec::new());
        while walk.next_into(&mut word).is_some() {
            all.push(word.clone());
        }
        all
    }

    #[test]
    fn words_end_at_whatever_is_no_letter_or_digit() {
        assert_eq!(words("Failed_login: 10.0.0.5"), ["failed", "login", "10", "0", "0", "5"]);
        assert_eq!(words("Ärger ÉTÉ2"), ["ärger", "été2"]);
        assert!(words(" -- ").is_empty());
    }

    #[test]
    fn each_ideograph_is_a_word_and_ends_the_word_before_it() {
        assert_eq!(words("door门被强a行,x"), ["door", "门", "被", "强", "a", "行", "x"]);
        assert_eq!(words("カタ"), ["カ", "タ"]);
    }

    #[test]
    fn a_long_word_is_cut_but_stays_one_word() {
        let long = "A".repeat(200);
        assert_eq!(words(&format!("{long} b")), ["a".repeat(64), "b".into()]);
    }

    proptest! {
        #[test]
        fn folding_agrees_with_comparing(a: String, b: String) {
            prop_assert!(folds_to(&a, &fold(&a)));
            prop_assert_eq!(folds_to(&a, &fold(&b)), fold(&a) == fold(&b));
        }

        #[test]
        fn words_stand_where_they_say(text: String) {
            let (mut walk, mut word, mut last) = (Words::new(&text), String::new(), 0);
            while let Some((start, end)) = walk.next_into(&mut word) {
                prop_assert!(last <= start && start < end && !word.is_empty());
                prop_assert!(text[start..end].chars().all(char::is_alphanumeric));
                last = end;
            }
        }
    }
}
