//! Reading the times that sources write, without a clock: what is missing is completed from the received
//! time and flagged.

use custos_event::{
    Flags, Header, Timestamp, ValueRef,
    time::{NANOS_PER_MILLI, NANOS_PER_SEC},
};

/// RELIABILITY §4: a source's clock may be this far ahead before its time is flagged.
const AHEAD_SECS_MAX: i64 = 5 * 60;
/// RELIABILITY §4: older than 30 days is flagged, never excluded.
const OLD_SECS_MAX: i64 = 30 * DAY_SECS;
const DAY_SECS: i64 = 86_400;

/// A time as a source gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceTime {
    pub(crate) at: Timestamp,
    /// Its year or its zone was missing.
    pub(crate) completed: bool,
}

impl SourceTime {
    pub(crate) fn whole(at: Timestamp) -> Self {
        Self { at, completed: false }
    }
}

/// Puts the time into the header, with what is noteworthy about it.
pub(crate) fn judge(header: &mut Header, time: Option<SourceTime>) {
    let Some(SourceTime { at, completed }) = time else { return };
    header.flags = Flags(header.flags.0 & !Flags::NO_TIME.0);
    header.time = at;
    if completed {
        header.flags = header.flags.with(Flags::TIME_COMPLETED);
    }
    if at > header.received.plus_secs(AHEAD_SECS_MAX) {
        header.flags = header.flags.with(Flags::TIME_AHEAD);
    }
    if at < header.received.plus_secs(-OLD_SECS_MAX) {
        header.flags = header.flags.with(Flags::TIME_OLD);
    }
}

/// RFC 3339 and its relatives: a space for the `T`, a zone without colon or none, `,` before the fraction.
pub(crate) fn iso(text: &str) -> Option<SourceTime> {
    let (time, rest) = iso_prefix(text.trim())?;
    rest.is_empty().then_some(time)
}

/// The same at the start of a line, and what follows it.
pub(crate) fn iso_prefix(text: &str) -> Option<(SourceTime, &str)> {
    let mut cut = Cut(text.as_bytes());
    let year = cut.digits(4)?;
    cut.one(b"-/")?;
    let month = cut.digits(2)?;
    cut.one(b"-/")?;
    let day = cut.digits(2)?;
    cut.one(b"Tt ")?;
    let clock = cut.clock()?;
    let nanos = cut.fraction();
    let zone = cut.zone();
    let at = instant(year, month, day, clock, nanos, zone.unwrap_or(0))?;
    let rest = text.get(text.len() - cut.0.len()..)?;
    Some((SourceTime { at, completed: zone.is_none() }, rest))
}

/// Apache's `17/May/2015:10:05:03 +0000`.
pub(crate) fn apache(text: &str) -> Option<SourceTime> {
    let mut cut = Cut(text.as_bytes());
    let day = cut.digits(2)?;
    cut.one(b"/")?;
    let month = cut.month()?;
    cut.one(b"/")?;
    let year = cut.digits(4)?;
    cut.one(b":")?;
    let clock = cut.clock()?;
    cut.spaces();
    let zone = cut.zone();
    let at = instant(year, month, day, clock, 0, zone.unwrap_or(0))?;
    cut.0.is_empty().then_some(SourceTime { at, completed: zone.is_none() })
}

/// RFC 3164's `Mar 27 13:06:56` at the start of a line, and what follows it. The year is `year` if
/// given; else the latest that is not more than a day after `received`. The zone is taken as UTC.
pub(crate) fn without_year(
    text: &str,
    received: Timestamp,
    year: Option<i16>,
) -> Option<(SourceTime, &str)> {
    let mut cut = Cut(text.as_bytes());
    let month = cut.month()?;
    cut.spaces();
    let day = cut.digits(2).or_else(|| cut.digits(1))?;
    cut.one(b" ")?;
    let given = cut.year_before_clock();
    let clock = cut.clock()?;
    let nanos = cut.fraction();
    let rest = text.get(text.len() - cut.0.len()..)?;
    let at = match given.or(year.map(i64::from)) {
        Some(year) => instant(year, month, day, clock, nanos, 0)?,
        None => latest_year(month, day, clock, nanos, received)?,
    };
    Some((SourceTime { at, completed: true }, rest))
}

/// Nine years back reach a leap year from anywhere, 1900 included.
const YEARS_BACK: i64 = 9;

