//! Query text → [`Query`], by recursive descent. Every error says its column and what would be right.

use super::{
    Node, Query,
    lex::{Lexer, Word},
    pattern::Sign,
    test::{Bound, Leaf, Target, Test},
};
use crate::error::{QueryError, QueryFault};

/// A person's query is a line; what a program generates (10,000 addresses) belongs in a list.
const CHARS_MAX: usize = 32_768;
/// Recursion stays within 64 × about 500 bytes of stack.
const DEPTH_MAX: usize = 64;
/// Each costs a look at every event that is read.
const LEAVES_MAX: usize = 1_024;

pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    let mut parser = Parser { lexer: Lexer::new(text), leaves: Vec::new(), depth: 0 };
    if parser.lexer.len() > CHARS_MAX {
        return Err(QueryError::new(
            QueryFault::TooLong,
            CHARS_MAX + 1,
            format!("longer than {CHARS_MAX} characters"),
        ));
    }
    parser.lexer.skip_spaces();
    let root = match parser.lexer.peek() {
        None => Node::All,
        Some(_) => parser.or(None)?,
    };
    if parser.lexer.peek().is_some() {
        return Err(QueryError::new(
            QueryFault::StrayParenthesis,
            parser.lexer.column(),
            "this ')' closes nothing",
        ));
    }
    let sees_rejected = parser.leaves.iter().any(|leaf| leaf.target.shows_rejected());
    Ok(Query { root, leaves: parser.leaves, sees_rejected, before: None })
}

struct Parser {
    lexer: Lexer,
    leaves: Vec<Leaf>,
    depth: usize,
}

