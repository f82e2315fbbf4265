//! One plan run over one event after the other.

use super::{
    memo::{Chance, Memo},
    plan::{Feed, Place, Plan, PlanPredicate},
    program,
    slot::Texts,
};
use crate::{
    compile::{Kind, Lazy, refers},
    rule::Test,
    ruleset::{RuleIndex, Ruleset},
};
use custos_event::{FieldId, FieldTable, Shape, ValueRef, Values};
use std::{fmt::Write as _, sync::Arc};

/// A plan and the state of one evaluation, reused.
#[derive(Debug)]
pub(super) struct Runner {
    plan: Arc<Plan>,
    /// Tells it from the engine's other runners.
    number: u32,
    feeds: Feeds,
    state: State,
}

/// What the fields met so far feed.
#[derive(Debug)]
struct Feeds {
    /// By field number.
    by_field: Vec<Known>,
    list: Vec<Feed>,
    /// By slot: the fields that feed it, and their ranks.
    fields: Vec<Vec<(u32, FieldId)>>,
}

/// What is known of a field.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// 0 not met yet, 1 feeds nothing, n + 2 place in the list.
    feed: u32,
    chance: Chance,
}

#[derive(Debug)]
struct State {
    /// A bit for each predicate: hit, and for lazy ones: already run.
    hit: Vec<u64>,
    run: Vec<u64>,
    /// Rules to evaluate, and the event that last put each there.
    touched: Vec<u32>,
    touched_at: Vec<u64>,
    event: u64,
    /// Slots of this event of which only the field of the lowest rank counts.
    ranked: Vec<(Place, FieldId)>,
}

/// Buffers and memory that all runners of an engine share.
#[derive(Debug)]
pub(super) struct Shared {
    texts: Texts,
    memo: Memo,
    found: Vec<u32>,
    scratch: String,
}

impl Shared {
    pub(super) fn new() -> Self {
        let (found, scratch) = (Vec::new(), String::new());
        Self { texts: Texts::default(), memo: Memo::new(), found, scratch }
    }
}

impl Runner {
    pub(super) fn new(plan: Arc<Plan>, number: u32) -> Self {
        let words = plan.predicates.len().div_ceil(64);
        Self {
            feeds: Feeds {
                by_field: Vec::new(),
                list: Vec::new(),
                fields: vec![Vec::new(); plan.slots.len()],
            },
            state: State {
                hit: vec![0; words],
                run: vec![0; words],
                touched: Vec::new(),
                touched_at: vec![0; plan.rules.len()],
                event: 0,
                ranked: Vec::new(),
            },
            plan,
            number,
        }
    }

    /// Whether its rules ask only for what the sources themselves say.
    pub(super) fn is_native(&self) -> bool {
        self.plan.is_native
    }

    pub(super) fn run<E: Values>(
        &mut self,
        event: &E,
        ruleset: &Ruleset,
        shared: &mut Shared,
        matches: &mut Vec<RuleIndex>,
    ) {
        if self.plan.rules.is_empty() {
            return;
        }
        self.state.begin(&self.plan);
        self.take(event, ruleset, shared);
        let Self { plan, feeds, state, .. } = self;
        let Shared { texts, scratch, .. } = shared;
        state.take_ranked(plan, event, texts, scratch);
        if let (Some(slot), Shape::Text) = (plan.keywords, event.shape()) {
            let raw = String::from_utf8_lossy(event.raw());
            plan.slots[slot as usize].find(ValueRef::Str(&raw), texts, |it| state.mark(plan, it));
        }
        let mut touched = std::mem::take(&mut state.touched);
        let mut turn = Turn { plan, feeds, state, event, ruleset, texts };
        for rule in touched.drain(..) {
            let rule = &plan.rules[rule as usize];
            if program::run(&plan.steps, rule.first, |predicate| turn.holds(predicate)) {
                matches.push(RuleIndex(rule.index));
            }
        }
        self.state.touched = touched;
        matches.sort_unstable();
    }

