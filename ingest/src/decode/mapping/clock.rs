//! When a mapped line happened: which of its values say so, and how they write it.

use super::{
    super::time::{self, SourceTime},
    rows::text_of,
};
use custos_event::{
    FieldId, FieldTable, ParsedEvent, Timestamp, ValueRef,
    time::{NANOS_PER_MILLI, NANOS_PER_SEC},
};
use jiff::{
    ZonedDateTime, civil,
    fmt::strtime,
    tz::{Offset, TimeZone},
};

#[derive(Debug)]
pub(super) struct Clock {
    /// The mapping's own names; several are read with a space between them.
    pub(super) fields: Vec<String>,
    pub(super) form: Form,
    /// Seconds east of Greenwich, for times that do not say it; without it they are taken as UTC and flagged.
    pub(super) zone: Option<i32>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 3339 and its relatives, or an epoch number whose unit its size tells.
    Auto,
    /// An epoch number; the nanoseconds of its unit.
    Epoch(i64),
    /// `17/May/2015:10:05:03 +0000`.
    Apache,
    /// `Mar 27 13:06:56`.
    Syslog,
    /// As strftime has it.
    Pattern(String),
}

/// What `format` may be beside a pattern with `%`.
pub(super) const FORMS: [&str; 6] =
    ["auto", "rfc3339", "epoch", "epoch-millis", "apache", "syslog"];

impl Form {
    /// Reads what stands at `format`; what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" | "rfc3339" => Ok(Self::Auto),
            "epoch" => Ok(Self::Epoch(NANOS_PER_SEC)),
            "epoch-millis" => Ok(Self::Epoch(NANOS_PER_MILLI)),
            "apache" => Ok(Self::Apache),
            "syslog" => Ok(Self::Syslog),
            text if text.contains('%') => check(text).map(|()| Self::Pattern(text.to_owned())),
            text => {
                let hint = custos_event::suggest::did_you_mean(text, FORMS);
                let all = FORMS.join(", ");
                Err(format!(
                    "'{text}' is no format of times{hint}; it is one of {all}, or a pattern such as '%d.%m.%Y %H:%M:%S'"
                ))
            }
        }
    }
}

/// Writes a time in this form and reads it back: what cannot be done once can never be.
fn check(pattern: &str) -> Result<(), String> {
    let sample = ZonedDateTime::new(jiff::Timestamp::UNIX_EPOCH, TimeZone::UTC);
    let written = strtime::format(pattern, &sample)
        .map_err(|error| format!("'{pattern}' is no pattern of a time: {error}"))?;
    match civil_of(pattern, &written, |parts| parts.set_year(Some(1970)).ok()) {
        Some(_) => Ok(()),
        None => Err(format!("'{pattern}' does not tell day and clock; a time needs both")),
    }
}

/// A time as it stands in the text, and its zone. `set_year` completes one that has no year.
fn civil_of(
    pattern: &str,
    text: &str,
    set_year: impl FnOnce(&mut strtime::BrokenDownTime) -> Option<()>,
) -> Option<(civil::DateTime, Option<Offset>)> {
    let mut parts = strtime::BrokenDownTime::parse(pattern, text).ok()?;
    if let Some(at) = parts.timestamp() {
        return Some((Offset::UTC.to_datetime(at), Some(Offset::UTC)));
    }
    if parts.year().is_none() {
        set_year(&mut parts)?;
    }
    // A zone's letters beside an offset change nothing.
    Some((parts.to_datetime().ok()?, parts.offset()))
}

impl Clock {
    pub(super) fn resolve(&self, table: &FieldTable, prefix: &str) -> Vec<FieldId> {
        self.fields.iter().map(|name| table.intern(&format!("{prefix}.{name}"))).collect()
    }

    /// The time that `event` has in the fields `of`.
    pub(super) fn read(
        &self,
        event: &ParsedEvent,
        of: &[FieldId],
        received: Timestamp,
        year: Option<i16>,
    ) -> Option<SourceTime> {
        if let [one] = of {
            return self.of_value(event.get(*one)?, received, year);
        }
        let parts: Option<Vec<_>> = of.iter().map(|field| event.get(*field).map(text_of)).collect();
        self.of_value(ValueRef::Str(&parts?.join(" ")), received, year)
    }

    fn of_value(
        &self,
        value: ValueRef<'_>,
        received: Timestamp,
        year: Option<i16>,
    ) -> Option<SourceTime> {
        let text = text_of(value);
        match &self.form {
            Form::Auto => time::of_value(value).map(|time| self.in_zone(time)),
            Form::Apache => time::apache(&text).map(|time| self.in_zone(time)),
            Form::Epoch(unit) => epoch(&text, *unit).map(SourceTime::whole),
            Form::Syslog => {
                let (time, rest) = time::without_year(&text, received, year)?;
                let time = SourceTime { at: self.moved(time.at), ..time };
                rest.trim().is_empty().then_some(time)
            }
            Form::Pattern(pattern) => self.of_pattern(pattern, &text, received, year),
        }
    }

    fn of_pattern(
        &self,
        pattern: &str,
        text: &str,
        received: Timestamp,
        year: Option<i16>,
    ) -> Option<SourceTime> {
        let mut has_year = true;
        let (civil, offset) = civil_of(pattern, text, |parts| {
            has_year = false;
            match year {
                Some(year) => parts.set_year(Some(year)).ok(),
                None => set_latest_year(parts, received),
            }
        })?;
        let zone = offset.map(Offset::seconds).or(self.zone);
        let offset = Offset::from_seconds(zone.unwrap_or(0)).ok()?;
        let nanos = offset.to_timestamp(civil).ok()?.as_nanosecond();
        let at = Timestamp(i64::try_from(nanos).ok()?);
        Some(SourceTime { at, completed: zone.is_none() || !has_year })
    }

    /// Of a time that was taken as UTC where it had no zone.
    fn in_zone(&self, time: SourceTime) -> SourceTime {
        match self.zone {
            Some(_) if time.completed => SourceTime::whole(self.moved(time.at)),
            _ => time,
        }
    }

    fn moved(&self, at: Timestamp) -> Timestamp {
        at.plus_secs(-i64::from(self.zone.unwrap_or(0)))
    }
}

/// The latest year in which this is not more than a day ahead of `received`; nine years back reach a leap year from
/// anywhere.
fn set_latest_year(parts: &mut strtime::BrokenDownTime, received: Timestamp) -> Option<()> {
    let limit = received.plus_secs(86_400).0;
    let limit = jiff::Timestamp::from_nanosecond(limit.into()).ok()?;
    let limit = Offset::UTC.to_datetime(limit);
    let fits = |year| {
        let set = parts.set_year(Some(year)).is_ok();
        set && parts.to_datetime().is_ok_and(|at| at <= limit)
    };
    (limit.year() - 9..=limit.year()).rev().any(fits).then_some(())
}

/// `1717171717` or `1717171717.123456` of a unit.
fn epoch(text: &str, unit: i64) -> Option<Timestamp> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let nanos = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let digits = fraction.get(..fraction.len().min(9))?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = 10_i64.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let part =
        i128::from(digits.parse::<i64>().unwrap_or(0)) * i128::from(unit) / i128::from(scale);
    nanos.checked_add(i64::try_from(part).ok()?).map(Timestamp)
}

/// `+02:00`, `-0530` or `Z` in seconds.
pub(super) fn zone(text: &str) -> Option<i32> {
    let time = time::iso(&format!("1970-01-02T00:00:00{text}")).filter(|time| !time.completed)?;
    i32::try_from(86_400 - time.at.0 / NANOS_PER_SEC).ok()
}
