//! One rule that minds what came before, events for it, and starts between them.

use super::{Bench, at, rule, second, with};
use custos_detect::{Firings, Learned, Memory, Ruleset, Seen, Watch};
use custos_event::{Alert, ParsedEvent, Shape};
use std::sync::Arc;

pub(crate) struct Line {
    pub(crate) bench: Bench,
    pub(crate) ruleset: Arc<Ruleset>,
    pub(crate) watch: Watch,
    pub(crate) memory: Memory,
    /// What the journal would have.
    pub(crate) told: Vec<Learned>,
    pub(crate) seq: u64,
    /// The log: events, and when each was appended.
    past: Vec<(i64, ParsedEvent)>,
    raised: Vec<Alert>,
}

impl Line {
    pub(crate) fn new(block: &str) -> Self {
        let bench = Bench::new();
        let ruleset = Arc::new(Ruleset::compile(&[rule(&with(block))], &bench.table));
        let watch = Watch::new(Arc::clone(&ruleset));
        let (told, past, raised) = Default::default();
        Self { bench, ruleset, watch, memory: Memory::default(), told, seq: 0, past, raised }
    }

    pub(crate) fn event(&mut self, secs: i64, fields: &str) -> ParsedEvent {
        let json = format!(r#"{{"EventID":1,"Channel":"Security","f":"a",{fields}}}"#);
        let mut event = self.bench.event(Shape::NxlogFlat, &json);
        (event.header.time, event.header.received) = (second(secs), second(secs));
        event
    }

    pub(crate) fn show(&mut self, secs: i64, event: &ParsedEvent) -> Vec<Alert> {
        self.seq += 1;
        let (position, mut alerts) = (at(self.seq), Vec::new());
        let seen = Seen::new(position, second(secs), event);
        self.memory.turn(seen.clock);
        self.watch.see(&seen, &mut self.memory, &mut alerts);
        self.told.extend(self.memory.learned().into_values());
        self.past.push((secs, event.clone()));
        self.raised.extend(alerts.iter().cloned());
        alerts
    }

    /// How many alerts an event raises.
    pub(crate) fn see(&mut self, secs: i64, fields: &str) -> usize {
        let event = self.event(secs, fields);
        self.show(secs, &event).len()
    }

    /// How many words of values the journal has.
    pub(crate) fn sightings(&self) -> usize {
        self.told.iter().map(|learned| learned.seen().len()).sum()
    }

    /// As after a start: known is what was told, and what the log has as far back as the watch asks for.
    pub(crate) fn restart(&mut self) {
        self.watch = Watch::new(Arc::clone(&self.ruleset));
        self.memory = Memory::default();
        for learned in &self.told {
            learned.seen().for_each(|sighting| self.memory.recall(sighting));
            learned.counted.iter().for_each(|counted| self.memory.recall_counted(counted));
        }
        let Some(end) = self.past.last().map(|(secs, _)| second(*secs)) else { return };
        self.memory.resume(end);
        let mut firings = Firings::new(&self.ruleset);
        self.raised.iter().for_each(|alert| firings.add(alert));
        let from = self.watch.reach().map_or(end.0, |reach| end.0 - reach);
        for (seq, (secs, event)) in (1..).zip(&self.past) {
            if second(*secs).0 >= from && self.watch.reach().is_some() {
                let seen = Seen::new(at(seq), second(*secs), event);
                self.watch.recall(&seen, &mut self.memory, &firings);
            }
        }
        self.memory.resumed();
    }
}

/// Selection, field, pattern and value of each word of an alert's explanation.
pub(crate) fn why(alert: &Alert) -> Vec<(&str, &str, &str, &str)> {
    let words = alert.matched.iter();
    words.map(|it| (&*it.selection, &*it.field, &*it.pattern, &*it.value)).collect()
}
