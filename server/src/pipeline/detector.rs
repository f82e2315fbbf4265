//! Follows the log with the rules: alerts and the word that they are complete go into the journal together.

use super::{
    follow::{Projection, events},
    journal::Journal,
    recall::{appended_at, recall},
    rulebook::Following,
    stretch::{Shadow, Stretch},
    tolerant::Tolerant,
};
use crate::{clock::SystemClock, folder::system, privacy};
use custos_detect::{Memory, Ruleset, Watch};
use custos_event::{
    Alert, AlertId, Append, Clock, Commit, CommitNo, Entry, Envelope, Fact, FieldTable, Flags,
    LogId, Parser, Position, RulesetHash, Seq, Timestamp,
};
use custos_store::{Store, StoreError};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long a stretch without alerts may go unsaid. A crash repeats at most this much evaluation, with the
/// same result; saying it after each commit would double the number of syncs.
const EVALUATED_EVERY_SECS: i64 = 1;

/// Alerts that are held back at most: at 1 to 2 KiB each some 4 MiB, at the widest (20 KiB) 40 MiB, which
/// is still one append. More of them go ahead of the word that completes them.
const ALERTS_MAX: usize = 2_000;

/// The rules at work.
pub(crate) struct Detector {
    store: Store,
    journal: Journal,
    /// Where rules change along the log; the ruleset stays as it is without.
    following: Option<Following>,
    ruleset: Arc<Ruleset>,
    watch: Watch,
    /// Of all rules, those in shadow too; it outlives a change of rules.
    memory: Memory,
    shadow: Option<Shadow>,
    /// The state before the next commit is still to be recalled.
    is_stale: bool,
    /// The last commit that the journal says was evaluated.
    evaluated: CommitNo,
    /// The last commit that was evaluated.
    seen: CommitNo,
    /// Alerts beyond `evaluated` that are in the journal already.
    ahead: HashSet<AlertId>,
    /// Stretches that other rules evaluated, while there was no room to say so.
    waiting: VecDeque<Stretch>,
    pending: Stretch,
    said_at: Timestamp,
    /// All alerts of this process, for reports.
    pub(crate) alerts: u64,
}

impl Detector {
    /// Goes on where the journal says that evaluation ended, with these rules.
    pub(crate) fn new(
        store: Store,
        ruleset: Arc<Ruleset>,
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        let evaluated = journal.evaluated()?.commit();
        let mut memory = journal.memory()?;
        if let Some(clock) = appended_at(&store, evaluated)?.filter(|_| evaluated > CommitNo(0)) {
            memory.resume(clock);
        }
        Ok(Self {
            store,
            journal: journal.clone(),
            following: None,
            watch: Watch::new(Arc::clone(&ruleset)),
            memory,
            shadow: None,
            is_stale: true,
            evaluated,
            seen: evaluated,
            ahead: journal.unfinished()?,
            waiting: VecDeque::new(),
            pending: Stretch::new(ruleset.hash()),
            ruleset,
            said_at: SystemClock.now(),
            alerts: 0,
        })
    }

    /// The same with the rules of the rulebook, wherever it changes.
    pub(crate) fn following(
        store: Store,
        following: Following,
        (ruleset, table): (Arc<Ruleset>, &Arc<FieldTable>),
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        let shadow = Shadow::of(&following.book, table);
        let detector = Self::new(store, ruleset, journal)?;
        Ok(Self { shadow, following: Some(following), ..detector })
    }

    fn evaluate(&mut self, commit: &Commit, parser: &mut Parser) -> anyhow::Result<()> {
        let mut alerts = Vec::new();
        self.memory.turn(commit.appended_at);
        for event in events(commit, parser) {
            let (position, event) = event?;
            if event.header.flags.has(Flags::REJECTED) {
                continue;
            }
            self.pending.events += 1;
            let opened = privacy::open(&self.store, event);
            let at = (position, commit.appended_at);
            opened.show(at, &mut self.watch, &mut self.memory, &mut alerts);
            for raised in alerts.drain(..).map(|alert| opened.seal(alert)) {
                self.pending.raised += 1;
                if !self.ahead.contains(&raised.id) {
                    self.pending.alerts.push((position, raised));
                }
            }
            if let Some(shadow) = &mut self.shadow {
                shadow.see(at, &opened, &mut self.memory, &mut self.pending.shadow);
            }
            if self.pending.alerts.len() >= ALERTS_MAX && self.flush()? {
                let mut pending = self.take_pending();
                self.go_ahead(&mut pending)?;
                self.pending = pending;
            }
        }
        self.pending.to = Some(commit.commit);
        self.seen = commit.commit;
        Ok(())
    }

    /// Other rules from here on, if the rulebook says so.
    fn change(&mut self, table: &Arc<FieldTable>) {
        let Some(following) = &self.following else { return };
        let ruleset = Ruleset::compile(&following.book.live(), table);
        self.shadow = Shadow::of(&following.book, table);
        self.pending.take_untold(&mut self.watch, &mut self.memory);
        let done = self.take_pending();
        self.waiting.push_back(done);
        if ruleset.hash() != self.ruleset.hash() {
            info!(rules = ruleset.len(), ruleset = %ruleset.hash(), "other rules from here on");
            ruleset.prepare();
            self.pending.activated = Some(u32::try_from(ruleset.len()).unwrap_or(u32::MAX));
            self.ruleset = Arc::new(ruleset);
            self.watch = Watch::new(Arc::clone(&self.ruleset));
            self.is_stale = true;
        }
        self.pending.ruleset = self.ruleset.hash();
    }

