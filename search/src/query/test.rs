//! One condition: which values it looks at and what it asks of each.

use super::{
    lex::Word,
    pattern::{Pattern, Sign},
    words::{WORD_CHARS_MAX, Words, fold, folds_to, is_ideograph},
};
use crate::error::{QueryError, QueryFault};
use custos_event::{Timestamp, ValueRef};
use ipnet::IpNet;
use std::{
    borrow::Cow,
    cmp::Ordering,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// A condition of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) target: Target,
    pub(crate) test: Test,
}

/// Which values a condition looks at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// Every value, and the raw text where no generic parse reads it.
    Text,
    /// `@timestamp`: when it happened.
    Time,
    /// `event.ingested`: when it was received.
    Received,
    /// `custos.source`: the configured source it came by.
    Source,
    Field {
        name: Arc<str>,
        kind: Kind,
    },
}

/// How the values of a field are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole, as text.
    Value,
    /// Whole, as an address where it reads as one.
    Address,
    /// Word by word.
    Prose,
}

impl Target {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "_raw" => Self::Text,
            "@timestamp" => Self::Time,
            "event.ingested" => Self::Received,
            "custos.source" => Self::Source,
            name => Self::Field { kind: Kind::of(name), name: name.into() },
        }
    }

    pub(crate) fn shows_rejected(&self) -> bool {
        matches!(self, Self::Field { name, .. } if matches!(&**name, "event.kind" | "error.message"))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Text => Kind::Prose,
            Self::Field { kind, .. } => *kind,
            Self::Time | Self::Received | Self::Source => Kind::Value,
        }
    }
}

impl Kind {
    pub(crate) fn of(name: &str) -> Self {
        if matches!(name, "message" | "error.message") {
            Self::Prose
        } else if name.rsplit(['.', '_']).next() == Some("ip") {
            Self::Address
        } else {
            Self::Value
        }
    }
}

/// What is asked of a value. One value that answers yes is enough.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// Any value but null.
    Exists,
    /// One of these texts, folded; or an address in the net.
    Equal {
        texts: Vec<String>,
        net: Option<IpNet>,
    },
    Like(Pattern),
    Compare(Bound, Limit),
    /// These words, next to each other.
    Words(Vec<WordTest>),
    /// A header time is this instant.
    At(Timestamp),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WordTest {
    Is(String),
    Like(Pattern),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// What a value is compared with, read in this order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Limit {
    Number(f64),
    Time(Timestamp),
    Address(Ipv6Addr),
    Text(String),
}

impl Bound {
    pub(crate) fn of(sign: char, or_equal: bool) -> Self {
        match (sign, or_equal) {
            ('<', false) => Self::Below,
            ('<', true) => Self::AtMost,
            (_, false) => Self::Above,
            (_, true) => Self::AtLeast,
        }
    }

    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Below => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Above => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

/// Words of one phrase; a bit each while it is matched.
const PHRASE_WORDS_MAX: usize = 63;

impl Test {
    pub(crate) fn of(target: &Target, word: &Word) -> Result<Self, QueryError> {
        let pattern = Pattern::new(&word.signs);
        if !word.quoted && pattern.is_anything() {
            return Ok(Self::Exists);
        }
        if matches!(target, Target::Time | Target::Received) {
            return instant(&pattern, word.column).map(Self::At);
        }
        if target.kind() == Kind::Prose {
            return phrase(&word.signs, word.column);
        }
        match pattern.literal() {
            None => Ok(Self::Like(pattern)),
            Some(folded) => Ok(equal(target.kind(), folded, &word.literal().unwrap_or_default())),
        }
    }

