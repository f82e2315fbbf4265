//! Follows the log with the rules: alerts and the word that they are complete go into the journal together.

use super::{
    follow::{Projection, events},
    journal::Journal,
    recall::recall,
    tolerant::Tolerant,
};
use crate::{clock::SystemClock, folder::system, privacy};
use custos_detect::{Incomplete, Ruleset, Watch};
use custos_event::{
    Alert, AlertId, Append, Clock, Commit, CommitNo, Entry, Envelope, Fact, Flags, LogId, Parser,
    Position, RulesetHash, Seq, Timestamp,
};
use custos_store::{Store, StoreError};
use std::{collections::HashSet, sync::Arc};
use tracing::{info, warn};

/// How long a stretch without alerts may go unsaid. A crash repeats at most this much evaluation, with the
/// same result; saying it after each commit would double the number of syncs.
const EVALUATED_EVERY_SECS: i64 = 1;

/// Alerts that are held back at most: at 1 to 2 KiB each some 4 MiB, at the widest (20 KiB) 40 MiB, which
/// is still one append. More of them go ahead of the word that completes them.
const ALERTS_MAX: usize = 2_000;

/// One ruleset at work.
pub(crate) struct Detector {
    store: Store,
    ruleset: Arc<Ruleset>,
    watch: Watch,
    /// Until the first commit is taken: the state before it is still to be recalled.
    unread: Option<Journal>,
    /// The last commit that the journal says was evaluated.
    evaluated: CommitNo,
    /// Alerts beyond it that are in the journal already.
    ahead: HashSet<AlertId>,
    pending: Pending,
    said_at: Timestamp,
    /// All alerts of this process, for reports.
    pub(crate) alerts: u64,
}

/// Evaluated, but not yet in the journal.
#[derive(Default)]
struct Pending {
    /// The last commit with telemetry in it; none since the last word.
    to: Option<CommitNo>,
    events: u64,
    /// Alerts since the last word, those that went ahead included.
    raised: u64,
    alerts: Vec<(Position, Alert)>,
    incomplete: Vec<Incomplete>,
}

