//! Checks of a setting's value against its bounds.

use std::ops::RangeInclusive;

/// Seconds of a day.
pub(crate) const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The most bytes of any quota.
pub(crate) const QUOTA_MAX_BYTES: u64 = 1 << 50;
/// The largest number of any quota.
pub(crate) const QUOTA_MAX_COUNT: u64 = 1_000_000_000;

/// A setting whose value is out of bounds. The message begins with the setting's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(pub(crate) String);

impl InvalidSetting {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Checks that each named value of a table, if it is set, lies in its range; the first that doesn't is the error.
pub(crate) fn check_ranges<const N: usize>(
    table: &str,
    values: [(&str, Option<u64>, RangeInclusive<u64>); N],
) -> Result<(), InvalidSetting> {
    for (name, value, range) in values {
        let Some(value) = value.filter(|value| !range.contains(value)) else { continue };
        let (min, max) = range.into_inner();
        return Err(InvalidSetting::new(format!("{table}{name} must be {min} to {max}, and is {value}")));
    }
    Ok(())
}
