//! The condition of a rule: text becomes an expression over its searches.

use super::{Problem, pattern::Pattern, suggest::did_you_mean, yaml::Place};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    /// The search at this place of the detection.
    Search(usize),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

impl Expr {
    /// Whether it holds where `is_true` answers for the searches.
    pub(crate) fn holds(&self, is_true: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Search(index) => is_true(*index),
            Self::All(terms) => terms.iter().all(|term| term.holds(is_true)),
            Self::Any(terms) => terms.iter().any(|term| term.holds(is_true)),
            Self::Not(inner) => !inner.holds(is_true),
        }
    }
}

/// A condition nests no deeper than this; the public rules stop at 4.
const DEPTH_MAX: u8 = 64;

/// Reads `text`, whose searches have these names.
pub(crate) fn read(text: &str, names: &[String], at: Place) -> Result<Expr, Problem> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, next: 0, names, at, depth: DEPTH_MAX };
    let expr = reader.any()?;
    match reader.peek() {
        None => Ok(expr),
        Some("|") => Err(at.problem(
            "aggregations after '|' are no longer Sigma; write a correlation rule instead",
        )),
        Some(token) => Err(at.problem(format!("condition: unexpected '{token}'"))),
    }
}

fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if matches!(first, '(' | ')' | '|') {
            1
        } else {
            rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|'))
                .unwrap_or(rest.len())
        };
        let (token, after) = rest.split_at(len);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

struct Reader<'t> {
    tokens: &'t [&'t str],
    next: usize,
    names: &'t [String],
    at: Place,
    depth: u8,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn problem(&self, message: impl std::fmt::Display) -> Problem {
        self.at.problem(format!("condition: {message}"))
    }

    fn any(&mut self) -> Result<Expr, Problem> {
        let mut terms = vec![self.all()?];
        while self.take("or") {
            terms.push(self.all()?);
        }
        Ok(one_or(terms, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, Problem> {
        let mut terms = vec![self.not()?];
        while self.take("and") {
            terms.push(self.not()?);
        }
        Ok(one_or(terms, Expr::All))
    }

    fn not(&mut self) -> Result<Expr, Problem> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| self.problem("nested too deep"))?;
        let expr = if self.take("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.any()?;
            if !self.take(")") {
                return Err(self.problem("a '(' is not closed"));
            }
            inner
        } else {
            self.term()?
        };
        self.depth += 1;
        Ok(expr)
    }

    fn term(&mut self) -> Result<Expr, Problem> {
        let Some(token) = self.peek() else {
            return Err(self.problem("ends where a search was expected"));
        };
        self.next += 1;
        if self.take("of") {
            return self.quantified(token);
        }
        self.names.iter().position(|name| name == token).map(Expr::Search).ok_or_else(|| {
            let hint = did_you_mean(token, self.names.iter().map(String::as_str));
            self.problem(format_args!("no search is called '{token}'{hint}"))
        })
    }

    fn quantified(&mut self, quantifier: &str) -> Result<Expr, Problem> {
        let Some(target) = self.peek() else {
            return Err(self.problem(format_args!("'{quantifier} of' what?")));
        };
        self.next += 1;
        let searches: Vec<Expr> = self.chosen(target).into_iter().map(Expr::Search).collect();
        if searches.is_empty() {
            return Err(self.problem(format_args!("no search matches '{target}'")));
        }
        match quantifier.to_ascii_lowercase().as_str() {
            "1" | "any" => Ok(one_or(searches, Expr::Any)),
            "all" => Ok(one_or(searches, Expr::All)),
            other => Err(self.problem(format_args!(
                "'{other} of' is not Sigma; expected '1 of', 'any of' or 'all of'"
            ))),
        }
    }

    /// The searches that `target` names. Those that begin with `_` are not among `them`, nor among
    /// patterns that do not begin so themselves.
    fn chosen(&self, target: &str) -> Vec<usize> {
        let all = target.eq_ignore_ascii_case("them");
        let pattern = Pattern::parse(if all { "*" } else { target });
        let hidden = |name: &str| name.starts_with('_') && !target.starts_with('_');
        let chosen = |name: &String| pattern.matches(name) && !hidden(name);
        (0..).zip(self.names).filter(|(_, name)| chosen(name)).map(|(index, _)| index).collect()
    }
}

/// A list of one is that one.
pub(crate) fn one_or<T>(mut terms: Vec<T>, many: impl FnOnce(Vec<T>) -> T) -> T {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        Some(last) => {
            terms.push(last);
            many(terms)
        }
        None => many(terms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["selection", "filter_a", "filter_b", "_hidden", "keywords"];

    fn print(expr: &Expr) -> String {
        let list = |terms: &[Expr]| terms.iter().map(print).collect::<Vec<_>>().join(" ");
        match expr {
            Expr::Search(index) => NAMES[*index].to_owned(),
            Expr::All(terms) => format!("(and {})", list(terms)),
            Expr::Any(terms) => format!("(or {})", list(terms)),
            Expr::Not(inner) => format!("(not {})", print(inner)),
        }
    }

    #[track_caller]
    fn check(condition: &str, expected: &str) {
        let names = NAMES.map(str::to_owned);
        let read = read(condition, &names, Place { line: 1, column: 1 });
        assert_eq!(read.map_or_else(|problem| problem.message, |expr| print(&expr)), expected);
    }

    #[test]
    fn not_binds_before_and_before_or() {
        check("selection", "selection");
        check(
            "selection and not filter_a or keywords",
            "(or (and selection (not filter_a)) keywords)",
        );
        check("selection AND (filter_a OR keywords)", "(and selection (or filter_a keywords))");
        check("not not selection", "(not (not selection))");
    }

    #[test]
    fn quantifiers_choose_by_name_and_leave_hidden_searches_out() {
        check("selection and not 1 of filter_*", "(and selection (not (or filter_a filter_b)))");
        check("all of them", "(and selection filter_a filter_b keywords)");
        check("any of _*", "_hidden");
        check("1 of selection*", "selection");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        check("selektion", "condition: no search is called 'selektion'; did you mean 'selection'?");
        check("1 of filtre_*", "condition: no search matches 'filtre_*'");
        check("(selection", "condition: a '(' is not closed");
        check("selection and", "condition: ends where a search was expected");
        check("selection filter_a", "condition: unexpected 'filter_a'");
        check(
            "selection | count() > 5",
            "aggregations after '|' are no longer Sigma; write a correlation rule instead",
        );
        check(
            "2 of filter_*",
            "condition: '2 of' is not Sigma; expected '1 of', 'any of' or 'all of'",
        );
    }
}
