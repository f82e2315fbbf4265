//! What holds for which topic: an exact name wins, then the first pattern as written.

use regex::Regex;
use std::collections::BTreeMap;

/// Values by topic; a key that begins with `^` is a pattern, as in the list of topics to read.
#[derive(Clone, Debug)]
pub struct ByTopic<T> {
    exact: BTreeMap<String, T>,
    patterns: Vec<(Regex, T)>,
}

impl<T> Default for ByTopic<T> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), patterns: Vec::new() }
    }
}

impl<T: PartialEq> PartialEq for ByTopic<T> {
    fn eq(&self, other: &Self) -> bool {
        let written =
            |one: &Self| one.patterns.iter().map(|(regex, _)| regex.to_string()).collect();
        let (mine, theirs): (Vec<_>, Vec<_>) = (written(self), written(other));
        let values = self.patterns.iter().map(|(_, value)| value);
        self.exact == other.exact
            && mine == theirs
            && values.eq(other.patterns.iter().map(|(_, value)| value))
    }
}

impl<T> From<BTreeMap<String, T>> for ByTopic<T> {
    fn from(exact: BTreeMap<String, T>) -> Self {
        Self { exact, patterns: Vec::new() }
    }
}

impl<T> ByTopic<T> {
    /// False where `topic` was there before.
    pub fn add(&mut self, topic: &str, value: T) -> Result<bool, regex::Error> {
        if !topic.starts_with('^') {
            return Ok(self.exact.insert(topic.to_owned(), value).is_none());
        }
        let known = self.patterns.iter().any(|(regex, _)| regex.as_str() == topic);
        self.patterns.push((Regex::new(topic)?, value));
        Ok(!known)
    }

    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    pub fn of(&self, topic: &str) -> Option<&T> {
        self.exact.get(topic).or_else(|| {
            self.patterns.iter().find(|(regex, _)| regex.is_match(topic)).map(|(_, value)| value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_wins_then_the_first_pattern() {
        let mut all = ByTopic::default();
        for (topic, value) in [("^win.*", 1), ("^windows-.*", 2), ("windows-dc", 3)] {
            assert!(all.add(topic, value).unwrap());
        }
        for (topic, value) in
            [("windows-dc", Some(&3)), ("windows-web", Some(&1)), ("my-windows", None)]
        {
            assert_eq!(all.of(topic), value, "{topic}");
        }
        assert!(!all.add("windows-dc", 4).unwrap() && !all.add("^win.*", 4).unwrap());
        assert!(all.add("^(", 4).is_err());
    }
}