impl Detector {
    /// Goes on where the journal says that evaluation ended.
    pub(crate) fn new(
        store: Store,
        ruleset: Arc<Ruleset>,
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            store,
            watch: Watch::new(Arc::clone(&ruleset)),
            unread: Some(journal.clone()),
            ruleset,
            evaluated: journal.evaluated()?.commit(),
            ahead: journal.unfinished()?,
            pending: Pending::default(),
            said_at: SystemClock.now(),
            alerts: 0,
        })
    }

    fn evaluate(&mut self, commit: &Commit, parser: &mut Parser) -> anyhow::Result<()> {
        let mut alerts = Vec::new();
        for event in events(commit, parser) {
            let (position, event) = event?;
            if event.header.flags.has(Flags::REJECTED) {
                continue;
            }
            self.pending.events += 1;
            let opened = privacy::open(&self.store, event);
            self.watch.see(position, commit.appended_at, &opened.event, &mut alerts);
            for raised in alerts.drain(..).map(|alert| opened.seal(alert)) {
                self.pending.raised += 1;
                if !self.ahead.contains(&raised.id) {
                    self.pending.alerts.push((position, raised));
                }
            }
            if self.pending.alerts.len() >= ALERTS_MAX {
                self.go_ahead()?;
            }
        }
        self.pending.to = Some(commit.commit);
        Ok(())
    }

    /// Writes the alerts at hand before all of their commit was evaluated. After a crash the same ones are
    /// found again and, being in the journal, not raised again.
    fn go_ahead(&mut self) -> anyhow::Result<bool> {
        let count = self.pending.alerts.len().min(ALERTS_MAX);
        let entries = self.alert_entries(count)?;
        let written = self.append(entries)?;
        if written {
            let ahead = self.pending.alerts.drain(..count).map(|(_, alert)| alert.id);
            self.ahead.extend(ahead);
        }
        Ok(written)
    }

    /// Writes the rest of the alerts and, with them, the word that they are complete.
    fn say(&mut self) -> anyhow::Result<()> {
        self.said_at = SystemClock.now();
        let Pending { to: Some(to), events, raised, .. } = self.pending else { return Ok(()) };
        while self.pending.alerts.len() > ALERTS_MAX {
            if !self.go_ahead()? {
                return Ok(());
            }
        }
        let (ruleset, from) = (self.ruleset.hash(), self.evaluated.next());
        let mut entries = self.alert_entries(self.pending.alerts.len())?;
        self.pending.incomplete.extend(self.watch.incomplete());
        for Incomplete { rule, dropped, late } in self.pending.incomplete.clone() {
            let incomplete = Fact::CorrelationIncomplete { ruleset, rule, from, to, dropped, late };
            entries.push(self.entry(None, incomplete)?);
        }
        let evaluated = Fact::Evaluated { ruleset, from, to, events, alerts: raised };
        entries.push(self.entry(None, evaluated)?);
        if !self.append(entries)? {
            return Ok(());
        }
        self.pending = Pending::default();
        self.ahead.clear();
        self.evaluated = to;
        self.alerts += raised;
        metrics::counter!("custos_detect_events_total").increment(events);
        metrics::counter!("custos_detect_alerts_total").increment(raised);
        Ok(())
    }

    /// The first `count` alerts at hand.
    fn alert_entries(&self, count: usize) -> anyhow::Result<Vec<Entry>> {
        let entry = |(cause, alert): &(Position, Alert)| {
            self.entry(Some(*cause), Fact::AlertRaised(alert.clone()))
        };
        self.pending.alerts.iter().take(count).map(entry).collect()
    }

    fn entry(&self, cause: Option<Position>, fact: Fact) -> anyhow::Result<Entry> {
        let envelope = Envelope { at: self.said_at, actor: system("detect"), cause, fact };
        Ok(Entry { bytes: envelope.encode()?, parsed: None })
    }

    /// False where the disk is full: everything stays at hand and is tried again with the next turn.
    fn append(&self, entries: Vec<Entry>) -> anyhow::Result<bool> {
        match self.store.append_blocking(Append::new(LogId::JOURNAL, entries)) {
            Ok(_) => Ok(true),
            Err(full @ StoreError::Full { .. }) => {
                warn!(%full, "alerts wait for room on the disk");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Projection for Detector {
    fn take(&mut self, commits: &[Commit], parser: &mut Parser) -> anyhow::Result<()> {
        if let Some(journal) = self.unread.take() {
            let (store, watch) = (&self.store, &mut self.watch);
            recall(store, &self.ruleset, watch, self.evaluated, &journal, parser)?;
        }
        for commit in commits.iter().filter(|commit| commit.log.is_telemetry()) {
            self.evaluate(commit, parser)?;
        }
        Ok(())
    }

    fn settle(&mut self, last: bool) -> anyhow::Result<()> {
        let due = SystemClock.now() >= self.said_at.plus_secs(EVALUATED_EVERY_SECS);
        if last || due || !self.pending.alerts.is_empty() { self.say() } else { Ok(()) }
    }
}

/// Calls `each` with every fact of the journal, in order.
pub(crate) fn for_each_fact(
    store: &Store,
    mut each: impl FnMut(Seq, Envelope),
) -> anyhow::Result<()> {
    use custos_event::commit::LogReader as _;
    let mut result = Ok(());
    let mut take = |seq, bytes: bytes::Bytes| match Envelope::decode(&bytes) {
        Ok(envelope) => {
            each(seq, envelope);
            true
        }
        Err(error) => {
            result = Err(anyhow::Error::new(error).context(format!("journal/0/{seq}")));
            false
        }
    };
    let end = Seq(u64::MAX);
    let log = Tolerant::new(store);
    log.scan(LogId::JOURNAL, custos_event::Partition::default(), Seq(0), end, &mut take)?;
    result
}

/// Says in the journal which rules run from here on, unless the same ones ran before.
pub(crate) fn activate(
    store: &Store,
    active: Option<RulesetHash>,
    ruleset: &Ruleset,
    rejected: u32,
) -> anyhow::Result<()> {
    let rules = u32::try_from(ruleset.len()).unwrap_or(u32::MAX);
    if rejected > 0 {
        warn!(rejected, "some rules do not hold and do not run; see 'custos rules check'");
    }
    if active != Some(ruleset.hash()) {
        info!(rules, ruleset = %ruleset.hash(), "ruleset activated");
        let fact = Fact::RulesetActivated { ruleset: ruleset.hash(), rules, rejected };
        crate::folder::append_facts(store, &system("detect"), vec![fact])
            .map_err(crate::exit::Failure::into_error)?;
    }
    Ok(())
}
