//! What a run must hold for a query to find anything in it.

use super::key::{field_key, hash, is_rare_word, neighbours, piece_keys, value_key, word_key};
use crate::query::{
    Node, Query,
    test::{Kind, Leaf, Target, Test, WordTest},
    words::{WORD_CHARS_MAX, is_ideograph},
};
use crate::{SearchError, schema};

/// A necessary condition over a filter's keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Need {
    /// Nothing is known that every match has.
    Anything,
    Keys(Vec<u64>),
    All(Vec<Need>),
    One(Vec<Need>),
}

impl Need {
    /// Whether the condition holds, given what is known of each key.
    pub(crate) fn met(
        &self,
        has: &mut dyn FnMut(u64) -> Result<bool, SearchError>,
    ) -> Result<bool, SearchError> {
        match self {
            Self::Anything => Ok(true),
            Self::Keys(keys) => {
                for key in keys {
                    if !has(*key)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::All(needs) => {
                for need in needs {
                    if !need.met(has)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::One(needs) => {
                for need in needs {
                    if need.met(has)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

/// What every event that `query` finds adds to its run's filter.
pub(crate) fn need(query: &Query, node: &Node) -> Need {
    match node {
        Node::All | Node::Not(_) => Need::Anything,
        Node::And(nodes) => {
            let mut needs: Vec<_> = nodes.iter().map(|node| need(query, node)).collect();
            needs.retain(|need| *need != Need::Anything);
            if needs.is_empty() { Need::Anything } else { Need::All(needs) }
        }
        Node::Or(nodes) => {
            let needs: Vec<_> = nodes.iter().map(|node| need(query, node)).collect();
            if needs.contains(&Need::Anything) { Need::Anything } else { Need::One(needs) }
        }
        Node::Leaf(at) => query.leaves.get(*at).map_or(Need::Anything, of_leaf),
    }
}

fn of_leaf(leaf: &Leaf) -> Need {
    let (name, kind) = match &leaf.target {
        Target::Text => return keys(of_test(&leaf.test, Kind::Prose)),
        Target::Time | Target::Received | Target::Source => return Need::Anything,
        // The dictionary answers; only letters can narrow it further.
        Target::Field { name, kind } if schema::core(name).is_some() => {
            return keys(of_test(&leaf.test, *kind));
        }
        Target::Field { name, kind } => (hash(name.as_bytes()), *kind),
    };
    if let Test::Equal { texts, net: None } = &leaf.test {
        let one = |text: &String| {
            let of_text = hash(text.as_bytes());
            let by_word = kind == Kind::Value && is_rare_word(text);
            Need::Keys(vec![if by_word { word_key(of_text) } else { value_key(name, of_text) }])
        };
        return Need::One(texts.iter().map(one).collect());
    }
    let mut all = vec![field_key(name)];
    all.extend(of_test(&leaf.test, kind));
    keys(all)
}

fn keys(keys: Vec<u64>) -> Need {
    if keys.is_empty() { Need::Anything } else { Need::Keys(keys) }
}

/// The keys of the letters that a value which passes has.
fn of_test(test: &Test, kind: Kind) -> Vec<u64> {
    match test {
        // An address is compared in its usual spelling; the letters in the filter are of its own.
        Test::Like(_) if kind == Kind::Address => Vec::new(),
        Test::Like(pattern) => of_pieces(pattern.pieces(), true),
        Test::Words(words) => of_words(words),
        Test::Exists | Test::Equal { .. } | Test::Compare(..) | Test::At(_) => Vec::new(),
    }
}

fn of_pieces(pieces: Vec<(String, bool, bool)>, whole: bool) -> Vec<u64> {
    let of_piece =
        |(piece, starts, ends): (String, bool, bool)| piece_keys(&piece, starts, ends && whole);
    pieces.into_iter().flat_map(of_piece).collect()
}

fn of_words(words: &[WordTest]) -> Vec<u64> {
    let mut keys = Vec::new();
    for word in words {
        match word {
            // A word of the full length may have been cut: its end is not known.
            WordTest::Is(text) => {
                let whole = text.chars().count() < WORD_CHARS_MAX;
                keys.push(word_key(hash(text.as_bytes())));
                keys.extend(piece_keys(text, true, whole));
            }
            WordTest::Like(pattern) => keys.extend(of_pieces(pattern.pieces(), false)),
        }
    }
    let ideographs: Vec<Option<char>> = words.iter().map(ideograph).collect();
    for pair in ideographs.windows(2) {
        if let [Some(first), Some(second)] = pair {
            keys.extend(neighbours(&[*first, *second]));
        }
    }
    keys
}

fn ideograph(word: &WordTest) -> Option<char> {
    match word {
        WordTest::Is(text) => text.chars().next().filter(|c| is_ideograph(*c)),
        WordTest::Like(_) => None,
    }
}
