//! Times as people write them: RFC 3339, or so long ago.

use anyhow::anyhow;
use custos_event::Timestamp;

/// `-24h` is so long before `now`.
pub(crate) fn read(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let Some(ago) = text.strip_prefix('-') else {
        return Ok(text.parse()?);
    };
    let wrong = || {
        anyhow!(
            "'{text}' is no time; expected RFC 3339, or a number with s, m, h, d or w, as in -24h"
        )
    };
    let unit = ago.chars().last().ok_or_else(wrong)?;
    let secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = ago.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    Ok(now.plus_secs(i64::from(number).saturating_mul(-secs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times_count_back_from_now() {
        let now = Timestamp::from_secs(1_000_000);
        assert_eq!(read("-24h", now).unwrap(), Timestamp::from_secs(1_000_000 - 86_400));
        assert_eq!(read("-2w", now).unwrap(), Timestamp::from_secs(1_000_000 - 14 * 86_400));
        assert_eq!(read("1970-01-01T00:00:01Z", now).unwrap(), Timestamp::from_secs(1));
        for wrong in ["-", "-24", "-h", "-24y", "yesterday", "--1h"] {
            assert!(read(wrong, now).is_err(), "{wrong}");
        }
    }
}
