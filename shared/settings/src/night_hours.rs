//! Hours of the night, in a fixed offset from UTC.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Minutes of a day.
const DAY_MINUTES: i64 = 24 * 60;
/// Largest offset from UTC, in minutes.
const OFFSET_MAX_MINUTES: i64 = 14 * 60;

/// Hours that begin and end each day at the same time, such as `22:00-06:00+02:00`: from 22 to 6 o'clock, two hours east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NightHours {
    /// First minute of the day.
    from: i64,
    /// Minute of the day at which they end.
    until: i64,
    /// Minutes east of UTC.
    offset: i64,
}

/// Text that isn't a span of hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be hours such as 22:00-06:00 in UTC, or with an offset as 22:00-06:00+02:00; begin and end differ"
)]
pub struct InvalidHours;

impl NightHours {
    /// Returns whether a time lies in the hours, which begin with their first minute and end before the last one.
    #[must_use]
    pub fn contains(self, unix_seconds: i64) -> bool {
        let minute = self.minute(unix_seconds);
        match self.from < self.until {
            true => (self.from..self.until).contains(&minute),
            false => minute >= self.from || minute < self.until,
        }
    }

    /// Returns the seconds until the hours begin; 0 within them.
    #[must_use]
    pub fn seconds_until(self, unix_seconds: i64) -> u64 {
        if self.contains(unix_seconds) {
            return 0;
        }
        let minutes = (self.from - self.minute(unix_seconds)).rem_euclid(DAY_MINUTES);
        (minutes * 60 - unix_seconds.rem_euclid(60)).unsigned_abs()
    }

    /// Returns the minute of the day at a time.
    fn minute(self, unix_seconds: i64) -> i64 {
        (unix_seconds.div_euclid(60) + self.offset).rem_euclid(DAY_MINUTES)
    }
}

impl Default for NightHours {
    fn default() -> Self {
        Self { from: 22 * 60, until: 6 * 60, offset: 0 }
    }
}

impl fmt::Display for NightHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minutes: i64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}-{}", clock(self.from), clock(self.until))?;
        match self.offset {
            0 => Ok(()),
            offset => write!(f, "{}{}", if offset < 0 { '-' } else { '+' }, clock(offset.abs())),
        }
    }
}

impl FromStr for NightHours {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        let text = text.trim();
        let (from, rest) = text.split_once('-').ok_or(InvalidHours)?;
        let (until, offset) = match rest.find(['+', '-']) {
            Some(at) => {
                let minutes = minutes_of(&rest[at + 1..])?;
                (&rest[..at], if rest[at..].starts_with('-') { -minutes } else { minutes })
            }
            None => (rest, 0),
        };
        let (from, until) = (minutes_of(from)?, minutes_of(until)?);
        if from == until || offset.abs() > OFFSET_MAX_MINUTES {
            return Err(InvalidHours);
        }
        Ok(Self { from, until, offset })
    }
}

impl TryFrom<String> for NightHours {
    type Error = InvalidHours;

    fn try_from(text: String) -> Result<Self, InvalidHours> {
        text.parse()
    }
}

impl From<NightHours> for String {
    fn from(hours: NightHours) -> Self {
        hours.to_string()
    }
}

fn minutes_of(clock: &str) -> Result<i64, InvalidHours> {
    let (hours, minutes) = clock.split_once(':').ok_or(InvalidHours)?;
    let number = |text: &str, max: i64| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_number && *number <= max).ok_or(InvalidHours)
    };
    Ok(number(hours, 23)? * 60 + number(minutes, 59)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a minute of a day.
    fn at(hours: i64, minutes: i64) -> i64 {
        20_000 * 86_400 + hours * 3600 + minutes * 60 + 7
    }

    #[test]
    fn hours_go_over_midnight_and_follow_their_offset() {
        let night: NightHours = "22:00-06:00".parse().unwrap();
        for (time, is_night) in
            [(at(21, 59), false), (at(22, 0), true), (at(0, 0), true), (at(5, 59), true), (at(6, 0), false)]
        {
            assert_eq!(night.contains(time), is_night, "{time}");
        }
        let east: NightHours = "22:00-06:00+02:00".parse().unwrap();
        assert!(east.contains(at(20, 0)) && !east.contains(at(4, 0)));
        let day: NightHours = "9:30-17:00".parse().unwrap();
        assert!(day.contains(at(9, 30)) && day.contains(at(16, 59)) && !day.contains(at(17, 0)));
        assert_eq!(night.seconds_until(at(23, 0)), 0);
        assert_eq!(night.seconds_until(at(21, 0)), 3600 - 7);
        assert_eq!(day.seconds_until(at(17, 0)), (16 * 60 + 30) * 60 - 7);
    }

    #[test]
    fn texts_are_read_and_written() {
        for text in ["22:00-06:00", "22:00-06:00+02:00", "00:30-05:15-11:30"] {
            assert_eq!(text.parse::<NightHours>().unwrap().to_string(), text);
        }
        for bad in
            ["", "22-6", "22:00", "22:00-24:00", "22:00-22:00", "22:00-06:60", "22:00-06:00+20:00", "a:b-c:d"]
        {
            assert_eq!(bad.parse::<NightHours>(), Err(InvalidHours), "{bad}");
        }
    }
}
