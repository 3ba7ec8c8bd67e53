//! Limits of requests, tokens and money: who they hold for, and the periods that they count in.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccessKeyId, Cost, OrganisationId, TeamId, Timestamp, TokenId, UserId};

/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 3600;
/// Maximum of a limit of tokens: sums of it fit 64 bits.
pub const TOKENS_MAX: u64 = 1_000_000_000_000_000;

/// Limits of one subject. An absent one isn't limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub requests_per_minute: Option<u32>,
    /// Requests in an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub requests_per_hour: Option<u32>,
    /// Tokens of prompts and answers in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub tokens_per_minute: Option<u32>,
    /// Budget of tokens for a day, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub tokens_per_day: Option<u64>,
    /// Budget of tokens for a calendar month, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub tokens_per_month: Option<u64>,
    /// Budget of US dollars for a day, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2.50")]
    pub dollars_per_day: Option<Cost>,
    /// Budget of US dollars for a calendar month, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "40")]
    pub dollars_per_month: Option<Cost>,
}

impl Limits {
    /// True if nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Limits that hold where both of these do: the lower of each.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            [one, other].into_iter().flatten().min()
        }
        Self {
            requests_per_minute: lower(self.requests_per_minute, other.requests_per_minute),
            requests_per_hour: lower(self.requests_per_hour, other.requests_per_hour),
            tokens_per_minute: lower(self.tokens_per_minute, other.tokens_per_minute),
            tokens_per_day: lower(self.tokens_per_day, other.tokens_per_day),
            tokens_per_month: lower(self.tokens_per_month, other.tokens_per_month),
            dollars_per_day: lower(self.dollars_per_day, other.dollars_per_day),
            dollars_per_month: lower(self.dollars_per_month, other.dollars_per_month),
        }
    }

    /// The first limit that can't be one, if any: zero, or too large a number of tokens.
    #[must_use]
    pub fn invalid(&self) -> Option<&'static str> {
        let counts = [
            ("requests_per_minute", self.requests_per_minute.map(u64::from)),
            ("requests_per_hour", self.requests_per_hour.map(u64::from)),
            ("tokens_per_minute", self.tokens_per_minute.map(u64::from)),
            ("tokens_per_day", self.tokens_per_day),
            ("tokens_per_month", self.tokens_per_month),
            ("dollars_per_day", self.dollars_per_day.map(Cost::nanodollars)),
            ("dollars_per_month", self.dollars_per_month.map(Cost::nanodollars)),
        ];
        let is_wrong = |count: u64| count == 0 || count > TOKENS_MAX;
        counts.into_iter().find(|(_, count)| count.is_some_and(is_wrong)).map(|(name, _)| name)
    }

    /// The budget of a period; `None` if there is none.
    #[must_use]
    pub fn budget(&self, period: Period) -> Option<Budget> {
        let (tokens, dollars) = match period {
            Period::Day => (self.tokens_per_day, self.dollars_per_day),
            Period::Month => (self.tokens_per_month, self.dollars_per_month),
        };
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let budget =
            Budget { tokens: tokens.map(signed), nanodollars: dollars.map(Cost::nanodollars).map(signed) };
        (budget != Budget::default()).then_some(budget)
    }
}

/// A budget of one period. An absent part isn't limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Tokens.
    pub tokens: Option<i64>,
    /// Billionths of a dollar.
    pub nanodollars: Option<i64>,
}

/// Tokens and money, reserved or spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Tokens.
    pub tokens: i64,
    /// Billionths of a dollar.
    pub nanodollars: i64,
}

impl Spend {
    /// This and `other` together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            nanodollars: self.nanodollars.saturating_add(other.nanodollars),
        }
    }

    /// This without `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            nanodollars: self.nanodollars.saturating_sub(other.nanodollars),
        }
    }
}

/// The period of a budget, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

impl Period {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The period that a moment is in: `2026-11-29`, or `2026-11`.
    #[must_use]
    pub fn name_at(self, at: Timestamp) -> String {
        let mut name = at.to_string();
        name.truncate(match self {
            Self::Day => "2026-11-29".len(),
            Self::Month => "2026-11".len(),
        });
        name
    }

