//! A playbook's inputs: declared with a type, given by a person or found in an alert, checked before anything
//! else sees them.

use crate::rejection::Rejection;
use custos_event::{Alert, Entity, EntityKind, respond::InputValue};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

/// Names of accounts and doors are cut at this by the detections too.
const NAME_CHARS_MAX: usize = 256;
const TEXT_CHARS_MAX: usize = 4_000;
/// A year: longer is no time that a playbook waits.
const DURATION_SECS_MAX: u64 = 366 * 86_400;

/// What an input may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    Text,
    Address,
    User,
    Door,
    Number,
    Duration,
    Bool,
}

/// Where an input's value comes from when an alert is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// `alert.entities.KIND`: the first of that kind.
    Entity(EntityKind),
    /// `alert.title`, `alert.rule`, `alert.level`
    Title,
    Rule,
    Level,
}

/// One declared input.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: String,
    pub kind: InputKind,
    /// For the person who fills it in.
    pub title: String,
    pub title_zh: String,
    pub from: Option<From>,
    pub default: Option<InputValue>,
}

impl InputKind {
    pub const NAMES: [&str; 7] = ["text", "address", "user", "door", "number", "duration", "bool"];

    pub fn of(name: &str) -> Option<Self> {
        let kinds = [
            Self::Text,
            Self::Address,
            Self::User,
            Self::Door,
            Self::Number,
            Self::Duration,
            Self::Bool,
        ];
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        kinds.get(at).copied()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Address => "address",
            Self::User => "user",
            Self::Door => "door",
            Self::Number => "number",
            Self::Duration => "duration",
            Self::Bool => "bool",
        }
    }

    /// The typed value of what was written; the error says what would hold.
    pub fn read(self, written: &str) -> Result<InputValue, String> {
        let written = written.trim();
        match self {
            Self::Text => text(written).map(InputValue::Text),
            Self::User => name(written).map(InputValue::User),
            Self::Door => name(written).map(InputValue::Door),
            Self::Address => {
                let address: Option<IpAddr> = written.parse().ok();
                address
                    .map(|address| InputValue::Address(address.to_canonical()))
                    .ok_or_else(|| format!("'{written}' is no IP address, as in 203.0.113.7"))
            }
            Self::Number => {
                let number = written.parse().map(InputValue::Number);
                number.map_err(|_| format!("'{written}' is no whole number"))
            }
            Self::Duration => duration(written).map(InputValue::Duration),
            Self::Bool => match written {
                "true" => Ok(InputValue::Bool(true)),
                "false" => Ok(InputValue::Bool(false)),
                _ => Err(format!("'{written}' is neither true nor false")),
            },
        }
    }
}

impl From {
    pub fn of(text: &str) -> Option<Self> {
        match text {
            "alert.title" => Some(Self::Title),
            "alert.rule" => Some(Self::Rule),
            "alert.level" => Some(Self::Level),
            _ => {
                let kind = text.strip_prefix("alert.entities.")?;
                serde_json::from_value(Value::String(kind.into())).ok().map(Self::Entity)
            }
        }
    }

    fn find(self, alert: &Alert) -> Option<&str> {
        match self {
            Self::Entity(kind) => entity(&alert.entities, kind),
            Self::Title => Some(&alert.title),
            Self::Rule => Some(&alert.rule.0),
            Self::Level => Some(&alert.level),
        }
    }
}

fn entity(entities: &[Entity], kind: EntityKind) -> Option<&str> {
    entities.iter().find(|entity| entity.kind == kind).map(|entity| entity.value.as_str())
}

/// Seconds of `90s`, `15m`, `4h`, `2d`; a bare number is of seconds.
pub fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no duration; write 90s, 15m, 4h or 2d");
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (text.strip_suffix('s'), 1),
        Some(b'm') => (text.strip_suffix('m'), 60),
        Some(b'h') => (text.strip_suffix('h'), 3_600),
        Some(b'd') => (text.strip_suffix('d'), 86_400),
        _ => (Some(text), 1),
    };
    let number: u64 = number.and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let secs = number.checked_mul(unit).ok_or_else(wrong)?;
    if secs == 0 || secs > DURATION_SECS_MAX {
        return Err(format!("'{text}' is out of range; 1s to 366d are possible"));
    }
    Ok(secs)
}

