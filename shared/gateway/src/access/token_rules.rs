//! Rules of API tokens: their names, models and ends, and what a caller may do with which.

use std::time::Duration;

use hearth_domain::{ModelLimits, Scope, Timestamp};
use hearth_store::tokens::TokenRecord;
use hearth_wire::{ApiError, ErrorCode};

use super::{Caller, Credential};

/// Name of the token that a gateway at home issues for the commands on its machine. It ends with the process, so it
/// doesn't count as a token that could replace another one.
pub const COMMANDS_TOKEN_NAME: &str = "commands on this machine";

const NAME_MAX_CHARS: usize = 100;
const LIFETIME_MAX_DAYS: u32 = 3650;
/// Limit of the time for which a token lasts that was made by a bearer token of an identity provider: those who aren't at the
/// provider any longer make no other.
const ISSUER_LIFETIME_MAX_DAYS: u32 = 30;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Limit of the patterns of a token, and of the models of an access key.
const MODELS_MAX_COUNT: usize = 100;
const MODEL_MAX_BYTES: usize = 256;

/// The end of a credential that is created now; none if it never ends.
///
/// # Errors
/// `invalid_request` for a number of days that isn't 1 to 3650.
pub fn end_after(days: Option<u32>) -> Result<Option<Timestamp>, ApiError> {
    if days.is_some_and(|days| !(1..=LIFETIME_MAX_DAYS).contains(&days)) {
        let message = format!("expires_in_days must be 1 to {LIFETIME_MAX_DAYS}");
        return Err(ApiError::invalid("expires_in_days", message));
    }
    Ok(days.map(|days| Timestamp::now().plus(DAY * days)))
}

/// The end of a credential that the caller creates: that of the caller's own, unless `days` says sooner. An access token of a login
/// is short-lived, and what it creates need not be; by a token of an identity provider it ends after 30 days at most.
pub(super) fn end_for(caller: &Caller, days: Option<u32>) -> Result<Option<Timestamp>, ApiError> {
    let end = end_after(days)?;
    let limit = match caller.credential {
        Credential::Token(_) | Credential::AccessKey(_) => caller.expires_at,
        Credential::Issuer => Some(Timestamp::now().plus(DAY * ISSUER_LIFETIME_MAX_DAYS)),
        Credential::Login(_) => None,
    };
    let expires_at = end.or(limit);
    if outlives(expires_at, limit) {
        if caller.credential == Credential::Issuer {
            let message = format!(
                "expires_in_days is at most {ISSUER_LIFETIME_MAX_DAYS} with a token of an identity provider; sign in to make \
                 one that ends later"
            );
            return Err(ApiError::new(ErrorCode::Forbidden, message).at("expires_in_days"));
        }
        let end = limit.map(|at| at.to_string()).unwrap_or_default();
        let message = format!(
            "this token ends at {end}, and makes none that ends later; leave expires_in_days out for the same end"
        );
        return Err(ApiError::new(ErrorCode::Forbidden, message).at("expires_in_days"));
    }
    Ok(expires_at)
}

/// The models of a token that the caller creates: those of the caller's own, unless `patterns` are fewer.
pub(super) fn models_for(
    caller: &Caller,
    patterns: Option<Vec<String>>,
) -> Result<Option<ModelLimits>, ApiError> {
    let Some(patterns) = patterns else { return Ok(caller.models.as_deref().cloned()) };
    check_models(&patterns)?;
    let models = ModelLimits::new(patterns);
    require_models(caller, &models)?;
    Ok(Some(models))
}

/// Checks that the caller may use all of the models.
///
/// # Errors
/// `forbidden`, naming the pattern that reaches beyond.
pub(super) fn require_models(caller: &Caller, models: &ModelLimits) -> Result<(), ApiError> {
    let Some(limits) = caller.models.as_deref() else { return Ok(()) };
    let Some(pattern) = models.first_beyond(limits) else { return Ok(()) };
    let message = format!(
        "this token may not use all models of {pattern:?}; it may use: {}",
        limits.patterns().join(", ")
    );
    Err(ApiError::new(ErrorCode::Forbidden, message).at("models"))
}

/// Checks the models of a token or an access key.
///
/// # Errors
/// `invalid_request`.
pub fn check_models(models: &[String]) -> Result<(), ApiError> {
    let is_valid = |model: &String| {
        !model.trim().is_empty() && model.len() <= MODEL_MAX_BYTES && !model.chars().any(char::is_control)
    };
    if (1..=MODELS_MAX_COUNT).contains(&models.len()) && models.iter().all(is_valid) {
        return Ok(());
    }
    let message = format!(
        "models must have 1 to {MODELS_MAX_COUNT} entries of 1 to {MODEL_MAX_BYTES} bytes, without control characters"
    );
    Err(ApiError::invalid("models", message))
}

/// Checks the name of a token or an access key.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    let is_valid = !name.trim().is_empty()
        && name.chars().count() <= NAME_MAX_CHARS
        && !name.chars().any(char::is_control);
    if is_valid {
        return Ok(());
    }
    let message = format!(
        "name must have 1 to {NAME_MAX_CHARS} characters, and no line breaks or other control characters"
    );
    Err(ApiError::invalid("name", message))
}

/// Checks that the caller could have created the token, or that it is the caller's own.
pub(super) fn require_narrower(caller: &Caller, token: &TokenRecord) -> Result<(), ApiError> {
    let id = token.id;
    if caller.token() == Some(id) {
        return Ok(());
    }
    if let Some(scope) = token.scopes.iter().find(|scope| !caller.scopes.contains(**scope)) {
        let message = format!(
            "the token {id} has the scope {:?}, which this one lacks; use a token that has it",
            scope.as_str()
        );
        return Err(ApiError::new(ErrorCode::Forbidden, message).with("scope", scope.as_str()));
    }
    match (&token.models, caller.models.as_deref()) {
        (Some(models), _) => require_models(caller, models)?,
        (None, Some(_)) => {
            let message =
                format!("the token {id} may use every model, and this one may not; use one that may");
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        (None, None) => {}
    }
    if caller.token().is_some() && outlives(token.expires_at, caller.expires_at) {
        let message =
            format!("the token {id} ends later than this one; use a token that ends no sooner than it");
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    Ok(())
}

/// True if `end` is later than `other`. None stands for no end.
fn outlives(end: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    other.is_some_and(|other| end.is_none_or(|end| end > other))
}

/// True if `token` has every scope and every model, and no other valid one of `tokens` has for as long.
pub(super) fn is_last_full(token: &TokenRecord, tokens: &[TokenRecord], now: Timestamp) -> bool {
    let is_full = |token: &TokenRecord| {
        token.is_valid(now)
            && token.name != COMMANDS_TOKEN_NAME
            && token.models.is_none()
            && Scope::ALL.iter().all(|scope| token.scopes.contains(scope))
    };
    let is_spare = |other: &TokenRecord| {
        other.id != token.id && is_full(other) && !outlives(token.expires_at, other.expires_at)
    };
    is_full(token) && !tokens.iter().any(is_spare)
}

#[cfg(test)]
mod tests;
