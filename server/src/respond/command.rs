//! What the desk can be asked, and the facts that follow. Pure over the desk's state.

use super::{
    playbooks::Playbooks,
    state::{State, custos},
};
use crate::evidence::known::{self, Seen};
use custos_event::{
    Actor, Alert, Decider as _, Fact, IncidentId, Position, RunId, TaskId, Timestamp,
    respond::{Answer, Evidence, InputValue, Outcome, RunEvent, TaskOrder},
};
use custos_respond::{
    Incident, Limits, Playbook, Rejection, Run, Task,
    group::{Decision, group, titles},
    incident, input,
    rejection::{TEXT_BYTES_MAX, text},
    run::{self, Opened, protected, targets},
    task,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Runs that alerts start in one incident; a person may start more.
/// A title is one line of a list.
const TITLE_CHARS_MAX: usize = 200;
const PROPOSED_MAX: usize = 20;
/// Runs that are not over; each waits for somebody or something.
const ACTIVE_MAX: usize = 5_000;

#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Group an alert, and propose what it triggers.
    TakeAlert {
        at: Position,
        alert: Box<Alert>,
    },
    OpenIncident {
        title: String,
        alerts: Vec<(Position, Alert)>,
    },
    Incident(IncidentId, incident::Command),
    AddAlerts(IncidentId, Vec<(Position, Alert)>),
    /// `open`, `contained` or `closed`.
    SetStatus(IncidentId, String, Option<String>),
    StartRun {
        incident: IncidentId,
        playbook: String,
        inputs: BTreeMap<String, Value>,
    },
    Run(RunId, run::Command),
    Advance(RunId),
    Task(TaskId, task::Command),
    /// Somebody takes the incident's records out as evidence.
    Export {
        incident: IncidentId,
        records: u64,
        contents: String,
        missing: Vec<Position>,
    },
    /// Another Custos sent a signed head of its log.
    Witness(Box<Seen>),
    /// Somebody vouches for a head that was refused.
    AcceptHead {
        origin: String,
        size: u64,
        reason: String,
    },
    /// All logs were read.
    RecordVerification {
        records: u64,
        faults: Vec<String>,
    },
    /// The result of a query step, in one commit with the evidence.
    Attach {
        run: RunId,
        step: String,
        intent: Position,
        evidence: Evidence,
    },
    /// The result of a task step, in one commit with the task.
    OrderTask {
        run: RunId,
        step: String,
        intent: Position,
        order: TaskOrder,
    },
}

/// What decisions are made with, beside the state.
pub(crate) struct Terms<'t> {
    pub(crate) actor: &'t Actor,
    pub(crate) at: Timestamp,
    pub(crate) playbooks: &'t Playbooks,
    pub(crate) limits: &'t Arc<Limits>,
}

type Decided = Result<Vec<Fact>, Rejection>;

pub(super) fn decide(state: &State, terms: &Terms<'_>, command: Command) -> Decided {
    match command {
        Command::TakeAlert { at, alert } => Ok(take_alert(state, terms, at, &alert)),
        Command::OpenIncident { title, alerts } => open_incident(state, &title, &alerts),
        Command::Incident(id, command) => incident_facts(state, id, command),
        Command::AddAlerts(id, alerts) => {
            free(state, &alerts)?;
            incident_facts(state, id, incident::Command::AddAlerts { alerts: references(&alerts) })
        }
        Command::SetStatus(id, status, reason) => set_status(state, id, &status, reason),
        Command::StartRun { incident, playbook, inputs } => {
            start_run(state, terms, incident, &playbook, &inputs)
        }
        Command::Run(id, command) => run_facts(state, id, command),
        Command::Advance(id) => {
            let limits = Arc::clone(terms.limits);
            run_facts(state, id, run::Command::Advance { at: terms.at, limits })
        }
        Command::Task(id, command) => {
            let entry = state.tasks.get(&id).ok_or_else(|| Rejection::unknown(id))?;
            Ok(task_facts(id, entry.task.decide(command)?))
        }
        Command::Export { incident, records, contents, missing } => {
            state.incidents.get(&incident).ok_or_else(|| Rejection::unknown(incident))?;
            Ok(vec![Fact::EvidenceExported { incident, records, contents, missing }])
        }
        Command::Witness(seen) => known::witness(&state.known, &seen),
        Command::AcceptHead { origin, size, reason } => {
            known::accept(&state.known, &origin, size, reason)
        }
        Command::RecordVerification { records, faults } => {
            Ok(vec![Fact::LogsVerified { records, faults }])
        }
        Command::Attach { run, step, intent, evidence } => {
            attach(state, terms, run, step, intent, evidence)
        }
        Command::OrderTask { run, step, intent, order } => {
            order_task(state, terms, run, step, intent, order)
        }
    }
}

