//! Settings of limits: those of each user who has none of their own.

use std::time::Duration;

use hearth_domain::{Cost, Limits, limit::TOKENS_MAX};
use serde::{Deserialize, Serialize};

use crate::bounds::{DAY_SECONDS, InvalidSetting, check_ranges};

/// The table `limits` of the settings. Zero stands for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Requests of a user in a minute, with all of their tokens.
    pub requests_per_minute: u32,
    /// Requests of a user in an hour, with all of their tokens.
    pub requests_per_hour: u32,
    /// Tokens of a user's prompts and answers in a minute.
    pub tokens_per_minute: u32,
    /// Budget of a user's tokens for a day.
    pub tokens_per_day: u64,
    /// Budget of a user's tokens for a month.
    pub tokens_per_month: u64,
    /// Budget of a user's US dollars for a day.
    pub dollars_per_day: Cost,
    /// Budget of a user's US dollars for a month.
    pub dollars_per_month: Cost,
    /// Seconds after which the reservation of a run whose process has died ends.
    pub reservation_seconds: u64,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            requests_per_minute: 0,
            requests_per_hour: 1000,
            tokens_per_minute: 0,
            tokens_per_day: 0,
            tokens_per_month: 0,
            dollars_per_day: Cost::ZERO,
            dollars_per_month: Cost::ZERO,
            reservation_seconds: 900,
        }
    }
}

impl LimitSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "limits.",
            [
                ("tokens_per_day", Some(self.tokens_per_day), 0..=TOKENS_MAX),
                ("tokens_per_month", Some(self.tokens_per_month), 0..=TOKENS_MAX),
                ("reservation_seconds", Some(self.reservation_seconds), 1..=DAY_SECONDS),
            ],
        )
    }

    /// The limits of each user who has none of their own.
    #[must_use]
    pub fn of_user(&self) -> Limits {
        let tokens = |count: u64| (count > 0).then_some(count);
        let count = |count: u32| (count > 0).then_some(count);
        let dollars = |cost: Cost| (cost > Cost::ZERO).then_some(cost);
        Limits {
            requests_per_minute: count(self.requests_per_minute),
            requests_per_hour: count(self.requests_per_hour),
            tokens_per_minute: count(self.tokens_per_minute),
            tokens_per_day: tokens(self.tokens_per_day),
            tokens_per_month: tokens(self.tokens_per_month),
            dollars_per_day: dollars(self.dollars_per_day),
            dollars_per_month: dollars(self.dollars_per_month),
        }
    }

    /// Time after which the reservation of a run whose process has died ends.
    #[must_use]
    pub fn reservation_ttl(&self) -> Duration {
        Duration::from_secs(self.reservation_seconds)
    }
}
