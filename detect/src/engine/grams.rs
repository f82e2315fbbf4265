//! Texts that may stand anywhere in a value, thousands at a time.
//!
//! Each text is known by its rarest four letters (fewer if it is shorter). A value is read once for each
//! length of letters in use: most places are ruled out by one bit of a small table, the others by a
//! comparison. Unlike an automaton, no step waits for the one before, nothing is lower-cased, and the
//! tables of 5,000 texts stay below 300 KB (docs/decisions/0005-rarest-letters.md).
//!
//! Where all texts have seven letters or more, each is known by the letters at four places in a row, and
//! only every fourth place of a value is looked at: one of the four falls there.

use hashbrown::HashMap;

/// Bits of the filter for each text: one place in 64 passes it by chance.
const FILTER_BITS_PER_TEXT: usize = 64;
/// 2^18 bits are 32 KiB, what the nearest cache of a core holds.
const FILTER_LOG_MAX: u32 = 18;
const FILTER_LOG_MIN: u32 = 8;

#[derive(Debug, Default)]
pub(crate) struct Grams {
    /// One for each length of letters in use, from 1 to 4.
    scans: Vec<Scan>,
    /// All texts, one behind the other, folded.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Scan {
    letters: usize,
    /// Every so many places of a value are looked at.
    stride: usize,
    /// Bit h is set if some text's letters have the hash h.
    filter: Vec<u64>,
    filter_shift: u32,
    /// Entries by the upper bits of their hash.
    starts: Vec<u32>,
    start_shift: u32,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    gram: u32,
    /// Where in the text its letters stand.
    offset: u32,
    start: u32,
    len: u32,
    /// What the caller knows the text by.
    text: u32,
}

impl Grams {
    /// From folded texts, none of them empty, and what each is known by.
    pub(crate) fn new(texts: &[(String, u32)]) -> Self {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for (text, _) in texts {
            for window in text.as_bytes().windows(4) {
                *counts.entry(gram(window)).or_default() += 1;
            }
        }
        let mut bytes = Vec::new();
        let mut by_letters: [Vec<Entry>; 4] = Default::default();
        let stride = stride(texts);
        for (text, number) in texts.iter().filter(|(text, _)| !text.is_empty()) {
            let letters = text.len().min(4);
            let stride = if letters == 4 { stride } else { 1 };
            let (start, len) = (number_of(bytes.len()), number_of(text.len()));
            bytes.extend_from_slice(text.as_bytes());
            let first = rarest(text.as_bytes(), letters, stride, &counts);
            for (offset, window) in
                text.as_bytes().windows(letters).enumerate().skip(first).take(stride)
            {
                let (gram, offset) = (gram(window), number_of(offset));
                by_letters[letters - 1].push(Entry { gram, offset, start, len, text: *number });
            }
        }
        let scans = (1..).zip(by_letters).filter(|(_, entries)| !entries.is_empty());
        let scan =
            |(letters, entries)| Scan::new(letters, if letters == 4 { stride } else { 1 }, entries);
        Self { scans: scans.map(scan).collect(), bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scans.is_empty()
    }

    /// Calls `found` with each text in `value`, perhaps more than once. The value is all ASCII, or folded.
    pub(crate) fn scan(&self, value: &[u8], mut found: impl FnMut(u32)) {
        for scan in &self.scans {
            match (scan.letters, scan.stride) {
                (1, _) => scan.run::<1, 1>(value, &self.bytes, &mut found),
                (2, _) => scan.run::<2, 1>(value, &self.bytes, &mut found),
                (3, _) => scan.run::<3, 1>(value, &self.bytes, &mut found),
                (_, 1) => scan.run::<4, 1>(value, &self.bytes, &mut found),
                (_, 2) => scan.run::<4, 2>(value, &self.bytes, &mut found),
                (_, _) => scan.run::<4, 4>(value, &self.bytes, &mut found),
            }
        }
    }
}

impl Scan {
    fn new(letters: usize, stride: usize, mut entries: Vec<Entry>) -> Self {
        let log = |n: usize| n.next_power_of_two().trailing_zeros();
        let filter_log =
            log(entries.len() * FILTER_BITS_PER_TEXT).clamp(FILTER_LOG_MIN, FILTER_LOG_MAX);
        let start_log = log(entries.len()).max(1);
        let (filter_shift, start_shift) = (32 - filter_log, 32 - start_log);
        entries.sort_by_key(|entry| hash(entry.gram));
        let mut filter = vec![0; 1 << (filter_log - 6)];
        for entry in &entries {
            let bit = hash(entry.gram) >> filter_shift;
            filter[(bit >> 6) as usize] |= 1 << (bit & 63);
        }
        let bucket = |entry: &Entry| hash(entry.gram) >> start_shift;
        let starts = (0..=1_u32 << start_log)
            .map(|n| number_of(entries.partition_point(|entry| bucket(entry) < n)))
            .collect();
        Self { letters, stride, filter, filter_shift, starts, start_shift, entries }
    }