fn incident_facts(state: &State, id: IncidentId, command: incident::Command) -> Decided {
    let entry = state.incidents.get(&id).ok_or_else(|| Rejection::unknown(id))?;
    let events = entry.incident.decide(command)?;
    Ok(events.into_iter().map(|event| Fact::Incident { incident: id, event }).collect())
}

fn run_facts(state: &State, id: RunId, command: run::Command) -> Decided {
    let entry = state.runs.get(&id).ok_or_else(|| Rejection::unknown(id))?;
    Ok(run_events(id, entry.run.decide(command)?))
}

fn run_events(run: RunId, events: Vec<RunEvent>) -> Vec<Fact> {
    events.into_iter().map(|event| Fact::Run { run, event }).collect()
}

fn task_facts(task: TaskId, events: Vec<custos_event::respond::TaskEvent>) -> Vec<Fact> {
    events.into_iter().map(|event| Fact::Task { task, event }).collect()
}

fn references(alerts: &[(Position, Alert)]) -> Vec<custos_event::respond::AlertRef> {
    alerts.iter().map(|(at, alert)| custos_respond::group::reference(*at, alert)).collect()
}

/// An alert belongs to one incident at most.
fn free(state: &State, alerts: &[(Position, Alert)]) -> Result<(), Rejection> {
    let taken =
        alerts.iter().find_map(|(_, alert)| Some((alert, state.grouping.incident_of(alert.id)?)));
    match taken {
        Some((alert, incident)) => {
            Err(Rejection::conflict(format!("alert {} belongs to {incident} already", alert.id)))
        }
        None => Ok(()),
    }
}

fn open_incident(state: &State, given: &str, alerts: &[(Position, Alert)]) -> Decided {
    free(state, alerts)?;
    let alerts = references(alerts);
    let worst = alerts.iter().map(|alert| alert.level.as_str()).max_by_key(|l| incident::rank(l));
    let level = worst.unwrap_or("medium").to_owned();
    let (title, title_zh) = (text("the title", given)?, String::new());
    let command = incident::Command::Open { title, title_zh, level, alerts };
    let id = state.next_incident();
    let events = Incident::default().decide(command)?;
    Ok(events.into_iter().map(|event| Fact::Incident { incident: id, event }).collect())
}

fn set_status(state: &State, id: IncidentId, status: &str, reason: Option<String>) -> Decided {
    let command = match status {
        "open" => incident::Command::Reopen { reason },
        "contained" => incident::Command::Contain { reason },
        "closed" => incident::Command::Close { reason, left: state.left_open(id) },
        _ => {
            let text = format!("'{status}' is no status; open, contained and closed are");
            return Err(Rejection::wrong(text));
        }
    };
    incident_facts(state, id, command)
}

/// Both in one commit: an incident whose run was proposed never lacks it after a crash.
fn take_alert(state: &State, terms: &Terms<'_>, at: Position, alert: &Alert) -> Vec<Fact> {
    let (id, title, mut facts) = match group(&state.grouping, at, alert) {
        Decision::Leave => return Vec::new(),
        Decision::Join(id, reference) => {
            let command = incident::Command::AddAlerts { alerts: vec![*reference] };
            // A full incident takes no more; the alert stays in the queue of alerts.
            let Ok(facts) = incident_facts(state, id, command) else { return Vec::new() };
            let title = state.incidents.get(&id).map(|entry| entry.incident.title.clone());
            (id, title.unwrap_or_default(), facts)
        }
        Decision::Open(reference) => {
            let id = state.next_incident();
            let (title, title_zh) = titles(&reference);
            let cut = |text: String| text.chars().take(TITLE_CHARS_MAX).collect::<String>();
            let (title, title_zh) = (cut(title), cut(title_zh));
            let (level, alerts) = (reference.level.clone(), vec![*reference]);
            let command = incident::Command::Open { title: title.clone(), title_zh, level, alerts };
            let Ok(events) = Incident::default().decide(command) else { return Vec::new() };
            let facts = events.into_iter().map(|event| Fact::Incident { incident: id, event });
            (id, title, facts.collect())
        }
    };
    facts.extend(propose(state, terms, id, &title, alert));
    facts
}

/// What the alert triggers, once for each playbook and what it acts on in one incident.
fn propose(
    state: &State,
    terms: &Terms<'_>,
    incident: IncidentId,
    title: &str,
    alert: &Alert,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut id = state.next_run();
    let runs: Vec<_> = state
        .incidents
        .get(&incident)
        .map_or(&[][..], |e| &e.incident.runs)
        .iter()
        .filter_map(|run| state.runs.get(run)?.run.opened.as_ref())
        .collect();
    if runs.len() >= PROPOSED_MAX || active(state) >= ACTIVE_MAX {
        return facts;
    }
    for playbook in terms.playbooks.iter().filter(|playbook| playbook.trigger.fits(alert)) {
        let Ok(inputs) = input::fill(&playbook.inputs, &BTreeMap::new(), Some(alert)) else {
            continue;
        };
        let opened = opened(id, incident, title, playbook, inputs, custos(), Some(alert));
        let same = |other: &&Opened| {
            other.plan.playbook == opened.plan.playbook && targets(other) == targets(&opened)
        };
        if runs.iter().any(same) || protected(&opened, terms.limits).is_some() {
            continue;
        }
        facts.extend(open_run(opened).unwrap_or_default());
        id = RunId(id.0.saturating_add(1));
    }
    facts
}

