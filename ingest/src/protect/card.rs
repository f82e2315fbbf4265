//! Finds card numbers in bytes: runs of digits, bare or in groups, that stand on their own.

use super::{
    brand::is_card,
    context::{self, Strings},
};

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// One card number found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) start: usize,
    pub(super) end: usize,
    /// It is a bare JSON number.
    pub(super) is_number: bool,
    digits: [u8; DIGITS_MAX],
    len: usize,
}

impl Card {
    /// Its digits without separators.
    pub(super) fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

/// Every card number in `raw`, in order.
pub(super) fn find(raw: &[u8], is_json: bool) -> Vec<Card> {
    let mut scan = Scan { raw, is_json, strings: Strings::default(), found: Vec::new() };
    let mut at = 0;
    while let Some(run) = next_run(raw, at) {
        at = run.end;
        scan.cards_in(run);
    }
    scan.found
}

struct Scan<'a> {
    raw: &'a [u8],
    is_json: bool,
    strings: Strings,
    found: Vec<Card>,
}

/// Digits with at most one space or dash between two of them.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    end: usize,
}

fn is_member(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b' ' || byte == b'-'
}

/// The next run from `at` on that is long enough. A card has at least 13 bytes, all digits or separators,
/// and no two separators meet: so of two bytes at every twelfth place one is a digit and both belong to it.
fn next_run(raw: &[u8], mut at: usize) -> Option<Run> {
    const STRIDE: usize = DIGITS_MIN - 1;
    let floor = at;
    loop {
        let probe = at + STRIDE - 1;
        let (left, right) = (*raw.get(probe)?, *raw.get(probe + 1)?);
        let is_inside = match (left, right) {
            (b'0'..=b'9', right) => is_member(right),
            (left, b'0'..=b'9') => is_member(left),
            _ => false,
        };
        if !is_inside {
            at = probe + 1;
            continue;
        }
        let before = raw.get(floor..probe)?;
        let start = probe - before.iter().rev().take_while(|byte| is_member(**byte)).count();
        let rest = raw.get(probe..)?;
        let end = probe + rest.iter().take_while(|byte| is_member(**byte)).count();
        if end - start >= DIGITS_MIN {
            return Some(Run { start, end });
        }
        at = end;
    }
}

/// A piece of digits between separators.
type Group = (usize, usize);

impl Scan<'_> {
    /// Splits a stretch of digits and separators where two separators meet, and looks at each part.
    fn cards_in(&mut self, stretch: Run) {
        let mut groups: Vec<Group> = Vec::new();
        let mut at = stretch.start;
        while at < stretch.end {
            let digits = self.raw.get(at..stretch.end).unwrap_or_default();
            let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if len == 0 {
                self.in_groups(&groups);
                groups.clear();
                at += 1;
                continue;
            }
            groups.push((at, at + len));
            at += len + 1;
        }
        self.in_groups(&groups);
    }

    /// Looks for cards that fill whole groups.
    fn in_groups(&mut self, groups: &[Group]) {
        let mut first = 0;
        while let Some(rest) = groups.get(first..).filter(|rest| !rest.is_empty()) {
            let card = self.card_at(rest, first == 0);
            first += card.map_or(1, |(_, taken)| taken);
            let embedded = || rest.first().and_then(|group| self.embedded(*group));
            if let Some(mut card) = card.map(|(card, _)| card).or_else(embedded) {
                card.is_number = self.is_json && !self.strings.holds(self.raw, card.start);
                self.found.push(card);
            }
        }
    }

    /// The card that begins with the first of these groups, and how many groups it takes.
    fn card_at(&self, groups: &[Group], are_all: bool) -> Option<(Card, usize)> {
        let (start, _) = *groups.first()?;
        let start = context::after_escape(self.raw, start, self.is_json);
        if !context::is_border_before(self.raw, start, self.is_json) {
            return None;
        }
        let mut card = Card::at(start);
        let mut lengths: Vec<usize> = Vec::new();
        let mut separator = None;
        let mut best = None;
        for (begin, end) in groups.iter().copied() {
            let this = self.raw.get(begin.wrapping_sub(1)).copied().filter(|_| !lengths.is_empty());
            if separator.is_some() && separator != this {
                break;
            }
            separator = this;
            let begin = begin.max(start);
            if !self.raw.get(begin..end).is_some_and(|digits| card.push(digits)) {
                break;
            }
            card.end = end;
            lengths.push(end - begin);
            let is_whole_run = are_all && lengths.len() == groups.len();
            if self.is_card(&card) && is_printed_so(&lengths, is_whole_run) {
                best = Some((card, lengths.len()));
            }
        }
        best.filter(|(card, _)| !context::is_known_id(self.raw, card.start, card.end, self.is_json))
    }

    fn is_card(&self, card: &Card) -> bool {
        card.len >= DIGITS_MIN
            && context::is_border_after(self.raw, card.end)
            && is_card(card.digits())
    }

    /// Card numbers inside longer tokens of known build: magnetic tracks 1 and 2, and field 2 of an ISO
    /// 8583 message in ASCII.
    fn embedded(&self, (start, end): Group) -> Option<Card> {
        let (start, end) = context::card_in_track(self.raw, start, end)
            .or_else(|| context::card_in_iso8583(self.raw, start, end))?;
        let mut card = Card::at(start);
        card.end = end;
        (card.push(self.raw.get(start..end)?) && is_card(card.digits())).then_some(card)
    }
}

impl Card {
    fn at(start: usize) -> Self {
        Self { start, end: start, is_number: false, digits: [0; DIGITS_MAX], len: 0 }
    }

    fn push(&mut self, digits: &[u8]) -> bool {
        let Some(room) = self.digits.get_mut(self.len..self.len + digits.len()) else {
            return false;
        };
        room.copy_from_slice(digits);
        self.len += digits.len();
        true
    }
}

/// Whether cards are printed in groups of these lengths: four digits each with a shorter or longer last
/// one; 4-6-5 and 4-6-4 (American Express, Diners), 6-13, 8-8, 4-3-3-3. A grouping of any other kind
/// must be the whole run, so that a row of numbers does not become a card.
fn is_printed_so(lengths: &[usize], is_whole_run: bool) -> bool {
    let [most @ .., last] = lengths else { return false };
    if most.iter().all(|len| *len == 4) && (1..=7).contains(last) {
        return true;
    }
    match lengths {
        [_] | [4, 6, 4 | 5] | [6, 10 | 13] | [8, 8] | [4, 3, 3, 3] => true,
        _ => is_whole_run && most.len() < 6 && lengths.iter().all(|len| *len >= 2),
    }
}
