//! What a mapping's values are in ECS, and what holds of each of its events.

use super::super::fields::{add, is_usable, raise_ip};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};
use std::borrow::Cow;

#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) fields: Vec<Row>,
    /// What each event has, unless it says otherwise itself.
    pub(super) constants: Vec<(String, Vec<String>)>,
}

/// One field of ECS.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) target: String,
    /// The mapping's own names; the first that has a value counts.
    pub(super) from: Vec<String>,
    pub(super) form: Form,
    /// What a value becomes; without any, it stays as it is.
    pub(super) values: Vec<(String, String)>,
    /// What a value becomes that `values` has not; without it, such a one is left out.
    pub(super) otherwise: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Same,
    Lower,
    Number,
    /// An address; what is none goes to the `address` beside the `ip`, if ECS has one there.
    Ip,
}

/// Ends of ECS names that hold numbers.
const NUMBERS: [&str; 7] =
    ["port", "bytes", "packets", "pid", "status_code", "severity", "duration"];

impl Form {
    /// As ECS has the field.
    pub(super) fn of(target: &str) -> Self {
        match target.rsplit('.').next() {
            Some("ip") => Self::Ip,
            Some(last) if NUMBERS.contains(&last) => Self::Number,
            Some(_) | None => Self::Same,
        }
    }
}

/// Rows with their names resolved.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Target, the address beside it, sources.
    fields: Vec<(FieldId, Option<FieldId>, Vec<FieldId>)>,
    constants: Vec<FieldId>,
}

impl Rows {
    /// `prefix` is what the mapping's own names stand below.
    pub(super) fn resolve(&self, table: &FieldTable, prefix: &str) -> Resolved {
        let field = |row: &Row| {
            let own = |name: &String| table.intern(&format!("{prefix}.{name}"));
            let from = row.from.iter().map(own).collect();
            (table.intern(&row.target), address_beside(&row.target, table), from)
        };
        Resolved {
            fields: self.fields.iter().map(field).collect(),
            constants: self.constants.iter().map(|(name, _)| table.intern(name)).collect(),
        }
    }

    /// Adds what the event has not yet.
    pub(super) fn apply(&self, resolved: &Resolved, event: &mut ParsedEvent) {
        for (row, (target, address, from)) in self.fields.iter().zip(&resolved.fields) {
            if event.get(*target).is_some() {
                continue;
            }
            let usable = |native: &&FieldId| event.get(**native).is_some_and(is_usable);
            if let Some(native) = from.iter().find(usable) {
                row.apply(event, *target, *address, *native);
            }
        }
        for ((_, values), target) in self.constants.iter().zip(&resolved.constants) {
            if event.get(*target).is_none() {
                for value in values {
                    add(event, *target, value);
                }
            }
        }
    }
}

fn address_beside(target: &str, table: &FieldTable) -> Option<FieldId> {
    let beside = format!("{}.address", target.strip_suffix(".ip")?);
    ecs::NAMES.contains(&beside.as_str()).then(|| table.intern(&beside))
}

impl Row {
    fn apply(
        &self,
        event: &mut ParsedEvent,
        target: FieldId,
        address: Option<FieldId>,
        native: FieldId,
    ) {
        let Some(value) = event.get(native) else { return };
        let text = text_of(value);
        if !self.values.is_empty() {
            let known = self.values.iter().find(|(from, _)| *from == *text).map(|(_, to)| to);
            let text = known.or(self.otherwise.as_ref());
            return text.into_iter().for_each(|text| add(event, target, text));
        }
        match self.form {
            Form::Same => drop(event.alias(target, native)),
            Form::Lower => {
                let lower = text.to_lowercase();
                add(event, target, &lower);
            }
            Form::Ip => {
                let is_address = text.parse::<std::net::IpAddr>().is_ok();
                if is_address || address.is_some() {
                    raise_ip(event, target, address.unwrap_or(target), native);
                }
            }
            Form::Number => match (value, number(&text)) {
                (ValueRef::Str(_), Some(number)) => event.add(target, number),
                (ValueRef::Str(_), None) => {}
                _ => drop(event.alias(target, native)),
            },
        }
    }
}

fn number(text: &str) -> Option<ValueRef<'static>> {
    let float = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(ValueRef::Float);
    text.parse().ok().map(ValueRef::Int).or_else(float)
}

/// A value as a text, numbers and truth values as JSON writes them.
pub(super) fn text_of(value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Str(text) => text.into(),
        ValueRef::Int(number) => number.to_string().into(),
        ValueRef::UInt(number) => number.to_string().into(),
        ValueRef::Float(number) => number.to_string().into(),
        ValueRef::Bool(truth) => truth.to_string().into(),
        ValueRef::Null => "".into(),
    }
}
