//! One plan run over one event after the other.

use super::{
    plan::{Feed, Place, Plan, PlanPredicate},
    program,
    slot::Texts,
};
use crate::{
    compile::{Kind, Lazy, refers},
    rule::Test,
    ruleset::{RuleIndex, Ruleset},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, Shape, ValueRef};
use std::{fmt::Write as _, sync::Arc};

/// A plan and the state of one evaluation, reused.
#[derive(Debug)]
pub(super) struct Runner {
    plan: Arc<Plan>,
    feeds: Feeds,
    state: State,
}

/// What the fields met so far feed.
#[derive(Debug)]
struct Feeds {
    /// By field number: 0 not met yet, 1 feeds nothing, n + 2 place in `list`.
    by_field: Vec<u32>,
    list: Vec<Feed>,
    /// By slot: the fields that feed it, and their ranks.
    fields: Vec<Vec<(u32, FieldId)>>,
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

impl Runner {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
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
        }
    }

    pub(super) fn run(
        &mut self,
        event: &ParsedEvent,
        ruleset: &Ruleset,
        texts: &mut Texts,
        matches: &mut Vec<RuleIndex>,
    ) {
        let Self { plan, feeds, state } = self;
        if plan.rules.is_empty() {
            return;
        }
        state.begin(plan);
        for (field, value) in event.iter() {
            if let Some(slot) = plan.keywords {
                state.find(plan, slot, value, texts);
            }
            if let Some(feed) = feeds.of(field, plan, ruleset.table()) {
                state.take(plan, feed, field, value, texts);
            }
        }
        state.take_ranked(plan, event, texts);
        if let (Some(slot), Shape::Text) = (plan.keywords, event.header.shape) {
            state.find(plan, slot, ValueRef::Str(&event.raw_text()), texts);
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
}

impl Feeds {
    fn of(&mut self, field: FieldId, plan: &Plan, table: &FieldTable) -> Option<&Feed> {
        let known = self.by_field.get(field.0 as usize).copied().unwrap_or(0);
        let number = if known == 0 { self.learn(field, plan, table) } else { known };
        self.list.get(number.checked_sub(2)? as usize)
    }

    /// Looks up by name what a field met for the first time feeds.
    #[cold]
    fn learn(&mut self, field: FieldId, plan: &Plan, table: &FieldTable) -> u32 {
        if field == FieldId::OVERFLOW {
            return 1;
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
            self.by_field.resize(at + 1, 0);
        }
        self.by_field[at] = number;
        number
    }

    /// The fields of a slot that have a value in `event`; the first one alone where only that counts.
    fn counting(&self, plan: &Plan, slot: u32, event: &ParsedEvent) -> Vec<FieldId> {
        let has = |field: FieldId| event.all(field).any(|value| value != ValueRef::Null);
        let known = self.fields[slot as usize].iter();
        let mut fields: Vec<(u32, FieldId)> = known.filter(|(_, it)| has(*it)).copied().collect();
        if plan.is_first_only(slot) {
            fields.sort_unstable();
            fields.truncate(1);
        }
        fields.into_iter().map(|(_, field)| field).collect()
    }
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

    fn take(
        &mut self,
        plan: &Plan,
        feed: &Feed,
        field: FieldId,
        value: ValueRef<'_>,
        texts: &mut Texts,
    ) {
        for slot in &feed.own {
            self.find(plan, *slot, value, texts);
        }
        if value == ValueRef::Null {
            return;
        }
        // A value below a field: the field is there, though it has no text of its own.
        for slot in &feed.within {
            for predicate in plan.slots[*slot as usize].present() {
                self.mark(plan, *predicate);
            }
        }
        self.ranked.extend(feed.ranked.iter().map(|place| (*place, field)));
    }

    fn take_ranked(&mut self, plan: &Plan, event: &ParsedEvent, texts: &mut Texts) {
        if self.ranked.is_empty() {
            return;
        }
        let mut ranked = std::mem::take(&mut self.ranked);
        ranked.sort_unstable_by_key(|(place, field)| (place.slot, place.rank, *field));
        ranked.dedup_by_key(|(place, _)| place.slot);
        for (place, field) in ranked.drain(..) {
            event.all(field).for_each(|value| self.find(plan, place.slot, value, texts));
        }
        self.ranked = ranked;
    }

    fn find(&mut self, plan: &Plan, slot: u32, value: ValueRef<'_>, texts: &mut Texts) {
        plan.slots[slot as usize].find(value, texts, |predicate| self.mark(plan, predicate));
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
struct Turn<'t> {
    plan: &'t Plan,
    feeds: &'t Feeds,
    state: &'t mut State,
    event: &'t ParsedEvent,
    ruleset: &'t Ruleset,
    texts: &'t mut Texts,
}

impl Turn<'_> {
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

    /// Runs a test on every value of its slot; a keyword's on all values and a text's own bytes.
    fn lazy(&mut self, lazy: &Lazy, slot: u32, refers_to: Option<u32>) -> bool {
        let event = self.event;
        let others = refers_to.map(|slot| self.feeds.counting(self.plan, slot, event));
        let others = others.unwrap_or_default();
        if self.plan.keywords == Some(slot) {
            return event.iter().any(|(_, value)| self.one(lazy, value, &others))
                || (event.header.shape == Shape::Text
                    && self.one(lazy, ValueRef::Str(&event.raw_text()), &others));
        }
        let fields = self.feeds.counting(self.plan, slot, event);
        fields.iter().any(|field| event.all(*field).any(|value| self.one(lazy, value, &others)))
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
        let mut others = others.iter().flat_map(|field| self.event.all(*field));
        others.any(|other| {
            other != ValueRef::Null && refers(*affix, *cased, text, &other.to_string())
        })
    }
}
