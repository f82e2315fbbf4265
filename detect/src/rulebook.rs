//! Which rules run at a place of the log: a fold over the facts of rules' lives, and what may follow next.
//!
//! Files decide until a person moves the rule; from then on its file is only offered. A rule may be live in one
//! version and in shadow in another: that is how a change is tried.

mod entry;

pub use entry::{Entry, Moved, Text};

use crate::rule::{Problem, Rule, parse};
use custos_event::{CommitNo, Envelope, Fact, RuleId, RuleStage, RuleText};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

/// Five times the public corpus.
const ENTRIES_MAX: usize = 20_000;
const REASON_CHARS_MAX: usize = 1_000;

/// Texts of one fact: a few hundred rules at 2 KB each, still a small append.
const TEXT_BYTES_OF_FACT: usize = 512 << 10;

#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    entries: BTreeMap<RuleId, Entry>,
    /// Raised with each change, for whoever keeps what follows from it.
    pub generation: u64,
    /// Raised where a version came to run or runs no more.
    pub running: u64,
}

impl PartialEq for Rulebook {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

/// What somebody wants of a rule.
#[derive(Clone, Debug)]
pub struct Move {
    /// Which one; `None`: the one whose text is given, by its id.
    pub rule: Option<RuleId>,
    pub to: RuleStage,
    /// One that the rule has in some stage or in its file.
    pub version: Option<String>,
    /// Or a new one.
    pub text: Option<String>,
    pub reason: String,
}

/// Why a rule is not moved.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("there is no rule {0}")]
    Unknown(RuleId),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Wrong(String),
    #[error("the rule does not hold: line {}, column {}: {}", .0.line, .0.column, .0.message)]
    Invalid(Problem),
}

impl Rulebook {
    pub fn load(entries: impl Iterator<Item = (RuleId, Entry)>) -> Self {
        Self { entries: entries.collect(), generation: 1, running: 1 }
    }

    pub fn entries(&self) -> impl Iterator<Item = (&RuleId, &Entry)> {
        self.entries.iter()
    }

    pub fn get(&self, rule: &RuleId) -> Option<&Entry> {
        self.entries.get(rule)
    }

    /// Takes in one fact of `commit`, in the order in which they hold; which entries changed.
    pub fn apply(&mut self, commit: CommitNo, envelope: &Envelope) -> Vec<RuleId> {
        let Envelope { at, actor, fact, .. } = envelope;
        let mut changed = Vec::new();
        if let Fact::RulesRead { after, found, gone } = fact {
            for text in found {
                let file = Some(Text::of(text));
                changed.push(self.change(&text.rule, *after, |entry| entry.file = file));
            }
            for rule in gone {
                changed.push(self.change(rule, *after, |entry| entry.file = None));
            }
        } else if let Fact::RuleMoved { rule, to, version, text, reason } = fact {
            let moved = Moved {
                at: *at,
                by: actor.clone(),
                to: *to,
                version: version.as_str().into(),
                reason: reason.as_str().into(),
            };
            changed.push(self.change(rule, commit, |entry| entry.take(rule, moved, text)));
        }
        self.generation += u64::from(!changed.is_empty());
        changed
    }

    fn change(
        &mut self,
        rule: &RuleId,
        after: CommitNo,
        change: impl FnOnce(&mut Entry),
    ) -> RuleId {
        let entry = self.entries.entry(rule.clone()).or_default();
        let version = |text: Option<&Text>| text.map(|text| Arc::clone(&text.version));
        let (live, shadow) = (version(entry.live()), version(entry.shadow.as_ref()));
        change(entry);
        let is_other = version(entry.live()) != live;
        if is_other {
            entry.live_after = after;
        }
        self.running += u64::from(is_other || version(entry.shadow.as_ref()) != shadow);
        rule.clone()
    }

