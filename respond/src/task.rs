//! A recovery task: who mends what by when, the probe that shows it clean, and the second person who agrees.

use crate::{
    Rejection,
    rejection::{name, text},
};
use custos_event::{
    Actor, Decider, IncidentId, RunId, Timestamp,
    respond::{TaskEvent, TaskOrder},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Open,
    Started,
    /// Said to be done; the probe is asked.
    Verifying,
    /// The probe found something.
    NotClean,
    /// Done, and clean where there is a probe; waits for another person's word.
    Done,
    SignedOff,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Started => "started",
            Self::Verifying => "verifying",
            Self::NotClean => "not_clean",
            Self::Done => "done",
            Self::SignedOff => "signed_off",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub opened: Option<Opened>,
    pub status: Status,
    pub owner: Option<String>,
    pub done_by: Option<Actor>,
    pub signed_off_by: Option<Actor>,
    /// What the probe said last.
    pub probe: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    pub incident: IncidentId,
    pub order: TaskOrder,
    pub due: Timestamp,
    pub run: Option<(RunId, String)>,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "handled one at a time, never kept in numbers")]
pub enum Command {
    Open { incident: IncidentId, order: TaskOrder, run: Option<(RunId, String)>, at: Timestamp },
    Assign { owner: String },
    Start { by: Actor },
    Done { by: Actor, note: String },
    Probed { clean: bool, detail: String },
    SignOff { by: Actor, note: String },
}

impl Task {
    pub fn is_open(&self) -> bool {
        self.opened.is_some() && self.status != Status::SignedOff
    }

    fn conflict(&self, what: &str) -> Rejection {
        Rejection::conflict(format!("the task is {}: {what}", self.status.name()))
    }

    fn sign_off(&self, by: Actor, note: &str) -> Result<Vec<TaskEvent>, Rejection> {
        match (self.status, &self.done_by) {
            (Status::Done, Some(done_by)) if *done_by == by => {
                let text = format!("{} did it; another person signs off", name(&by));
                Err(Rejection::forbidden(text))
            }
            (Status::Done, _) if !matches!(by, Actor::User { .. }) => {
                Err(Rejection::forbidden("a sign-off is a signed-in person's; sign in"))
            }
            (Status::Done, _) => {
                Ok(vec![TaskEvent::SignedOff { by, note: text("the note", note)? }])
            }
            (Status::SignedOff, _) => Err(self.conflict("somebody signed off already")),
            _ => Err(self.conflict("it is signed off once it is done and clean")),
        }
    }
}

impl Decider for Task {
    type Command = Command;
    type Event = TaskEvent;
    type Rejection = Rejection;

    fn decide(&self, command: Command) -> Result<Vec<TaskEvent>, Rejection> {
        use Status::{Done, NotClean, Open, SignedOff, Started, Verifying};
        if self.opened.is_none() {
            let Command::Open { incident, order, run, at } = command else {
                return Err(Rejection::unknown("such task"));
            };
            let due = at.plus_secs(i64::try_from(order.due_secs).unwrap_or(i64::MAX));
            return Ok(vec![TaskEvent::Opened { incident, order, due, run }]);
        }
        match (command, self.status) {
            (Command::Open { .. }, _) => Err(self.conflict("it was opened already")),
            (Command::Assign { owner }, _) if self.owner.as_deref() == Some(&owner) => {
                Ok(Vec::new())
            }
            (Command::Assign { owner }, Open | Started | Verifying | NotClean | Done) => {
                Ok(vec![TaskEvent::Assigned { owner: text("the owner", &owner)? }])
            }
            (Command::Assign { .. }, SignedOff) => Err(self.conflict("nobody owns it any more")),
            (Command::Start { .. }, Started) => Ok(Vec::new()),
            (Command::Start { by }, Open | NotClean) => Ok(vec![TaskEvent::Started { by }]),
            (Command::Start { .. }, _) => Err(self.conflict("there is nothing left to start")),
            (Command::Done { by, note }, Open | Started | NotClean) => {
                Ok(vec![TaskEvent::Done { by, note: text("the note", &note)? }])
            }
            (Command::Done { .. }, _) => Err(self.conflict("somebody said so already")),
            (Command::Probed { clean, detail }, Verifying) => {
                Ok(vec![TaskEvent::Probed { clean, detail }])
            }
            (Command::Probed { .. }, _) => Ok(Vec::new()),
            (Command::SignOff { by, note }, _) => self.sign_off(by, &note),
        }
    }

