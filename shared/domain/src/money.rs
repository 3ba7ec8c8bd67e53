//! Money in US dollars: prices of tokens and costs of runs, as whole numbers, so that nothing is rounded and no sum
//! drifts.

use std::{fmt, ops::Add, str::FromStr};

use serde::{Deserialize, Serialize};

/// Smallest amounts in a dollar.
const DOLLAR: u128 = 1_000_000_000_000;
/// Maximum decimals of an amount in dollars.
const DECIMALS: u32 = 12;
/// Maximum decimals of a price for a million tokens.
const RATE_DECIMALS: u32 = 6;
/// Maximum dollars for a million tokens; more is a typing error.
const DOLLARS_MAX: u128 = 1_000_000;

/// Text or number that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected dollars, 0 to {DOLLARS_MAX}, with at most {decimals} decimals and without an exponent")]
pub struct InvalidAmount {
    /// Maximum number of decimals.
    pub decimals: u32,
}

/// Price of a token, in dollars for a million tokens with at most six decimals. In JSON it is a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "Decimal")]
pub struct Rate(u64);

impl Rate {
    /// Price of a free token.
    pub const FREE: Self = Self(0);

    /// Returns the price of a token that costs this amount.
    #[must_use]
    pub fn per_token(cost: Cost) -> Option<Self> {
        u64::try_from(cost.0).ok().map(Self)
    }

    /// Returns the cost of this many tokens.
    #[must_use]
    pub fn of(self, tokens: u32) -> Cost {
        // A dollar for a million tokens is a millionth of a dollar for one: six decimals and six are twelve.
        Cost(u128::from(self.0) * u128::from(tokens))
    }
}

impl FromStr for Rate {
    type Err = InvalidAmount;
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let error = InvalidAmount { decimals: RATE_DECIMALS };
        fixed(text, RATE_DECIMALS).and_then(|amount| u64::try_from(amount).ok()).map(Self).ok_or(error)
    }
}

impl TryFrom<Decimal> for Rate {
    type Error = InvalidAmount;
    fn try_from(decimal: Decimal) -> Result<Self, InvalidAmount> {
        decimal.text().parse()
    }
}

impl From<Rate> for f64 {
    #[expect(clippy::cast_precision_loss, reason = "the float is for display; sums use the whole number")]
    fn from(rate: Rate) -> Self {
        rate.0 as Self / 1e6
    }
}

/// Amount of US dollars. As text and in JSON it is a decimal number without an exponent, such as `0.000123`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "Decimal")]
pub struct Cost(u128);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Returns the amount in billionths of a dollar, rounded up, so that a cost never becomes zero.
    #[must_use]
    pub fn nanodollars(self) -> u64 {
        u64::try_from(self.0.div_ceil(1000)).unwrap_or(u64::MAX)
    }

    /// Returns the amount of this many billionths of a dollar.
    #[must_use]
    pub fn from_nanodollars(nanodollars: u64) -> Self {
        Self(u128::from(nanodollars) * 1000)
    }

    /// Returns the amount in dollars, for metrics and spans: the number nearest to the decimal one.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact below 9,007 dollars, and a metric needs few digits"
    )]
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    /// Returns the amount of a measured number of dollars; nothing for a number that is no amount.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the number is in the range, and a measured amount has few digits"
    )]
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Self {
        let is_amount = (0.0..=DOLLARS_MAX as f64).contains(&dollars);
        Self(if is_amount { (dollars * DOLLAR as f64).round() as u128 } else { 0 })
    }

    /// Multiplies the amount.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(u128::from(count)))
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, rest) = (self.0 / DOLLAR, self.0 % DOLLAR);
        if rest == 0 {
            return write!(f, "{dollars}");
        }
        let decimals = format!("{rest:012}");
        write!(f, "{dollars}.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Cost {
    type Err = InvalidAmount;
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        fixed(text, DECIMALS).map(Self).ok_or(InvalidAmount { decimals: DECIMALS })
    }
}

impl TryFrom<Decimal> for Cost {
    type Error = InvalidAmount;
    fn try_from(decimal: Decimal) -> Result<Self, InvalidAmount> {
        decimal.text().parse()
    }
}

impl From<Cost> for String {
    fn from(cost: Cost) -> Self {
        cost.to_string()
    }
}

/// A decimal number in JSON or TOML.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an amount of dollars, such as 0.25")]
enum Decimal {
    Whole(u64),
    Number(f64),
    Text(String),
}

impl Decimal {
    fn text(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            // The shortest decimal that stands for this number: what was written, to 15 digits.
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A decimal number times 10 to the power of `decimals`, if it is whole then.
fn fixed(text: &str, decimals: u32) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let part = part.trim_end_matches('0');
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let missing = decimals.checked_sub(u32::try_from(part.len()).ok()?)?;
    let unit = 10_u128.pow(decimals);
    let whole = whole.parse::<u128>().ok().filter(|whole| *whole <= DOLLARS_MAX)?;
    let part = if part.is_empty() { 0 } else { part.parse::<u128>().ok()? * 10_u128.pow(missing) };
    Some(whole * unit + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_survives_serialization() {
        for text in ["0.075", "1.25", "0.0028", "15", "0", "0.000001", "600", "0.1"] {
            let rate: Rate = text.parse().unwrap();
            let json = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate, "{text}");
            assert_eq!(rate.of(1_000_000).to_string(), text);
        }
        assert_eq!(serde_json::from_str::<Rate>("\"0.3\"").unwrap(), serde_json::from_str("0.30").unwrap());
        for bad in ["-1", "1e3", "", ".5", "0.0000001", "1000001", "NaN", "1.2.3", "+1"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?} passed");
        }
        for bad in ["-0.5", "null", "true", "1e300", "{}"] {
            assert!(serde_json::from_str::<Rate>(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn an_amount_is_shown_without_an_exponent() {
        let rate: Rate = "0.075".parse().unwrap();
        assert_eq!(rate.of(1).to_string(), "0.000000075");
        assert_eq!(Cost::ZERO.to_string(), "0");
        assert_eq!("2.50".parse::<Cost>().unwrap().to_string(), "2.5");
        assert_eq!(rate.of(1).nanodollars(), 75);
        assert_eq!(Rate::per_token(rate.of(1)), Some(rate));
        assert_eq!("0.000000000001".parse::<Cost>().unwrap().nanodollars(), 1);
        let json = serde_json::to_string(&rate.of(3)).unwrap();
        assert_eq!(json, "\"0.000000225\"");
        assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), rate.of(3));
    }
}