    /// The end of the period that a moment is in.
    #[must_use]
    pub fn end_at(self, at: Timestamp) -> Timestamp {
        let next_day = (at.unix().div_euclid(DAY_SECONDS) + 1) * DAY_SECONDS;
        match self {
            Self::Day => Timestamp::from_unix(next_day),
            Self::Month => {
                let month = self.name_at(at);
                // A month has 31 days at most.
                let days = (0..31).map(|days| Timestamp::from_unix(next_day + days * DAY_SECONDS));
                let mut later = days.filter(|day| self.name_at(*day) != month);
                later.next().unwrap_or_else(|| Timestamp::from_unix(next_day))
            }
        }
    }
}

/// Subject of limits: everything that they may hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitSubject {
    /// A token: all requests with it.
    Token(TokenId),
    /// An access key: all requests with it.
    AccessKey(AccessKeyId),
    /// A user: all of their requests in the organisation.
    User(UserId),
    /// A team: the requests of all of its members.
    Team(TeamId),
    /// An organisation, by its own owners.
    Organisation(OrganisationId),
    /// An organisation, by the gateway's operator.
    Ceiling(OrganisationId),
}

impl LimitSubject {
    /// The kind's name in paths and errors.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::AccessKey(_) => "access_key",
            Self::User(_) => "user",
            Self::Team(_) => "team",
            Self::Organisation(_) => "organisation",
            Self::Ceiling(_) => "operator",
        }
    }

    /// The subject of a kind's name and an id; `None` if they are none.
    #[must_use]
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "token" => id.parse().ok().map(Self::Token),
            "access_key" => id.parse().ok().map(Self::AccessKey),
            "user" => id.parse().ok().map(Self::User),
            "team" => id.parse().ok().map(Self::Team),
            "organisation" => id.parse().ok().map(Self::Organisation),
            "operator" => id.parse().ok().map(Self::Ceiling),
            _ => None,
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Token(id) => id.to_string(),
            Self::AccessKey(id) => id.to_string(),
            Self::User(id) => id.to_string(),
            Self::Team(id) => id.to_string(),
            Self::Organisation(id) | Self::Ceiling(id) => id.to_string(),
        }
    }
}

impl fmt::Display for LimitSubject {
    /// The kind and the id: `user:usr_...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.id())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn period_changes_at_midnight_in_utc() {
        for (now, day_end, month_end) in [
            ("2026-11-29T23:59:59.999Z", "2026-11-30T00:00:00.000Z", "2026-12-01T00:00:00.000Z"),
            ("2026-11-30T00:00:00.000Z", "2026-12-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"),
            ("2026-12-31T12:00:00.000Z", "2027-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
            ("2028-02-01T00:00:00.000Z", "2028-02-02T00:00:00.000Z", "2028-03-01T00:00:00.000Z"),
            ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-02-01T00:00:00.000Z"),
        ] {
            assert_eq!(Period::Day.end_at(at(now)), at(day_end), "{now}");
            assert_eq!(Period::Month.end_at(at(now)), at(month_end), "{now}");
            assert_ne!(Period::Day.name_at(at(now)), Period::Day.name_at(at(day_end)));
        }
        assert_eq!(Period::Month.name_at(at("2026-11-29T00:00:00.000Z")), "2026-11");
    }

    #[test]
    fn zero_and_unknown_limits_are_refused() {
        let limits = |json| serde_json::from_value::<Limits>(json);
        let some = limits(json!({"requests_per_minute": 60, "dollars_per_day": 2.5})).unwrap();
        assert_eq!(some.invalid(), None);
        let budget = Budget { tokens: None, nanodollars: Some(2_500_000_000) };
        assert_eq!((some.budget(Period::Day), some.budget(Period::Month)), (Some(budget), None));
        assert_eq!(limits(json!({"tokens_per_day": 0})).unwrap().invalid(), Some("tokens_per_day"));
        assert_eq!(limits(json!({"dollars_per_month": "0"})).unwrap().invalid(), Some("dollars_per_month"));
        assert!(limits(json!({"requests_per_second": 1})).is_err());
        assert!(limits(json!({"requests_per_hour": -1})).is_err());
    }

    #[test]
    fn subject_round_trips() {
        let user = LimitSubject::User(UserId::new());
        assert_eq!(LimitSubject::parse(user.kind(), &user.id()), Some(user));
        assert_eq!(LimitSubject::parse("token", &user.id()), None);
        assert_eq!(LimitSubject::parse("users", &user.id()), None);
    }
}
