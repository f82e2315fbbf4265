//! The index of one field: which predicates a value of it answers, whatever their number.

use super::{grams::Grams, trie::Trie};
use crate::{
    compile::{Eager, bits},
    rule::pattern::fold_into,
};
use custos_event::{ValueRef, Written};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::fmt::Write as _;

/// Longer texts are no numbers that a rule could mean.
const NUMBER_BYTES_MAX: usize = 24;
const HASH: FixedState = FixedState::with_seed(0x0063_7573_746f_7331);

/// Buffers for a value's text, reused from value to value.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) number: String,
    pub(crate) folded: String,
}

#[derive(Debug)]
pub(crate) struct Slot {
    /// Predicates that any value answers, or makes worth running.
    present: Vec<u32>,
    exact: HashMap<Box<str>, u32, FixedState>,
    /// Bit n: some exact text has n bytes (63: that many or more).
    exact_lens: u64,
    numbers: HashMap<u64, u32, FixedState>,
    start: Trie,
    end: Trie,
    inside: Grams,
    /// The same texts as JSON writes them, where nothing else is asked and values are often long.
    written: Option<Grams>,
    /// Some text above may be that of a number or a truth value.
    spells_scalars: bool,
    /// Gated predicates: worth running on every value that is not ASCII, whose case has more forms than
    /// folding knows.
    unfolded: Vec<u32>,
    /// Group n is `predicates[groups[n]..groups[n + 1]]`.
    groups: Vec<u32>,
    predicates: Vec<u32>,
}

impl Slot {
    /// Calls `hit` with each predicate that `value` answers; some more than once.
    pub(crate) fn find(&self, value: ValueRef<'_>, texts: &mut Texts, mut hit: impl FnMut(u32)) {
        let number = match value {
            ValueRef::Null => return,
            ValueRef::Str(text) => return self.find_text(text, texts, hit),
            ValueRef::Bool(_) => None,
            ValueRef::Int(_) | ValueRef::UInt(_) | ValueRef::Float(_) => value.as_f64(),
        };
        self.present.iter().for_each(|predicate| hit(*predicate));
        if let Some(number) = number {
            self.find_number(number, &mut hit);
        }
        if self.spells_scalars {
            texts.number.clear();
            if write!(texts.number, "{value}").is_ok() {
                self.find_bytes(&texts.number, &mut texts.folded, &mut hit);
            }
        }
    }

    /// Whether a text answers nothing, as far as that can be seen without resolving its escapes.
    pub(crate) fn leaves(&self, written: Written<'_>) -> bool {
        let Some(texts) = &self.written else { return false };
        if written.kind != Written::ESCAPED || !written.text.is_ascii() {
            return false;
        }
        let mut is_there = false;
        texts.scan(written.text.as_bytes(), |_| is_there = true);
        !is_there
    }

    /// The predicates that the mere presence of a value answers.
    pub(crate) fn present(&self) -> &[u32] {
        &self.present
    }

    fn find_text(&self, text: &str, texts: &mut Texts, mut hit: impl FnMut(u32)) {
        self.present.iter().for_each(|predicate| hit(*predicate));
        if !self.numbers.is_empty()
            && text.len() <= NUMBER_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            && let Ok(number) = text.parse::<f64>()
        {
            self.find_number(number, &mut hit);
        }
        if text.is_ascii() {
            self.find_bytes(text, &mut texts.folded, &mut hit);
            return;
        }
        self.unfolded.iter().for_each(|predicate| hit(*predicate));
        fold_into(text, &mut texts.number);
        self.find_bytes(&texts.number, &mut texts.folded, &mut hit);
    }

    fn find_number(&self, number: f64, hit: &mut impl FnMut(u32)) {
        if let Some(group) = self.numbers.get(&bits(number)) {
            self.group(*group, hit);
        }
    }

    /// In a text that is all ASCII, or folded.
    fn find_bytes(&self, text: &str, folded: &mut String, hit: &mut impl FnMut(u32)) {
        if self.exact_lens & len_bit(text) != 0 {
            folded.clear();
            folded.push_str(text);
            folded.make_ascii_lowercase();
            if let Some(group) = self.exact.get(folded.as_str()) {
                self.group(*group, hit);
            }
        }
        let lower = |byte: u8| byte.to_ascii_lowercase();
        if !self.start.is_empty() {
            self.start.walk(text.bytes().map(lower), |group| self.group(group, hit));
        }
        if !self.end.is_empty() {
            self.end.walk(text.bytes().rev().map(lower), |group| self.group(group, hit));
        }
        if !self.inside.is_empty() {
            self.inside.scan(text.as_bytes(), |group| self.group(group, hit));
        }
    }

    /// Beside what begins or ends so.
    fn is_inside_alone(&self) -> bool {
        self.present.is_empty() && self.exact.is_empty() && self.numbers.is_empty()
    }

    fn group(&self, group: u32, hit: &mut impl FnMut(u32)) {
        let group = group as usize;
        let (from, to) = (self.groups[group] as usize, self.groups[group + 1] as usize);
        self.predicates[from..to].iter().for_each(|predicate| hit(*predicate));
    }
}

fn len_bit(text: &str) -> u64 {
    1 << text.len().min(63)
}

/// Gathers what is asked of a field before its index is built.
#[derive(Debug, Default)]
pub(crate) struct SlotBuilder {
    present: Vec<u32>,
    unfolded: Vec<u32>,
    forms: HashMap<Eager, Vec<u32>>,
    /// Every value is asked, and few answer.
    is_of_all: bool,
}