    #[inline]
    fn run<const LETTERS: usize, const STRIDE: usize>(
        &self,
        value: &[u8],
        bytes: &[u8],
        found: &mut impl FnMut(u32),
    ) {
        for (at, window) in value.windows(LETTERS).enumerate().step_by(STRIDE) {
            let mut letters = [0; 4];
            letters[..LETTERS].copy_from_slice(window);
            let hash = hash(u32::from_le_bytes(letters) | CASE);
            let bit = hash >> self.filter_shift;
            if self.filter[(bit >> 6) as usize] & 1 << (bit & 63) != 0 {
                self.verify(at, u32::from_le_bytes(letters) | CASE, value, bytes, found);
            }
        }
    }

    #[inline(never)]
    fn verify(
        &self,
        at: usize,
        gram: u32,
        value: &[u8],
        bytes: &[u8],
        found: &mut impl FnMut(u32),
    ) {
        let bucket = (hash(gram) >> self.start_shift) as usize;
        let (from, to) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        for entry in &self.entries[from..to] {
            if entry.gram != gram {
                continue;
            }
            let text = &bytes[entry.start as usize..(entry.start + entry.len) as usize];
            let begin = at.checked_sub(entry.offset as usize);
            let there = begin.and_then(|begin| value.get(begin..begin + text.len()));
            if there.is_some_and(|there| there.eq_ignore_ascii_case(text)) {
                found(entry.text);
            }
        }
    }
}

/// Takes letters to lower case; other bytes to something, but always the same.
const CASE: u32 = 0x2020_2020;

fn gram(letters: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    bytes[..letters.len()].copy_from_slice(letters);
    u32::from_le_bytes(bytes) | CASE
}

#[inline]
fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9e37_79b1)
}

/// How many places in a row every text of four letters or more has room for: four, two or one.
fn stride(texts: &[(String, u32)]) -> usize {
    let shortest = texts.iter().map(|(text, _)| text.len()).filter(|len| *len >= 4).min();
    match shortest {
        Some(7..) => 4,
        Some(5..) => 2,
        Some(_) | None => 1,
    }
}

/// The first of `stride` places in a row whose letters the fewest texts have; of equals, the rarest ones in
/// general.
fn rarest(text: &[u8], letters: usize, stride: usize, counts: &HashMap<u32, u32>) -> usize {
    let rank = |window: &[u8]| {
        let count = counts.get(&gram(window)).copied().unwrap_or(0);
        (count, window.iter().map(|letter| commonness(*letter)).sum::<u32>())
    };
    let ranks: Vec<_> = text.windows(letters).map(rank).collect();
    let row = |ranks: &[(u32, u32)]| {
        ranks.iter().fold((0, 0), |sum, rank| (sum.0 + rank.0, sum.1 + rank.1))
    };
    let rows = ranks.windows(stride).map(row).enumerate();
    rows.min_by_key(|(_, rank)| *rank).map_or(0, |(at, _)| at)
}

/// How common a byte is in logs, roughly.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b'e' | b's' | b't' | b'i' | b'o' | b'n' | b'r' | b'a' | b'0' => 9,
        b'1'..=b'9' | b'\\' | b'c' | b'd' | b'l' | b'm' | b'-' => 7,
        b'u' | b'p' | b'f' | b'w' | b'b' | b' ' | b'.' | b'h' | b'g' | b'y' => 5,
        _ => 2,
    }
}

fn number_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str], value: &str) -> Vec<u32> {
        let texts: Vec<(String, u32)> =
            texts.iter().map(|text| (*text).to_owned()).zip(0..).collect();
        let mut found = Vec::new();
        Grams::new(&texts).scan(value.as_bytes(), |n| found.push(n));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn texts_of_any_length_are_found_in_any_case_and_place() {
        let texts = ["a", "bc", "def", "ghij", "klmnop", "klmnopq", "é", "-x"];
        assert_eq!(found(&texts, "A BC Def gHiJ"), [0, 1, 2, 3]);
        assert_eq!(found(&texts, "zzklmnopqzz"), [4, 5]);
        assert_eq!(found(&texts, "KLMNOP"), [4]);
        assert_eq!(found(&texts, "xé-X"), [6, 7]);
        assert_eq!(found(&texts, "lmnop"), [0; 0]);
        assert_eq!(found(&texts, ""), [0; 0]);
        assert_eq!(found(&[], "abc"), [0; 0]);
    }

    #[test]
    fn long_texts_are_found_at_every_place_though_few_places_are_looked_at() {
        for texts in [&["abcdefg", "sekurlsa::x"][..], &["abcde", "sekurlsa::x"], &["abcd"]] {
            for (number, text) in (0..).zip(texts) {
                for at in 0..9 {
                    let value = format!("{}{}", "z".repeat(at), text.to_uppercase());
                    assert_eq!(found(texts, &value), [number], "{value}");
                }
            }
        }
    }

    #[test]
    fn bytes_that_only_look_alike_without_their_case_bit_are_told_apart() {
        assert_eq!(found(&["a\\b@"], "a|b`"), [0; 0]);
        assert_eq!(found(&["a\\b@"], "A\\B@"), [0]);
    }
}
