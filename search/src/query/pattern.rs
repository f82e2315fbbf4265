//! Wildcards: `*` for any run of characters, also none, and `?` for exactly one.

use super::words::fold;

/// One sign of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Char(char),
    One,
    Any,
}

/// A pattern over folded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Sign>);

impl Pattern {
    /// Folds the literal characters; stars that follow each other become one.
    pub(crate) fn new(signs: &[Sign]) -> Self {
        let mut folded: Vec<Sign> = Vec::with_capacity(signs.len());
        for sign in signs {
            match sign {
                Sign::Char(c) => {
                    folded.extend(fold(c.encode_utf8(&mut [0; 4])).chars().map(Sign::Char));
                }
                Sign::Any if folded.last() == Some(&Sign::Any) => {}
                Sign::Any | Sign::One => folded.push(*sign),
            }
        }
        Self(folded)
    }

    /// The text itself, if the pattern has no wildcard.
    pub(crate) fn literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|sign| match sign {
                Sign::Char(c) => Some(*c),
                Sign::One | Sign::Any => None,
            })
            .collect()
    }

    /// Only stars: anything fits.
    pub(crate) fn is_anything(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|sign| *sign == Sign::Any)
    }

    /// The literal runs between wildcards, each with whether it stands at the start and at the end.
    pub(crate) fn pieces(&self) -> Vec<(String, bool, bool)> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < self.0.len() {
            let rest = self.0.get(at..).unwrap_or_default();
            let piece: String = rest
                .iter()
                .map_while(|sign| match sign {
                    Sign::Char(c) => Some(*c),
                    Sign::One | Sign::Any => None,
                })
                .collect();
            let len = piece.chars().count();
            if len > 0 {
                pieces.push((piece, at == 0, at + len == self.0.len()));
            }
            at += len.max(1);
        }
        pieces
    }

    /// The literal start that every text which fits has.
    pub(crate) fn prefix(&self) -> String {
        self.pieces().into_iter().find(|piece| piece.1).map(|piece| piece.0).unwrap_or_default()
    }

    /// Whether all of `text`, already folded, fits. At most text × pattern steps: it goes back to
    /// the last star only.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let signs = &self.0;
        let (mut sign, mut rest) = (0, text.chars());
        let mut star: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            match (signs.get(sign), ahead.next()) {
                (Some(Sign::Any), _) => {
                    sign += 1;
                    star = Some((sign, rest.clone()));
                    continue;
                }
                (Some(Sign::One), Some(_)) => {
                    sign += 1;
                    rest = ahead;
                    continue;
                }
                (Some(Sign::Char(c)), Some(next)) if *c == next => {
                    sign += 1;
                    rest = ahead;
                    continue;
                }
                (None, None) => return true,
                (_, _) => {}
            }
            let Some((after, from)) = &mut star else { return false };
            if from.next().is_none() {
                return false;
            }
            (sign, rest) = (*after, from.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        let sign = |c| match c {
            '*' => Sign::Any,
            '?' => Sign::One,
            c => Sign::Char(c),
        };
        Pattern::new(&text.chars().map(sign).collect::<Vec<_>>())
    }

    #[test]
    fn wildcards_fit_as_people_expect() {
        for (signs, text, fits) in [
            ("svc*", "svc_backup", true),
            ("svc*", "my-svc", false),
            ("*.EXE", "a.exe", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("a*b", "a", false),
            ("*ab", "aab", true),
            ("强*", "强行", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(pattern(signs).fits(text), fits, "{signs} {text}");
        }
    }

    #[test]
    fn pieces_know_whether_they_are_anchored() {
        let pieces = pattern("ab*c?d").pieces();
        let expected = [("ab", true, false), ("c", false, false), ("d", false, true)];
        assert_eq!(pieces, expected.map(|(text, start, end)| (text.to_owned(), start, end)));
        assert_eq!(pattern("ab*").prefix(), "ab");
        assert_eq!(pattern("*ab").prefix(), "");
    }

    fn naive(signs: &[Sign], text: &[char]) -> bool {
        match (signs.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Sign::Any, signs)), _) if naive(signs, text) => true,
            (Some((Sign::Any, _)), Some((_, text))) => naive(signs, text),
            (Some((Sign::One, signs)), Some((_, text))) => naive(signs, text),
            (Some((Sign::Char(c), signs)), Some((first, text))) => c == first && naive(signs, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_agrees_with_the_plain_one(signs in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let pattern = pattern(&signs);
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(pattern.fits(&text), naive(&pattern.0, &chars));
        }
    }
}
