//! YAML text becomes nodes that know where they stand: rules and playbooks are read with it, and their errors
//! name line and column. No anchors, no aliases, no repeated keys.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

/// Deeper than any rule goes (the public ones stop at 5); keeps recursion within a thread's stack.
const DEPTH_MAX: u8 = 32;

/// What is wrong or doubtful in a text, and where; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub fn problem(self, message: impl Into<String>) -> Problem {
        Problem { line: self.line, column: self.column, message: message.into() }
    }

    fn of(span: &Span) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: number(span.start.line()), column: number(span.start.col() + 1) }
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub at: Place,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub at: Place,
    pub name: String,
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    pub fn entries(&self) -> &[(Key, Self)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Value::Str(text) = &self.value { Some(text) } else { None }
    }

    /// A scalar as text: the string, or the number or truth value as YAML writes it.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Str(text) => Some(text.clone()),
            Value::Int(n) => Some(n.to_string()),
            Value::Float(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The node itself, or the items of the list that it is.
    pub fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { std::slice::from_ref(self) }
    }

    /// The same as JSON.
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Str(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(key, value)| (key.name.clone(), value.json())).collect()
            }
        }
    }

    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Str(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// The documents of `text`, up to the first error.
pub fn documents(text: &str) -> (Vec<Node>, Option<Problem>) {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(document)) => documents.push(document),
            Ok(None) => return (documents, None),
            Err(problem) => return (documents, Some(problem)),
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, Place::of(&span))),
            Some(Err(error)) => {
                let (line, column) = (error.marker().line(), error.marker().col() + 1);
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let at = Place { line: number(line), column: number(column) };
                // The parser calls both kinds of quotes double ones.
                let quoted = error.info().contains("quoted scalar");
                let hint = if quoted { "; inside single quotes a quote is written ''" } else { "" };
                Err(at.problem(format!("not YAML: {}{hint}", error.info())))
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Problem> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
                (event, at) => return self.node(event, at, DEPTH_MAX).map(Some),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, at: Place, depth: u8) -> Result<Node, Problem> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(at.problem(format!("nested deeper than {DEPTH_MAX} levels")));
        };
        let value = match event {
            Event::Scalar(text, style, 0, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                if plain { resolve(&text) } else { Value::Str(text.into_owned()) }
            }
            Event::SequenceStart(0, _) => self.list(depth)?,
            Event::MappingStart(0, _) => self.map(depth)?,
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..) => {
                return Err(at.problem("anchors and aliases are not accepted; write the value out"));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(at.problem("not YAML: unexpected end")),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: u8) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, at) => items.push(self.node(event, at, depth)?),
            }
        }
    }

    fn map(&mut self, depth: u8) -> Result<Value, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(text, _, 0, _), at) => Key { at, name: text.into_owned() },
                (_, at) => return Err(at.problem("a key has to be a plain string")),
            };
            if entries.iter().any(|(known, _)| known.name == key.name) {
                return Err(key.at.problem(format!(
                    "key '{}' stands twice; YAML would keep only one of them",
                    key.name
                )));
            }
            let (event, at) = self.next()?;
            entries.push((key, self.node(event, at, depth)?));
        }
    }
}

/// What a plain scalar means in YAML 1.2's core schema.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::Str(text.to_owned());
    }
    let radix = |prefix, radix| {
        text.strip_prefix(prefix).and_then(|hex| i64::from_str_radix(hex, radix).ok())
    };
    if let Some(number) = text.parse().ok().or(radix("0x", 16)).or(radix("0o", 8)) {
        return Value::Int(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Float(number),
        Ok(_) | Err(_) => Value::Str(text.to_owned()),
    }
}
