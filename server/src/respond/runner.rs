//! The runner follows the journal and carries out what its facts call for. Facts that are older than this process
//! are not carried out: what they intended and left without a result is recovered, once, at the start.

use super::{
    Command, Desk, DeskError, crew::Crew, desk::journal, evidence::Searcher, state::custos,
};
use crate::{clock::SystemClock, customers::Register, pipeline::follow::Projection};
use custos_event::{
    Clock as _, Commit, Cursor, Envelope, Fact, Parser, Position, RunId, Seq, TaskId, Timestamp,
    respond::{Action, Answer, MailText, Outcome, Phase, Query},
};
use custos_respond::{
    Call, Key, Rejection,
    effect::{Order, World},
    react::{is_clean, react},
    run, task,
};
use custos_store::catalog::{Batch, Catalog};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tracing::{error, info, warn};

const FOLLOWER: &str = "respond";
/// How often time is looked at: approvals and undos are in hours, a second is exact enough.
const TICK_SECS: i64 = 1;
/// A clean stop waits so long for effects under way; the promise is an end within 10 s.
const DRAIN: Duration = Duration::from_secs(4);
/// A probe is one read.
const PROBE: Duration = Duration::from_secs(20);
/// The index is a second behind the log; more where it works off a backlog.
const INDEX_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Runner {
    hands: Hands,
    crew: Crew,
    catalog: Catalog,
    /// Facts before this place are of an earlier process.
    started: Seq,
    taken: Cursor,
    ticked_at: Timestamp,
}

/// What an effect's thread needs.
#[derive(Clone)]
struct Hands {
    desk: Desk,
    world: Arc<World>,
    searcher: Searcher,
    register: Register,
}

impl Runner {
    /// Recovers what an earlier process left, and says from where to follow.
    pub(crate) fn new(
        desk: Desk,
        world: Arc<World>,
        (searcher, register): (Searcher, Register),
        catalog: Catalog,
    ) -> anyhow::Result<(Self, Cursor)> {
        let cursor = catalog.cursor(FOLLOWER, searcher.store.last_commit()).unwrap_or_default();
        let started = desk.read(|state| state.next);
        let hands = Hands { desk, world, searcher, register };
        let ticked_at = SystemClock.now();
        let taken = cursor.clone();
        let mut runner = Self { hands, crew: Crew::default(), catalog, started, taken, ticked_at };
        runner.recover()?;
        Ok((runner, cursor))
    }

    fn recover(&mut self) -> anyhow::Result<()> {
        let (pending, active, probes) = self.hands.desk.read(|state| {
            let mut pending = Vec::new();
            let mut active = Vec::new();
            for (id, entry) in state.runs.iter().filter(|(_, entry)| entry.run.is_active()) {
                active.push(*id);
                let steps = entry.run.steps.iter().filter(|step| step.intent.is_some());
                let named = steps.map(|step| step.step.name.clone());
                pending.extend(
                    named.filter_map(|step| entry.intent(&step).map(|intent| (*id, step, intent))),
                );
            }
            let verifying =
                state.tasks.iter().filter(|(_, e)| e.task.status == task::Status::Verifying);
            let probes: Vec<_> =
                verifying.filter_map(|(id, entry)| Some((*id, entry.done?))).collect();
            (pending, active, probes)
        });
        for (id, step, intent) in pending {
            info!(run = %id, step, "a step has an intent without a result: its precheck is asked");
            let command = run::Command::Recover { step, intent };
            self.hands.tell(None, Command::Run(id, command))?;
        }
        for id in active {
            self.hands.tell(None, Command::Advance(id))?;
        }
        for (task, done) in probes {
            self.call(done, Call::Probe { task, key: Key { of: task.to_string(), intent: done } })?;
        }
        Ok(())
    }

    fn fact(&mut self, position: Position, envelope: Envelope) -> anyhow::Result<()> {
        if let Fact::AlertRaised(alert) = envelope.fact {
            let alert = Box::new(alert);
            return self.hands.tell(Some(position), Command::TakeAlert { at: position, alert });
        }
        if position.seq < self.started {
            return Ok(());
        }
        for call in react(position, &envelope.fact) {
            self.call(position, call)?;
        }
        Ok(())
    }