impl SlotBuilder {
    /// For the slot that every value feeds.
    pub(crate) fn of_all() -> Self {
        Self { is_of_all: true, ..Self::default() }
    }

    pub(crate) fn present(&mut self, predicate: u32) {
        self.present.push(predicate);
    }

    pub(crate) fn eager(&mut self, form: Eager, predicate: u32) {
        self.forms.entry(form).or_default().push(predicate);
    }

    pub(crate) fn gated(&mut self, gate: &[String], predicate: u32) {
        self.unfolded.push(predicate);
        for text in gate {
            self.eager(Eager::Inside(text.clone()), predicate);
        }
    }

    pub(crate) fn build(self) -> Slot {
        let mut forms: Vec<(Eager, Vec<u32>)> = self.forms.into_iter().collect();
        forms.sort_unstable();
        let mut slot = Slot {
            present: self.present,
            exact: HashMap::with_hasher(HASH),
            exact_lens: 0,
            numbers: HashMap::with_hasher(HASH),
            start: Trie::new(Vec::new()),
            end: Trie::new(Vec::new()),
            inside: Grams::default(),
            written: None,
            spells_scalars: false,
            unfolded: self.unfolded,
            groups: vec![0],
            predicates: Vec::new(),
        };
        let (mut start, mut end, mut inside) = (Vec::new(), Vec::new(), Vec::new());
        for (group, (form, predicates)) in (0_u32..).zip(forms) {
            slot.predicates.extend(predicates);
            slot.groups.push(u32::try_from(slot.predicates.len()).unwrap_or(u32::MAX));
            slot.spells_scalars |= spells_scalar(&form);
            match form {
                Eager::Exact(text) => {
                    slot.exact_lens |= len_bit(&text);
                    slot.exact.insert(text.into(), group);
                }
                Eager::Number(bits) => {
                    slot.numbers.insert(bits, group);
                }
                Eager::Start(text) => start.push((text.into_bytes(), group)),
                Eager::End(text) => end.push((text.bytes().rev().collect(), group)),
                Eager::Inside(text) => inside.push((text, group)),
            }
        }
        let is_inside_alone = start.is_empty() && end.is_empty() && slot.is_inside_alone();
        if self.is_of_all && is_inside_alone {
            slot.written = as_written(&inside).map(|texts| Grams::new(&texts));
        }
        slot.start = Trie::new(start);
        slot.end = Trie::new(end);
        slot.inside = Grams::new(&inside);
        slot
    }
}

/// Texts as JSON writes them; `None` where one has more than one way to be written.
fn as_written(texts: &[(String, u32)]) -> Option<Vec<(String, u32)>> {
    let letter = |c: char| match c {
        '"' => Some("\\\"".to_owned()),
        '\\' => Some("\\\\".to_owned()),
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        c => (c.is_ascii() && !c.is_ascii_control()).then(|| c.to_string()),
    };
    let written = |(text, group): &(String, u32)| {
        Some((text.chars().map(letter).collect::<Option<String>>()?, *group))
    };
    texts.iter().map(written).collect()
}

/// Whether the text that JSON numbers or truth values have can be, or contain, this one.
fn spells_scalar(form: &Eager) -> bool {
    match form {
        Eager::Number(_) => false,
        Eager::Exact(text) | Eager::Start(text) | Eager::End(text) | Eager::Inside(text) => {
            let digits = text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'-'));
            digits || "true".contains(text.as_str()) || "false".contains(text.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_all_values_is_looked_for_without_resolving_escapes() {
        let mut builder = SlotBuilder::of_all();
        for (text, predicate) in (["\\temp\\", "a\"b", "nimikatz", "\n#"]).into_iter().zip(0..) {
            builder.eager(Eager::Inside(text.to_owned()), predicate);
        }
        let slot = builder.build();
        let leaves = |kind, text| slot.leaves(Written { kind, bits: 0, text });
        assert!(leaves(Written::ESCAPED, r"C:\\Users\\x\r\n"));
        for there in [r"C:\\TEMP\\x", r#"xA\"b"#, r"\n#", r"C:\\temp\\"] {
            assert!(!leaves(Written::ESCAPED, there), "{there}");
        }
        assert!(!leaves(Written::ESCAPED, r"\nimikatz"), "perhaps: the letter is the escape's own");
        assert!(
            !leaves(Written::ESCAPED, "\u{212a}\\t"),
            "what is not ASCII has other letters in it"
        );
        assert!(!leaves(Written::SPELLED, r"C:\/x"), "more than one way to write it");
        assert!(!leaves(Written::TEXT, "x"), "there is nothing to resolve");
    }

    #[test]
    fn what_begins_or_is_counted_otherwise_is_read_whole() {
        let built = |form| {
            let mut builder = SlotBuilder::of_all();
            builder.eager(Eager::Inside("abc".to_owned()), 0);
            builder.eager(form, 1);
            builder.build().written.is_some()
        };
        assert!(built(Eager::Inside("d\te".to_owned())));
        assert!(!built(Eager::Start("d".to_owned())));
        assert!(!built(Eager::Exact("d".to_owned())));
        assert!(!built(Eager::Inside("\u{1}".to_owned())));
        assert!(!built(Eager::Inside("ü".to_owned())));
    }
}
