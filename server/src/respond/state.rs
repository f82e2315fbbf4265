//! What the journal's facts about incidents, runs and tasks add up to. In memory, folded at start.

use crate::evidence::known::Known;
use custos_event::{
    Actor, Decider as _, Envelope, Fact, IncidentId, Position, RunId, Seq, TaskId, Timestamp,
    respond::{IncidentEvent, Outcome, Phase, RunEvent, TaskEvent},
};
use custos_respond::{Grouping, Incident, Run, Task, run::step_of};
use std::collections::BTreeMap;

/// Everything the desk decides on.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) incidents: BTreeMap<IncidentId, IncidentEntry>,
    pub(crate) runs: BTreeMap<RunId, RunEntry>,
    pub(crate) tasks: BTreeMap<TaskId, TaskEntry>,
    pub(crate) grouping: Grouping,
    /// What is known of logs, this node's and others'.
    pub(crate) known: Known,
    /// The place in the journal after the last fact taken in.
    pub(crate) next: Seq,
}

#[derive(Default)]
pub(crate) struct IncidentEntry {
    pub(crate) incident: Incident,
    pub(crate) opened_at: Timestamp,
    pub(crate) contained_at: Option<Timestamp>,
    pub(crate) closed_at: Option<Timestamp>,
    /// Of the facts about it, its runs and its tasks, in order: the timeline is read from the log.
    pub(crate) facts: Vec<Position>,
}

#[derive(Default)]
pub(crate) struct RunEntry {
    pub(crate) run: Run,
    pub(crate) opened_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) times: BTreeMap<String, Times>,
}

/// When and where a step's intents and results came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// The pending intent's place, and so its key.
    pub(crate) intent: Option<Position>,
    pub(crate) intent_at: Option<Timestamp>,
    pub(crate) result_at: Option<Timestamp>,
    pub(crate) undone_at: Option<Timestamp>,
}

pub(crate) struct TaskEntry {
    pub(crate) task: Task,
    pub(crate) opened_at: Timestamp,
    /// The fact that said it is done: what a probe is asked under.
    pub(crate) done: Option<Position>,
    pub(crate) done_at: Option<Timestamp>,
    pub(crate) signed_off_at: Option<Timestamp>,
}

impl State {
    /// Takes one fact in; facts at or below its own place change nothing.
    pub(crate) fn apply(&mut self, position: Position, envelope: &Envelope) {
        if position.seq < self.next {
            return;
        }
        self.next = position.seq.plus(1);
        let at = envelope.at;
        self.known.apply(envelope);
        if let Fact::Incident { incident, event } = &envelope.fact {
            self.grouping.apply(*incident, event);
            let entry = self.incidents.entry(*incident).or_default();
            entry.apply(at, event);
            entry.facts.push(position);
        } else if let Fact::Run { run, event } = &envelope.fact {
            let entry = self.runs.entry(*run).or_default();
            entry.apply(position, at, event);
            let incident = entry.run.opened.as_ref().map(|opened| opened.incident);
            self.remember(incident, position);
        } else if let Fact::Task { task, event } = &envelope.fact {
            let entry = self.tasks.entry(*task).or_insert_with(|| TaskEntry::new(at));
            entry.apply(position, at, event);
            let incident = entry.task.opened.as_ref().map(|opened| opened.incident);
            self.remember(incident, position);
        } else if let Fact::EvidenceExported { incident, .. } = &envelope.fact {
            self.remember(Some(*incident), position);
        }
    }

    fn remember(&mut self, incident: Option<IncidentId>, position: Position) {
        if let Some(entry) = incident.and_then(|incident| self.incidents.get_mut(&incident)) {
            entry.facts.push(position);
        }
    }

    pub(crate) fn next_incident(&self) -> IncidentId {
        IncidentId(self.incidents.last_key_value().map_or(0, |(id, _)| id.0).saturating_add(1))
    }

    pub(crate) fn next_run(&self) -> RunId {
        RunId(self.runs.last_key_value().map_or(0, |(id, _)| id.0).saturating_add(1))
    }

    pub(crate) fn next_task(&self) -> TaskId {
        TaskId(self.tasks.last_key_value().map_or(0, |(id, _)| id.0).saturating_add(1))
    }

