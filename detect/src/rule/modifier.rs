//! The modifiers after a field's name: what they make of the values behind it.

use super::{
    Problem,
    pattern::{Pattern, Token},
    suggest::did_you_mean,
    test::{Affix, Asked, Order, Test, TimePart},
    yaml::{Node, Place, Value},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ipnet::IpNet;
use regex::RegexBuilder;
use std::{net::IpAddr, sync::Arc};

/// RELIABILITY §4.
const REGEX_BYTES_MAX: usize = 1 << 10;
/// RELIABILITY §4: memory of one compiled expression.
const REGEX_COMPILED_BYTES_MAX: usize = 1 << 20;

const KNOWN: [&str; 32] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "re",
    "i",
    "m",
    "s",
    "windash",
    "base64",
    "base64offset",
    "wide",
    "utf16",
    "utf16le",
    "utf16be",
    "cidr",
    "fieldref",
    "exists",
    "expand",
    "gt",
    "gte",
    "lt",
    "lte",
    "neq",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "ignorecase",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Text,
    Regex,
    Cidr,
    FieldRef,
    Exists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf16Le,
    Utf16Be,
    /// With the byte order mark.
    Utf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base64 {
    Whole,
    Offsets,
}

/// What the modifiers of one field say, taken together.
#[expect(clippy::struct_excessive_bools, reason = "each is one modifier of Sigma")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Modifiers {
    kind: Kind,
    affix: Affix,
    order: Option<Order>,
    time: Option<TimePart>,
    encoding: Option<Encoding>,
    base64: Option<Base64>,
    regex_flags: String,
    cased: bool,
    windash: bool,
    expand: bool,
    pub(crate) all: bool,
    pub(crate) negated: bool,
}

