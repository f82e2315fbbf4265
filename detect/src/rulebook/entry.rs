//! One text's life: which version stands where, and who moved it.

use crate::rule::{Rule, parse};
use custos_event::{Actor, CommitNo, RuleId, RuleStage, RuleText, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Moves that are at hand; the log has all.
const HISTORY_MAX: usize = 50;

/// A version's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub path: Arc<str>,
    pub version: Arc<str>,
    pub text: Arc<str>,
}

/// Who moved a version where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    pub at: Timestamp,
    pub by: Actor,
    pub to: RuleStage,
    pub version: Arc<str>,
    pub reason: Arc<str>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// As the rule's file has it.
    pub file: Option<Text>,
    /// A person's word stands; the file decides nothing.
    pub is_moved: bool,
    pub draft: Option<Text>,
    pub shadow: Option<Text>,
    /// What was last taken out of service.
    pub retired: Option<Text>,
    /// Where a person's word stands; else the file.
    own: Option<Text>,
    /// The newest last.
    pub history: Vec<Moved>,
    /// The live version runs for the commits after this one.
    pub live_after: CommitNo,
}

impl Text {
    pub(super) fn of(text: &RuleText) -> Self {
        Self {
            path: text.path.as_str().into(),
            version: text.version.as_str().into(),
            text: text.text.as_str().into(),
        }
    }

    /// Its rules; what does not hold any more gives none.
    pub fn rules(&self) -> Vec<Rule> {
        let parsed = parse(&self.text, &self.path);
        if parsed.errors.is_empty() { parsed.rules } else { Vec::new() }
    }
}

impl Entry {
    pub fn live(&self) -> Option<&Text> {
        if self.is_moved { self.own.as_ref() } else { self.file.as_ref() }
    }

    /// The furthest stage that a version of it is in; `None` once its file is gone and nobody kept it.
    pub fn stage(&self) -> Option<RuleStage> {
        let stages = [
            (self.live(), RuleStage::Live),
            (self.shadow.as_ref(), RuleStage::Shadow),
            (self.draft.as_ref(), RuleStage::Draft),
            (self.retired.as_ref(), RuleStage::Retired),
        ];
        stages.into_iter().find_map(|(text, stage)| text.map(|_| stage))
    }

    /// Every version at hand, the one that counts most first.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let all = [
            self.live(),
            self.shadow.as_ref(),
            self.draft.as_ref(),
            self.retired.as_ref(),
            self.file.as_ref(),
        ];
        all.into_iter().flatten()
    }

    /// The version, where there is no choice.
    pub(super) fn only(&self) -> Option<&Text> {
        let first = self.texts().next()?;
        self.texts().all(|text| text.version == first.version).then_some(first)
    }

    pub(super) fn is_at(&self, stage: RuleStage, version: &str) -> bool {
        let at = match stage {
            RuleStage::Draft => self.draft.as_ref(),
            RuleStage::Shadow => self.shadow.as_ref(),
            RuleStage::Live => self.live().filter(|_| self.is_moved),
            RuleStage::Retired => {
                self.retired.as_ref().filter(|_| self.live().is_none() && self.shadow.is_none())
            }
        };
        at.is_some_and(|text| *text.version == *version)
    }

    /// Takes in that a person moved a version: it leaves the stages it was in, and pushes another out of its own.
    pub(super) fn take(&mut self, rule: &RuleId, moved: Moved, text: &str) {
        let of_file = self.file.as_ref().map(|file| Arc::clone(&file.path));
        let path = of_file.unwrap_or_else(|| Arc::clone(&rule.0));
        let text = Text { path, version: Arc::clone(&moved.version), text: text.into() };
        self.own = self.live().cloned();
        self.is_moved = true;
        for slot in [&mut self.draft, &mut self.shadow, &mut self.own, &mut self.retired] {
            slot.take_if(|it| it.version == text.version);
        }
        match moved.to {
            RuleStage::Draft => self.draft = Some(text),
            RuleStage::Shadow => self.shadow = Some(text),
            RuleStage::Live => self.own = Some(text),
            RuleStage::Retired => {
                self.retired = Some(text);
                (self.own, self.shadow) = (None, None);
            }
        }
        self.history.push(moved);
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
        }
    }
}
