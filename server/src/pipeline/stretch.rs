//! What the rules found in a stretch of the log and the journal does not say yet; rules in shadow too.

use crate::privacy::Opened;
use custos_detect::{Incomplete, Learned, Memory, Missed, Rulebook, Ruleset, Suppressed, Watch};
use custos_event::{
    Alert, CommitNo, Fact, FieldTable, Position, RuleId, RulesetHash, Sighting, Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Events that are named of a shadow rule's matches in one stretch, so that a loud one costs the journal little.
const SAMPLES_MAX: usize = 5;

/// Sightings of one fact: at some 120 bytes each 240 KB.
const SIGHTINGS_MAX: usize = 2_000;

/// Commits that one ruleset evaluated, one after the other.
pub(super) struct Stretch {
    pub(super) ruleset: RulesetHash,
    /// It runs from here on: so many rules.
    pub(super) activated: Option<u32>,
    /// The last commit with telemetry in it; none since the last word.
    pub(super) to: Option<CommitNo>,
    pub(super) events: u64,
    /// Alerts since the last word, those that went ahead included.
    pub(super) raised: u64,
    pub(super) alerts: Vec<(Position, Alert)>,
    pub(super) incomplete: Vec<Incomplete>,
    pub(super) shadow: Matches,
    pub(super) suppressed: Vec<Suppressed>,
    learned: BTreeMap<RuleId, Learned>,
}

/// By rule and version.
pub(super) type Matches = BTreeMap<(RuleId, String), Matched>;

#[derive(Default)]
pub(super) struct Matched {
    count: u64,
    last: Timestamp,
    samples: Vec<Position>,
}

impl Stretch {
    pub(super) fn new(ruleset: RulesetHash) -> Self {
        Self {
            ruleset,
            activated: None,
            to: None,
            events: 0,
            raised: 0,
            alerts: Vec::new(),
            incomplete: Vec::new(),
            shadow: Matches::new(),
            suppressed: Vec::new(),
            learned: BTreeMap::new(),
        }
    }

    /// Takes over what the rules at work did not raise, and what all rules have learned.
    pub(super) fn take_untold(&mut self, watch: &mut Watch, memory: &mut Memory) {
        self.incomplete.extend(watch.incomplete());
        self.suppressed.extend(watch.suppressed());
        for (rule, learned) in memory.learned() {
            self.learned.entry(rule).or_default().extend(learned);
        }
    }

    /// What stands behind its alerts; nothing where nothing was evaluated.
    pub(super) fn facts(&self, from: CommitNo) -> Vec<Fact> {
        let Some(to) = self.to else { return Vec::new() };
        let ruleset = self.ruleset;
        let incomplete = self.incomplete.iter().map(|it| {
            let Incomplete { rule, dropped, late } = it.clone();
            Fact::CorrelationIncomplete { ruleset, rule, from, to, dropped, late }
        });
        let shadow = self.shadow.iter().map(|((rule, version), matched)| Fact::ShadowMatched {
            rule: rule.clone(),
            version: version.clone(),
            from,
            to,
            matches: matched.count,
            last: matched.last,
            samples: matched.samples.clone(),
        });
        let suppressed = self.suppressed.iter().map(|it| {
            let Suppressed { alert, rule, count, last, samples } = it.clone();
            Fact::AlertSuppressed { alert, rule, from, to, matches: count, last, samples }
        });
        let learned = self.learned.iter().flat_map(|(rule, it)| values_seen(rule, it, (from, to)));
        let counted =
            self.learned.iter().filter_map(|(rule, it)| baseline_counted(rule, it, (from, to)));
        let learned = learned.chain(counted);
        let (events, alerts) = (self.events, self.raised);
        let evaluated = Fact::Evaluated { ruleset, from, to, events, alerts };
        incomplete.chain(shadow).chain(suppressed).chain(learned).chain([evaluated]).collect()
    }
}

/// What a rule has learned in commits `from..=to`.
fn values_seen(rule: &RuleId, learned: &Learned, (from, to): (CommitNo, CommitNo)) -> Vec<Fact> {
    let seen: Vec<Sighting> = learned.seen().cloned().collect();
    let mut forgotten = learned.forgotten;
    let fact = |seen: &[Sighting]| Fact::ValuesSeen {
        rule: rule.clone(),
        from,
        to,
        seen: seen.to_vec(),
        forgotten: std::mem::take(&mut forgotten),
    };
    seen.chunks(SIGHTINGS_MAX).map(fact).collect()
}

/// What a rule has counted, if something is to be told of it. At some 150 bytes for each who did something in ten
/// minutes; a hundred thousand, all that are known, have 15 MB, which is one append.
fn baseline_counted(
    rule: &RuleId,
    learned: &Learned,
    (from, to): (CommitNo, CommitNo),
) -> Option<Fact> {
    let Learned { counted, missed, .. } = learned;
    let fact = || Fact::BaselineCounted {
        rule: rule.clone(),
        from,
        to,
        counted: counted.clone(),
        forgotten: missed.forgotten,
        late: missed.late,
    };
    (!counted.is_empty() || *missed != Missed::default()).then(fact)
}

/// The rules that are tried: an engine of their own, so that they touch nothing that is live.
pub(super) struct Shadow {
    watch: Watch,
    /// Those that are tried, and not only needed by them.
    tried: BTreeSet<(RuleId, String)>,
}

impl Shadow {
    pub(super) fn of(book: &Rulebook, table: &Arc<FieldTable>) -> Option<Self> {
        let (own, needed) = book.shadow();
        if own.is_empty() {
            return None;
        }
        let tried = own.iter().map(|rule| (rule.id.clone(), rule.version.clone())).collect();
        let all: Vec<_> = own.into_iter().chain(needed).collect();
        let ruleset = Ruleset::compile(&all, table);
        Some(Self { watch: Watch::new(Arc::new(ruleset)), tried })
    }

    pub(super) fn see(
        &mut self,
        (position, clock): (Position, Timestamp),
        opened: &Opened,
        memory: &mut Memory,
        matches: &mut Matches,
    ) {
        let mut found = Vec::new();
        opened.show((position, clock), &mut self.watch, memory, &mut found);
        // What is counted is what would be raised.
        self.watch.suppressed();
        for alert in found {
            let rule = (alert.rule, alert.rule_version);
            if self.tried.contains(&rule) {
                let of_rule = matches.entry(rule).or_default();
                of_rule.count += 1;
                of_rule.last = of_rule.last.max(alert.time);
                if of_rule.samples.len() < SAMPLES_MAX {
                    of_rule.samples.push(position);
                }
            }
        }
    }
}
