//! Runs the rules over the log again and holds the result against the journal.

use super::{
    detector::for_each_fact,
    follow::{Projection, catch_up, events},
    recall::recall_commit,
};
use crate::{folder::Opened, privacy};
use custos_detect::{Firings, Ruleset, Watch};
use custos_event::{Alert, AlertId, Commit, CommitNo, Cursor, Fact, Flags, Parser};
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

/// Compares over exactly the commits that the journal says `ruleset` has evaluated.
pub(crate) fn compare(opened: &Opened, ruleset: Arc<Ruleset>) -> anyhow::Result<Comparison> {
    let journal = Journal::read(opened, &ruleset)?;
    let mut replay = Replay {
        store: opened.store.clone(),
        unreadable: 0,
        watch: Watch::new(ruleset),
        evaluated: journal.evaluated,
        by_others: journal.by_others,
        alerts: BTreeMap::new(),
    };
    catch_up(&opened.store, &opened.table, &Cursor::default(), &mut replay)?;
    let mut comparison = Comparison {
        evaluated_by_others: journal.evaluated_by_others,
        unreadable: replay.unreadable,
        ..Comparison::default()
    };
    let mut held = journal.alerts;
    for (id, json) in replay.alerts {
        match held.remove(&id) {
            Some(stored) if stored == json => comparison.same += 1,
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

/// What the journal says of one ruleset.
struct Journal {
    evaluated: Vec<(CommitNo, CommitNo)>,
    alerts: BTreeMap<AlertId, String>,
    /// What the same correlations raised as part of other rulesets.
    by_others: Firings,
    evaluated_by_others: u64,
}

impl Journal {
    /// Alerts stand before the `Evaluated` that completes them, in the same commit.
    fn read(opened: &Opened, rules: &Ruleset) -> anyhow::Result<Self> {
        let mine = rules.hash();
        let mut journal = Self {
            evaluated: Vec::new(),
            alerts: BTreeMap::new(),
            by_others: Firings::new(rules),
            evaluated_by_others: 0,
        };
        let mut open: Vec<(Alert, String)> = Vec::new();
        let mut failed = None;
        for_each_fact(&opened.store, |_, envelope| match envelope.fact {
            Fact::AlertRaised(alert) => match serde_json::to_string(&alert) {
                Ok(json) => open.push((alert, json)),
                Err(error) => failed = Some(error),
            },
            Fact::Evaluated { ruleset, from, to, .. } if ruleset == mine => {
                journal.evaluated.push((from, to));
                journal.alerts.extend(open.drain(..).map(|(alert, json)| (alert.id, json)));
            }
            Fact::Evaluated { from, to, .. } => {
                journal.evaluated_by_others += to.0 - from.0 + 1;
                open.drain(..).for_each(|(alert, _)| journal.by_others.add(&alert));
            }
            Fact::Started { .. }
            | Fact::TailCut { .. }
            | Fact::RangeQuarantined { .. }
            | Fact::IntakePaused { .. }
            | Fact::IntakeResumed { .. }
            | Fact::RulesetActivated { .. }
            | Fact::CorrelationIncomplete { .. }
            | Fact::SourceEpochOpened { .. }
            | Fact::SourceGapSeen { .. }
            | Fact::SourceSilent { .. }
            | Fact::SourceHeard { .. }
            | Fact::Searched { .. }
            | Fact::EventRead { .. }
            | Fact::EvidenceExported { .. }
            | Fact::CheckpointWitnessed { .. }
            | Fact::CheckpointRefused { .. }
            | Fact::CheckpointAccepted { .. }
            | Fact::LogsVerified { .. }
            | Fact::Incident { .. }
            | Fact::Run { .. }
            | Fact::Task { .. }
            | Fact::AlertJudged { .. }
            | Fact::AlertAcknowledged { .. }
            | Fact::Account { .. }
            | Fact::MasterKeyRotated { .. }
            | Fact::Erasure { .. }
            | Fact::FieldRevealed { .. }
            | Fact::UnknownSignIn { .. }
            | Fact::Setup { .. }
            | Fact::Upkeep { .. } => {}
        })?;
        failed.map_or(Ok(journal), |error| Err(error.into()))
    }
}

struct Replay {
    store: Store,
    unreadable: u64,
    watch: Watch,
    /// Rising, without overlap.
    evaluated: Vec<(CommitNo, CommitNo)>,
    by_others: Firings,
    alerts: BTreeMap<AlertId, String>,
}

impl Replay {
    fn covers(&self, commit: CommitNo) -> bool {
        let next = self.evaluated.partition_point(|(_, to)| *to < commit);
        self.evaluated.get(next).is_some_and(|(from, _)| *from <= commit)
    }

    fn see(&mut self, commit: &Commit, parser: &mut Parser) -> anyhow::Result<()> {
        let mut raised = Vec::new();
        for event in events(commit, parser) {
            let (position, event) = event?;
            if !event.header.flags.has(Flags::REJECTED) {
                let opened = privacy::open(&self.store, event);
                self.unreadable += opened.unreadable;
                self.watch.see(position, commit.appended_at, &opened.event, &mut raised);
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
        for commit in commits.iter().filter(|commit| commit.log.is_telemetry()) {
            if self.covers(commit.commit) {
                self.see(commit, parser)?;
            } else if self.watch.reach().is_some() {
                recall_commit(&self.store, &mut self.watch, commit, &self.by_others, parser)?;
            }
        }
        Ok(())
    }

    fn settle(&mut self, _last: bool) -> anyhow::Result<()> {
        Ok(())
    }
}
