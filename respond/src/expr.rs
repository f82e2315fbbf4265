//! Conditions: `inputs.hard and steps.seen.count > 3`. A closed language of look-ups, literals, comparisons and
//! `and`, `or`, `not`; it cannot call, compute or loop.
//!
//! ```text
//! or      = and { "or" and }            and     = not { "and" not }
//! not     = "not" not | comparison      comparison = value [ op value ]
//! op      = "==" "!=" "<" "<=" ">" ">=" "in"
//! value   = look-up | 'text' | number | true | false | "[" value { "," value } "]" | "(" or ")"
//! ```

use crate::template::{is_path, look_up};
use serde_json::Value;
use std::cmp::Ordering;

/// Longer is a program, and that belongs into a service.
const TEXT_BYTES_MAX: usize = 1_000;
/// Parentheses and `not`s inside each other: keeps recursion within a thread's stack.
const DEPTH_MAX: u8 = 16;

/// A condition that does not read, or finds values it cannot judge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("condition '{text}', column {column}: {message}")]
pub struct ExprError {
    pub text: String,
    /// From 1.
    pub column: usize,
    pub message: String,
}

/// A condition that reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Compare(Operand, Op, Operand),
    Truth(Operand),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Lookup(String),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Expr {
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let mut parser = Parser { text, at: 0, depth: DEPTH_MAX };
        if text.len() > TEXT_BYTES_MAX {
            return Err(parser.error(format!("longer than {TEXT_BYTES_MAX} bytes")));
        }
        let expr = parser.or()?;
        match parser.peek() {
            "" => Ok(expr),
            rest => {
                Err(parser.error(format!("'{rest}' is one word too many; join with 'and' or 'or'")))
            }
        }
    }

    /// Whether it holds for `values`. A look-up without a value is null: equal to nothing but another one.
    pub fn holds(&self, values: &Value) -> bool {
        match self {
            Self::Or(any) => any.iter().any(|one| one.holds(values)),
            Self::And(all) => all.iter().all(|one| one.holds(values)),
            Self::Not(one) => !one.holds(values),
            Self::Truth(operand) => operand.value(values) == &Value::Bool(true),
            Self::Compare(left, op, right) => compare(left.value(values), *op, right.value(values)),
        }
    }

    /// Every path that is looked up.
    pub fn lookups(&self) -> Vec<&str> {
        match self {
            Self::Or(several) | Self::And(several) => {
                several.iter().flat_map(Self::lookups).collect()
            }
            Self::Not(one) => one.lookups(),
            Self::Truth(one) => one.lookup().into_iter().collect(),
            Self::Compare(left, _, right) => {
                [left, right].into_iter().filter_map(Operand::lookup).collect()
            }
        }
    }
}

impl Operand {
    fn value<'v>(&'v self, values: &'v Value) -> &'v Value {
        match self {
            Self::Lookup(path) => look_up(values, path),
            Self::Literal(value) => value,
        }
    }

    fn lookup(&self) -> Option<&str> {
        match self {
            Self::Lookup(path) => Some(path),
            Self::Literal(_) => None,
        }
    }
}

fn compare(left: &Value, op: Op, right: &Value) -> bool {
    let ordered = |wanted: fn(Ordering) -> bool| order(left, right).is_some_and(wanted);
    match op {
        Op::Equal => equal(left, right),
        Op::Unequal => !equal(left, right),
        Op::Less => ordered(Ordering::is_lt),
        Op::LessOrEqual => ordered(Ordering::is_le),
        Op::Greater => ordered(Ordering::is_gt),
        Op::GreaterOrEqual => ordered(Ordering::is_ge),
        Op::In => right.as_array().is_some_and(|items| items.iter().any(|item| equal(left, item))),
    }
}

/// Numbers by value, whether an answer wrote 3 or 3.0.
fn equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(_), Some(_)) => order(left, right) == Some(Ordering::Equal),
        _ => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: u8,
}

impl<'t> Parser<'t> {
    fn error(&self, message: impl Into<String>) -> ExprError {
        let column = self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1;
        ExprError { text: self.text.into(), column, message: message.into() }
    }