fn latest_year(
    month: i64,
    day: i64,
    clock: i64,
    nanos: i64,
    received: Timestamp,
) -> Option<Timestamp> {
    let (newest, limit) = (year_of(received) + 1, received.plus_secs(DAY_SECS));
    (newest - YEARS_BACK..=newest)
        .rev()
        .filter_map(|year| instant(year, month, day, clock, nanos, 0))
        .find(|at| *at <= limit)
}

/// An epoch number in seconds, milliseconds, microseconds or nanoseconds, told apart by its size; or a
/// text in ISO form, or a text that spells such a number.
pub(crate) fn of_value(value: ValueRef<'_>) -> Option<SourceTime> {
    match value {
        ValueRef::Int(number) => epoch(number),
        ValueRef::Float(secs) => Timestamp::from_secs_f64(secs).map(SourceTime::whole),
        ValueRef::Str(text) => iso(text).or_else(|| epoch_text(text.trim())),
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::UInt(_) => None,
    }
}

fn epoch_text(text: &str) -> Option<SourceTime> {
    match text.parse::<i64>() {
        Ok(number) => epoch(number),
        Err(_) => text.parse().ok().and_then(Timestamp::from_secs_f64).map(SourceTime::whole),
    }
}

/// The borders lie between 2001 and 2286 of one unit and 1970 of the next: 10^11 seconds are the year
/// 5138, 10^11 milliseconds 1973.
fn epoch(number: i64) -> Option<SourceTime> {
    let nanos = match number {
        ..100_000_000 => return None,
        100_000_000..100_000_000_000 => number.checked_mul(NANOS_PER_SEC)?,
        100_000_000_000..100_000_000_000_000 => number.checked_mul(NANOS_PER_MILLI)?,
        100_000_000_000_000..100_000_000_000_000_000 => number.checked_mul(1_000)?,
        _ => number,
    };
    Some(SourceTime::whole(Timestamp(nanos)))
}

fn instant(
    year: i64,
    month: i64,
    day: i64,
    clock: i64,
    nanos: i64,
    zone: i64,
) -> Option<Timestamp> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    let secs = days_from_civil(year, month, day) * DAY_SECS + clock - zone;
    secs.checked_mul(NANOS_PER_SEC)?.checked_add(nanos).map(Timestamp)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted from March so that the leap day
/// is the last one of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 306 + 5) / 10
        + day
        - 719_469
}

fn year_of(time: Timestamp) -> i64 {
    let days = time.0.div_euclid(NANOS_PER_SEC * DAY_SECS);
    let guess = 1970 + days.div_euclid(366);
    (guess..guess + 3).rev().find(|year| days_from_civil(*year, 1, 1) <= days).unwrap_or(guess)
}

/// The rest of a text; each call takes something off its front.
struct Cut<'a>(&'a [u8]);