    /// What the files say that the journal does not know yet: facts to be written, none if all is known.
    /// `files`: path, text and rules of those that hold.
    pub fn read<'f>(
        &self,
        after: CommitNo,
        files: impl Iterator<Item = (&'f str, &'f str, &'f [Rule])>,
    ) -> Vec<Fact> {
        let mut present = BTreeSet::new();
        let mut found: Vec<Vec<RuleText>> = vec![Vec::new()];
        let mut bytes = 0;
        for (path, text, rules) in files {
            let Some(first) = rules.first() else { continue };
            let mut rule = first.id.clone();
            if !present.insert(rule.clone()) {
                rule = RuleId(format!("{rule} ({path})").into());
                present.insert(rule.clone());
            }
            let version = version(rules);
            let known = self.get(&rule).and_then(|entry| entry.file.as_ref());
            if known.is_some_and(|it| *it.version == version && *it.path == *path) {
                continue;
            }
            if bytes + text.len() > TEXT_BYTES_OF_FACT {
                found.push(Vec::new());
                bytes = 0;
            }
            bytes += text.len();
            let (path, text) = (path.to_owned(), text.to_owned());
            if let Some(some) = found.last_mut() {
                some.push(RuleText { rule, path, version, text });
            }
        }
        let is_gone =
            |(rule, entry): &(&RuleId, &Entry)| entry.file.is_some() && !present.contains(*rule);
        let mut gone: Vec<RuleId> =
            self.entries().filter(is_gone).map(|(rule, _)| rule.clone()).collect();
        found.retain(|some| !some.is_empty());
        if found.is_empty() && !gone.is_empty() {
            found.push(Vec::new());
        }
        let fact = |found| Fact::RulesRead { after, found, gone: std::mem::take(&mut gone) };
        found.into_iter().map(fact).collect()
    }

    /// The fact that follows from `wanted`; `None` where it is so already.
    pub fn decide(&self, wanted: &Move) -> Result<Option<Fact>, Refusal> {
        let reason = wanted.reason.trim();
        if reason.is_empty() {
            return Err(Refusal::Wrong("moving a rule needs a reason".into()));
        }
        if reason.chars().count() > REASON_CHARS_MAX {
            let message = format!("the reason has more than {REASON_CHARS_MAX} characters");
            return Err(Refusal::Wrong(message));
        }
        let (rule, text) = self.meant(wanted)?;
        let entry = self.get(&rule);
        if entry.is_none() && self.entries.len() >= ENTRIES_MAX {
            return Err(Refusal::Wrong(format!(
                "there are {ENTRIES_MAX} rules, which is the most"
            )));
        }
        if entry.is_some_and(|entry| entry.is_at(wanted.to, &text.version)) {
            return Ok(None);
        }
        if matches!(wanted.to, RuleStage::Shadow | RuleStage::Live) {
            self.can_run(&rule, &text)?;
        }
        Ok(Some(Fact::RuleMoved {
            rule,
            to: wanted.to,
            version: text.version.to_string(),
            text: text.text.to_string(),
            reason: reason.to_owned(),
        }))
    }

    /// Which rule and which text of it.
    fn meant(&self, wanted: &Move) -> Result<(RuleId, Text), Refusal> {
        if let Some(text) = &wanted.text {
            return self.given(wanted.rule.as_ref(), text);
        }
        let rule = wanted.rule.clone();
        let rule = rule.ok_or_else(|| Refusal::Wrong("name a rule, or give its text".into()))?;
        let entry = self.get(&rule).ok_or_else(|| Refusal::Unknown(rule.clone()))?;
        let Some(version) = &wanted.version else {
            let text = entry.only().ok_or_else(|| {
                Refusal::Wrong(format!("rule {rule} has several versions; name the one you mean"))
            })?;
            return Ok((rule, text.clone()));
        };
        let text = entry.texts().find(|text| *text.version == **version).ok_or_else(|| {
            let message = format!("rule {rule} has no version {version} any more; look again");
            Refusal::Conflict(message)
        })?;
        Ok((rule, text.clone()))
    }

