//! The erasure of a person: asked for by one, approved by another, then the key is destroyed. The decider of
//! one person's erasure.

use crate::{Actor, Timestamp};
use serde::{Deserialize, Serialize};

/// What happened to the erasure of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ErasureEvent {
    /// Somebody wants it, for this reason. It names no person: the subject is a keyed hash.
    ErasureRequested { reason: String },
    /// Somebody else agrees. From here on it happens, whatever crashes: to the key of this name, if the
    /// person has one.
    ErasureApproved {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Somebody refuses, or who asked takes it back.
    ErasureDenied { reason: String },
    /// The person's key is gone.
    SubjectErased,
}

/// What somebody wants.
#[derive(Clone, Debug)]
pub enum ErasureCommand {
    Request {
        reason: String,
    },
    /// `key`: the name of the person's key, if there is one.
    Approve {
        key: Option<String>,
    },
    Deny {
        reason: String,
    },
}

/// Why nothing came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErasureRejection {
    #[error("say why: the reason stands in the log")]
    NoReason,
    #[error("the reason is longer than 1,000 characters")]
    LongReason,
    #[error("an erasure of this person is asked for already")]
    Open,
    #[error("nobody has asked for an erasure of this person")]
    NotAsked,
    #[error("who asked for an erasure does not approve it; another person has to")]
    SamePerson,
    #[error("an erasure is approved by a person who signed in")]
    NotAPerson,
    #[error("it was approved, and cannot be called back")]
    Approved,
}

/// Words for a person to read.
const REASON_CHARS_MAX: usize = 1_000;

/// How far one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStage {
    #[default]
    None,
    Requested,
    Approved,
    Denied,
    Erased,
}

/// The newest erasure of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    pub stage: ErasureStage,
    pub reason: String,
    pub requested: Option<(Timestamp, Actor)>,
    /// Approved or denied.
    pub answered: Option<(Timestamp, Actor)>,
    pub erased_at: Option<Timestamp>,
    /// Names of all keys that are to be destroyed: a restored copy of the keyring may bring one back, and it
    /// is destroyed again.
    pub keys: Vec<String>,
}

impl Erasure {
    /// What follows from `command` by `actor`; changes nothing.
    pub fn decide(
        &self,
        actor: &Actor,
        command: ErasureCommand,
    ) -> Result<ErasureEvent, ErasureRejection> {
        let open = self.is_open();
        let is_person = matches!(actor, Actor::User { .. });
        match command {
            ErasureCommand::Request { .. } if open => Err(ErasureRejection::Open),
            ErasureCommand::Request { reason } => {
                Ok(ErasureEvent::ErasureRequested { reason: checked(reason)? })
            }
            ErasureCommand::Approve { .. } | ErasureCommand::Deny { .. } if !open => {
                Err(ErasureRejection::NotAsked)
            }
            ErasureCommand::Approve { .. } | ErasureCommand::Deny { .. }
                if self.stage == ErasureStage::Approved =>
            {
                Err(ErasureRejection::Approved)
            }
            ErasureCommand::Approve { .. } if !is_person => Err(ErasureRejection::NotAPerson),
            ErasureCommand::Approve { .. } if self.is_asked_by(actor) => {
                Err(ErasureRejection::SamePerson)
            }
            ErasureCommand::Approve { key } => Ok(ErasureEvent::ErasureApproved { key }),
            ErasureCommand::Deny { reason } => {
                Ok(ErasureEvent::ErasureDenied { reason: checked(reason)? })
            }
        }
    }

    fn is_asked_by(&self, actor: &Actor) -> bool {
        self.requested.as_ref().is_some_and(|(_, by)| by == actor)
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, ErasureStage::Requested | ErasureStage::Approved)
    }

    /// Takes one fact in; total, whatever the history.
    pub fn apply(&mut self, at: Timestamp, actor: &Actor, event: &ErasureEvent) {
        let by = Some((at, actor.clone()));
        match event {
            ErasureEvent::ErasureRequested { reason } => {
                let keys = std::mem::take(&mut self.keys);
                let (stage, reason) = (ErasureStage::Requested, reason.clone());
                *self = Self { stage, reason, requested: by, keys, ..Self::default() };
            }
            ErasureEvent::ErasureApproved { key } => {
                (self.stage, self.answered) = (ErasureStage::Approved, by);
                self.keys.extend(key.clone());
            }
            ErasureEvent::ErasureDenied { .. } => {
                (self.stage, self.answered) = (ErasureStage::Denied, by);
            }
            ErasureEvent::SubjectErased => {
                (self.stage, self.erased_at) = (ErasureStage::Erased, Some(at));
            }
        }
    }
}

fn checked(reason: String) -> Result<String, ErasureRejection> {
    if reason.trim().is_empty() {
        return Err(ErasureRejection::NoReason);
    }
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(ErasureRejection::LongReason);
    }
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Actor {
        Actor::User { name: name.into() }
    }

    fn asked_by(name: &str) -> Erasure {
        let mut erasure = Erasure::default();
        let request = ErasureCommand::Request { reason: "asked by letter".into() };
        let event = erasure.decide(&user(name), request).unwrap();
        erasure.apply(Timestamp(1), &user(name), &event);
        erasure
    }

    fn approve() -> ErasureCommand {
        ErasureCommand::Approve { key: Some("k1".into()) }
    }

    fn approved() -> ErasureEvent {
        ErasureEvent::ErasureApproved { key: Some("k1".into()) }
    }

    #[test]
    fn nobody_approves_the_erasure_that_they_asked_for() {
        let erasure = asked_by("lin");
        assert_eq!(erasure.decide(&user("lin"), approve()), Err(ErasureRejection::SamePerson));
        assert_eq!(erasure.decide(&user("wei"), approve()), Ok(approved()));
        let token = Actor::Token { name: "api".into() };
        assert_eq!(erasure.decide(&token, approve()), Err(ErasureRejection::NotAPerson));
    }

    #[test]
    fn an_erasure_goes_its_way_once_and_may_be_asked_for_again() {
        let mut erasure = asked_by("lin");
        let ask = |erasure: &Erasure, reason: &str| {
            erasure.decide(&user("wei"), ErasureCommand::Request { reason: reason.into() })
        };
        assert_eq!(ask(&erasure, "again"), Err(ErasureRejection::Open));
        erasure.apply(Timestamp(2), &user("wei"), &approved());
        for command in [approve(), ErasureCommand::Deny { reason: "no".into() }] {
            let refused = erasure.decide(&user("wei"), command);
            assert_eq!(refused, Err(ErasureRejection::Approved));
        }
        erasure.apply(Timestamp(3), &user("wei"), &ErasureEvent::SubjectErased);
        assert_eq!(erasure.decide(&user("wei"), approve()), Err(ErasureRejection::NotAsked));
        assert_eq!(ask(&erasure, " "), Err(ErasureRejection::NoReason));
        let event = ask(&erasure, "came again").unwrap();
        erasure.apply(Timestamp(4), &user("wei"), &event);
        assert_eq!((erasure.stage, erasure.erased_at), (ErasureStage::Requested, None));
        assert_eq!(erasure.keys, ["k1"], "a restored copy of it is destroyed again");
    }
}