    fn rest(&mut self) -> &'t str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    /// The next word or sign, without taking it; empty at the end.
    fn peek(&mut self) -> &'t str {
        let rest = self.rest();
        let signs = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];
        if let Some(sign) = signs.iter().find(|sign| rest.starts_with(**sign)) {
            return &rest[..sign.len()];
        }
        if let Some(body) = rest.strip_prefix('\'') {
            return body.find('\'').map_or(rest, |end| &rest[..end + 2]);
        }
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        match rest.find(|c| !word(c)) {
            Some(0) => rest.chars().next().map_or("", |c| &rest[..c.len_utf8()]),
            Some(end) => &rest[..end],
            None => rest,
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    fn or(&mut self) -> Result<Expr, ExprError> {
        let first = self.and()?;
        let mut all = vec![first];
        while self.take("or") {
            all.push(self.and()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expr::Or(all) })
    }

    fn and(&mut self) -> Result<Expr, ExprError> {
        let first = self.not()?;
        let mut all = vec![first];
        while self.take("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expr::And(all) })
    }

    fn not(&mut self) -> Result<Expr, ExprError> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX} levels")));
        };
        self.depth = depth;
        let expr = if self.take("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err(self.error("expected ')'"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth = depth + 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, ExprError> {
        let left = self.operand()?;
        let op = match self.peek() {
            "==" => Op::Equal,
            "!=" => Op::Unequal,
            "<" => Op::Less,
            "<=" => Op::LessOrEqual,
            ">" => Op::Greater,
            ">=" => Op::GreaterOrEqual,
            "in" => Op::In,
            "=" => return Err(self.error("'=' compares nothing; write '=='")),
            _ => return Ok(Expr::Truth(left)),
        };
        self.at += self.peek().len();
        Ok(Expr::Compare(left, op, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, ExprError> {
        if self.take("[") {
            return self.list();
        }
        let word = self.peek();
        let operand = match word {
            "" => return Err(self.error("ends where a value is expected")),
            "true" => Operand::Literal(Value::Bool(true)),
            "false" => Operand::Literal(Value::Bool(false)),
            "and" | "or" | "not" | "in" => {
                return Err(self.error(format!("'{word}' stands where a value is expected")));
            }
            _ => self.literal(word)?,
        };
        self.at += word.len();
        Ok(operand)
    }

    fn literal(&self, word: &str) -> Result<Operand, ExprError> {
        if let Some(body) = word.strip_prefix('\'') {
            return match body.strip_suffix('\'') {
                Some(text) => Ok(Operand::Literal(text.into())),
                None => Err(self.error("a text without its closing '")),
            };
        }
        if let Ok(number) = word.parse::<i64>() {
            return Ok(Operand::Literal(number.into()));
        }
        if is_path(word) && word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Ok(Operand::Lookup(word.into()));
        }
        Err(self.error(format!(
            "'{word}' is no value; expected a look-up as in inputs.address, 'text', a whole number, true or false"
        )))
    }

    fn list(&mut self) -> Result<Operand, ExprError> {
        let mut items = Vec::new();
        loop {
            match self.operand()? {
                Operand::Literal(item) => items.push(item),
                Operand::Lookup(path) => {
                    return Err(
                        self.error(format!("'{path}' in a list: only literals stand there"))
                    );
                }
            }
            if self.take("]") {
                return Ok(Operand::Literal(Value::Array(items)));
            }
            if !self.take(",") {
                return Err(self.error("expected ',' or ']'"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(text: &str) -> bool {
        let values = json!({
            "inputs": {"hard": true, "n": 3, "name": "svc-a"},
            "answer": {"status": 200, "body": {"count": 3.0, "blocked": [], "state": "clean"}},
        });
        Expr::parse(text).unwrap().holds(&values)
    }

    #[test]
    fn conditions_mean_what_they_say() {
        for text in [
            "inputs.hard",
            "not inputs.gone",
            "inputs.n == 3 and answer.body.count == inputs.n",
            "inputs.n > 2 and inputs.n <= 3",
            "inputs.name in ['svc-a', 'svc-b']",
            "answer.status == 404 or (inputs.hard and not answer.body.state != 'clean')",
            "inputs.gone == answer.gone",
            "inputs.name < 'svc-b'",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "inputs.n",
            "inputs.gone",
            "inputs.gone > 0",
            "inputs.name == 3",
            "answer.status != 200",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_does_not_read_is_told_with_its_column() {
        for (text, column, part) in [
            ("", 1, "ends where"),
            ("inputs.n = 3", 10, "write '=='"),
            ("inputs.n == ", 13, "ends where"),
            ("inputs.a inputs.b", 10, "one word too many"),
            ("(inputs.a", 10, "expected ')'"),
            ("'open", 1, "closing '"),
            ("system()", 7, "one word too many"),
            ("inputs.a == [inputs.b]", 22, "only literals"),
            ("3.5 > 2", 1, "whole number"),
            ("a; b", 2, "one word too many"),
        ] {
            let error = Expr::parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        }
        let deep = "not ".repeat(40) + "true";
        assert!(Expr::parse(&deep).unwrap_err().message.contains("deeper"));
        assert!(Expr::parse(&format!("{}true{}", "(".repeat(40), ")".repeat(40))).is_err());
    }
}