    fn given(&self, named: Option<&RuleId>, text: &str) -> Result<(RuleId, Text), Refusal> {
        let path = named.and_then(|rule| Some(Arc::clone(&self.get(rule)?.file.as_ref()?.path)));
        let parsed = parse(text, path.as_deref().unwrap_or_default());
        if let Some(problem) = parsed.errors.into_iter().next() {
            return Err(Refusal::Invalid(problem));
        }
        let first = parsed.rules.first().map_or_else(|| RuleId("".into()), |rule| rule.id.clone());
        if first.0.is_empty() {
            let message = "the rule has no id, by which it would be known; add one ('uuidgen -r')";
            return Err(Refusal::Wrong(message.into()));
        }
        if named.is_some_and(|named| *named != first && !named.0.starts_with(&format!("{first} (")))
        {
            let message = format!("the text is of rule {first}, not of the rule named");
            return Err(Refusal::Wrong(message));
        }
        let rule = named.cloned().unwrap_or(first);
        let path = path.unwrap_or_else(|| Arc::clone(&rule.0));
        let version = version(&parsed.rules).into();
        Ok((rule, Text { path, version, text: text.into() }))
    }

    /// Whether all that `text` names would be there if it ran.
    fn can_run(&self, rule: &RuleId, text: &Text) -> Result<(), Refusal> {
        let own = text.rules();
        let others = self.entries().filter(|(other, _)| *other != rule);
        let others = others.filter_map(|(_, entry)| entry.live());
        let mut all = own.clone();
        if own.iter().any(|rule| !rule.is_detection()) {
            all.extend(others.flat_map(Text::rules));
        }
        let found = crate::problems(&all).into_iter().find(|(place, _)| *place < own.len());
        found.map_or(Ok(()), |(_, problem)| Err(Refusal::Invalid(problem)))
    }

    /// The rules that are live.
    pub fn live(&self) -> Vec<Rule> {
        self.entries.values().filter_map(Entry::live).flat_map(Text::rules).collect()
    }

    /// The rules in shadow, and behind them the live ones that they need: filters, and what their correlations
    /// count. None where nothing is in shadow.
    pub fn shadow(&self) -> (Vec<Rule>, Vec<Rule>) {
        let in_shadow =
            || self.entries().filter_map(|(rule, it)| Some((rule, it.shadow.as_ref()?)));
        let own: Vec<Rule> = in_shadow().flat_map(|(_, text)| text.rules()).collect();
        if own.is_empty() {
            return (own, Vec::new());
        }
        let tried: BTreeSet<&RuleId> = in_shadow().map(|(rule, _)| rule).collect();
        let others = self.entries().filter(|(rule, _)| !tried.contains(rule));
        let others = others.filter_map(|(_, entry)| entry.live()).flat_map(Text::rules);
        let needed = needed(&own, others.collect());
        (own, needed)
    }
}

/// Those of `others` that narrow rules or fill placeholders, or that correlations among `own` stand on.
pub fn needed(own: &[Rule], others: Vec<Rule>) -> Vec<Rule> {
    let mut names: Vec<String> = own.iter().flat_map(Rule::counted).map(str::to_owned).collect();
    let always = |rule: &Rule| rule.is_filter() || rule.is_list();
    let (mut needed, mut rest): (Vec<Rule>, Vec<Rule>) = others.into_iter().partition(always);
    while let Some(name) = names.pop() {
        let (called, left): (Vec<Rule>, Vec<Rule>) =
            rest.into_iter().partition(|rule| rule.is_called(&name));
        names.extend(called.iter().flat_map(Rule::counted).map(str::to_owned));
        needed.extend(called);
        rest = left;
    }
    needed
}

/// Of one rule its own; of several, SHA-256 over theirs.
pub fn version(rules: &[Rule]) -> String {
    if let [rule] = rules {
        return rule.version.clone();
    }
    let mut hash = Sha256::new();
    for rule in rules {
        hash.update(format!("{}\n", rule.version));
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    })
}