    /// Notes what each value of the event answers.
    fn take<E: Values>(&mut self, event: &E, ruleset: &Ruleset, shared: &mut Shared) {
        let Self { plan, number, feeds, state } = self;
        let Shared { texts, memo, found, scratch } = shared;
        let is_text = event.shape() == Shape::Text;
        for at in 0..event.count() {
            let field = event.field(at);
            let (feed, chance) = feeds.of(field, plan, ruleset.table());
            let keywords = plan.keywords.filter(|_| is_text || event.is_native(at));
            if feed.is_none() && keywords.is_none() {
                continue;
            }
            let written = event.written(at);
            if feed.is_none() && keywords.is_some_and(|it| plan.slots[it as usize].leaves(written))
            {
                continue;
            }
            let of =
                u64::from(*number) << 33 | u64::from(field.0) << 1 | u64::from(keywords.is_some());
            let answers = memo.answers(of, written, chance, found, |found| {
                let value = event.value(at, scratch);
                let slots = feed.iter().flat_map(|feed| feed.own.iter()).copied();
                for slot in slots.chain(keywords) {
                    plan.slots[slot as usize].find(value, texts, |predicate| found.push(predicate));
                }
                // A value below a field: the field is there, though it has no text of its own.
                let within = feed.iter().flat_map(|feed| feed.within.iter());
                for slot in within.filter(|_| value != ValueRef::Null) {
                    found.extend_from_slice(plan.slots[*slot as usize].present());
                }
            });
            for predicate in answers {
                state.mark(plan, *predicate);
            }
            if let Some(feed) = feed.filter(|feed| !feed.ranked.is_empty() && !written.is_null()) {
                state.ranked.extend(feed.ranked.iter().map(|place| (*place, field)));
            }
        }
    }
}

impl Feeds {
    #[inline]
    fn of(
        &mut self,
        field: FieldId,
        plan: &Plan,
        table: &FieldTable,
    ) -> (Option<&Feed>, &mut Chance) {
        let at = field.0 as usize;
        if self.by_field.get(at).is_none_or(|known| known.feed == 0) {
            self.learn(field, plan, table);
        }
        // A field beyond the table's limit shares the place of all such fields.
        let last = self.by_field.len() - 1;
        let known = &mut self.by_field[at.min(last)];
        let feed = known.feed.checked_sub(2).and_then(|place| self.list.get(place as usize));
        (feed.filter(|_| field != FieldId::OVERFLOW), &mut known.chance)
    }

    /// Looks up by name what a field met for the first time feeds.
    #[cold]
    fn learn(&mut self, field: FieldId, plan: &Plan, table: &FieldTable) {
        if self.by_field.is_empty() {
            self.by_field.push(Known::default());
        }
        if field == FieldId::OVERFLOW {
            return;
        }
        let feed = plan.feed(&table.name(field));
        for slot in &feed.own {
            self.fields[*slot as usize].push((0, field));
        }
        for place in &feed.ranked {
            self.fields[place.slot as usize].push((place.rank, field));
        }
        let number = if feed.is_empty() {
            1
        } else {
            self.list.push(feed);
            u32::try_from(self.list.len() + 1).unwrap_or(1)
        };
        let at = field.0 as usize;
        if self.by_field.len() <= at {
            self.by_field.resize(at + 1, Known::default());
        }
        self.by_field[at].feed = number;
    }

    /// The fields of a slot that have a value in `event`; the first one alone where only that counts.
    fn counting<E: Values>(&self, plan: &Plan, slot: u32, event: &E) -> Vec<FieldId> {
        let has = |field| places(event, field).any(|at| !event.written(at).is_null());
        let known = self.fields[slot as usize].iter();
        let mut fields: Vec<(u32, FieldId)> = known.filter(|(_, it)| has(*it)).copied().collect();
        if plan.is_first_only(slot) {
            fields.sort_unstable();
            fields.truncate(1);
        }
        fields.into_iter().map(|(_, field)| field).collect()
    }
}

/// Where the values of `field` are.
fn places<E: Values>(event: &E, field: FieldId) -> impl Iterator<Item = usize> {
    (0..event.count()).filter(move |at| event.field(*at) == field)
}

impl State {
    fn begin(&mut self, plan: &Plan) {
        self.event += 1;
        self.hit.fill(0);
        self.run.fill(0);
        self.ranked.clear();
        self.touched.clear();
        self.touched.extend_from_slice(&plan.always);
    }

