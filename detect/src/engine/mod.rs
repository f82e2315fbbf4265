//! Events in, matching rules out. One engine a thread; all share the compiled ruleset.

mod grams;
mod memo;
pub(crate) mod plan;
mod program;
mod runner;
mod slot;
mod trie;

use crate::{
    logsource::EventSource,
    ruleset::{RuleIndex, Ruleset},
};
use custos_event::{ParsedEvent, Scanned, Values};
use hashbrown::HashMap;
use runner::{Runner, Shared};
use std::sync::Arc;

/// Evaluates events against a ruleset.
#[derive(Debug)]
pub struct Engine {
    ruleset: Arc<Ruleset>,
    by_source: HashMap<EventSource, usize>,
    /// The source of the event before, and its runner: most events come in runs.
    last: (EventSource, usize),
    runners: Vec<Runner>,
    shared: Shared,
    matches: Vec<RuleIndex>,
}

impl Engine {
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        Self {
            ruleset,
            by_source: HashMap::new(),
            last: (EventSource::default(), usize::MAX),
            runners: Vec::new(),
            shared: Shared::new(),
            matches: Vec::new(),
        }
    }

    pub fn ruleset(&self) -> &Arc<Ruleset> {
        &self.ruleset
    }

    /// The rules that match `event`, in order of their ids.
    pub fn evaluate(&mut self, event: &ParsedEvent) -> &[RuleIndex] {
        self.matches.clear();
        let source = self.ruleset.deciding().source(event);
        let at = self.choose(source);
        self.run(at, event);
        self.ruleset.except(event, &mut self.matches);
        &self.matches
    }

    /// The same for an event of which only the source's own values are known; `None` where some rule asks
    /// for what a decoder would add to it.
    pub fn evaluate_scanned(&mut self, event: &Scanned<'_>) -> Option<&[RuleIndex]> {
        self.matches.clear();
        let source = self.ruleset.deciding().known_source(event)?;
        let at = self.choose(source);
        if !self.runners.get(at)?.is_native() {
            return None;
        }
        self.run(at, event);
        if self.ruleset.has_exceptions(&self.matches) {
            return None;
        }
        Some(&self.matches)
    }

    fn run<E: Values>(&mut self, at: usize, event: &E) {
        if let Some(runner) = self.runners.get_mut(at) {
            runner.run(event, &self.ruleset, &mut self.shared, &mut self.matches);
        }
    }

    /// The place of the runner for events of `source`.
    fn choose(&mut self, source: EventSource) -> usize {
        if self.last.0 != source || self.last.1 == usize::MAX {
            self.last = (source, self.runner(source));
        }
        self.last.1
    }

    fn runner(&mut self, source: EventSource) -> usize {
        let next = self.runners.len();
        let runner = *self.by_source.entry(source).or_insert(next);
        if runner == next {
            let number = u32::try_from(next).unwrap_or(u32::MAX);
            self.runners.push(Runner::new(self.ruleset.plan(&source), number));
        }
        runner
    }
}