    /// False where `stop` came first: what was recalled by then is no state to go on with.
    fn recall(&mut self, parser: &mut Parser, stop: &CancellationToken) -> anyhow::Result<bool> {
        self.is_stale = false;
        self.journal.catch_up()?;
        let unsaid = self.waiting.iter().flat_map(|stretch| &stretch.alerts);
        let of_log = (&self.store, &self.journal);
        let until = (self.seen, unsaid.map(|(_, alert)| alert));
        let state = (&mut self.watch, &mut self.memory);
        let is_whole = recall(of_log, &self.ruleset, state, until, (parser, stop))?;
        self.memory.resumed();
        Ok(is_whole)
    }

    fn take_pending(&mut self) -> Stretch {
        std::mem::replace(&mut self.pending, Stretch::new(self.ruleset.hash()))
    }

    /// Writes the alerts at hand before all of their stretch was evaluated. After a crash the same ones are
    /// found again and, being in the journal, not raised again.
    fn go_ahead(&mut self, stretch: &mut Stretch) -> anyhow::Result<bool> {
        let count = stretch.alerts.len().min(ALERTS_MAX);
        let entries = self.alert_entries(stretch, count)?;
        let written = self.append(entries)?;
        if written {
            stretch.activated = None;
            let ahead = stretch.alerts.drain(..count).map(|(_, alert)| alert.id);
            self.ahead.extend(ahead);
        }
        Ok(written)
    }

    /// Writes what waits; false where there was no room for it.
    fn flush(&mut self) -> anyhow::Result<bool> {
        while let Some(oldest) = self.waiting.pop_front() {
            if let Some(rest) = self.write(oldest)? {
                self.waiting.push_front(rest);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the rest of the alerts and, with them, the word that they are complete.
    fn say(&mut self) -> anyhow::Result<()> {
        self.said_at = SystemClock.now();
        if !self.flush()? {
            return Ok(());
        }
        self.pending.take_untold(&mut self.watch, &mut self.memory);
        let pending = self.take_pending();
        if let Some(rest) = self.write(pending)? {
            self.pending = rest;
        }
        Ok(())
    }

    /// Writes a stretch; what there was no room for comes back.
    fn write(&mut self, mut stretch: Stretch) -> anyhow::Result<Option<Stretch>> {
        while stretch.alerts.len() > ALERTS_MAX {
            if !self.go_ahead(&mut stretch)? {
                return Ok(Some(stretch));
            }
        }
        let from = self.evaluated.next();
        let mut entries = self.alert_entries(&stretch, stretch.alerts.len())?;
        for fact in stretch.facts(from) {
            entries.push(self.entry(None, fact)?);
        }
        if !entries.is_empty() && !self.append(entries)? {
            return Ok(Some(stretch));
        }
        let Some(to) = stretch.to else {
            // Of what was not evaluated nothing was incomplete yet.
            return Ok(None);
        };
        self.ahead.clear();
        self.evaluated = to;
        self.alerts += stretch.raised;
        metrics::counter!("custos_detect_events_total").increment(stretch.events);
        metrics::counter!("custos_detect_alerts_total").increment(stretch.raised);
        Ok(None)
    }

    /// Which rules run, if that is to be said, and the first `count` alerts at hand.
    fn alert_entries(&self, stretch: &Stretch, count: usize) -> anyhow::Result<Vec<Entry>> {
        let activated = stretch.activated.map(|rules| {
            let ruleset = stretch.ruleset;
            self.entry(None, Fact::RulesetActivated { ruleset, rules, rejected: 0 })
        });
        let entry = |(cause, alert): &(Position, Alert)| {
            self.entry(Some(*cause), Fact::AlertRaised(alert.clone()))
        };
        activated.into_iter().chain(stretch.alerts.iter().take(count).map(entry)).collect()
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
    fn prepare(&mut self, parser: &mut Parser, stop: &CancellationToken) -> anyhow::Result<bool> {
        self.recall(parser, stop)
    }

    fn take(&mut self, commits: &[Commit], parser: &mut Parser) -> anyhow::Result<()> {
        for commit in commits {
            if self.following.as_mut().is_some_and(|it| it.until(commit.commit)) {
                self.change(parser.table());
            }
            if commit.log.is_telemetry() {
                if self.is_stale {
                    self.recall(parser, &CancellationToken::new())?;
                }
                self.evaluate(commit, parser)?;
            } else if let Some(following) = &mut self.following
                && following.take(commit)?
            {
                self.change(parser.table());
            }
        }
        Ok(())
    }

    fn settle(&mut self, last: bool) -> anyhow::Result<()> {
        let due = SystemClock.now() >= self.said_at.plus_secs(EVALUATED_EVERY_SECS);
        let waits = !self.pending.alerts.is_empty() || !self.waiting.is_empty();
        if last || due || waits { self.say() } else { Ok(()) }
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