impl Modifiers {
    pub(crate) fn read<'k>(
        names: impl Iterator<Item = &'k str>,
        at: Place,
    ) -> Result<Self, Problem> {
        let mut modifiers = Self::default();
        for name in names {
            modifiers.add(name, at)?;
        }
        modifiers.consistent().map_err(|message| at.problem(message))?;
        Ok(modifiers)
    }

    fn add(&mut self, name: &str, at: Place) -> Result<(), Problem> {
        match name {
            "contains" => self.affix = Affix::Inside,
            "startswith" => self.affix = Affix::Start,
            "endswith" => self.affix = Affix::End,
            "all" => self.all = true,
            "neq" => self.negated = true,
            "cased" => self.cased = true,
            "windash" => self.windash = true,
            "expand" => self.expand = true,
            "re" => self.kind = Kind::Regex,
            "i" | "ignorecase" => self.regex_flags.push('i'),
            "m" | "multiline" => self.regex_flags.push('m'),
            "s" | "dotall" => self.regex_flags.push('s'),
            "cidr" => self.kind = Kind::Cidr,
            "fieldref" => self.kind = Kind::FieldRef,
            "exists" => self.kind = Kind::Exists,
            "base64" => self.base64 = Some(Base64::Whole),
            "base64offset" => self.base64 = Some(Base64::Offsets),
            "wide" | "utf16le" => self.encoding = Some(Encoding::Utf16Le),
            "utf16be" => self.encoding = Some(Encoding::Utf16Be),
            "utf16" => self.encoding = Some(Encoding::Utf16),
            "lt" => self.order = Some(Order::Lt),
            "lte" => self.order = Some(Order::Lte),
            "gt" => self.order = Some(Order::Gt),
            "gte" => self.order = Some(Order::Gte),
            "minute" => self.time = Some(TimePart::Minute),
            "hour" => self.time = Some(TimePart::Hour),
            "day" => self.time = Some(TimePart::Day),
            "week" => self.time = Some(TimePart::Week),
            "month" => self.time = Some(TimePart::Month),
            "year" => self.time = Some(TimePart::Year),
            _ => {
                let mut hint = did_you_mean(name, KNOWN);
                if hint.is_empty() {
                    hint = format!("; there are: {}", KNOWN.join(", "));
                }
                return Err(at.problem(format!("unknown modifier '{name}'{hint}")));
            }
        }
        Ok(())
    }

    fn consistent(&self) -> Result<(), &'static str> {
        let text = self.kind == Kind::Text && self.order.is_none() && self.time.is_none();
        let shaped = self.windash || self.base64.is_some() || self.encoding.is_some();
        if !self.regex_flags.is_empty() && self.kind != Kind::Regex {
            return Err("modifiers 'i', 'm' and 's' belong behind 're'");
        }
        let expands = self.expand && self.kind != Kind::Cidr;
        if !text && (shaped || expands) {
            return Err("modifiers that change a text do not go with one that reads no text");
        }
        if self.affix != Affix::Whole && !(text || self.kind == Kind::FieldRef) {
            return Err(
                "'contains', 'startswith' and 'endswith' go only with a text; leave one out",
            );
        }
        if self.kind != Kind::Text && (self.order.is_some() || self.time.is_some()) {
            return Err("comparisons of numbers and times take no other kind of modifier");
        }
        if self.encoding.is_some() && self.base64.is_none() && self.affix == Affix::Whole {
            return Err("an encoding needs 'base64', 'base64offset' or 'contains' behind it");
        }
        Ok(())
    }

    /// The questions that one value of the rule asks; several where an encoding has several forms.
    pub(crate) fn ask(&self, node: &Node, keyword: bool) -> Result<Vec<Asked>, Problem> {
        let test = self.test(node, keyword)?;
        let written = node.scalar().unwrap_or_else(|| "null".to_owned());
        Ok(test.into_iter().map(|test| Asked { test, text: written.clone() }).collect())
    }

    fn test(&self, node: &Node, keyword: bool) -> Result<Vec<Test>, Problem> {
        let at = node.at;
        if let Value::List(_) | Value::Map(_) = node.value {
            return Err(at.problem(format!("expected a single value, found {}", node.kind())));
        }
        if self.order.is_some() || self.time.is_some() {
            return self.number(node).map(|test| vec![test]);
        }
        let plain = self.affix == Affix::Whole && !keyword && !self.cased;
        match (&node.value, self.kind) {
            (Value::Null, Kind::Text) if plain => return Ok(vec![Test::Null]),
            (Value::Null, _) => {
                return Err(at.problem("null takes no modifier; quote it if the word is meant"));
            }
            #[expect(clippy::cast_precision_loss, reason = "ids and counts stay below 2^53")]
            (Value::Int(number), Kind::Text) if plain => {
                return Ok(vec![Test::Number(*number as f64)]);
            }
            (Value::Float(number), Kind::Text) if plain => return Ok(vec![Test::Number(*number)]),
            (Value::Bool(wanted), Kind::Exists) => return Ok(vec![Test::Exists(*wanted)]),
            (_, Kind::Exists) => return Err(at.problem("'exists' takes true or false")),
            _ => {}
        }
        let text = node.scalar().unwrap_or_default();
        match self.kind {
            Kind::Text | Kind::Exists => self.text(&text, keyword, at),
            Kind::Regex => self.regex(&text, at).map(|test| vec![test]),
            Kind::Cidr => match self.unfilled(&text, keyword, at) {
                Some(unfilled) => Ok(vec![unfilled]),
                None => cidr(&text, at).map(|test| vec![test]),
            },
            Kind::FieldRef => {
                let field = Arc::from(text.as_str());
                Ok(vec![Test::FieldRef { field, affix: self.affix, cased: self.cased }])
            }
        }
    }

    fn number(&self, node: &Node) -> Result<Test, Problem> {
        let number = node.scalar().and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite()).ok_or_else(|| {
            node.at.problem(format!("expected a number to compare with, found {}", node.kind()))
        })?;
        Ok(match (self.time, self.order) {
            (Some(part), order) => Test::Time(part, order, number),
            (None, Some(order)) => Test::Compare(order, number),
            (None, None) => Test::Number(number),
        })
    }

    fn text(&self, text: &str, keyword: bool, at: Place) -> Result<Vec<Test>, Problem> {
        if let Some(unfilled) = self.unfilled(text, keyword, at) {
            return Ok(vec![unfilled]);
        }
        let mut patterns = vec![Pattern::parse(text)];
        if self.windash {
            patterns = patterns.into_iter().map(Pattern::with_any_dash).collect();
        }
        if self.encoding.is_some() || self.base64.is_some() {
            let Some(literal) = patterns.first().and_then(Pattern::as_literal) else {
                return Err(at.problem("a value to be encoded takes no wildcards; escape them"));
            };
            patterns = self.encode(literal).iter().map(|text| Pattern::literal(text)).collect();
        }
        let inside = self.affix == Affix::Inside || (keyword && self.affix == Affix::Whole);
        let (start, end) =
            (inside || self.affix == Affix::End, inside || self.affix == Affix::Start);
        let ask =
            |pattern: Pattern| Test::Text { pattern: pattern.open(start, end), cased: self.cased };
        Ok(patterns.into_iter().map(ask).collect())
    }

    /// The question as a placeholder that is still to be filled, if `text` has one.
    fn unfilled(&self, text: &str, keyword: bool, at: Place) -> Option<Test> {
        if !self.expand {
            return None;
        }
        let (before, rest) = text.split_once('%')?;
        let (name, after) = rest.split_once('%').filter(|(name, _)| !name.is_empty())?;
        let (name, around) = (name.to_owned(), (before.to_owned(), after.to_owned()));
        let modifiers = self.clone();
        Some(Test::Unfilled(Arc::new(Unfilled { name, at, around, modifiers, keyword })))
    }

    fn encode(&self, text: &str) -> Vec<String> {
        let bytes = match self.encoding {
            None => text.as_bytes().to_vec(),
            Some(Encoding::Utf16Le) => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Some(Encoding::Utf16Be) => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Some(Encoding::Utf16) => {
                let marked = std::iter::once(0xfeff).chain(text.encode_utf16());
                marked.flat_map(u16::to_le_bytes).collect()
            }
        };
        match self.base64 {
            None => vec![String::from_utf8_lossy(&bytes).into_owned()],
            Some(Base64::Whole) => vec![STANDARD.encode(&bytes)],
            Some(Base64::Offsets) => base64_offsets(&bytes),
        }
    }

    fn regex(&self, source: &str, at: Place) -> Result<Test, Problem> {
        if source.len() > REGEX_BYTES_MAX {
            return Err(at.problem(format!(
                "regular expression has {} bytes, the limit is {REGEX_BYTES_MAX}",
                source.len()
            )));
        }
        let flag = |c| self.regex_flags.contains(c);
        let build = |unicode| {
            RegexBuilder::new(source)
                .unicode(unicode)
                .case_insensitive(flag('i'))
                .multi_line(flag('m'))
                .dot_matches_new_line(flag('s'))
                .size_limit(REGEX_COMPILED_BYTES_MAX)
                .build()
        };
        let regex = build(true).or_else(|error| {
            // `\w{1,64}` over all of Unicode is too large where over ASCII it is small.
            let too_big = matches!(error, regex::Error::CompiledTooBig(_));
            if too_big { build(false).map_err(|_| error) } else { Err(error) }
        });
        regex.map(|regex| Test::Regex(Arc::new(regex))).map_err(|error| {
            at.problem(format!("regular expression '{source}': {}", regex_reason(source, &error)))
        })
    }
}

