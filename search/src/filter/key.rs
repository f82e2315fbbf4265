//! What goes into a filter: numbers that stand for values, fields and letters. They are on disk, so the
//! ways from text to number belong to the format ([`super::file::VERSION`]).

use super::Place;
use crate::{
    query::{
        test::Kind,
        words::{WORD_CHARS_MAX, Words, is_ideograph},
    },
    schema,
};
use custos_event::{FieldId, FieldTable, Seq};

/// A stable 64-bit hash, by multiplying and folding as wyhash does. No defence against chosen keys is
/// needed: a collision only makes a run be read that need not be.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    fold(fold(state ^ u64::from_le_bytes(last)) ^ 0xe703_7ed1_a0b4_28db)
}

fn fold(value: u64) -> u64 {
    let wide = u128::from(value ^ 0x8ebc_6af0_9c88_c6e3) * 0x5899_65cc_7537_4cc3;
    let (low, high) = (wide & u128::from(u64::MAX), wide >> 64);
    u64::try_from(low ^ high).unwrap_or(0)
}

/// Stands for "a value of this field".
pub(crate) fn field_key(field: u64) -> u64 {
    fold(field ^ 1)
}

/// Stands for "this value of this field".
pub(crate) fn value_key(field: u64, value: u64) -> u64 {
    fold(field.rotate_left(32) ^ value)
}

/// Stands for three signs in a row.
pub(crate) fn gram_key(gram: u32) -> u64 {
    fold(u64::from(gram) | 1 << 32)
}

/// Stands for a word, by its hash.
pub(crate) fn word_key(word: u64) -> u64 {
    fold(word ^ 2)
}

/// Whether a folded value is one word that no other field is likely to hold: then the word's key stands
/// for the value as well.
pub(crate) fn is_rare_word(folded: &str) -> bool {
    (8..=WORD_CHARS_MAX).contains(&folded.len())
        && folded.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn pair_key(first: char, second: char) -> u64 {
    fold((u64::from(u32::from(first)) << 24 | u64::from(u32::from(second))) ^ 3 << 60)
}

/// Signs are the 26 letters, the 10 digits, one for everything that ends a word, and 27 that the other
/// alphabets' letters share: 6 bits, so that three make one of 262,144 and a set of them takes 32 KiB.
const END: u32 = END_SIGN as u32;
const END_SIGN: u8 = 36;
const GRAM_BITS: u32 = 18;
pub(crate) const GRAMS: usize = 1 << GRAM_BITS;
const GRAM_MASK: u32 = (1 << GRAM_BITS) - 1;

const ASCII_SIGNS: [u8; 128] = {
    let mut signs = [END_SIGN; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_digit() {
            signs[byte as usize] = byte - b'0';
        } else if byte.is_ascii_alphabetic() {
            signs[byte as usize] = 10 + (byte | 0x20) - b'a';
        }
        byte += 1;
    }
    signs
};

/// The sign of one folded character. Depends on nothing beside it, so that the signs of a part of a text
/// are a part of the text's signs.
fn sign(c: char) -> u32 {
    let number = u32::from(c);
    if let Some(sign) = ASCII_SIGNS.get(number as usize) {
        u32::from(*sign)
    } else if c.is_alphanumeric() && !is_ideograph(c) {
        END + 1 + number % 27
    } else {
        END
    }
}

/// Three signs that slide over a text.
struct Slide(u32);

impl Slide {
    fn new() -> Self {
        Self(END << 6 | END)
    }

    fn push(&mut self, sign: u32) -> u32 {
        self.0 = (self.0 << 6 | sign) & GRAM_MASK;
        self.0
    }
}

/// Calls `gram` for each three signs of a text with word ends around it, and `key` for what stands for
/// its words, and for each two ideographs that follow each other as words.
pub(crate) fn text_keys(
    text: &str,
    folded: &str,
    gram: &mut impl FnMut(u32),
    key: &mut impl FnMut(u64),
) {
    let mut slide = Slide::new();
    if folded.is_ascii() {
        let mut start = 0;
        for (at, byte) in folded.bytes().enumerate() {
            let sign = u32::from(ASCII_SIGNS[usize::from(byte & 0x7f)]);
            gram(slide.push(sign));
            if sign == END {
                put_word(folded, start, at, key);
                start = at + 1;
            }
        }
        put_word(folded, start, folded.len(), key);
    } else {
        folded.chars().for_each(|c| gram(slide.push(sign(c))));
        put_words(text, key);
    }
    gram(slide.push(END));
    gram(slide.push(END));
}

fn put_word(folded: &str, start: usize, end: usize, key: &mut impl FnMut(u64)) {
    if start < end {
        let end = end.min(start + WORD_CHARS_MAX);
        key(word_key(hash(folded.as_bytes().get(start..end).unwrap_or_default())));
    }
}

fn put_words(text: &str, key: &mut impl FnMut(u64)) {
    let (mut walk, mut word, mut before) = (Words::new(text), String::new(), None);
    while walk.next_into(&mut word).is_some() {
        key(word_key(hash(word.as_bytes())));
        let ideograph = word.chars().next().filter(|c| is_ideograph(*c));
        if let (Some(first), Some(second)) = (before, ideograph) {
            key(pair_key(first, second));
        }
        before = ideograph;
    }
}

/// The keys that every text holding this folded piece has; `starts` and `ends`: a word ends there.
pub(crate) fn piece_keys(piece: &str, starts: bool, ends: bool) -> Vec<u64> {
    // An ideograph is a word wherever it stands: nothing is known of what is beside it.
    let bordered = |c: Option<char>| c.is_some_and(|c| !is_ideograph(c));
    let mut signs: Vec<u32> = Vec::new();
    if starts && bordered(piece.chars().next()) {
        signs.push(END);
    }
    signs.extend(piece.chars().map(sign));
    if ends && bordered(piece.chars().next_back()) {
        signs.push(END);
    }
    let three = |signs: &[u32]| signs.iter().fold(0, |gram, sign| gram << 6 | sign);
    let mut keys: Vec<u64> = signs.windows(3).map(|signs| gram_key(three(signs))).collect();
    let ideographs: Vec<char> = piece.chars().filter(|c| is_ideograph(*c)).collect();
    let single = |c: &char| word_key(hash(c.encode_utf8(&mut [0; 4]).as_bytes()));
    keys.extend(ideographs.iter().map(single));
    if ideographs.len() == piece.chars().count() {
        keys.extend(neighbours(&ideographs));
    }
    keys
}

/// The keys of ideographs that stand next to each other as words.
pub(crate) fn neighbours(words: &[char]) -> Vec<u64> {
    words.windows(2).map(|pair| pair_key(pair[0], pair[1])).collect()
}

/// What the filters know of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldKey {
    pub(crate) name: u64,
    pub(crate) kind: Kind,
    /// The dictionary answers for it: no keys of its whole values are needed.
    pub(crate) is_core: bool,
    /// The run that last had it, by its first event.
    pub(crate) seen_in: Option<(Place, Seq)>,
}

