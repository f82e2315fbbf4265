//! A rule's cases: events that it fires on, and near misses that it leaves alone, as `<rule>.cases.yml` beside it has them.

use crate::rule::Problem;
use custos_event::{
    Timestamp,
    suggest::did_you_mean,
    yaml::{self, Node, Place, Value},
};

/// When the first event of a case happens, in seconds: 2026-11-10T10:00:00Z. What a case finds does not depend on the
/// day it is run.
const FIRST_AT_SECS: i64 = 1_794_304_800;

/// Lines of one case: a correlation's threshold and some more.
const LINES_MAX: u32 = 10_000;

const KEYS: [&str; 3] = ["source", "fires", "near_misses"];

/// What a rule is held against.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    /// What the lines are, as `custos ingest --source` names it; empty where each line tells it.
    pub source: String,
    pub cases: Vec<Case>,
}

/// Events one after the other.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands in its file.
    pub line: u32,
    /// The last event makes the rule fire, and no event before it; else none does.
    pub fires: bool,
    pub events: Vec<CaseEvent>,
}

/// A raw line, and when it is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseEvent {
    pub received: Timestamp,
    pub text: String,
}

impl Cases {
    /// Reads a case file.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let (documents, broken) = yaml::documents(text);
        if let Some(problem) = broken {
            return Err(vec![problem]);
        }
        let [document] = &documents[..] else {
            let message = format!("a case file is one document, found {}", documents.len());
            return Err(vec![Place { line: 1, column: 1 }.problem(message)]);
        };
        let (mut cases, mut problems) = (Self::default(), Vec::new());
        for (key, node) in document.entries() {
            match key.name.as_str() {
                "source" => cases.source = node.scalar().unwrap_or_default(),
                "fires" | "near_misses" => {
                    let fires = key.name == "fires";
                    for item in node.items() {
                        match case(item, fires) {
                            Ok(case) => cases.cases.push(case),
                            Err(problem) => problems.push(problem),
                        }
                    }
                }
                other => {
                    let hint = did_you_mean(other, KEYS);
                    problems.push(key.at.problem(format!("unknown key '{other}'{hint}")));
                }
            }
        }
        if cases.cases.is_empty() && problems.is_empty() {
            problems
                .push(document.at.problem("no case: neither 'fires' nor 'near_misses' has any"));
        }
        if problems.is_empty() { Ok(cases) } else { Err(problems) }
    }
}

/// One line, or a list of steps.
fn case(node: &Node, fires: bool) -> Result<Case, Problem> {
    let mut case = Case { line: node.at.line, fires, events: Vec::new() };
    let mut secs = 0;
    for step in node.items() {
        steps(step, &mut case.events, &mut secs)?;
    }
    Ok(case)
}

/// `LINE`, or `N times, S seconds apart: LINE`. In the latter `{time}` and `{epoch}` stand for each event's time and
/// `{n}` for its number in the case; `secs` is the next one's.
fn steps(node: &Node, events: &mut Vec<CaseEvent>, secs: &mut i64) -> Result<(), Problem> {
    if let Some(text) = node.as_str() {
        events.push(CaseEvent {
            received: Timestamp::from_secs(FIRST_AT_SECS + *secs),
            text: text.to_owned(),
        });
        return Ok(());
    }
    let expected =
        || node.at.problem("expected a quoted line, or 'N times, S seconds apart: LINE'");
    let [(key, line)] = node.entries() else { return Err(expected()) };
    let words: Vec<&str> = key.name.split_whitespace().collect();
    let [times, "times,", apart, "seconds", "apart"] = words[..] else { return Err(expected()) };
    let (Ok(times), Ok(apart), Value::Str(line)) =
        (times.parse::<u32>(), apart.parse::<u32>(), &line.value)
    else {
        return Err(expected());
    };
    for _ in 0..times {
        if events.len() >= LINES_MAX as usize {
            return Err(node.at.problem(format!("a case has at most {LINES_MAX} events")));
        }
        let received = Timestamp::from_secs(FIRST_AT_SECS + *secs);
        let epoch = format!("{}.0", FIRST_AT_SECS + *secs);
        let text = line
            .replace("{time}", &received.to_string())
            .replace("{epoch}", &epoch)
            .replace("{n}", &(events.len() + 1).to_string());
        events.push(CaseEvent { received, text });
        *secs += i64::from(apart);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_steps_are_read_and_their_placeholders_filled() {
        let text = "source: door\nfires:\n    - 'a '' b'\n    -\n        - 2 times, 30 seconds apart: '{time} {n}'\n        - 1 times, 0 seconds apart: '{epoch} {n}'\nnear_misses: ['c']\n";
        let cases = Cases::parse(text).unwrap();
        assert_eq!((cases.source.as_str(), cases.cases.len()), ("door", 3));
        let texts = |case: usize| -> Vec<_> {
            cases.cases[case].events.iter().map(|event| event.text.as_str()).collect()
        };
        assert_eq!(texts(0), ["a ' b"]);
        let steps = ["2026-11-10T10:00:00Z 1", "2026-11-10T10:00:30Z 2", "1794304860.0 3"];
        assert_eq!(texts(1), steps);
        assert_eq!((texts(2), cases.cases[2].fires, cases.cases[2].line), (vec!["c"], false, 7));
    }

    #[test]
    fn what_is_no_case_is_told_with_its_place() {
        let told = |text: &str| {
            let problems = Cases::parse(text).unwrap_err();
            format!("{}:{} {}", problems[0].line, problems[0].column, problems[0].message)
        };
        assert_eq!(told("fire: [a]\n"), "1:1 unknown key 'fire'; did you mean 'fires'?");
        assert!(told("fires:\n    - twice: 'a'\n").starts_with("2:7 expected a quoted line"));
        assert!(
            told("fires:\n    - 20000 times, 1 seconds apart: 'a'\n").contains("at most 10000")
        );
        assert!(told("source: door\n").contains("no case"));
        assert!(told("fires: [\n").contains("not YAML"));
    }
}