    fn take_ranked<E: Values>(
        &mut self,
        plan: &Plan,
        event: &E,
        texts: &mut Texts,
        scratch: &mut String,
    ) {
        if self.ranked.is_empty() {
            return;
        }
        let mut ranked = std::mem::take(&mut self.ranked);
        ranked.sort_unstable_by_key(|(place, field)| (place.slot, place.rank, *field));
        ranked.dedup_by_key(|(place, _)| place.slot);
        for (place, field) in ranked.drain(..) {
            let slot = &plan.slots[place.slot as usize];
            for at in places(event, field) {
                slot.find(event.value(at, scratch), texts, |predicate| self.mark(plan, predicate));
            }
        }
        self.ranked = ranked;
    }

    /// Notes a hit, and the rules it may decide.
    fn mark(&mut self, plan: &Plan, predicate: u32) {
        let (word, bit) = place(predicate);
        if self.hit[word] & bit != 0 {
            return;
        }
        self.hit[word] |= bit;
        for rule in plan.triggered(predicate) {
            let at = &mut self.touched_at[*rule as usize];
            if *at != self.event {
                *at = self.event;
                self.touched.push(*rule);
            }
        }
    }
}

/// Word and bit of a predicate.
fn place(predicate: u32) -> (usize, u64) {
    (predicate as usize / 64, 1 << (predicate % 64))
}

/// The rules' turn, after all values have been taken.
struct Turn<'t, E> {
    plan: &'t Plan,
    feeds: &'t Feeds,
    state: &'t mut State,
    event: &'t E,
    ruleset: &'t Ruleset,
    texts: &'t mut Texts,
}

impl<E: Values> Turn<'_, E> {
    fn holds(&mut self, predicate: u32) -> bool {
        let (word, bit) = place(predicate);
        if self.state.hit[word] & bit == 0 {
            return false;
        }
        let PlanPredicate::Lazy { number, slot, refers_to } =
            self.plan.predicates[predicate as usize]
        else {
            return true;
        };
        if self.state.run[word] & bit != 0 {
            return true;
        }
        self.state.run[word] |= bit;
        let Kind::Lazy(lazy) = &self.ruleset.predicates().get(number).kind else { return true };
        let holds = self.lazy(lazy, slot, refers_to);
        if !holds {
            self.state.hit[word] &= !bit;
        }
        holds
    }

    /// Runs a test on every value of its slot; a keyword's on all that the source said and a text's own
    /// bytes.
    fn lazy(&mut self, lazy: &Lazy, slot: u32, refers_to: Option<u32>) -> bool {
        let event = self.event;
        let mut scratch = String::new();
        let others = refers_to.map(|slot| self.feeds.counting(self.plan, slot, event));
        let others = others.unwrap_or_default();
        if self.plan.keywords == Some(slot) {
            let is_text = event.shape() == Shape::Text;
            let mut asked = (0..event.count()).filter(|at| is_text || event.is_native(*at));
            return asked.any(|at| self.one(lazy, event.value(at, &mut scratch), &others))
                || (is_text && {
                    let raw = String::from_utf8_lossy(event.raw());
                    self.one(lazy, ValueRef::Str(&raw), &others)
                });
        }
        let fields = self.feeds.counting(self.plan, slot, event);
        fields.iter().any(|field| {
            let mut own = places(event, *field);
            own.any(|at| self.one(lazy, event.value(at, &mut scratch), &others))
        })
    }

    fn one(&mut self, lazy: &Lazy, value: ValueRef<'_>, others: &[FieldId]) -> bool {
        let Texts { number, folded } = self.texts;
        let text = match value {
            ValueRef::Null => return false,
            ValueRef::Str(text) => text,
            ValueRef::Bool(_) | ValueRef::Int(_) | ValueRef::UInt(_) | ValueRef::Float(_) => {
                number.clear();
                if write!(number, "{value}").is_err() {
                    return false;
                }
                number
            }
        };
        let Test::FieldRef { affix, cased, .. } = &lazy.test else {
            return lazy.holds(value, text, folded);
        };
        let mut scratch = String::new();
        let mut others = others.iter().flat_map(|field| places(self.event, *field));
        others.any(|at| {
            let other = self.event.value(at, &mut scratch);
            other != ValueRef::Null && refers(*affix, *cased, text, &other.to_string())
        })
    }
}
