//! Time as people write it.

use jiff::{Span, SpanRelativeTo};
use policy_core::Timestamp;
use serde::{Serialize, Serializer};

/// Reads a time as RFC 3339 has it, such as `2026-01-31T12:00:00Z`. For clap.
///
/// # Errors
///
/// When it is no such time, or has no zone.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Timestamp::from_micros(time.as_microsecond())),
        Err(_) => Err(format!("`{text}` is no time; write it as `2026-01-31T12:00:00Z`, with the zone")),
    }
}

/// When something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At this time.
    At(Timestamp),
    /// This many microseconds from now.
    After(i64),
}

impl Until {
    /// The time it means when it is `now`; the latest of all where that is past the range of the type.
    #[must_use]
    pub const fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::After(micros) => Timestamp::from_micros(now.micros().saturating_add(micros)),
        }
    }
}

/// Reads a time, or `+` and a duration such as `+8h` or `+30d` (a day is 24 hours). For clap.
///
/// # Errors
///
/// When it is neither, when the duration is not above zero, or counts months or years, whose length differs.
pub fn parse_until(text: &str) -> Result<Until, String> {
    let Some(duration) = text.strip_prefix('+') else {
        return parse_time(text).map(Until::At);
    };
    let micros = duration
        .parse::<Span>()
        .ok()
        .filter(|span| span.get_years() == 0 && span.get_months() == 0)
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .and_then(|duration| i64::try_from(duration.as_micros()).ok())
        .filter(|micros| *micros > 0);
    micros
        .map(Until::After)
        .ok_or_else(|| format!("`{text}` is no duration; write `+8h`, `+30d` or `+2w`: hours, days or weeks"))
}

/// The time as RFC 3339 has it, in UTC.
#[must_use]
pub fn show_time(time: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(time.micros()) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{} µs after 1970", time.micros()),
    }
}

/// The serde form of a time that may be missing: an RFC 3339 string, or null.
///
/// # Errors
///
/// When the serializer fails.
pub fn serialize_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(show_time).serialize(serializer)
}

/// The serde form of a time: an RFC 3339 string.
///
/// # Errors
///
/// When the serializer fails.
pub fn serialize_moment<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_time(*time))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn reads_what_it_shows() {
        let time = parse_time("2026-01-31T12:00:00.000001Z").unwrap();
        assert_eq!(show_time(time), "2026-01-31T12:00:00.000001Z");
        assert_eq!(parse_time("2026-01-31T13:00:00.000001+01:00").unwrap(), time);
        for wrong in ["", "now", "2026-01-31", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_count_from_now() {
        assert_eq!(parse_until("+30d").unwrap(), Until::After(30 * DAY));
        assert_eq!(parse_until("+2w").unwrap(), Until::After(14 * DAY));
        assert_eq!(parse_until("+1h 30m").unwrap(), Until::After(5_400_000_000));
        for wrong in ["+", "+0s", "+-1h", "+1mo", "+1y", "+1", "1h", "+9999999999w"] {
            assert!(parse_until(wrong).is_err(), "{wrong}");
        }
        let now = Timestamp::from_seconds(1);
        assert_eq!(Until::After(5).from(now), Timestamp::from_micros(1_000_005));
        assert_eq!(Until::After(i64::MAX).from(now), Timestamp::from_micros(i64::MAX));
    }
}
