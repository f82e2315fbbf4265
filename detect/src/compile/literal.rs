//! Which pieces of text every match of a regular expression contains.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

/// More alternatives than this gate nothing: they would be found all the time.
const ALTERNATIVES_MAX: usize = 64;
/// Shorter pieces are found in most values, so that looking for them costs more than it saves.
const BYTES_MIN: usize = 3;

/// Folded texts of which at least one stands in every match, in folded case; empty when there is no such
/// set.
pub(crate) fn required(pattern: &str, case_insensitive: bool) -> Vec<String> {
    let parsed =
        ParserBuilder::new().case_insensitive(case_insensitive).utf8(false).build().parse(pattern);
    let pieces = parsed.ok().and_then(|hir| pieces(&hir)).unwrap_or_default();
    if pieces.iter().any(|piece| piece.len() < BYTES_MIN) { Vec::new() } else { pieces }
}

/// The best set of alternatives for `hir`; `None` when it may match without any text.
fn pieces(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => {
            run(std::slice::from_ref(hir)).map(|it| vec![it])
        }
        HirKind::Capture(capture) => pieces(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => pieces(&repetition.sub),
        HirKind::Concat(parts) => sequence(parts),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(pieces(part)?);
            }
            (all.len() <= ALTERNATIVES_MAX).then_some(all)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The best of the runs of plain letters in a sequence, and of its parts.
fn sequence(parts: &[Hir]) -> Option<Vec<String>> {
    let mut best: Option<Vec<String>> = None;
    let mut offer = |found: Option<Vec<String>>| {
        if found.as_deref().map(worth) > best.as_deref().map(worth) {
            best = found;
        }
    };
    let plain = |part: &Hir| run(std::slice::from_ref(part)).is_some();
    for group in parts.chunk_by(|a, b| plain(a) == plain(b)) {
        if group.first().is_some_and(plain) {
            offer(run(group).map(|text| vec![text]));
        } else {
            for part in group {
                offer(pieces(part));
            }
        }
    }
    best
}

/// Longer is rarer; of sets, the shortest piece counts.
fn worth(pieces: &[String]) -> usize {
    pieces.iter().map(String::len).min().unwrap_or(0)
}

/// The one folded text that all matches of these parts are, if there is one.
fn run(parts: &[Hir]) -> Option<String> {
    let mut text = String::new();
    for part in parts {
        match part.kind() {
            HirKind::Literal(literal) => {
                let literal = std::str::from_utf8(&literal.0).ok()?;
                text.extend(literal.chars().flat_map(char::to_lowercase));
            }
            HirKind::Class(class) => text.push(letter(class)?),
            HirKind::Empty
            | HirKind::Look(_)
            | HirKind::Repetition(_)
            | HirKind::Capture(_)
            | HirKind::Concat(_)
            | HirKind::Alternation(_) => return None,
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The ASCII letter whose cases a class holds. `k` and `s` have cases beyond ASCII too; values that are
/// not ASCII are not gated, so those do not count.
fn letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut folded = None;
    for range in class.ranges() {
        if range.len() > 2 {
            return None;
        }
        for c in range.start()..=range.end() {
            let one = c.to_ascii_lowercase();
            if c.is_ascii() && *folded.get_or_insert(one) != one {
                return None;
            }
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        assert_eq!(required(pattern, false), expected, "{pattern}");
    }

    #[test]
    fn the_longest_piece_that_every_match_has_is_found() {
        check("foo.*BarBaz", &["barbaz"]);
        check("(?i)foo[0-9]+b", &["foo"]);
        check("(abc|defg)x", &["abc", "defg"]);
        check("^a.b$", &[]);
        check("(abc)?def", &["def"]);
        check("(abc)+", &["abc"]);
        check("abc|.*", &[]);
        check(r"\d{4,}", &[]);
        check("(?i)kiss", &["kiss"]);
    }
}
