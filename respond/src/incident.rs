//! An incident: opened by alerts or a person, worked on, contained, closed, perhaps opened again.

use crate::{Rejection, rejection::text};
use custos_event::{
    AlertId, Decider, Entity, RunId, TaskId,
    respond::{AlertRef, Evidence, IncidentEvent},
};
use std::collections::BTreeSet;

/// Alerts that one incident takes by itself; a flood beyond it says nothing new, and is counted elsewhere.
pub const ALERTS_MAX: usize = 10_000;

/// Sigma's levels, rising.
pub const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// How bad a level is; an unknown one counts least.
pub fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(0)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Open,
    Contained,
    Closed,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Contained => "contained",
            Self::Closed => "closed",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incident {
    pub exists: bool,
    pub title: String,
    /// Empty where nobody wrote one.
    pub title_zh: String,
    /// The worst of its alerts.
    pub level: String,
    pub status: Status,
    pub owner: Option<String>,
    pub alerts: Vec<AlertRef>,
    /// Of all its alerts, each once.
    pub entities: BTreeSet<Entity>,
    pub tasks: Vec<TaskId>,
    pub runs: Vec<RunId>,
    pub evidence: Vec<Evidence>,
    pub comments: u32,
}

#[derive(Clone, Debug)]
pub enum Command {
    Open {
        title: String,
        title_zh: String,
        level: String,
        alerts: Vec<AlertRef>,
    },
    AddAlerts {
        alerts: Vec<AlertRef>,
    },
    Assign {
        owner: String,
    },
    Comment {
        text: String,
    },
    AttachTask {
        task: TaskId,
    },
    AttachRun {
        run: RunId,
    },
    AttachEvidence {
        evidence: Evidence,
    },
    /// `left`: what is still open, for a person to read; empty where nothing is.
    Close {
        reason: Option<String>,
        left: String,
    },
    Contain {
        reason: Option<String>,
    },
    Reopen {
        reason: Option<String>,
    },
}

impl Incident {
    pub fn is_open(&self) -> bool {
        self.exists && self.status != Status::Closed
    }

    pub fn has(&self, alert: AlertId) -> bool {
        self.alerts.iter().any(|known| known.id == alert)
    }

    fn add_alerts(&self, alerts: Vec<AlertRef>) -> Result<Vec<IncidentEvent>, Rejection> {
        let new: Vec<_> = alerts.into_iter().filter(|alert| !self.has(alert.id)).collect();
        if self.alerts.len() + new.len() > ALERTS_MAX {
            let text = format!("an incident holds at most {ALERTS_MAX} alerts; open another one");
            return Err(Rejection::conflict(text));
        }
        Ok(new.into_iter().map(|alert| IncidentEvent::AlertAdded { alert }).collect())
    }

    fn take(&mut self, alert: &AlertRef) {
        if rank(&alert.level) > rank(&self.level) {
            self.level.clone_from(&alert.level);
        }
        self.entities.extend(alert.entities.iter().cloned());
        if !self.has(alert.id) {
            self.alerts.push(alert.clone());
        }
    }
}

fn reason(given: Option<String>) -> Result<Option<String>, Rejection> {
    given
        .filter(|given| !given.trim().is_empty())
        .map(|given| text("the reason", &given))
        .transpose()
}

impl Decider for Incident {
    type Command = Command;
    type Event = IncidentEvent;
    type Rejection = Rejection;

    fn decide(&self, command: Command) -> Result<Vec<IncidentEvent>, Rejection> {
        if !self.exists {
            let Command::Open { title, title_zh, level, alerts } = command else {
                return Err(Rejection::unknown("such incident"));
            };
            let title = text("the title", &title)?;
            return Ok(vec![IncidentEvent::Opened { title, title_zh, level, alerts }]);
        }
        match (command, self.status) {
            (Command::Open { .. }, _) => Err(Rejection::conflict("the incident is open already")),
            (Command::Assign { owner }, _) if self.owner.as_deref() == Some(&owner) => {
                Ok(Vec::new())
            }
            (Command::Assign { owner }, _) => {
                Ok(vec![IncidentEvent::Assigned { owner: text("the owner", &owner)? }])
            }
            (Command::Comment { text: given }, _) => {
                Ok(vec![IncidentEvent::Commented { text: text("the comment", &given)? }])
            }
            (Command::AttachTask { task }, _) if self.tasks.contains(&task) => Ok(Vec::new()),
            (Command::AttachTask { task }, _) => Ok(vec![IncidentEvent::TaskAttached { task }]),
            (Command::AttachRun { run }, _) if self.runs.contains(&run) => Ok(Vec::new()),
            (Command::AttachRun { run }, _) => Ok(vec![IncidentEvent::RunAttached { run }]),
            (Command::AttachEvidence { evidence }, _) => {
                Ok(vec![IncidentEvent::EvidenceAttached { evidence }])
            }
            (Command::AddAlerts { .. } | Command::Contain { .. }, Status::Closed) => {
                Err(Rejection::conflict("the incident is closed; reopen it first"))
            }
            (Command::AddAlerts { alerts }, _) => self.add_alerts(alerts),
            (Command::Contain { .. }, Status::Contained)
            | (Command::Close { .. }, Status::Closed)
            | (Command::Reopen { .. }, Status::Open) => Ok(Vec::new()),
            (Command::Contain { reason: given }, Status::Open) => {
                Ok(vec![IncidentEvent::Contained { reason: reason(given)? }])
            }
            (Command::Close { reason: given, left }, _) => {
                let reason = reason(given)?;
                if reason.is_none() && !left.is_empty() {
                    let text = format!("still open: {left}; settle them, or close with a reason");
                    return Err(Rejection::conflict(text));
                }
                Ok(vec![IncidentEvent::Closed { reason }])
            }
            (Command::Reopen { reason: given }, _) => {
                Ok(vec![IncidentEvent::Reopened { reason: reason(given)? }])
            }
        }
    }

