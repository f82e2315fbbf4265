//! Events in, matching rules out. One engine a thread; all share the compiled ruleset.

mod grams;
pub(crate) mod plan;
mod program;
mod runner;
mod slot;
mod trie;

use crate::{
    logsource::EventSource,
    ruleset::{RuleIndex, Ruleset},
};
use custos_event::ParsedEvent;
use hashbrown::HashMap;
use runner::Runner;
use slot::Texts;
use std::sync::Arc;

/// Evaluates events against a ruleset.
#[derive(Debug)]
pub struct Engine {
    ruleset: Arc<Ruleset>,
    by_source: HashMap<EventSource, usize>,
    /// The source of the event before, and its runner: most events come in runs.
    last: (EventSource, usize),
    runners: Vec<Runner>,
    texts: Texts,
    matches: Vec<RuleIndex>,
}

impl Engine {
    pub fn new(ruleset: Arc<Ruleset>) -> Self {
        Self {
            ruleset,
            by_source: HashMap::new(),
            last: (EventSource::default(), usize::MAX),
            runners: Vec::new(),
            texts: Texts::default(),
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
        if self.last.0 != source || self.last.1 == usize::MAX {
            self.last = (source, self.runner(source));
        }
        if let Some(runner) = self.runners.get_mut(self.last.1) {
            runner.run(event, &self.ruleset, &mut self.texts, &mut self.matches);
        }
        &self.matches
    }

    fn runner(&mut self, source: EventSource) -> usize {
        let next = self.runners.len();
        let runner = *self.by_source.entry(source).or_insert(next);
        if runner == next {
            self.runners.push(Runner::new(self.ruleset.plan(&source)));
        }
        runner
    }
}