    fn call(&mut self, cause: Position, call: Call) -> anyhow::Result<()> {
        match call {
            Call::Advance { run } => self.hands.tell(Some(cause), Command::Advance(run))?,
            Call::Perform { run, step, phase, key, action, timeout_secs } => {
                let hands = self.hands.clone();
                let timeout = Duration::from_secs(timeout_secs);
                self.crew.add(move || {
                    hands.perform(&Work { run, step, phase, key, action, timeout });
                });
            }
            Call::Probe { task, key } => {
                let hands = self.hands.clone();
                self.crew.add(move || hands.probe(task, &key));
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        let now = SystemClock.now();
        if now < self.ticked_at.plus_secs(TICK_SECS) {
            return Ok(());
        }
        self.ticked_at = now;
        for run in self.hands.desk.read(|state| state.due(now)) {
            self.hands.tell(None, Command::Run(run, run::Command::Tick { at: now }))?;
        }
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        Ok(self.catalog.save(FOLLOWER, &self.taken, Batch::default())?)
    }
}

impl Projection for Runner {
    fn take(&mut self, commits: &[Commit], _: &mut Parser) -> anyhow::Result<()> {
        for commit in commits {
            if !commit.log.is_telemetry() {
                for (nth, entry) in (0_u64..).zip(&commit.entries) {
                    let position = journal(commit.first.plus(nth));
                    self.fact(position, Envelope::decode(&entry.bytes)?)?;
                }
            }
            self.taken = Cursor::after(commit.commit);
        }
        Ok(())
    }

    fn settle(&mut self, last: bool) -> anyhow::Result<()> {
        if last {
            self.crew.drain(DRAIN);
            return self.save();
        }
        self.crew.begin()?;
        self.tick()
    }
}

/// One effect to be carried out.
struct Work {
    run: RunId,
    step: String,
    phase: Phase,
    key: Key,
    action: Action,
    timeout: Duration,
}

impl Work {
    fn order(&self) -> Order<'_> {
        let (action, phase, key, timeout) = (&self.action, self.phase, &self.key, self.timeout);
        Order { action, phase, key, timeout, at: SystemClock.now(), customer: None }
    }

    /// The word on what came of it.
    fn told(&self, answer: Answer) -> Command {
        let (step, intent) = (self.step.clone(), self.key.intent);
        if answer.outcome != Outcome::Done {
            let outcome = answer.outcome;
            warn!(run = %self.run, step, ?outcome, "an effect was not done");
        }
        let at = SystemClock.now();
        Command::Run(self.run, run::Command::Answer { step, intent, answer, at })
    }
}

impl Hands {
    /// A refusal is a word that came too late, and is told; only a journal that cannot be written is an error.
    fn tell(&self, cause: Option<Position>, command: Command) -> anyhow::Result<()> {
        match self.desk.command(&custos(), cause, command) {
            Ok(_) => Ok(()),
            Err(DeskError::Rejected(rejection @ Rejection::Conflict(_))) => {
                info!(%rejection, "nothing left to do");
                Ok(())
            }
            Err(DeskError::Rejected(rejection)) => {
                warn!(%rejection, "a step of responding was refused");
                Ok(())
            }
            Err(DeskError::Failed(error)) => Err(error),
        }
    }

    fn perform(&self, work: &Work) {
        let command = match (&work.action, work.phase) {
            (Action::Task(order), Phase::Act) => {
                let (run, step, order) = (work.run, work.step.clone(), order.clone());
                Command::OrderTask { run, step, intent: work.key.intent, order }
            }
            (Action::Query(query), Phase::Act) => self.search(work, query),
            (Action::Email(MailText { customer: Some(customer), .. }), Phase::Act) => {
                work.told(self.notify(work, customer))
            }
            _ => work.told(self.world.perform(work.order())),
        };
        // Without its result the intent is in doubt: the next start asks about it.
        if let Err(error) = self.tell(Some(work.key.intent), command) {
            let error = format!("{error:#}");
            error!(error, run = %work.run, step = work.step, "a result could not be written");
        }
    }

    /// Looks up where the customer is reached, writes down that it did, and sends.
    fn notify(&self, work: &Work, customer: &str) -> Answer {
        let reason = format!("{}/{}: a notice to this customer", work.run, work.step);
        let reached = self.register.reach(INDEX_WITHIN);
        match reached.and_then(|()| self.register.address(customer, reason)) {
            Ok(address) => self.world.perform(Order { customer: Some(&address), ..work.order() }),
            Err(error) => failed(format!("{error:#}")),
        }
    }

    fn search(&self, work: &Work, query: &Query) -> Command {
        match self.searcher.collect(self.titles(work), query, SystemClock.now()) {
            Ok(evidence) => {
                let (run, step) = (work.run, work.step.clone());
                Command::Attach { run, step, intent: work.key.intent, evidence }
            }
            Err(error) => work.told(failed(format!("{error:#}"))),
        }
    }

    /// What the step is called, in English and in Chinese.
    fn titles(&self, work: &Work) -> (String, String) {
        self.desk.read(|state| {
            let step = state.runs.get(&work.run).and_then(|entry| entry.run.step(&work.step));
            let (title, title_zh) = step
                .map(|step| (step.step.title.clone(), step.step.title_zh.clone()))
                .unwrap_or_default();
            (if title.is_empty() { work.step.clone() } else { title }, title_zh)
        })
    }

    fn probe(&self, task: TaskId, key: &Key) {
        let probe = self
            .desk
            .read(|state| state.tasks.get(&task)?.task.opened.as_ref()?.order.probe.clone());
        let Some(probe) = probe else { return };
        let action = Action::Http(probe.http.clone());
        let (phase, at) = (Phase::Verify, SystemClock.now());
        let order = Order { action: &action, phase, key, timeout: PROBE, at, customer: None };
        let answer = self.world.perform(order);
        let clean =
            if answer.outcome == Outcome::Done { is_clean(&probe, &answer.output) } else { None };
        let detail = match clean {
            Some(true) => format!("holds: {}", probe.holds),
            Some(false) => format!("does not hold: {}", probe.holds),
            None => format!("the probe could not tell: {}", answer.detail),
        };
        let command = task::Command::Probed { clean: clean == Some(true), detail };
        if let Err(error) = self.tell(Some(key.intent), Command::Task(task, command)) {
            error!(error = format!("{error:#}"), %task, "a probe's result could not be written");
        }
    }
}

fn failed(detail: String) -> Answer {
    Answer { outcome: Outcome::Failed, detail, output: Value::Null }
}