    fn apply(&mut self, event: &IncidentEvent) {
        match event {
            IncidentEvent::Opened { title, title_zh, level, alerts } => {
                self.exists = true;
                self.title.clone_from(title);
                self.title_zh.clone_from(title_zh);
                self.level.clone_from(level);
                for alert in alerts {
                    self.take(alert);
                }
            }
            IncidentEvent::AlertAdded { alert } => self.take(alert),
            IncidentEvent::Assigned { owner } => self.owner = Some(owner.clone()),
            IncidentEvent::Commented { .. } => self.comments += 1,
            IncidentEvent::TaskAttached { task } => self.tasks.push(*task),
            IncidentEvent::RunAttached { run } => self.runs.push(*run),
            IncidentEvent::EvidenceAttached { evidence } => self.evidence.push(evidence.clone()),
            IncidentEvent::Contained { .. } => self.status = Status::Contained,
            IncidentEvent::Closed { .. } => self.status = Status::Closed,
            IncidentEvent::Reopened { .. } => self.status = Status::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(n: u8, level: &str) -> AlertRef {
        AlertRef {
            id: AlertId([n; 16]),
            at: format!("journal/0/{n}").parse().unwrap(),
            rule: custos_event::RuleId("r".into()),
            title: "t".into(),
            title_zh: String::new(),
            level: level.into(),
            time: custos_event::Timestamp::default(),
            entities: Vec::new(),
        }
    }

    /// The answer to the last of `commands`, the others taken in before it.
    fn check(commands: Vec<Command>) -> Result<usize, Rejection> {
        let mut incident = Incident::default();
        let open = Command::Open {
            title: "t".into(),
            title_zh: String::new(),
            level: "low".into(),
            alerts: vec![],
        };
        let mut last = Ok(0);
        for command in std::iter::once(open).chain(commands) {
            let decided = incident.decide(command);
            if let Ok(events) = &decided {
                for event in events {
                    incident.apply(event);
                }
            }
            last = decided.map(|events| events.len());
        }
        last
    }

    #[test]
    fn an_incident_with_something_open_is_closed_with_a_reason_only() {
        let close = |reason: Option<&str>, left: &str| Command::Close {
            reason: reason.map(str::to_owned),
            left: left.into(),
        };
        assert_eq!(check(vec![close(None, "")]), Ok(1));
        assert!(matches!(check(vec![close(None, "TASK-000001")]), Err(Rejection::Conflict(_))));
        assert!(matches!(
            check(vec![close(Some("  "), "TASK-000001")]),
            Err(Rejection::Conflict(_))
        ));
        assert_eq!(check(vec![close(Some("moved to INC-000002"), "TASK-000001")]), Ok(1));
    }

    #[test]
    fn the_same_command_twice_changes_nothing_more() {
        let twice = |command: Command| check(vec![command.clone(), command]);
        assert_eq!(twice(Command::Assign { owner: "ann".into() }), Ok(0));
        assert_eq!(twice(Command::AttachRun { run: RunId(1) }), Ok(0));
        assert_eq!(twice(Command::AddAlerts { alerts: vec![alert(1, "high")] }), Ok(0));
        assert_eq!(twice(Command::Contain { reason: None }), Ok(0));
    }

    #[test]
    fn a_closed_incident_takes_no_alert_until_it_is_opened_again() {
        let close = Command::Close { reason: None, left: String::new() };
        let add = Command::AddAlerts { alerts: vec![alert(1, "high")] };
        assert!(matches!(check(vec![close.clone(), add.clone()]), Err(Rejection::Conflict(_))));
        assert_eq!(check(vec![close, Command::Reopen { reason: None }, add]), Ok(1));
    }

    #[test]
    fn the_level_is_the_worst_of_the_alerts() {
        let mut incident = Incident::default();
        let alerts = vec![alert(1, "low"), alert(2, "critical"), alert(3, "high")];
        let open = Command::Open {
            title: "t".into(),
            title_zh: String::new(),
            level: "low".into(),
            alerts,
        };
        for event in incident.decide(open).unwrap() {
            incident.apply(&event);
        }
        assert_eq!(incident.level, "critical");
    }
}
