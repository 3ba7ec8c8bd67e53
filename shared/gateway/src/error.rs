//! Errors of the store and of the process as errors of the API. The reason goes to the log, and the client gets what it
//! can act on.

use std::fmt::Display;

use hearth_store::{
    DiskProblem, StoreError,
    quota::{QuotaExcess, QuotaKind},
};
use hearth_wire::{ApiError, ErrorCode};

/// Detail of an error that names the problem of the home stores.
pub const STORAGE_DETAIL: &str = "storage";

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn store(error: StoreError) -> ApiError {
    if let StoreError::Gone(_) = error {
        let message = "the text is no longer stored: texts are deleted after 30 days, or by the operator";
        return ApiError::new(ErrorCode::NotFound, message);
    }
    if let StoreError::OverQuota(excess) = &error {
        return over_quota(excess);
    }
    tracing::error!(%error, "the store failed");
    let advice = match error.disk_problem() {
        Some(_) => "",
        None => "; try again, then look at its log",
    };
    of_store("the gateway's store can't be read or written", error.disk_problem(), advice)
}

/// The error of a store, with the problem that the operator has to solve, if it is known. `rest`: the end of the message.
pub(crate) fn of_store(failure: &str, problem: Option<DiskProblem>, rest: &str) -> ApiError {
    let Some(problem) = problem else {
        return ApiError::new(ErrorCode::Internal, format!("{failure}{rest}"));
    };
    let name = problem.as_str();
    let message = format!("{failure} ({name}: on the gateway's machine, {problem}){rest}");
    ApiError::new(ErrorCode::Internal, message).with(STORAGE_DETAIL, name)
}

pub(crate) fn internal(error: &dyn Display) -> ApiError {
    tracing::error!(%error, "the gateway failed");
    ApiError::new(ErrorCode::Internal, "the gateway failed; the reason is in its log")
}

/// The error of a request whose run must be found later, and can't be stored.
pub(crate) fn not_recorded(problem: Option<DiskProblem>) -> ApiError {
    let failure = "the run can't be recorded, so that it could not be found later";
    of_store(failure, problem, "; GET /ready shows the reason")
}

/// The error of a write that a quota doesn't allow.
fn over_quota(excess: &QuotaExcess) -> ApiError {
    let QuotaExcess { kind, is_organisations, sums, quota, needed_bytes } = excess;
    let subject = if *is_organisations { "organisation" } else { "user" };
    let whose = if *is_organisations { "your organisation's" } else { "your" };
    let (things, advice, table) = match kind {
        QuotaKind::Sessions => {
            ("sessions", "delete sessions (DELETE /v1/sessions/{id}?permanent=true)", "sessions")
        }
        QuotaKind::Requests => (
            "stored requests",
            "delete requests (DELETE /v1/requests/{id}), send this one with store: false",
            "requests",
        ),
    };
    let message = format!(
        "{whose} {things} have {} bytes of {}, and are {} of {}; {advice}, or let the operator raise the settings \
         {table}.{subject}_max_bytes and {table}.{subject}_max_count",
        sums.bytes, quota.max_bytes, sums.count, quota.max_count
    );
    ApiError::new(ErrorCode::QuotaExceeded, message)
        .with("subject", subject)
        .with("used_bytes", sums.bytes)
        .with("max_bytes", quota.max_bytes)
        .with("used_count", sums.count)
        .with("max_count", quota.max_count)
        .with("needed_bytes", *needed_bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn no_conversation(error: StoreError) -> ApiError {
    tracing::error!(%error, "a conversation can't be stored");
    let failure = "the answer is complete, and GET /v1/requests/{id} has it, but the conversation can't be stored for a \
                   next request";
    of_store(failure, error.disk_problem(), "; send the request again, or with store: false")
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn no_request(error: StoreError) -> ApiError {
    if let StoreError::OverQuota(excess) = &error {
        return over_quota(excess);
    }
    tracing::error!(%error, "a request can't be stored");
    let failure = "the request can't be stored for a replay, so it wasn't begun";
    of_store(failure, error.disk_problem(), "; send it again, or with store: false")
}

/// The error of a turn whose messages can't be stored.
pub(crate) fn store_of_turn(error: StoreError) -> ApiError {
    if matches!(error, StoreError::Conflict) {
        let message = "the session was deleted, or has passed to another turn; send the request again";
        return ApiError::new(ErrorCode::Conflict, message);
    }
    store(error)
}

/// The error for a conversation that isn't stored, or is another user's.
pub(crate) fn no_such_response() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no stored response with this id")
}

/// The error for a response that has no whole answer: its run goes on, or was stopped.
pub(crate) fn unfinished_response() -> ApiError {
    let message = "the response isn't complete: it is still in progress, or has failed; GET /v1/responses/{id} shows it";
    ApiError::new(ErrorCode::Conflict, message)
}

/// The error for a run that isn't stored, or is another user's.
pub(crate) fn no_such_request() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no request with this id")
}

/// The error for a model that neither a node nor a provider has.
pub(crate) fn no_such_model(id: &str) -> ApiError {
    // The id comes from the client, so its length is limited.
    let shown: String = id.chars().take(100).collect();
    let message = format!("there is no model {shown:?}; GET /v1/models lists the models");
    ApiError::new(ErrorCode::ModelNotFound, message).at("model")
}

/// The error of a code that is mistyped, used, revoked or expired. It doesn't distinguish them.
pub(crate) fn invalid_code() -> ApiError {
    let message = "the code isn't valid: it is mistyped, used, revoked or expired; ask for another one";
    ApiError::new(ErrorCode::Forbidden, message).at("code")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_of_the_store_is_named_with_what_to_do() {
        let full =
            || StoreError::Disk { operation: "put", reason: String::new(), problem: DiskProblem::Full };
        for error in
            [store(full()), no_conversation(full()), no_request(full()), not_recorded(full().disk_problem())]
        {
            assert!(error.message.contains("disk full") && error.message.contains("make room"), "{error:?}");
            assert_eq!(
                (error.code, &error.details[STORAGE_DETAIL]),
                (ErrorCode::Internal, &"disk full".into())
            );
        }
        for problem in DiskProblem::ALL {
            assert_eq!(DiskProblem::parse(problem.as_str()), Some(problem));
        }
    }

    #[test]
    fn other_failure_of_the_store_has_no_reason_for_clients() {
        let down = || StoreError::Unavailable { operation: "put", reason: "secret".to_owned() };
        for error in [store(down()), no_conversation(down()), no_request(down()), not_recorded(None)] {
            assert!(!error.message.contains("secret") && !error.message.contains('('), "{error:?}");
            assert!(error.details.is_empty(), "{error:?}");
        }
    }
}
