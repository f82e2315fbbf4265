//! A playbook: when it is proposed, what it has to be given, and its steps. Read from YAML.

mod check;
mod read;
mod step;

use crate::input::Input;
use custos_event::{Alert, respond::Plan, yaml::Problem};

/// A playbook is read by a person before it is approved; a longer one is not read.
pub const FILE_BYTES_MAX: usize = 256 << 10;
/// As many as fit a screen or two.
pub const STEPS_MAX: usize = 50;
pub const INPUTS_MAX: usize = 30;

/// A playbook that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    pub description: String,
    pub trigger: Trigger,
    pub inputs: Vec<Input>,
    /// Its id, version, title and steps.
    pub plan: Plan,
}

/// Which alerts propose it: those of a named rule, or with a named tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trigger {
    pub rules: Vec<String>,
    pub tags: Vec<String>,
}

impl Trigger {
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.tags.is_empty()
    }

    pub fn fits(&self, alert: &Alert) -> bool {
        let tagged = |tag: &String| self.tags.iter().any(|own| own.eq_ignore_ascii_case(tag));
        self.rules.iter().any(|rule| **rule == *alert.rule.0) || alert.tags.iter().any(tagged)
    }
}

/// The playbook of `text`, or all that is wrong with it.
pub fn parse(text: &str) -> Result<Playbook, Vec<Problem>> {
    read::playbook(text)
}

#[cfg(test)]
mod tests;
