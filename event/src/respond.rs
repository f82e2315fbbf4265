//! Incidents, playbook runs and recovery tasks as the journal tells them. The schema only: what follows from
//! what is decided in the crate `respond`.

mod incident;
mod playbook;
mod run;
mod task;

pub use incident::{AlertRef, Evidence, IncidentEvent};
pub use playbook::{
    Action, Approval, Check, EffectClass, Http, InputValue, MailText, Message, Plan, Query, Step,
    TaskOrder,
};
pub use run::{Actioned, Answer, Doubt, Finish, Outcome, Phase, Resolution, RunEvent};
pub use task::TaskEvent;

use crate::id::{IdError, serde_as_text};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{:06}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let number = text.strip_prefix(concat!($prefix, "-"));
                let digits = number.filter(|n| n.len() >= 6 && n.bytes().all(|b| b.is_ascii_digit()));
                let number = digits.and_then(|n| n.parse().ok()).map(Self);
                number.filter(|id| id.to_string() == text).ok_or_else(|| {
                    IdError::new(text, $what, concat!($prefix, "-000001 and upwards"))
                })
            }
        }
        serde_as_text!($name);
    };
}

numbered_id!(
    /// Rising from 1 in the order of opening.
    IncidentId, "INC", "incident"
);
numbered_id!(
    /// Rising from 1 in the order of opening.
    RunId, "RUN", "run"
);
numbered_id!(
    /// Rising from 1 in the order of opening.
    TaskId, "TASK", "task"
);

/// What a person found an alert to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It shows what its rule looks for, and that is an attack.
    TruePositive,
    /// It does not show what its rule looks for.
    FalsePositive,
    /// It shows what its rule looks for, and that is allowed here.
    Benign,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_as_written_and_in_no_other_form() {
        for number in [1, 999_999, 1_000_000, u32::MAX] {
            let id = RunId(number);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!(IncidentId(7).to_string(), "INC-000007");
        for text in ["", "RUN-", "RUN-1", "RUN-0000001", "run-000001", "RUN-+00001", "INC-000001"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