fn active(state: &State) -> usize {
    state.runs.values().filter(|entry| entry.run.finished.is_none()).count()
}

fn opened(
    id: RunId,
    incident: IncidentId,
    title: &str,
    playbook: &Playbook,
    inputs: BTreeMap<String, InputValue>,
    requester: Actor,
    alert: Option<&Alert>,
) -> Opened {
    let (incident_title, plan) = (title.to_owned(), playbook.plan.clone());
    let alert = alert.map(|alert| alert.id);
    Opened { id, incident, incident_title, plan, inputs, requester, alert }
}

fn open_run(opened: Opened) -> Decided {
    let (id, incident) = (opened.id, opened.incident);
    let mut facts = run_events(id, Run::default().decide(run::Command::Open(Box::new(opened)))?);
    let event = custos_event::respond::IncidentEvent::RunAttached { run: id };
    facts.push(Fact::Incident { incident, event });
    Ok(facts)
}

fn start_run(
    state: &State,
    terms: &Terms<'_>,
    incident: IncidentId,
    playbook: &str,
    inputs: &BTreeMap<String, Value>,
) -> Decided {
    let opened = planned(state, terms, incident, playbook, inputs)?;
    if active(state) >= ACTIVE_MAX {
        let text = format!("{ACTIVE_MAX} runs are under way; settle some first");
        return Err(Rejection::conflict(text));
    }
    if let Some(reason) = protected(&opened, terms.limits) {
        return Err(Rejection::wrong(reason));
    }
    open_run(opened)
}

/// The run that would be started; used by a dry run too.
pub(super) fn planned(
    state: &State,
    terms: &Terms<'_>,
    incident: IncidentId,
    name: &str,
    inputs: &BTreeMap<String, Value>,
) -> Result<Opened, Rejection> {
    let entry = state.incidents.get(&incident).ok_or_else(|| Rejection::unknown(incident))?;
    if !entry.incident.is_open() {
        return Err(Rejection::conflict(format!("{incident} is closed; reopen it first")));
    }
    let playbook = terms
        .playbooks
        .get(name)
        .ok_or_else(|| Rejection::Unknown(format!("playbook '{name}'")))?;
    let inputs = input::fill(&playbook.inputs, inputs, None)?;
    let title = &entry.incident.title;
    let requester = terms.actor.clone();
    Ok(opened(state.next_run(), incident, title, playbook, inputs, requester, None))
}

fn answer(output: Value) -> Answer {
    Answer { outcome: Outcome::Done, detail: String::new(), output }
}

fn attach(
    state: &State,
    terms: &Terms<'_>,
    run: RunId,
    step: String,
    intent: Position,
    evidence: Evidence,
) -> Decided {
    let output = json!({"count": evidence.count, "events": evidence.events.len()});
    let command = run::Command::Answer { step, intent, answer: answer(output), at: terms.at };
    let mut facts = run_facts(state, run, command)?;
    let incident = state.runs.get(&run).and_then(|entry| Some(entry.run.opened.as_ref()?.incident));
    if let (Some(incident), false) = (incident, facts.is_empty()) {
        let command = incident::Command::AttachEvidence { evidence };
        facts.extend(incident_facts(state, incident, command)?);
    }
    Ok(facts)
}

fn order_task(
    state: &State,
    terms: &Terms<'_>,
    run: RunId,
    step: String,
    intent: Position,
    order: TaskOrder,
) -> Decided {
    let id = state.next_task();
    let output = json!({"task": id});
    let command =
        run::Command::Answer { step: step.clone(), intent, answer: answer(output), at: terms.at };
    let mut facts = run_facts(state, run, command)?;
    let incident = state.runs.get(&run).and_then(|entry| Some(entry.run.opened.as_ref()?.incident));
    if let (Some(incident), false) = (incident, facts.is_empty()) {
        let order =
            TaskOrder { title: order.title.chars().take(TEXT_BYTES_MAX / 8).collect(), ..order };
        let open = task::Command::Open { incident, order, run: Some((run, step)), at: terms.at };
        facts.extend(task_facts(id, Task::default().decide(open)?));
        let attach = incident::Command::AttachTask { task: id };
        facts.extend(incident_facts(state, incident, attach)?);
    }
    Ok(facts)
}