    fn apply(&mut self, event: &TaskEvent) {
        match event {
            TaskEvent::Opened { incident, order, due, run } => {
                self.owner.clone_from(&order.owner);
                let (incident, order, due, run) = (*incident, order.clone(), *due, run.clone());
                self.opened = Some(Opened { incident, order, due, run });
            }
            TaskEvent::Assigned { owner } => self.owner = Some(owner.clone()),
            TaskEvent::Started { .. } => self.status = Status::Started,
            TaskEvent::Done { by, .. } => {
                self.done_by = Some(by.clone());
                let probed = self.opened.as_ref().is_some_and(|task| task.order.probe.is_some());
                self.status = if probed { Status::Verifying } else { Status::Done };
            }
            TaskEvent::Probed { clean, detail } => {
                self.probe = Some(detail.clone());
                self.status = if *clean { Status::Done } else { Status::NotClean };
            }
            TaskEvent::SignedOff { by, .. } => {
                self.signed_off_by = Some(by.clone());
                self.status = Status::SignedOff;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::respond::{Check, Http};

    fn user(name: &str) -> Actor {
        Actor::User { name: name.into() }
    }

    fn open(probe: bool) -> Command {
        let http = Http {
            endpoint: "e".into(),
            method: "GET".into(),
            path: "/".into(),
            headers: std::collections::BTreeMap::default(),
            json: None,
        };
        let order = TaskOrder {
            title: "t".into(),
            title_zh: String::new(),
            owner: None,
            due_secs: 60,
            rto_secs: None,
            probe: probe.then(|| Check { http, holds: "answer.status == 200".into() }),
        };
        Command::Open { incident: IncidentId(1), order, run: None, at: Timestamp::default() }
    }

    fn after(commands: Vec<Command>) -> (Task, Option<Rejection>) {
        let mut task = Task::default();
        let mut refused = None;
        for command in commands {
            match task.decide(command) {
                Ok(events) => events.iter().for_each(|event| task.apply(event)),
                Err(rejection) => refused = Some(rejection),
            }
        }
        (task, refused)
    }

    fn done(by: &str) -> Command {
        Command::Done { by: user(by), note: "reset".into() }
    }

    fn sign_off(by: &str) -> Command {
        Command::SignOff { by: user(by), note: "looked".into() }
    }

    #[test]
    fn nobody_signs_off_their_own_work() {
        let (task, refused) = after(vec![open(false), done("bob"), sign_off("bob")]);
        assert!(matches!(refused, Some(Rejection::Forbidden(_))), "{refused:?}");
        assert_eq!(task.status, Status::Done);
        let (task, refused) = after(vec![open(false), done("bob"), sign_off("ann")]);
        assert_eq!((task.status, refused), (Status::SignedOff, None));
    }

    #[test]
    fn a_probe_that_finds_something_sends_the_work_back() {
        let found = Command::Probed { clean: false, detail: "still signed in".into() };
        let (task, refused) = after(vec![open(true), done("bob"), sign_off("ann")]);
        assert_eq!(task.status, Status::Verifying);
        assert!(matches!(refused, Some(Rejection::Conflict(_))));
        let (task, _) = after(vec![open(true), done("bob"), found, sign_off("ann")]);
        assert_eq!(task.status, Status::NotClean);
        let clean = Command::Probed { clean: true, detail: String::new() };
        let (task, _) = after(vec![open(true), done("bob"), clean, sign_off("ann")]);
        assert_eq!(task.status, Status::SignedOff);
    }

    #[test]
    fn a_task_that_was_never_done_is_not_signed_off() {
        let (task, refused) = after(vec![open(false), sign_off("ann")]);
        assert!(matches!(refused, Some(Rejection::Conflict(_))));
        assert_eq!(task.status, Status::Open);
    }
}
