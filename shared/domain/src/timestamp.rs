//! Times: ISO 8601 in UTC with milliseconds and `Z`, so that they sort as text.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment, to the millisecond, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timestamp(OffsetDateTime);

/// A text that is no ISO 8601 time.
#[derive(Debug, thiserror::Error)]
#[error("expected a time such as 2026-01-31T09:30:00.000Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        Self::truncated(OffsetDateTime::now_utc())
    }

    /// From whole seconds since 1970; out of range gives 1970.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// From milliseconds since 1970; out of range gives 1970.
    #[must_use]
    pub fn from_unix_millis(millis: u64) -> Self {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
        Self(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// Milliseconds since 1970; 0 before that.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// This moment and `span` more; at most the end of the year 9999.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let span = span.try_into().unwrap_or(time::Duration::MAX);
        Self::truncated(self.0.saturating_add(span))
    }

    /// Returns the time from this moment to `later`; zero if it is in the past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        (later.0 - self.0).try_into().unwrap_or_default()
    }

    fn truncated(at: OffsetDateTime) -> Self {
        Self(at.replace_millisecond(at.millisecond()).unwrap_or(at))
    }
}

/// By hand: the `time` crate takes four times as long, and each request writes several times.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        let (hour, minute, second, millisecond) = self.0.to_hms_milli();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        // The last place of each number, and its digits.
        let numbers = [
            (3, 4, year.unsigned_abs()),
            (6, 2, u8::from(month).into()),
            (9, 2, day.into()),
            (12, 2, hour.into()),
            (15, 2, minute.into()),
            (18, 2, second.into()),
            (22, 3, millisecond.into()),
        ];
        for (last, digits, mut number) in numbers {
            for place in 0..digits {
                text[last - place] = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        if year < 0 {
            f.write_str("-")?;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        let at = at.checked_to_offset(time::UtcOffset::UTC).ok_or(InvalidTimestamp)?;
        // RFC 3339 has four digits for the year.
        if at.year() < 0 { Err(InvalidTimestamp) } else { Ok(Self::truncated(at)) }
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;
    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> Self {
        at.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let at: Timestamp = "2026-01-31T10:30:00.1239+01:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-01-31T09:30:00.123Z");
        assert_eq!(at.plus(Duration::from_secs(90)).to_string(), "2026-01-31T09:31:30.123Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn written_time_is_read_again() {
        for millis in [0, 1, 999, 60_000, 951_782_400_000, 1_709_210_096_789, 253_402_300_799_999] {
            let at = Timestamp::from_unix_millis(millis);
            let text = at.to_string();
            assert_eq!((text.len(), text.parse::<Timestamp>().unwrap()), (24, at), "{text}");
        }
    }

    #[test]
    fn times_end_with_the_year_9999() {
        let last: Timestamp = "9999-12-31T23:59:59.999Z".parse().unwrap();
        assert_eq!(last.plus(Duration::from_secs(1)), last);
        assert_eq!(last.plus(Duration::MAX), last);
        for beyond in ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"] {
            assert!(beyond.parse::<Timestamp>().is_err(), "{beyond}");
        }
    }
}