fn regex_reason(source: &str, error: &regex::Error) -> String {
    let look_around = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|form| source.contains(form));
    if look_around {
        return "look-around is not supported: it cannot be run in linear time; write the exclusion \
                as a filter in the condition"
            .to_owned();
    }
    let text = error.to_string();
    text.lines().last().unwrap_or(&text).trim_start_matches("error: ").to_owned()
}

fn cidr(text: &str, at: Place) -> Result<Test, Problem> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(|net| Test::Cidr(net.trunc())).map_err(|_| {
        at.problem(format!("'{text}' is no network; expected a form like 10.0.0.0/8 or fe80::/10"))
    })
}

/// The part of the base64 text that depends on these bytes alone, at each of the three alignments.
fn base64_offsets(bytes: &[u8]) -> Vec<String> {
    const START: [usize; 3] = [0, 2, 3];
    const CUT: [usize; 3] = [0, 3, 2];
    let form = |offset: usize| {
        let mut padded = vec![b' '; offset];
        padded.extend_from_slice(bytes);
        let text = STANDARD.encode(&padded);
        let end = text.len() - CUT[padded.len() % 3];
        text.get(START[offset]..end).unwrap_or_default().to_owned()
    };
    (0..3).map(form).filter(|text| !text.is_empty()).collect()
}

/// A question with `%name%` in it, which a list of that name fills.
#[derive(Clone, Debug)]
pub(crate) struct Unfilled {
    pub(crate) name: String,
    pub(crate) at: Place,
    /// What stands before and behind it.
    around: (String, String),
    modifiers: Modifiers,
    keyword: bool,
}

impl Unfilled {
    /// The questions with one value of a list: a text as it stands, in which nothing is a wildcard. None where the
    /// value is not of the kind that is asked for.
    pub(crate) fn with(&self, value: &str) -> Vec<Asked> {
        let (before, after) = &self.around;
        let is_text = self.modifiers.kind == Kind::Text;
        let value = if is_text { escaped(value) } else { value.to_owned() };
        let text = format!("{before}{value}{after}");
        let node = Node { at: self.at, value: Value::Str(text) };
        self.modifiers.ask(&node, self.keyword).unwrap_or_default()
    }
}

/// With a backslash before what a pattern would take for more than itself.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '*' | '?' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

impl Test {
    /// `*` and nothing else.
    pub(crate) fn is_any_text(&self) -> bool {
        matches!(self, Self::Text { pattern, .. } if pattern.tokens() == [Token::Many])
    }
}
