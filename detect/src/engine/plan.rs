//! Everything that events of one source are asked: an index per field, and the rules' programs.

use super::{
    program::{self, MATCH, MISS, Step},
    slot::{Slot, SlotBuilder},
};
use crate::{
    compile::{Cond, Eager, Kind},
    fields::{self, Paths},
    logsource::EventSource,
    rule::Test,
    ruleset::Ruleset,
};
use hashbrown::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) slots: Vec<Slot>,
    /// Canonical names and the slots they feed.
    names: HashMap<Arc<str>, Vec<Place>>,
    /// Slots of which only the first field that has a value counts.
    first_only: Vec<u32>,
    /// The slot of keywords, which every value feeds.
    pub(crate) keywords: Option<u32>,
    pub(crate) predicates: Vec<PlanPredicate>,
    /// Rules to evaluate when predicate n is hit: `triggered[triggers[n]..triggers[n + 1]]`.
    triggers: Vec<u32>,
    triggered: Vec<u32>,
    pub(crate) rules: Vec<PlanRule>,
    pub(crate) steps: Vec<Step>,
    /// Rules that no predicate has to be hit for.
    pub(crate) always: Vec<u32>,
    /// Its rules ask only for what the sources themselves say, nothing that a decoder adds.
    pub(crate) is_native: bool,
}

#[derive(Debug)]
pub(crate) struct PlanRule {
    /// Its place in the ruleset.
    pub(crate) index: u32,
    pub(crate) first: u32,
}

#[derive(Debug)]
pub(crate) enum PlanPredicate {
    /// A hit is the answer.
    Eager,
    /// A hit says that the test of this number in the ruleset is worth running on the slot's values, and
    /// for a reference with those of the other slot.
    Lazy { number: u32, slot: u32, refers_to: Option<u32> },
}

impl Plan {
    pub(crate) fn new(source: &EventSource, ruleset: &Ruleset) -> Self {
        Builder::new(source, ruleset).build()
    }

    pub(crate) fn triggered(&self, predicate: u32) -> &[u32] {
        let at = predicate as usize;
        &self.triggered[self.triggers[at] as usize..self.triggers[at + 1] as usize]
    }

    pub(crate) fn is_first_only(&self, slot: u32) -> bool {
        self.first_only.contains(&slot)
    }

    /// What values of the field called `name` feed.
    pub(crate) fn feed(&self, name: &str) -> Feed {
        let starred = fields::starred(name);
        let at = |name: &str| self.names.get(name).into_iter().flatten().copied();
        let all: Vec<Place> = at(name).chain(starred.iter().flat_map(|name| at(name))).collect();
        let (ranked, own): (Vec<Place>, Vec<Place>) = all.into_iter().partition(|it| it.first_only);
        let mut within = Vec::new();
        for (dot, _) in name.match_indices('.') {
            within.extend(name.get(..dot).into_iter().flat_map(at).map(|place| place.slot));
        }
        let own: Vec<u32> = own.into_iter().map(|place| place.slot).collect();
        within.retain(|slot| !own.contains(slot));
        Feed { own: own.into(), within: within.into(), ranked: ranked.into() }
    }
}

/// What one field feeds.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// The slots whose values its values are.
    pub(crate) own: Box<[u32]>,
    /// The slots of fields that it is a part of: they are present, without a text.
    pub(crate) within: Box<[u32]>,
    /// Slots that it feeds only if no field of a lower rank does.
    pub(crate) ranked: Box<[Place]>,
}

impl Feed {
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.within.is_empty() && self.ranked.is_empty()
    }
}

/// A name's place among those of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) slot: u32,
    pub(crate) rank: u32,
    first_only: bool,
}

struct Builder<'r> {
    source: &'r EventSource,
    ruleset: &'r Ruleset,
    slots: Vec<SlotBuilder>,
    slot_of_paths: HashMap<Paths, u32>,
    names: HashMap<Arc<str>, Vec<Place>>,
    first_only: Vec<u32>,
    keywords: Option<u32>,
    /// Number in the ruleset → number here.
    local: HashMap<u32, u32>,
    predicates: Vec<PlanPredicate>,
    costs: Vec<u32>,
}

impl<'r> Builder<'r> {
    fn new(source: &'r EventSource, ruleset: &'r Ruleset) -> Self {
        Self {
            source,
            ruleset,
            slots: Vec::new(),
            slot_of_paths: HashMap::new(),
            names: HashMap::new(),
            first_only: Vec::new(),
            keywords: None,
            local: HashMap::new(),
            predicates: Vec::new(),
            costs: Vec::new(),
        }
    }

