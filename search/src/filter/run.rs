//! A run being filled: keys of its events are gathered, then sealed into a filter.

use super::{
    FieldKeys, Place, bloom,
    key::{GRAMS, field_key, gram_key, hash, is_rare_word, text_keys, value_key},
};
use crate::query::{
    test::{Kind, comparable},
    words::fold,
};
use custos_event::{FieldTable, ParsedEvent, Seq, Shape, ValueRef};
use hashbrown::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// 512 events of 737 bytes make 370 KB: the least that is read when a filter says maybe, 10 ms.
const RUN_EVENTS_MAX: u32 = 512;
/// A run of huge events ends here, so that reading one stays a matter of 100 ms.
const RUN_RAW_BYTES_MAX: usize = 4 << 20;

/// A finished run and its filter.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) place: Place,
    pub(crate) first: Seq,
    pub(crate) count: u32,
    pub(crate) filter: Vec<u8>,
}

/// The run at the end of one partition.
#[derive(Debug)]
pub(crate) struct RunBuilder {
    place: Place,
    first: Seq,
    count: u32,
    raw_bytes: usize,
    keys: KeySet,
    texts: KeySet,
    /// A bit for each gram.
    grams: Box<[u64]>,
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type KeySet = HashSet<u64, BuildHasherDefault<AsIs>>;

impl RunBuilder {
    pub(crate) fn new(place: Place, first: Seq) -> Self {
        Self {
            place,
            first,
            count: 0,
            raw_bytes: 0,
            keys: KeySet::default(),
            texts: KeySet::default(),
            grams: vec![0; GRAMS / 64].into_boxed_slice(),
        }
    }

    /// The event that comes next.
    pub(crate) fn next(&self) -> Seq {
        self.first.plus(u64::from(self.count))
    }

    pub(crate) fn add(&mut self, event: &ParsedEvent, fields: &mut FieldKeys, table: &FieldTable) {
        self.count += 1;
        self.raw_bytes += event.raw.len();
        for (field, value) in event.iter() {
            if value == ValueRef::Null {
                continue;
            }
            let text = comparable(Kind::Value, value);
            let Some(key) = fields.get(field, table) else {
                self.add_text(&text);
                continue;
            };
            let (of_text, is_rare) = self.add_text(&text);
            if key.is_core {
                continue;
            }
            let this = Some((self.place, self.first));
            if key.seen_in != this {
                key.seen_in = this;
                self.keys.insert(field_key(key.name));
            }
            match key.kind {
                Kind::Value if is_rare => {}
                Kind::Value => {
                    self.keys.insert(value_key(key.name, of_text));
                }
                Kind::Address => {
                    let address = comparable(Kind::Address, value);
                    self.keys.insert(value_key(key.name, hash(fold(&address).as_bytes())));
                }
                Kind::Prose => {}
            }
        }
        if event.header.shape == Shape::Text {
            self.add_text(&event.raw_text());
        }
    }

    /// Takes in a text's letters and words, once a run; returns what stands for the text, and whether its
    /// one word already does.
    fn add_text(&mut self, text: &str) -> (u64, bool) {
        let folded = fold(text);
        let key = hash(folded.as_bytes());
        if self.texts.insert(key) {
            let (grams, keys) = (&mut self.grams, &mut self.keys);
            let mut gram = |gram: u32| {
                if let Some(word) = grams.get_mut(gram as usize / 64) {
                    *word |= 1 << (gram % 64);
                }
            };
            text_keys(text, &folded, &mut gram, &mut |key| {
                keys.insert(key);
            });
        }
        (key, is_rare_word(&folded))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= RUN_EVENTS_MAX || self.raw_bytes >= RUN_RAW_BYTES_MAX
    }

    /// Makes the filter and begins the next run behind it.
    pub(crate) fn seal(&mut self) -> Sealed {
        let gram_count: u32 = self.grams.iter().map(|word| word.count_ones()).sum();
        let grams = self.grams.iter().enumerate().flat_map(|(at, word)| bits(*word, at));
        let all = self.keys.iter().copied().chain(grams.map(gram_key));
        let filter = bloom::build(self.keys.len() + gram_count as usize, all);
        let sealed = Sealed { place: self.place, first: self.first, count: self.count, filter };
        self.first = self.next();
        (self.count, self.raw_bytes) = (0, 0);
        self.keys.clear();
        self.texts.clear();
        self.grams.fill(0);
        sealed
    }
}

/// The numbers of the bits set in the word at this place.
fn bits(mut word: u64, at: usize) -> impl Iterator<Item = u32> {
    let base = u32::try_from(at * 64).unwrap_or(0);
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| base + word.trailing_zeros());
        word &= word.wrapping_sub(1);
        bit
    })
}
