//! Runs the rules over the log again and holds the result against the journal.

use super::{
    detector::for_each_fact,
    follow::{Projection, catch_up, events},
    recall::{recall_by, recall_commit},
    rulebook::Following,
};
use crate::{exit::Failure, folder::Opened, privacy};
use custos_detect::{Firings, Memory, Ruleset, Watch};
use custos_event::{
    Alert, AlertId, Commit, CommitNo, Counted, Cursor, Fact, Flags, Parser, RuleId, RulesetHash,
    Sighting,
};
use custos_store::Store;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// What a replay and the journal agree on, and what not.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    /// Alerts that both have, equal byte for byte.
    pub(crate) same: u64,
    /// In the journal only, or different there.
    pub(crate) missing: Vec<AlertId>,
    /// In the replay only, or different there.
    pub(crate) extra: Vec<AlertId>,
    /// Sealed values whose key is gone: the rules saw them unreadable where they once saw them in clear.
    pub(crate) unreadable: u64,
    /// Commits that other rules than these evaluated.
    pub(crate) evaluated_by_others: u64,
}

impl Comparison {
    pub(crate) fn differs(&self) -> bool {
        !self.missing.is_empty() || !self.extra.is_empty()
    }
}

/// Compares over exactly the commits that the journal says these rules have evaluated: `fixed` ones, or those
/// that the journal says ran, wherever they changed.
pub(crate) fn compare(opened: &Opened, fixed: Option<Arc<Ruleset>>) -> anyhow::Result<Comparison> {
    let journal = Journal::read(opened)?;
    let following = if fixed.is_some() {
        None
    } else {
        let journal = opened.journal().map_err(Failure::into_error)?;
        Some(Following::from_start(journal.rulebook()?))
    };
    let ruleset = fixed.unwrap_or_else(|| Arc::new(Ruleset::compile(&[], &opened.table)));
    let mut replay = Replay {
        store: opened.store.clone(),
        following,
        unreadable: 0,
        watch: Watch::new(Arc::clone(&ruleset)),
        memory: Memory::default(),
        firings: journal.firings(&ruleset),
        ruleset,
        stretches: journal.stretches,
        next: 0,
        alerts: BTreeMap::new(),
        raised: journal.alerts.into_iter().map(|(_, alert)| alert).collect(),
    };
    catch_up(&opened.store, &opened.table, &Cursor::default(), &mut replay)?;
    replay.judge(CommitNo(u64::MAX));
    let mut comparison = Comparison { unreadable: replay.unreadable, ..Comparison::default() };
    let mut held = BTreeMap::new();
    for stretch in &replay.stretches {
        if stretch.is_mine {
            held.extend(stretch.alerts.iter().map(|(id, json)| (*id, json)));
        } else {
            comparison.evaluated_by_others += stretch.to.0 - stretch.from.0 + 1;
        }
    }
    for (id, json) in replay.alerts {
        match held.remove(&id) {
            Some(stored) if *stored == json => comparison.same += 1,
            Some(_) => {
                comparison.missing.push(id);
                comparison.extra.push(id);
            }
            None => comparison.extra.push(id),
        }
    }
    comparison.missing.extend(held.into_keys());
    Ok(comparison)
}

/// Commits that one ruleset evaluated, and what it raised there.
struct Stretch {
    ruleset: RulesetHash,
    from: CommitNo,
    to: CommitNo,
    alerts: Vec<(AlertId, String)>,
    /// What its rules learned there.
    learned: Vec<(RuleId, Sighting)>,
    counted: Vec<(RuleId, Counted)>,
    /// The replay's rules there are the same ones; false until it comes there.
    is_mine: bool,
}

/// What the journal says was evaluated.
#[derive(Default)]
struct Journal {
    /// Rising, without overlap.
    stretches: Vec<Stretch>,
    /// All that were raised, with the correlation's own words.
    alerts: Vec<(AlertId, Alert)>,
}

impl Journal {
    /// Alerts stand before the `Evaluated` that completes them, in the same commit.
    fn read(opened: &Opened) -> anyhow::Result<Self> {
        let mut journal = Self::default();
        let mut open = Vec::<(AlertId, String)>::new();
        let (mut learned, mut counted) = (Vec::new(), Vec::new());
        let mut failed = None;
        for_each_fact(&opened.store, |_, envelope| {
            if let Fact::AlertRaised(alert) = envelope.fact {
                match serde_json::to_string(&alert) {
                    Ok(json) => open.push((alert.id, json)),
                    Err(error) => failed = Some(error),
                }
                journal.alerts.push((alert.id, alert));
            } else if let Fact::ValuesSeen { rule, seen, .. } = envelope.fact {
                learned.extend(seen.into_iter().map(|sighting| (rule.clone(), sighting)));
            } else if let Fact::BaselineCounted { rule, counted: of_rule, .. } = envelope.fact {
                counted.extend(of_rule.into_iter().map(|counted| (rule.clone(), counted)));
            } else if let Fact::Evaluated { ruleset, from, to, .. } = envelope.fact {
                let (alerts, learned) = (std::mem::take(&mut open), std::mem::take(&mut learned));
                let (counted, is_mine) = (std::mem::take(&mut counted), false);
                let stretch = Stretch { ruleset, from, to, alerts, learned, counted, is_mine };
                journal.stretches.push(stretch);
            }
        })?;
        failed.map_or(Ok(journal), |error| Err(error.into()))
    }