    pub(crate) fn range(target: &Target, bound: Bound, word: &Word) -> Result<Self, QueryError> {
        let pattern = Pattern::new(&word.signs);
        if *target == Target::Text {
            let message = "free text has no order; compare a field";
            return Err(QueryError::new(QueryFault::NoOrder, word.column, message));
        }
        if matches!(target, Target::Time | Target::Received) {
            return instant(&pattern, word.column).map(|at| Self::Compare(bound, Limit::Time(at)));
        }
        let (Some(text), Some(folded)) = (word.literal(), pattern.literal()) else {
            let message = "a comparison takes no wildcards; escape the sign with '\\'";
            return Err(QueryError::new(QueryFault::WildcardInComparison, word.column, message));
        };
        let limit = if let Some(number) = number(&text) {
            Limit::Number(number)
        } else if let Ok(time) = text.parse::<Timestamp>() {
            Limit::Time(time)
        } else if let Ok(address) = text.parse::<IpAddr>() {
            Limit::Address(mapped(address))
        } else {
            Limit::Text(folded)
        };
        Ok(Self::Compare(bound, limit))
    }
}

fn instant(pattern: &Pattern, column: usize) -> Result<Timestamp, QueryError> {
    let text = pattern.literal().unwrap_or_default().to_ascii_uppercase();
    text.parse().map_err(|_| {
        QueryError::new(
            QueryFault::NoTime,
            column,
            "no time; write RFC 3339, as in 2026-11-24T08:00:00Z, no wildcards",
        )
    })
}

/// A finite number, however it is spelled.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// IPv4 in its IPv6 place, so that one order covers both.
pub(crate) fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn equal(kind: Kind, folded: String, text: &str) -> Test {
    let net = if text.contains('/') { text.parse().ok() } else { None };
    let mut texts = Vec::with_capacity(2);
    if kind == Kind::Address
        && let Ok(address) = text.parse::<IpAddr>()
    {
        texts.push(address.to_canonical().to_string());
        return Test::Equal { texts, net };
    }
    let plain = match (text.parse::<i64>(), text.parse::<u64>(), number(text)) {
        (Ok(number), _, _) => Some(number.to_string()),
        (_, Ok(number), _) => Some(number.to_string()),
        (_, _, Some(number)) => Some(number.to_string()),
        (_, _, None) => None,
    };
    texts.extend(plain.filter(|plain| *plain != folded));
    texts.push(folded);
    Test::Equal { texts, net }
}

/// Cuts a phrase into words as [`Words`] cuts a text; wildcards belong to the word they touch.
fn phrase(signs: &[Sign], column: usize) -> Result<Test, QueryError> {
    let mut words: Vec<Vec<Sign>> = vec![Vec::new()];
    for sign in signs {
        let last = words.last_mut();
        match (sign, last) {
            (Sign::Char(c), _) if is_ideograph(*c) => words.extend([vec![*sign], Vec::new()]),
            (Sign::Char(c), _) if !c.is_alphanumeric() => words.push(Vec::new()),
            (_, Some(last)) => last.push(*sign),
            (_, None) => {}
        }
    }
    let is_word = |word: &Vec<Sign>| word.iter().any(|sign| *sign != Sign::Any);
    let tests: Vec<_> =
        words.iter().filter(|word| is_word(word)).map(|word| one_word(word)).collect();
    if tests.is_empty() {
        let message = "no letter or digit to search for";
        return Err(QueryError::new(QueryFault::NothingToSearch, column, message));
    }
    if tests.len() > PHRASE_WORDS_MAX {
        let message = format!("a phrase of more than {PHRASE_WORDS_MAX} words; search for a part");
        return Err(QueryError::new(QueryFault::PhraseTooLong, column, message));
    }
    Ok(Test::Words(tests))
}

fn one_word(signs: &[Sign]) -> WordTest {
    let has_wildcard = signs.iter().any(|sign| !matches!(sign, Sign::Char(_)));
    let cut = if has_wildcard { signs } else { signs.get(..WORD_CHARS_MAX).unwrap_or(signs) };
    let pattern = Pattern::new(cut);
    pattern.literal().map_or(WordTest::Like(pattern), WordTest::Is)
}

impl WordTest {
    fn fits(&self, word: &str) -> bool {
        match self {
            Self::Is(text) => text == word,
            Self::Like(pattern) => pattern.fits(word),
        }
    }
}

/// Whether the words stand next to each other somewhere in `text`.
pub(crate) fn has_words(text: &str, tests: &[WordTest]) -> bool {
    let (mut walk, mut word) = (Words::new(text), String::new());
    // Bit k: the first k words were just read.
    let mut begun: u64 = 1;
    while walk.next_into(&mut word).is_some() {
        let mut next = 1;
        for (k, test) in tests.iter().enumerate() {
            if begun & (1 << k) != 0 && test.fits(&word) {
                if k + 1 == tests.len() {
                    return true;
                }
                next |= 1 << (k + 1);
            }
        }
        begun = next;
    }
    false
}

/// A value as the text it is compared by: its own, or an address in its one usual spelling.
pub(crate) fn comparable(kind: Kind, value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Str(text) if kind == Kind::Address => match text.parse::<IpAddr>() {
            Ok(address) => Cow::Owned(address.to_canonical().to_string()),
            Err(_) => Cow::Borrowed(text),
        },
        ValueRef::Str(text) => Cow::Borrowed(text),
        ValueRef::Null => Cow::Borrowed(""),
        ValueRef::Bool(_) | ValueRef::Int(_) | ValueRef::UInt(_) | ValueRef::Float(_) => {
            Cow::Owned(value.to_string())
        }
    }
}

/// Whether one value, not null, answers yes.
pub(crate) fn passes(test: &Test, kind: Kind, value: ValueRef<'_>) -> bool {
    match test {
        Test::Exists => true,
        Test::At(_) => false,
        Test::Equal { texts, net } => {
            let own = comparable(kind, value);
            texts.iter().any(|wanted| folds_to(&own, wanted))
                || net.is_some_and(|net| {
                    own.parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip.to_canonical()))
                })
        }
        Test::Like(pattern) => pattern.fits(&fold(&comparable(kind, value))),
        Test::Words(words) => has_words(&comparable(kind, value), words),
        Test::Compare(bound, limit) => {
            compare(value, kind, limit).is_some_and(|order| bound.holds(order))
        }
    }
}

/// How a value stands to a limit; `None` where it cannot be read as such a thing.
fn compare(value: ValueRef<'_>, kind: Kind, limit: &Limit) -> Option<Ordering> {
    match limit {
        Limit::Number(limit) => {
            value.as_f64().filter(|number| number.is_finite())?.partial_cmp(limit)
        }
        Limit::Time(limit) => Some(value.as_str()?.parse::<Timestamp>().ok()?.cmp(limit)),
        Limit::Address(limit) => Some(mapped(value.as_str()?.parse().ok()?).cmp(limit)),
        Limit::Text(limit) => Some(fold(&comparable(kind, value)).as_ref().cmp(limit)),
    }
}
