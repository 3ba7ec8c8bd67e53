//! Errors of requests that a limit refuses.

use hearth_domain::{Cost, Spend, Timestamp};
use hearth_wire::{ApiError, ErrorCode};

use super::{plan::PlannedBudget, rate::Rate};

/// The error of a request above a rate.
pub(super) fn rate_limited(rate: &Rate, resets_at: Timestamp, now: Timestamp) -> ApiError {
    let (limit, name, kind) = (rate.limit, rate.kind.limit_name(), rate.subject.kind());
    let message = format!(
        "the limit of {limit} {} of this {kind} is reached; send the request again later",
        spoken(name)
    );
    let resource = if rate.kind.is_of_tokens() { "tokens" } else { "requests" };
    ApiError::new(ErrorCode::RateLimited, message)
        .with("limit", limit)
        .with("remaining", 0)
        .with("resets_at", resets_at.to_string())
        .with("resource", resource)
        .with("limit_name", name)
        .with("subject", kind)
        .with_retry_after(Some(now.until(resets_at)))
}

/// The error of a request that a budget hasn't enough left for. `resource`: `tokens` or `dollars`.
pub(super) fn quota_exceeded(
    budget: &PlannedBudget,
    resource: &'static str,
    needed: Spend,
    left: Spend,
    now: Timestamp,
) -> ApiError {
    let (period, kind) = (budget.period.as_str(), budget.subject.kind());
    let ends_at = budget.period.end_at(now);
    let (needed, left) = match resource {
        "tokens" => (needed.tokens.to_string(), left.tokens.to_string()),
        _ => (dollars(needed.nanodollars), dollars(left.nanodollars)),
    };
    let message = format!(
        "the budget of {resource} of this {kind} for the {period} has {left} left, and the request may take {needed}; set a lower \
         max_tokens, wait for the next {period}, or ask for a larger budget"
    );
    ApiError::new(ErrorCode::QuotaExceeded, message)
        .with("subject", kind)
        .with("period", period)
        .with("resource", resource)
        .with("needed", needed)
        .with("left", left)
        .with("resets_at", ends_at.to_string())
        .with_retry_after(Some(now.until(ends_at)))
}

fn spoken(name: &str) -> String {
    name.replace("_per_", " per ")
}

/// An amount in dollars, as text.
pub(super) fn dollars(nanodollars: i64) -> String {
    Cost::from_nanodollars(u64::try_from(nanodollars).unwrap_or_default()).to_string()
}
