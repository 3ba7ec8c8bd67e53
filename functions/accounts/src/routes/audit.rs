//! `/v1/audit`: the audit log.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::audit::{AuditList, AuditQuery, AuditVerification, VerifyQuery},
};

/// List entries of the audit log, oldest first.
///
/// Each change and each refusal is an entry. A page may have fewer entries than `limit`, or none, before the last one.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "list_audit", tag = "accounts", security(("token" = [])),
    params(AuditQuery),
    responses(
        (status = 200, description = "The entries", body = AuditList),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The caller may not read this log", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<AuditQuery>,
) -> Result<Json<AuditList>, HttpError> {
    Ok(Json(state.gateway.audit().list(&caller, &query).await?))
}

/// Verify a log: the hashes of its records, and the signed seals over them.
///
/// The check ends at the first break. A large log takes several requests: `next_from` is the `from` of the next one.
#[utoipa::path(
    get, path = "/v1/audit/verify", operation_id = "verify_audit", tag = "accounts", security(("token" = [])),
    params(VerifyQuery),
    responses(
        (status = 200, description = "The result", body = AuditVerification),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The caller may not read this log", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn verify(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<VerifyQuery>,
) -> Result<Json<AuditVerification>, HttpError> {
    Ok(Json(state.gateway.audit().verify_for(&caller, &query).await?))
}