    /// What of an incident is still open, for a person to read; empty where nothing is.
    pub(crate) fn left_open(&self, incident: IncidentId) -> String {
        let Some(entry) = self.incidents.get(&incident) else { return String::new() };
        let mut left = Vec::new();
        for id in &entry.incident.tasks {
            if self.tasks.get(id).is_some_and(|entry| entry.task.is_open()) {
                left.push(id.to_string());
            }
        }
        for (id, entry) in
            entry.incident.runs.iter().filter_map(|id| Some((id, self.runs.get(id)?)))
        {
            if entry.run.finished.is_none() {
                left.push(id.to_string());
            }
            let open = entry.run.steps.iter().filter(|step| step.undo.is_open());
            left.extend(open.map(|step| format!("effect {id}/{}", step.step.name)));
        }
        left.join(", ")
    }

    /// Runs in which time has something to say.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<RunId> {
        use custos_respond::run::Stage;
        let due = |run: &Run| {
            run.steps.iter().any(|step| {
                let expired = matches!(&step.stage, Stage::Approving { expires_at, .. } if *expires_at <= now);
                expired || step.undo.due().is_some_and(|due| due <= now)
            })
        };
        let runs = self.runs.iter().filter(|(_, entry)| entry.run.is_active());
        runs.filter(|(_, entry)| due(&entry.run)).map(|(id, _)| *id).collect()
    }
}

impl IncidentEntry {
    fn apply(&mut self, at: Timestamp, event: &IncidentEvent) {
        self.incident.apply(event);
        match event {
            IncidentEvent::Opened { .. } => self.opened_at = at,
            IncidentEvent::Contained { .. } => self.contained_at = Some(at),
            IncidentEvent::Closed { .. } => self.closed_at = Some(at),
            IncidentEvent::Reopened { .. } => self.closed_at = None,
            IncidentEvent::AlertAdded { .. }
            | IncidentEvent::Assigned { .. }
            | IncidentEvent::Commented { .. }
            | IncidentEvent::TaskAttached { .. }
            | IncidentEvent::RunAttached { .. }
            | IncidentEvent::EvidenceAttached { .. } => {}
        }
    }
}

impl RunEntry {
    fn apply(&mut self, position: Position, at: Timestamp, event: &RunEvent) {
        self.run.apply(event);
        if let RunEvent::Opened { .. } = event {
            self.opened_at = at;
        } else if let RunEvent::Finished { .. } = event {
            self.finished_at = Some(at);
        }
        let Some(step) = step_of(event) else { return };
        let times = self.times.entry(step.to_owned()).or_default();
        if let RunEvent::Intended { phase, .. } = event {
            times.intent = Some(position);
            if *phase == Phase::Act {
                times.intent_at = Some(at);
            }
        } else if let RunEvent::Resumed { intent, .. } = event {
            times.intent = Some(*intent);
        } else if let RunEvent::Resulted { phase, answer, .. } = event {
            times.resulted(at, *phase, answer.outcome);
        }
    }

    /// The step's pending intent: its key for answers.
    pub(crate) fn intent(&self, step: &str) -> Option<Position> {
        self.times.get(step)?.intent
    }
}

impl Times {
    fn resulted(&mut self, at: Timestamp, phase: Phase, outcome: Outcome) {
        match phase {
            Phase::Act => self.result_at = Some(at),
            Phase::Undo if outcome == Outcome::Done || outcome == Outcome::AlreadySo => {
                self.undone_at = Some(at);
            }
            Phase::Undo | Phase::Precheck | Phase::Verify => {}
        }
    }
}

impl TaskEntry {
    fn new(at: Timestamp) -> Self {
        Self {
            task: Task::default(),
            opened_at: at,
            done: None,
            done_at: None,
            signed_off_at: None,
        }
    }

    fn apply(&mut self, position: Position, at: Timestamp, event: &TaskEvent) {
        self.task.apply(event);
        match event {
            TaskEvent::Done { .. } => {
                self.done = Some(position);
                self.done_at = Some(at);
            }
            TaskEvent::SignedOff { .. } => self.signed_off_at = Some(at),
            TaskEvent::Opened { .. }
            | TaskEvent::Assigned { .. }
            | TaskEvent::Started { .. }
            | TaskEvent::Probed { .. } => {}
        }
    }
}

/// Whoever acts for Custos in facts of this part.
pub(crate) fn custos() -> Actor {
    crate::folder::system("respond")
}
