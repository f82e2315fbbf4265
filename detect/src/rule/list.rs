//! A list: values under a name, which rules ask for as a placeholder, `%name%`.
//!
//! It stands in a rule file and lives as a rule does, so the log knows which values held when.

use super::{
    Body, Problem, Rule,
    detection::{Item, Part},
    modifier::Unfilled,
    test::{Asked, Test},
    yaml::{Node, Value},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// As many as a text of 1 MiB holds of short ones.
const VALUES_MAX: usize = 200_000;

/// `list: [values…]`.
pub(crate) fn read(block: &Node) -> Result<Body, Vec<Problem>> {
    let Value::List(items) = &block.value else {
        let message = format!("'list' is a list of values, found {}", block.kind());
        return Err(vec![block.at.problem(message)]);
    };
    if items.len() > VALUES_MAX {
        let message = format!("a list has at most {VALUES_MAX} values; make several of one name");
        return Err(vec![block.at.problem(message)]);
    }
    let (mut values, mut known, mut problems) = (Vec::new(), HashSet::new(), Vec::new());
    for item in items {
        match item.scalar().filter(|text| !text.trim().is_empty()) {
            Some(text) if known.insert(text.clone()) => values.push(text),
            Some(_) => {}
            None => problems.push(item.at.problem("expected a value, as in '- 203.0.113.7'")),
        }
    }
    if values.is_empty() && problems.is_empty() {
        problems.push(block.at.problem("the list is empty"));
    }
    if problems.is_empty() { Ok(Body::List(values.into())) } else { Err(problems) }
}

/// The lists among some rules, by name; of one name their values together.
pub(crate) struct Lists<'r>(BTreeMap<&'r str, Vec<&'r [String]>>);

impl<'r> Lists<'r> {
    pub(crate) fn of(rules: &'r [Rule]) -> Self {
        let mut lists: BTreeMap<&str, Vec<&[String]>> = BTreeMap::new();
        for rule in rules {
            if let (Body::List(values), Some(name)) = (&rule.body, &rule.name) {
                lists.entry(name).or_default().push(values);
            }
        }
        Self(lists)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'r String> + '_ {
        self.0.get(name).into_iter().flatten().flat_map(|values| values.iter())
    }

    /// The rule with its placeholders filled, as far as there are lists for them.
    pub(crate) fn fill(&self, rule: &mut Rule) {
        if let Body::Detection(detection) | Body::Filter { detection, .. } = &mut rule.body {
            for search in &mut detection.searches {
                self.part(&mut search.part);
            }
        }
        for exception in &mut rule.exceptions {
            self.part(&mut exception.part);
        }
    }

    fn part(&self, part: &mut Part) {
        match part {
            Part::All(parts) | Part::Any(parts) => parts.iter_mut().for_each(|it| self.part(it)),
            Part::Item(item) if item.is_unfilled() => {
                item.asked = item.asked.iter().flat_map(|asked| self.asked(asked)).collect();
            }
            Part::Item(_) => {}
        }
    }

    fn asked(&self, asked: &Asked) -> Vec<Asked> {
        let Test::Unfilled(unfilled) = &asked.test else { return vec![asked.clone()] };
        if !self.has(&unfilled.name) {
            return vec![asked.clone()];
        }
        let filled = self.values(&unfilled.name).flat_map(|value| unfilled.with(value));
        filled.flat_map(|asked| self.asked(&asked)).collect()
    }

    /// What no list fills, and what of a list is not of the kind that is asked for.
    pub(crate) fn problem(&self, rule: &Rule) -> Option<Problem> {
        placeholders(rule).into_iter().find_map(|unfilled| {
            let name = &unfilled.name;
            if !self.has(name) {
                let message = format!(
                    "nothing fills the placeholder '%{name}%': no list of that name is among the rules read; the rule never matches"
                );
                return Some(unfilled.at.problem(message));
            }
            let wrong = self.values(name).find(|value| unfilled.with(value).is_empty())?;
            let message =
                format!("'{wrong}' of the list '{name}' is no network and matches nothing here");
            Some(unfilled.at.problem(message))
        })
    }
}

/// Each placeholder of a rule.
pub(crate) fn placeholders(rule: &Rule) -> Vec<Arc<Unfilled>> {
    let of_asked = |asked: &Asked| {
        if let Test::Unfilled(unfilled) = &asked.test { Some(Arc::clone(unfilled)) } else { None }
    };
    let of_item = |item: &Item| item.asked.iter().filter_map(of_asked).collect::<Vec<_>>();
    parts(rule).flat_map(Part::items).flat_map(of_item).collect()
}

/// All that a rule asks for itself, its exceptions included.
fn parts(rule: &Rule) -> impl Iterator<Item = &Part> {
    let searches = match &rule.body {
        Body::Detection(detection) | Body::Filter { detection, .. } => &detection.searches[..],
        Body::Correlation(_) | Body::List(_) => &[],
    };
    let searches = searches.iter().map(|search| &search.part);
    searches.chain(rule.exceptions.iter().map(|exception| &exception.part))
}

/// For each rule that asks for a list that is not there, or that it cannot use: its place, and why.
pub fn unfilled(rules: &[Rule]) -> Vec<(usize, Problem)> {
    let lists = Lists::of(rules);
    let all = rules.iter().enumerate();
    all.filter_map(|(place, rule)| Some((place, lists.problem(rule)?))).collect()
}
