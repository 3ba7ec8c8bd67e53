//! Times in the filters of lists.

use std::time::Duration;

use hearth_domain::{AuditDay, Timestamp};
use hearth_wire::ApiError;

/// Time from a day's first moment to its last.
const DAY_INTERVAL: Duration = Duration::from_millis(24 * 3600 * 1000 - 1);

/// A time, or a day: its first moment, or with `is_end` its last.
///
/// # Errors
/// `invalid_request` for another text, naming the parameter.
pub(crate) fn parse_moment(name: &'static str, text: &str, is_end: bool) -> Result<Timestamp, ApiError> {
    if let Ok(day) = text.parse::<AuditDay>() {
        return Ok(if is_end { day.start().plus(DAY_INTERVAL) } else { day.start() });
    }
    text.parse().map_err(|_| {
        let message =
            format!("{name} must be a time such as 2026-01-31T09:30:00.000Z, or a day such as 2026-01-31");
        ApiError::invalid(name, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_ends_with_its_last_millisecond() {
        for (day, end) in
            [("2026-01-31", "2026-01-31T23:59:59.999Z"), ("9999-12-31", "9999-12-31T23:59:59.999Z")]
        {
            assert_eq!(parse_moment("to", day, true).unwrap(), end.parse().unwrap());
        }
        assert!(parse_moment("to", "10000-01-01", true).is_err());
    }
}
