//! Correlations find the rules that they refer to.

use crate::{
    rule::{Problem, Rule, correlation::Correlation},
    ruleset::RuleIndex,
};

/// Which rules of a ruleset feed which correlations.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// The correlations that run, by the place that hits name.
    pub(crate) running: Vec<RuleIndex>,
    /// By rule: the correlations that it feeds.
    feeds: Vec<Vec<Feed>>,
    /// By rule: it alerts only through correlations.
    silent: Vec<bool>,
}

/// That a rule's matches are hits of a correlation.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Its place in [`Links::running`].
    pub(crate) correlation: u32,
    /// Which of its rules this one is: one bit.
    pub(crate) rule: u64,
    /// This rule's names for the fields that make the group.
    pub(crate) group: Vec<String>,
    /// And for the fields whose values are counted.
    pub(crate) counted: Vec<String>,
    /// The values are numbers.
    pub(crate) is_of_numbers: bool,
}

impl Links {
    /// Links all of `rules` that are correlations and find every rule they name among `rules`.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut links = Self {
            running: Vec::new(),
            feeds: rules.iter().map(|_| Vec::new()).collect(),
            silent: vec![false; rules.len()],
        };
        let mut spoken = vec![false; rules.len()];
        for (index, rule) in rules.iter().enumerate() {
            let Some(correlation) = rule.correlation() else { continue };
            if problem(rule, correlation, rules).is_none() {
                links.add(index, correlation, rules, &mut spoken);
            }
        }
        for (silent, spoken) in links.silent.iter_mut().zip(spoken) {
            *silent &= !spoken;
        }
        links
    }

    fn add(&mut self, own: usize, from: &Correlation, rules: &[Rule], spoken: &mut [bool]) {
        let correlation = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        self.running.push(RuleIndex(u32::try_from(own).unwrap_or(u32::MAX)));
        for (bit, reference) in from.rules.iter().enumerate() {
            for index in meant(&reference.name, &rules[own], rules) {
                let rule = &rules[index];
                let field = |name: &String| field_of(from, rule, name).unwrap_or(name).to_owned();
                self.feeds[index].push(Feed {
                    correlation,
                    rule: 1 << bit,
                    group: from.group_by.iter().map(field).collect(),
                    counted: from.measure.fields().iter().map(field).collect(),
                    is_of_numbers: from.measure.is_of_numbers(),
                });
                // What a correlation raises is a fact that a chain needs after a restart.
                self.silent[index] = rule.is_detection();
                spoken[index] |= from.generate;
            }
        }
    }

    pub(crate) fn feeds(&self, rule: RuleIndex) -> &[Feed] {
        self.feeds.get(rule.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether a match of this rule is no alert of its own.
    pub(crate) fn is_silent(&self, rule: RuleIndex) -> bool {
        self.silent.get(rule.0 as usize).copied().unwrap_or(false)
    }
}

/// The rules that `own` means by `name`: those of its own file, or else all that are called so.
fn meant(name: &str, own: &Rule, rules: &[Rule]) -> Vec<usize> {
    let called = rules.iter().enumerate().filter(|(_, rule)| rule.is_called(name));
    let mut called: Vec<usize> = called.map(|(place, _)| place).collect();
    let beside = |place: &usize| rules[*place].path == own.path;
    if called.iter().any(beside) {
        called.retain(beside);
    }
    called
}

/// What `rule` calls the field that the correlation calls `name`; `None` where that is no alias.
fn field_of<'c>(from: &'c Correlation, rule: &Rule, name: &str) -> Option<&'c String> {
    let alias = from.aliases.iter().find(|alias| alias.name == name)?;
    alias.fields.iter().find(|(called, _)| rule.is_called(called)).map(|(_, field)| field)
}

/// Why a correlation among these rules does not run: something it refers to is not there.
fn problem(own: &Rule, correlation: &Correlation, rules: &[Rule]) -> Option<Problem> {
    for reference in &correlation.rules {
        let named = meant(&reference.name, own, rules);
        if named.is_empty() {
            return Some(reference.at.problem(format!(
                "correlation counts the rule '{}', which is not among the rules read",
                reference.name
            )));
        }
        for rule in named.into_iter().map(|place| &rules[place]) {
            if chain(rule, own, rules, CHAIN_MAX) {
                return Some(reference.at.problem(format!(
                    "correlation counts '{}', which comes back to it, or stands on more than \
                     {CHAIN_MAX} others one upon the other",
                    reference.name
                )));
            }
            if let Some(correlation) = rule.correlation()
                && let Some(inner) = problem(rule, correlation, rules)
            {
                return Some(reference.at.problem(format!(
                    "correlation counts '{}', which cannot run: {}",
                    reference.name, inner.message
                )));
            }
            if !rule.is_detection() && rule.correlation().is_none() {
                return Some(reference.at.problem(format!(
                    "correlation counts '{}', which this version does not evaluate",
                    reference.name
                )));
            }
            let unnamed = |name: &&String| {
                let is_alias = correlation.aliases.iter().any(|alias| alias.name == **name);
                is_alias && field_of(correlation, rule, name).is_none()
            };
            let mut asked = correlation.group_by.iter().chain(correlation.measure.fields());
            if let Some(alias) = asked.find(unnamed) {
                return Some(reference.at.problem(format!(
                    "alias '{alias}' has no field for the rule '{}'",
                    reference.name
                )));
            }
        }
    }
    None
}

/// Correlations that may stand one upon the other: one event is at most so many hits deep.
const CHAIN_MAX: usize = 8;

/// Whether `rule` stands on `own`, or on a longer row of correlations than `left`.
fn chain(rule: &Rule, own: &Rule, rules: &[Rule], left: usize) -> bool {
    let Some(correlation) = rule.correlation() else { return false };
    let Some(left) = left.checked_sub(1) else { return true };
    (&rule.id, &rule.path) == (&own.id, &own.path)
        || correlation.rules.iter().any(|reference| {
            let mut named = meant(&reference.name, rule, rules).into_iter();
            named.any(|place| chain(&rules[place], own, rules, left))
        })
}

/// For each correlation among `rules` that cannot run with the others: its place there, and why not.
pub fn problems(rules: &[Rule]) -> Vec<(usize, Problem)> {
    let unlinked = |rule: &Rule| problem(rule, rule.correlation()?, rules);
    let all = rules.iter().enumerate();
    all.filter_map(|(place, rule)| Some((place, unlinked(rule)?))).collect()
}
