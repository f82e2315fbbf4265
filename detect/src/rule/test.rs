//! What a rule asks of one value.

use super::{modifier::Unfilled, pattern::Pattern};
use ipnet::IpNet;
use regex::Regex;
use std::sync::Arc;

/// One value of an item: the question, and the value as the rule writes it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) test: Test,
    pub(crate) text: String,
}

impl Asked {
    /// Whether this stands for a placeholder that nobody has filled.
    pub(crate) fn is_unfilled(&self) -> bool {
        matches!(self.test, Test::Unfilled(_))
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// The pattern covers the value's text; letters of any case unless `cased`.
    Text {
        pattern: Pattern,
        cased: bool,
    },
    /// The value is this number or spells it.
    Number(f64),
    Compare(Order, f64),
    /// No value there.
    Null,
    /// Some value there, or none.
    Exists(bool),
    /// Found anywhere in the value's text.
    Regex(Arc<Regex>),
    Cidr(IpNet),
    /// Another field of the same event has this text (at that place of it).
    FieldRef {
        field: Arc<str>,
        affix: Affix,
        cased: bool,
    },
    /// A part of the time that the value spells, in UTC.
    Time(TimePart, Option<Order>, f64),
    /// A placeholder nobody has filled: never true.
    Unfilled(Arc<Unfilled>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Lt,
    Lte,
    Gt,
    Gte,
}

impl Order {
    pub(crate) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Lte => left <= right,
            Self::Gt => left > right,
            Self::Gte => left >= right,
        }
    }
}

/// Where in the value the other text has to stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Affix {
    #[default]
    Whole,
    Inside,
    Start,
    End,
}

impl Affix {
    pub(crate) fn holds(self, value: &str, other: &str) -> bool {
        match self {
            Self::Whole => value == other,
            Self::Inside => value.contains(other),
            Self::Start => value.starts_with(other),
            Self::End => value.ends_with(other),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl TimePart {
    /// This part of the instant that `text` spells: RFC 3339, or a date and time taken as UTC.
    pub(crate) fn of(self, text: &str) -> Option<f64> {
        let time = match text.parse::<jiff::Timestamp>() {
            Ok(time) => jiff::tz::Offset::UTC.to_datetime(time),
            Err(_) => text.parse::<jiff::civil::DateTime>().ok()?,
        };
        Some(match self {
            Self::Minute => time.minute().into(),
            Self::Hour => time.hour().into(),
            Self::Day => time.day().into(),
            Self::Week => time.date().iso_week_date().week().into(),
            Self::Month => time.month().into(),
            Self::Year => time.year().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_time_are_those_in_utc() {
        let parts = |text| {
            [
                TimePart::Minute,
                TimePart::Hour,
                TimePart::Day,
                TimePart::Week,
                TimePart::Month,
                TimePart::Year,
            ]
            .map(|part| part.of(text))
        };
        assert_eq!(
            parts("2026-01-01T01:30:00+02:00"),
            [Some(30.0), Some(23.0), Some(31.0), Some(1.0), Some(12.0), Some(2025.0)]
        );
        assert_eq!(parts("2020-06-09 22:50:54")[1], Some(22.0));
        assert_eq!(parts("noon")[1], None);
    }
}