fn text(written: &str) -> Result<String, String> {
    let shown = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if written.chars().count() > TEXT_CHARS_MAX || !written.chars().all(shown) {
        return Err(format!("has control characters, or more than {TEXT_CHARS_MAX} characters"));
    }
    Ok(written.to_owned())
}

fn name(written: &str) -> Result<String, String> {
    let fits = !written.is_empty() && written.chars().count() <= NAME_CHARS_MAX;
    if !fits || written.chars().any(char::is_control) {
        return Err(format!(
            "is no name of 1 to {NAME_CHARS_MAX} characters without control characters"
        ));
    }
    Ok(written.to_owned())
}

/// The value as look-ups see it.
pub fn json(value: &InputValue) -> Value {
    match value {
        InputValue::Text(text) | InputValue::User(text) | InputValue::Door(text) => {
            text.clone().into()
        }
        InputValue::Address(address) => address.to_string().into(),
        InputValue::Number(number) => (*number).into(),
        InputValue::Duration(secs) => (*secs).into(),
        InputValue::Bool(truth) => (*truth).into(),
    }
}

/// All inputs of a run: what a person gave, else what the alert says, else the default.
pub fn fill(
    declared: &[Input],
    given: &BTreeMap<String, Value>,
    alert: Option<&Alert>,
) -> Result<BTreeMap<String, InputValue>, Rejection> {
    if let Some(unknown) = given.keys().find(|name| declared.iter().all(|i| i.name != **name)) {
        let known: Vec<_> = declared.iter().map(|input| input.name.as_str()).collect();
        let text =
            format!("there is no input '{unknown}'; this playbook has: {}", known.join(", "));
        return Err(Rejection::wrong(text));
    }
    let mut filled = BTreeMap::new();
    for input in declared {
        let written = match given.get(&input.name) {
            Some(Value::Null) | None => {
                input.from.zip(alert).and_then(|(from, alert)| from.find(alert)).map(str::to_owned)
            }
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let value = match written {
            Some(written) => input
                .kind
                .read(&written)
                .map_err(|why| Rejection::wrong(format!("input '{}' {why}", input.name)))?,
            None => input.default.clone().ok_or_else(|| {
                let (name, kind) = (&input.name, input.kind.name());
                Rejection::wrong(format!("input '{name}' has no value; give it, as {kind}"))
            })?,
        };
        filled.insert(input.name.clone(), value);
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_becomes_a_typed_value_or_is_refused() {
        let read = |kind: InputKind, text| kind.read(text).ok();
        assert_eq!(read(InputKind::Duration, "4h"), Some(InputValue::Duration(14_400)));
        assert_eq!(read(InputKind::Duration, "90"), Some(InputValue::Duration(90)));
        let mapped = read(InputKind::Address, "::ffff:10.0.0.1");
        assert_eq!(mapped, Some(InputValue::Address([10, 0, 0, 1].into())));
        for (kind, text) in [
            (InputKind::Address, "203.0.113.7; rm -rf /"),
            (InputKind::Address, "203.0.113.0/24"),
            (InputKind::User, ""),
            (InputKind::User, "a\r\nBcc: b"),
            (InputKind::Door, "a\u{0}"),
            (InputKind::Number, "3.5"),
            (InputKind::Duration, "0s"),
            (InputKind::Duration, "99999999999999999999d"),
            (InputKind::Duration, "-4h"),
            (InputKind::Bool, "yes"),
            (InputKind::Text, "a\u{1b}[2J"),
        ] {
            assert_eq!(read(kind, text), None, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn a_given_value_goes_before_the_default_and_a_missing_one_is_named() {
        let input = |name: &str, default: Option<i64>| Input {
            name: name.into(),
            kind: InputKind::Number,
            title: String::new(),
            title_zh: String::new(),
            from: None,
            default: default.map(InputValue::Number),
        };
        let declared = [input("n", Some(3)), input("must", None)];
        let given = BTreeMap::from([("must".to_owned(), Value::from(1))]);
        let filled = fill(&declared, &given, None).unwrap();
        assert_eq!(filled["n"], InputValue::Number(3));
        let missing = fill(&declared, &BTreeMap::new(), None).unwrap_err();
        assert!(missing.to_string().contains("'must' has no value"), "{missing}");
        let given = BTreeMap::from([("mist".to_owned(), Value::from(1))]);
        let unknown = fill(&declared, &given, None).unwrap_err();
        assert!(unknown.to_string().contains("this playbook has: n, must"), "{unknown}");
    }
}