    fn firings(&self, ruleset: &Ruleset) -> Firings {
        firings(ruleset, self.alerts.iter().map(|(_, alert)| alert))
    }
}

fn firings<'a>(ruleset: &Ruleset, alerts: impl Iterator<Item = &'a Alert>) -> Firings {
    let mut firings = Firings::new(ruleset);
    alerts.for_each(|alert| firings.add(alert));
    firings
}

struct Replay {
    store: Store,
    /// `None`: the rules stay the same.
    following: Option<Following>,
    ruleset: Arc<Ruleset>,
    unreadable: u64,
    watch: Watch,
    memory: Memory,
    /// What the journal says was raised: a stretch that others evaluated is recalled by it.
    firings: Firings,
    raised: Vec<Alert>,
    stretches: Vec<Stretch>,
    /// The first stretch that the replay has not come to.
    next: usize,
    alerts: BTreeMap<AlertId, String>,
}

impl Replay {
    /// Whether the rules at hand evaluated `commit`.
    fn covers(&self, commit: CommitNo) -> bool {
        let next = self.stretches.partition_point(|it| it.to < commit);
        self.stretches.get(next).is_some_and(|it| it.is_mine && it.from <= commit)
    }

    /// Which of the stretches that begin before `commit` ends are of the rules at hand.
    fn judge(&mut self, commit: CommitNo) {
        while let Some(stretch) = self.stretches.get_mut(self.next).filter(|it| it.from <= commit) {
            stretch.is_mine = stretch.ruleset == self.ruleset.hash();
            // What the replay does not find out itself: of other rules, and where it sees nothing.
            let is_seen = stretch.is_mine && stretch.to >= commit;
            let runs = |id: &RuleId| {
                // They stand in the order of their ids.
                self.ruleset.rules().binary_search_by(|rule| rule.id.cmp(id)).is_ok()
            };
            for (rule, sighting) in &stretch.learned {
                if !(is_seen && runs(rule)) {
                    self.memory.recall(sighting);
                }
            }
            for (rule, counted) in &stretch.counted {
                if !(is_seen && runs(rule)) {
                    self.memory.recall_counted(counted);
                }
            }
            self.next += 1;
        }
    }

    /// Other rules from here on: what they count is as after a start.
    fn change(&mut self, parser: &mut Parser, before: CommitNo) -> anyhow::Result<()> {
        let Some(following) = &self.following else { return Ok(()) };
        let ruleset = Ruleset::compile(&following.book.live(), parser.table());
        if ruleset.hash() == self.ruleset.hash() {
            return Ok(());
        }
        self.ruleset = Arc::new(ruleset);
        self.watch = Watch::new(Arc::clone(&self.ruleset));
        self.firings = firings(&self.ruleset, self.raised.iter());
        let state = (&mut self.watch, &mut self.memory);
        recall_by(&self.store, state, before, &self.firings, parser)
    }

    fn see(&mut self, commit: &Commit, parser: &mut Parser) -> anyhow::Result<()> {
        let mut raised = Vec::new();
        self.memory.turn(commit.appended_at);
        for event in events(commit, parser) {
            let (position, event) = event?;
            if !event.header.flags.has(Flags::REJECTED) {
                let opened = privacy::open(&self.store, event);
                self.unreadable += opened.unreadable;
                let at = (position, commit.appended_at);
                opened.show(at, &mut self.watch, &mut self.memory, &mut raised);
                self.memory.learned();
                for alert in raised.drain(..).map(|alert| opened.seal(alert)) {
                    self.alerts.insert(alert.id, serde_json::to_string(&alert)?);
                }
            }
        }
        Ok(())
    }
}

impl Projection for Replay {
    fn take(&mut self, commits: &[Commit], parser: &mut Parser) -> anyhow::Result<()> {
        for commit in commits {
            let before = CommitNo(commit.commit.0.saturating_sub(1));
            if self.following.as_mut().is_some_and(|it| it.until(commit.commit)) {
                self.change(parser, before)?;
            }
            if commit.log.is_telemetry() {
                self.judge(commit.commit);
                if self.covers(commit.commit) {
                    self.see(commit, parser)?;
                } else if self.watch.reach().is_some() {
                    let state = (&mut self.watch, &mut self.memory);
                    recall_commit(&self.store, state, commit, &self.firings, parser)?;
                }
            } else if let Some(following) = &mut self.following
                && following.take(commit)?
            {
                self.change(parser, commit.commit)?;
            }
        }
        Ok(())
    }

    fn settle(&mut self, _last: bool) -> anyhow::Result<()> {
        Ok(())
    }
}
