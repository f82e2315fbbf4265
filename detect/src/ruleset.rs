//! The rules that run together, compiled; shared by all engines.

use crate::{
    compile::{Cond, Predicates, all},
    correlate::link::Links,
    engine::plan::Plan,
    logsource::{Deciding, EventSource},
    naive::Question,
    rule::{
        Body, Rule, RuleSource,
        list::{self, Lists},
    },
};
use custos_event::{FieldTable, ParsedEvent, RulesetHash};
use hashbrown::HashMap;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Raised whenever the same rules may give other alerts for the same event.
pub const ENGINE_VERSION: u32 = 5;

/// A rule's place in its ruleset; the places are in the order of the rules' ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIndex(pub u32);

#[derive(Debug)]
pub struct Ruleset {
    rules: Vec<Rule>,
    compiled: Vec<CompiledRule>,
    predicates: Predicates,
    table: Arc<FieldTable>,
    deciding: Deciding,
    links: Links,
    hash: RulesetHash,
    plans: Mutex<HashMap<EventSource, Arc<Plan>>>,
}

#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) source: RuleSource,
    pub(crate) cond: Cond,
}

impl Ruleset {
    /// Puts the detections and correlations among `rules` together, in order of their ids, narrowed by the
    /// filters among them. Of two rules with one id and path the first stays.
    pub fn compile(rules: &[Rule], table: &Arc<FieldTable>) -> Self {
        let runs = |rule: &&Rule| rule.is_detection() || rule.is_correlation();
        let mut own: Vec<Rule> = rules.iter().filter(runs).cloned().collect();
        own.sort_by(|a, b| (&a.id, &a.path).cmp(&(&b.id, &b.path)));
        own.dedup_by(|a, b| (&a.id, &a.path) == (&b.id, &b.path));
        let mut filters: Vec<Rule> =
            rules.iter().filter(|rule| rule.is_filter()).cloned().collect();
        filters.sort_by(|a, b| (&a.id, &a.path).cmp(&(&b.id, &b.path)));
        let lists = used_lists(rules, own.iter().chain(&filters));
        let hash = hash(own.iter().chain(&filters).chain(lists.iter().copied()));
        if !lists.is_empty() {
            let filling = Lists::of(rules);
            own.iter_mut().chain(&mut filters).for_each(|rule| filling.fill(rule));
        }
        let sources = own.iter().map(|rule| &rule.logsource);
        let deciding = Deciding::new(table, sources);
        let mut predicates = Predicates::default();
        let compiled = own.iter().map(|rule| compiled(rule, &filters, &mut predicates)).collect();
        predicates.finish();
        Self {
            hash,
            links: Links::new(&own),
            rules: own,
            compiled,
            predicates,
            table: Arc::clone(table),
            deciding,
            plans: Mutex::default(),
        }
    }

    /// SHA-256 over the rules that run, in order, and the engine's version.
    pub fn hash(&self) -> RulesetHash {
        self.hash
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule at a place that this ruleset gave out.
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.0 as usize]
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn compiled(&self) -> &[CompiledRule] {
        &self.compiled
    }

    pub(crate) fn predicates(&self) -> &Predicates {
        &self.predicates
    }

    pub(crate) fn table(&self) -> &Arc<FieldTable> {
        &self.table
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// Whether a match of this rule is by itself an alert: it is not only counted by correlations, and it does not
    /// take a memory to tell whether it is new or impossible.
    pub fn is_aloud(&self, rule: RuleIndex) -> bool {
        !self.links.is_silent(rule) && !self.rule(rule).minds_the_past()
    }

    /// Whether some rule among `matched` has exceptions, which ask for the whole event.
    pub(crate) fn has_exceptions(&self, matched: &[RuleIndex]) -> bool {
        matched.iter().any(|rule| !self.rule(*rule).exceptions.is_empty())
    }

    /// Takes out of `matched` the rules that have an exception for `event`.
    pub(crate) fn except(&self, event: &ParsedEvent, matched: &mut Vec<RuleIndex>) {
        if !self.has_exceptions(matched) {
            return;
        }
        let question = Question { event, table: &self.table, source: self.source_of(event) };
        matched.retain(|rule| !question.is_excepted(self.rule(*rule)));
    }

    /// Whether correlations run.
    pub fn correlates(&self) -> bool {
        !self.links.running.is_empty()
    }

    /// What an event is of, as these rules see it.
    pub fn source_of(&self, event: &ParsedEvent) -> EventSource {
        self.deciding.source(event)
    }

    pub(crate) fn deciding(&self) -> &Deciding {
        &self.deciding
    }

    /// Builds the plans of all sources that events may be of, so that no first event waits for its own.
    pub fn prepare(&self) {
        for source in self.deciding.all() {
            self.plan(&source);
        }
    }

    /// What events of `source` are asked; built when the first one comes, or by [`Self::prepare`].
    pub(crate) fn plan(&self, source: &EventSource) -> Arc<Plan> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plans.entry(*source).or_insert_with(|| Arc::new(Plan::new(source, self)));
        Arc::clone(plan)
    }
}

/// The lists that placeholders of `asking` name, in order of their ids.
fn used_lists<'r>(rules: &'r [Rule], asking: impl Iterator<Item = &'r Rule>) -> Vec<&'r Rule> {
    let asked: BTreeSet<String> =
        asking.flat_map(list::placeholders).map(|it| it.name.clone()).collect();
    let is_asked = |rule: &&Rule| rule.name.as_ref().is_some_and(|name| asked.contains(name));
    let mut used: Vec<&Rule> = rules.iter().filter(|it| it.is_list()).filter(is_asked).collect();
    used.sort_by(|a, b| (&a.id, &a.path).cmp(&(&b.id, &b.path)));
    used
}

fn compiled(rule: &Rule, filters: &[Rule], predicates: &mut Predicates) -> CompiledRule {
    let source = rule.logsource.clone();
    let Body::Detection(detection) = &rule.body else {
        // A correlation matches no event by itself.
        return CompiledRule { source, cond: Cond::Const(false) };
    };
    let mut terms = vec![predicates.compile(detection)];
    for filter in filters.iter().filter(|filter| concerns(filter, rule)) {
        if let Body::Filter { detection, .. } = &filter.body {
            terms.push(predicates.compile(detection));
        }
    }
    CompiledRule { source, cond: all(terms) }
}

/// Whether a filter narrows `rule`: it names it, and asks for no other logsource.
pub(crate) fn concerns(filter: &Rule, rule: &Rule) -> bool {
    let Body::Filter { rules, .. } = &filter.body else { return false };
    let named = rules
        .as_ref()
        .is_none_or(|names| names.iter().any(|name| **name == *rule.id.0 || *name == rule.title));
    let same = |a: &Option<Arc<str>>, b: &Option<Arc<str>>| a.is_none() || a == b;
    let (own, other) = (&filter.logsource, &rule.logsource);
    named
        && same(&own.product, &other.product)
        && same(&own.category, &other.category)
        && same(&own.service, &other.service)
}

fn hash<'r>(rules: impl Iterator<Item = &'r Rule>) -> RulesetHash {
    let mut hash = Sha256::new();
    hash.update(format!("custos-detect {ENGINE_VERSION}\n"));
    for rule in rules {
        hash.update(format!("{}\n{}\n", rule.id, rule.version));
    }
    RulesetHash(hash.finalize().into())
}
