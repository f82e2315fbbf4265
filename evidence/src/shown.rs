//! What a person reads beside a record's exact bytes (FORMAT.md, "Record" and "Fact"). Who checks a bundle
//! makes it anew from the bytes, so that nobody puts other words beside them.

use serde_json::{Map, Value, json};

/// Versions of records and facts that this reads; it shows no text for others, and says so.
const VERSION: u8 = 1;
const TRUNCATED: u16 = 8;
const REJECTED: u16 = 16;

/// The reading of a record's bytes: of a fact its JSON, of an event when, where from, and the raw.
pub fn shown(log: &str, bytes: &[u8]) -> Value {
    let read = if log.split('/').next() == Some("journal") { fact(bytes) } else { event(bytes) };
    read.unwrap_or_else(|| json!({ "unreadable": "this version of the verifier cannot read it" }))
}

fn fact(bytes: &[u8]) -> Option<Value> {
    let (&VERSION, json) = bytes.split_first()? else { return None };
    serde_json::from_slice(json).ok()
}

/// The front of a record's bytes; what does not fit is `None`.
struct Front<'a>(&'a [u8]);

impl<'a> Front<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn time(&mut self) -> Option<String> {
        Some(rfc3339(i64::from_le_bytes(self.take(8)?.try_into().ok()?)))
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.varint()?).ok()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    fn name(&mut self) -> Option<()> {
        if self.varint()? == 0 {
            self.text()?;
        }
        Some(())
    }

    /// One of the fields that the decoder found: they say nothing that the raw does not.
    fn field(&mut self) -> Option<()> {
        self.name()?;
        match self.byte()? & 0x7f {
            0..=2 => {}
            3 | 4 => drop(self.varint()?),
            5 => drop(self.take(8)?),
            6 => drop(self.text()?),
            7 => self.name()?,
            _ => return None,
        }
        Some(())
    }
}

fn event(bytes: &[u8]) -> Option<Value> {
    let mut front = Front(bytes);
    let mut shown = Map::new();
    if front.byte()? != VERSION {
        return None;
    }
    front.byte()?;
    let flags = u16::from_le_bytes(front.take(2)?.try_into().ok()?);
    shown.insert("received".into(), front.time()?.into());
    shown.insert("time".into(), front.time()?.into());
    shown.insert("source".into(), front.text()?.into());
    let decoder = front.text()?;
    shown.insert("decoder".into(), format!("{decoder} {}", front.varint()?).into());
    if flags & TRUNCATED != 0 {
        shown.insert("truncated_from_bytes".into(), front.varint()?.into());
        shown.insert("whole_sha256".into(), crate::hex(front.take(32)?).into());
    }
    if flags & REJECTED != 0 {
        shown.insert("rejected".into(), front.text()?.into());
    }
    for _ in 0..front.varint()? {
        front.varint()?;
        front.varint()?;
        front.byte()?;
        front.varint()?;
    }
    for _ in 0..front.varint()? {
        front.field()?;
    }
    shown.insert("raw".into(), String::from_utf8_lossy(front.0).into());
    Some(shown.into())
}

/// Nanoseconds since 1970 as RFC 3339 in UTC, with all nine digits: none is lost, and none is made up.
fn rfc3339(nanos: i64) -> String {
    let (secs, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let (days, secs) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap day is last; 400
/// years have 146,097 days, and from March on the months' lengths repeat every five (153 days).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.000000000Z"),
            (1_800_000_000, "2027-01-15T08:00:00.000000000Z"),
        ] {
            assert_eq!(rfc3339(secs * 1_000_000_000), text);
        }
        assert_eq!(rfc3339(1), "1970-01-01T00:00:00.000000001Z");
    }

    #[test]
    fn an_event_shows_its_raw_and_a_fact_its_json() {
        let mut bytes = vec![1, 1, 0, 0];
        bytes.extend_from_slice(&5_i64.to_le_bytes());
        bytes.extend_from_slice(&7_i64.to_le_bytes());
        bytes.extend_from_slice(b"\x05doors\x04door\x03\x00\x05");
        bytes.extend_from_slice(b"\x09\x06\x02ab"); // a well-known name, a text
        bytes.extend_from_slice(b"\x00\x01x\x83\x05"); // a name of its own, enrichment, an integer
        bytes.extend_from_slice(b"\x09\x02"); // a truth
        bytes.extend_from_slice(b"\x09\x05\0\0\0\0\0\0\0\0"); // a number with a point
        bytes.extend_from_slice(b"\x09\x07\x00\x03raw"); // what a name of its own already holds
        bytes.extend_from_slice(b"{\"badge\":1}");
        assert_eq!(
            shown("telemetry", &bytes),
            json!({
                "received": "1970-01-01T00:00:00.000000005Z",
                "time": "1970-01-01T00:00:00.000000007Z",
                "source": "doors",
                "decoder": "door 3",
                "raw": "{\"badge\":1}",
            })
        );
        assert_eq!(shown("journal", b"\x01{\"a\":1}"), json!({"a": 1}));
        for (log, bytes) in
            [("journal", &b"\x02{}"[..]), ("telemetry", &bytes[..20]), ("telemetry", b"")]
        {
            assert!(shown(log, bytes).get("unreadable").is_some());
        }
    }
}