/// Field numbers hold only while the process lives: what is on disk is made from the names.
#[derive(Debug, Default)]
pub(crate) struct FieldKeys(Vec<Option<FieldKey>>);

impl FieldKeys {
    pub(crate) fn get(&mut self, field: FieldId, table: &FieldTable) -> Option<&mut FieldKey> {
        if field == FieldId::OVERFLOW {
            return None;
        }
        let at = field.0 as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        let entry = self.0.get_mut(at)?;
        Some(entry.get_or_insert_with(|| {
            let name = table.name(field);
            let (kind, is_core) = (Kind::of(&name), schema::core(&name).is_some());
            FieldKey { name: hash(name.as_bytes()), kind, is_core, seen_in: None }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::words;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn keys(text: &str) -> HashSet<u64> {
        let (mut keys, mut grams) = (HashSet::new(), HashSet::new());
        let folded = words::fold(text);
        let mut gram = |gram| {
            grams.insert(gram);
        };
        text_keys(text, &folded, &mut gram, &mut |key| {
            keys.insert(key);
        });
        keys.extend(grams.into_iter().map(gram_key));
        keys
    }

    /// A word is asked for with its ends: what is no letter must fold to what is no letter.
    #[test]
    fn whatever_ends_a_word_still_does_when_folded() {
        for c in ('\0'..=char::MAX).filter(|c| !c.is_alphanumeric()) {
            assert!(c.to_lowercase().all(|c| sign(c) == END), "{c:?}");
        }
    }

    #[test]
    fn the_hash_is_part_of_the_format() {
        assert_eq!(
            (hash(b""), hash(b"custos-search")),
            (13_658_326_955_572_388_860, 10_725_552_830_374_220_246)
        );
    }

    proptest! {
        #[test]
        fn a_text_has_the_keys_of_each_of_its_parts(text: String, from: usize, len in 0..6_usize) {
            let text = words::fold(&text).into_owned();
            let all = keys(&text);
            let chars: Vec<char> = text.chars().collect();
            let from = if chars.is_empty() { 0 } else { from % chars.len() };
            let end = chars.len().min(from + len);
            let piece: String = chars[from..end].iter().collect();
            let asked = piece_keys(&piece, from == 0, end == chars.len());
            prop_assert!(asked.iter().all(|key| all.contains(key)), "{piece:?} in {text:?}");
        }

        #[test]
        fn a_text_has_the_keys_of_each_of_its_words(text in "[a-cİẞ强行,. -]{0,20}") {
            let all = keys(&text);
            let (mut walk, mut word) = (Words::new(&text), String::new());
            while walk.next_into(&mut word).is_some() {
                let mut asked = piece_keys(&word, true, true);
                asked.push(word_key(hash(word.as_bytes())));
                prop_assert!(asked.iter().all(|key| all.contains(key)), "{word}");
            }
        }
    }
}