impl Cut<'_> {
    fn one(&mut self, of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        of.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn spaces(&mut self) {
        while self.one(b" ").is_some() {}
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut number = 0;
        for digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + i64::from(digit);
        }
        self.0 = rest;
        Some(number)
    }

    /// `13:06:56` as seconds of the day; a leap second counts as the next one.
    fn clock(&mut self) -> Option<i64> {
        let hours = self.digits(2)?;
        self.one(b":")?;
        let minutes = self.digits(2)?;
        self.one(b":")?;
        let secs = self.digits(2)?;
        (hours < 24 && minutes < 60 && secs <= 60).then_some(hours * 3_600 + minutes * 60 + secs)
    }

    /// `.2990045` as nanoseconds; digits beyond the ninth are dropped.
    fn fraction(&mut self) -> i64 {
        let Some((b'.' | b',', digits)) = self.0.split_first() else { return 0 };
        let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return 0;
        }
        let (digits, rest) = digits.split_at(len);
        self.0 = rest;
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
        padded.take(9).fold(0, |nanos, digit| nanos * 10 + i64::from(digit - b'0'))
    }

    /// `Z`, `+02:00`, `-0600`, ` UTC`: seconds east of Greenwich.
    fn zone(&mut self) -> Option<i64> {
        if self.one(b"Zz").is_some() {
            return Some(0);
        }
        if let Some(rest) = self.0.strip_prefix(b" UTC").or_else(|| self.0.strip_prefix(b" GMT")) {
            self.0 = rest;
            return Some(0);
        }
        let before = self.0;
        let zone = self.offset();
        if zone.is_none() {
            self.0 = before;
        }
        zone
    }

    fn offset(&mut self) -> Option<i64> {
        let sign = if self.one(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.digits(2)?;
        let _colon = self.one(b":");
        let minutes = self.digits(2).unwrap_or(0);
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
    }

    fn month(&mut self) -> Option<i64> {
        let (name, rest) = self.0.split_at_checked(3)?;
        let place = MONTHS.iter().position(|month| *month == name)?;
        self.0 = rest;
        i64::try_from(place).ok().map(|place| place + 1)
    }

    /// Some network gear writes `Mar 27 2026 13:06:56`.
    fn year_before_clock(&mut self) -> Option<i64> {
        let before = self.0;
        let year = self.digits(4).filter(|_| self.one(b" ").is_some());
        if year.is_none() {
            self.0 = before;
        }
        year
    }
}

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::Shape;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_iso_family_is_read() {
        for (text, instant, completed) in [
            ("2020-12-11T12:28:01.2990045Z", "2020-12-11T12:28:01.2990045Z", false),
            ("2015-03-29T11:01:38.221126-0600", "2015-03-29T17:01:38.221126Z", false),
            ("2026-01-01 00:30:00+02:00", "2025-12-31T22:30:00Z", false),
            ("2020-06-10 02:50:54.631", "2020-06-10T02:50:54.631Z", true),
            ("2020-06-10 02:50:54 UTC", "2020-06-10T02:50:54Z", false),
            ("2000-02-29T23:59:60,5Z", "2000-03-01T00:00:00.5Z", false),
        ] {
            assert_eq!(iso(text), Some(SourceTime { at: at(instant), completed }), "{text}");
        }
        for text in ["", "-", "2020-13-01T00:00:00Z", "2021-02-29 00:00:00", "2020-01-01T24:00:00Z"]
        {
            assert_eq!(iso(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_year_is_the_latest_before_it_was_received() {
        for (text, received, expected) in [
            ("Mar 27 13:06:56 host", "2026-11-24T08:00:00Z", "2026-03-27T13:06:56Z"),
            ("Dec 31 23:59:59 host", "2026-01-01T00:00:02Z", "2025-12-31T23:59:59Z"),
            ("Jan  1 00:00:01 host", "2025-12-31T23:59:59Z", "2026-01-01T00:00:01Z"),
            ("Feb 29 10:00:00 host", "2026-11-24T08:00:00Z", "2024-02-29T10:00:00Z"),
            ("Oct 11 2023 22:14:15 host", "2026-11-24T08:00:00Z", "2023-10-11T22:14:15Z"),
        ] {
            let (time, rest) = without_year(text, at(received), None).unwrap();
            assert_eq!((time.at, rest, time.completed), (at(expected), " host", true), "{text}");
        }
        let (time, _) =
            without_year("Mar 27 13:06:56", at("2026-11-24T08:00:00Z"), Some(2017)).unwrap();
        assert_eq!(time.at, at("2017-03-27T13:06:56Z"));
    }

    #[test]
    fn an_epoch_is_read_in_its_own_unit() {
        let expected = Some(SourceTime::whole(at("2021-05-14T19:22:33Z")));
        let secs = 1_621_020_153_i64;
        for number in [secs, secs * 1_000, secs * 1_000_000, secs * 1_000_000_000] {
            assert_eq!(of_value(ValueRef::Int(number)), expected);
            assert_eq!(of_value(ValueRef::Str(&number.to_string())), expected);
        }
        assert_eq!(of_value(ValueRef::Int(42)), None);
        assert_eq!(apache("14/May/2021:21:22:33 +0200"), expected);
    }

    #[test]
    fn a_time_far_ahead_or_long_past_is_flagged() {
        let received = at("2026-11-24T08:00:00Z");
        let flags = |text: &str| {
            let mut header = Header::new("s".into(), received, Shape::Text, "d".into());
            judge(&mut header, iso(text));
            header.flags
        };
        assert_eq!(flags("2026-11-24T08:05:00Z"), Flags(0));
        assert_eq!(flags("2026-11-24T08:05:01Z"), Flags::TIME_AHEAD);
        assert_eq!(flags("2026-10-25T08:00:00Z"), Flags(0));
        assert_eq!(flags("2026-10-25T07:59:59"), Flags::TIME_OLD.with(Flags::TIME_COMPLETED));
        assert_eq!(flags("never"), Flags::NO_TIME);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text: String, secs in -9_000_000_000_i64..9_000_000_000) {
            let _ = (iso(&text), apache(&text), epoch_text(&text));
            let _ = without_year(&text, Timestamp::from_secs(secs), None);
        }

        #[test]
        fn each_instant_reads_back_as_written(secs in 0_i64..7_258_118_400) {
            let time = Timestamp::from_secs(secs);
            prop_assert_eq!(iso(&time.to_string()), Some(SourceTime::whole(time)));
        }
    }
}