impl Parser {
    /// Alternatives, each a run of conditions. Inside `field:( … )` the field is given.
    fn or(&mut self, field: Option<&Target>) -> Result<Node, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} parentheses");
            return Err(QueryError::new(QueryFault::TooDeep, self.lexer.column(), message));
        }
        let mut nodes = vec![self.and(field)?];
        while self.lexer.sees_keyword("or") {
            self.operator("or", field)?;
            nodes.push(self.and(field)?);
        }
        self.depth -= 1;
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::Or(nodes) })
    }

    fn and(&mut self, field: Option<&Target>) -> Result<Node, QueryError> {
        let mut nodes = vec![self.not(field)?];
        loop {
            self.lexer.skip_spaces();
            if self.lexer.sees_keyword("and") {
                self.operator("and", field)?;
            } else if matches!(self.lexer.peek(), None | Some(')')) || self.lexer.sees_keyword("or")
            {
                break;
            }
            nodes.push(self.not(field)?);
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::And(nodes) })
    }

    fn not(&mut self, field: Option<&Target>) -> Result<Node, QueryError> {
        let mut negated = false;
        self.lexer.skip_spaces();
        while self.lexer.sees_keyword("not") {
            self.operator("not", field)?;
            negated = !negated;
        }
        let node = self.primary(field)?;
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    /// Takes an operator, and makes sure that something follows it.
    fn operator(&mut self, name: &str, field: Option<&Target>) -> Result<(), QueryError> {
        let column = self.lexer.column();
        self.lexer.word(field.is_none())?;
        self.lexer.skip_spaces();
        if matches!(self.lexer.peek(), None | Some(')')) {
            let message =
                format!("nothing follows '{name}'; to search for the word, write \"{name}\"");
            return Err(QueryError::new(QueryFault::NothingFollows, column, message));
        }
        Ok(())
    }

    fn primary(&mut self, field: Option<&Target>) -> Result<Node, QueryError> {
        let column = self.lexer.column();
        if self.lexer.eat('(') {
            return self.parenthesis(column, field);
        }
        if self.lexer.peek() == Some(')') {
            return Err(QueryError::new(
                QueryFault::ConditionMissing,
                column,
                "a condition is missing before this ')'",
            ));
        }
        let word = self.lexer.word(field.is_none())?;
        if ["and", "or"].iter().any(|keyword| word.is_keyword(keyword)) {
            let message =
                "a condition is missing before this operator; to search for the word, quote it";
            return Err(QueryError::new(QueryFault::ConditionMissing, column, message));
        }
        match field {
            Some(field) => self.value(field, &word),
            None => self.condition(&word),
        }
    }

    fn parenthesis(&mut self, column: usize, field: Option<&Target>) -> Result<Node, QueryError> {
        self.lexer.skip_spaces();
        if self.lexer.peek() == Some(')') {
            return Err(QueryError::new(
                QueryFault::EmptyParentheses,
                column,
                "nothing stands between these parentheses",
            ));
        }
        let node = self.or(field)?;
        if self.lexer.eat(')') {
            return Ok(node);
        }
        Err(QueryError::new(
            QueryFault::OpenParenthesis,
            column,
            "this '(' is never closed; end it with ')'",
        ))
    }

    /// What a word outside any field begins: `field:…`, `field >= …`, or free text.
    fn condition(&mut self, word: &Word) -> Result<Node, QueryError> {
        if self.lexer.eat(':') {
            let target = name(word)?;
            self.lexer.skip_spaces();
            let column = self.lexer.column();
            if self.lexer.eat('(') {
                return self.parenthesis(column, Some(&target));
            }
            let value = self.lexer.word(false)?;
            return self.value(&target, &value);
        }
        self.lexer.skip_spaces();
        let column = self.lexer.column();
        if let Some(sign @ ('<' | '>')) = self.lexer.peek() {
            let target = name(word)?;
            self.lexer.eat(sign);
            let bound = Bound::of(sign, self.lexer.eat('='));
            self.lexer.skip_spaces();
            let value = self.lexer.word(false)?;
            if value.signs.is_empty() && !value.quoted {
                return Err(QueryError::new(
                    QueryFault::ValueMissing,
                    column,
                    "a value is missing after this operator",
                ));
            }
            let test = Test::range(&target, bound, &value)?;
            return self.leaf(target, test, column);
        }
        if let Some(Sign::Char('=' | '!')) = word.signs.first()
            && !word.quoted
        {
            let message = "no such operator; write field:value, or not field:value";
            return Err(QueryError::new(QueryFault::NoSuchOperator, word.column, message));
        }
        self.value(&Target::Text, word)
    }

    fn value(&mut self, target: &Target, word: &Word) -> Result<Node, QueryError> {
        if word.signs.is_empty() && !word.quoted {
            let message = "a value is missing after ':'; field:* asks whether the field exists";
            return Err(QueryError::new(QueryFault::ValueMissing, word.column, message));
        }
        let test = Test::of(target, word)?;
        if test == Test::Exists && *target == Target::Text {
            return Ok(Node::All);
        }
        self.leaf(target.clone(), test, word.column)
    }

    fn leaf(&mut self, target: Target, test: Test, column: usize) -> Result<Node, QueryError> {
        if self.leaves.len() >= LEAVES_MAX {
            return Err(QueryError::new(
                QueryFault::TooManyConditions,
                column,
                format!("more than {LEAVES_MAX} conditions"),
            ));
        }
        self.leaves.push(Leaf { target, test });
        Ok(Node::Leaf(self.leaves.len() - 1))
    }
}

/// The field that a word before `:` or a comparison names.
fn name(word: &Word) -> Result<Target, QueryError> {
    let Some(name) = word.literal() else {
        let message = "a field's name has no wildcards; join several fields with 'or'";
        return Err(QueryError::new(QueryFault::WildcardInName, word.column, message));
    };
    let first = name.chars().next();
    if first.is_none() {
        let message = "a field's name is missing here; to search for signs, quote them";
        return Err(QueryError::new(QueryFault::NameMissing, word.column, message));
    }
    if !first.is_some_and(|c| c.is_alphabetic() || c == '_' || c == '@') && !word.quoted {
        let message = format!("'{name}' is no field's name; to search for text with ':', quote it");
        return Err(QueryError::new(QueryFault::NoName, word.column, message));
    }
    Ok(Target::named(&name))
}