    fn build(mut self) -> Plan {
        let mut rules = Vec::new();
        let mut steps = Vec::new();
        let mut always = Vec::new();
        let mut triggers: Vec<(u32, u32)> = Vec::new();
        let ruleset = self.ruleset;
        for (index, rule) in (0_u32..).zip(ruleset.compiled()) {
            if !self.source.serves(&rule.source) || rule.cond == Cond::Const(false) {
                continue;
            }
            let cond = self.localise(&rule.cond);
            let number = u32::try_from(rules.len()).unwrap_or(MISS);
            match program::trigger(&cond, &|predicate| self.costs[predicate as usize]) {
                Some((_, set)) => triggers.extend(set.into_iter().map(|it| (it, number))),
                None => always.push(number),
            }
            let first = program::lay(&cond, MATCH, MISS, &mut steps);
            rules.push(PlanRule { index, first });
        }
        triggers.sort_unstable();
        triggers.dedup();
        let count = u32::try_from(self.predicates.len()).unwrap_or(MISS);
        let starts = (0..=count)
            .map(|n| triggers.partition_point(|(predicate, _)| *predicate < n))
            .map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        let is_native = self.names.keys().all(|name| fields::is_native(self.source, name));
        Plan {
            triggers: starts.collect(),
            triggered: triggers.into_iter().map(|(_, rule)| rule).collect(),
            slots: self.slots.into_iter().map(SlotBuilder::build).collect(),
            names: self.names,
            first_only: self.first_only,
            keywords: self.keywords,
            is_native,
            predicates: self.predicates,
            rules,
            steps,
            always,
        }
    }

    fn localise(&mut self, cond: &Cond) -> Cond {
        match cond {
            Cond::Const(value) => Cond::Const(*value),
            Cond::Is(number) => Cond::Is(self.predicate(*number)),
            Cond::All(terms) => Cond::All(terms.iter().map(|term| self.localise(term)).collect()),
            Cond::Any(terms) => Cond::Any(terms.iter().map(|term| self.localise(term)).collect()),
            Cond::Not(inner) => Cond::Not(Box::new(self.localise(inner))),
        }
    }

    fn predicate(&mut self, number: u32) -> u32 {
        if let Some(local) = self.local.get(&number) {
            return *local;
        }
        let local = u32::try_from(self.predicates.len()).unwrap_or(MISS);
        self.local.insert(number, local);
        let predicate = self.ruleset.predicates().get(number);
        let slot = self.slot(predicate.field.as_deref()) as usize;
        self.costs.push(cost(&predicate.kind));
        let kind = match &predicate.kind {
            Kind::Any(forms) => {
                for form in forms {
                    self.slots[slot].eager(form.clone(), local);
                }
                PlanPredicate::Eager
            }
            Kind::Present => {
                self.slots[slot].present(local);
                PlanPredicate::Eager
            }
            Kind::Lazy(lazy) => {
                if lazy.gate.is_empty() {
                    self.slots[slot].present(local);
                } else {
                    self.slots[slot].gated(&lazy.gate, local);
                }
                let refers_to = if let Test::FieldRef { field, .. } = &lazy.test {
                    Some(self.slot(Some(field)))
                } else {
                    None
                };
                PlanPredicate::Lazy { number, slot: u32::try_from(slot).unwrap_or(MISS), refers_to }
            }
        };
        self.predicates.push(kind);
        local
    }

    fn slot(&mut self, field: Option<&str>) -> u32 {
        let next = u32::try_from(self.slots.len()).unwrap_or(MISS);
        let Some(field) = field else {
            let slot = *self.keywords.get_or_insert(next);
            if slot == next {
                self.slots.push(SlotBuilder::of_all());
            }
            return slot;
        };
        let paths = fields::paths(self.source, field);
        let slot = *self.slot_of_paths.entry(paths.clone()).or_insert(next);
        if slot == next {
            self.slots.push(SlotBuilder::default());
            let first_only = paths.first_only;
            self.first_only.extend(first_only.then_some(slot));
            for (rank, name) in (0..).zip(paths.names) {
                self.names.entry(name.into()).or_default().push(Place { slot, rank, first_only });
            }
        }
        slot
    }
}

/// How often a predicate is likely hit, on no scale: only the order counts, for choosing triggers.
fn cost(kind: &Kind) -> u32 {
    let inside = |text: &str| match text.len() {
        0..=3 => 20,
        4..=7 => 4,
        _ => 2,
    };
    match kind {
        Kind::Any(forms) => forms
            .iter()
            .map(|form| match form {
                Eager::Exact(text) => {
                    if text.len() < 2 {
                        20
                    } else {
                        1
                    }
                }
                Eager::Start(text) => 1 + inside(text),
                Eager::End(_) => 2,
                Eager::Inside(text) => inside(text),
                Eager::Number(_) => 15,
            })
            .sum(),
        Kind::Lazy(lazy) if !lazy.gate.is_empty() => {
            lazy.gate.iter().map(|text| inside(text)).sum()
        }
        Kind::Lazy(_) => 200,
        Kind::Present => 400,
    }
}
