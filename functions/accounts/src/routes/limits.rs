//! `/v1/limits`: limits of requests, tokens and money.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::limits::{LimitBody, LimitList, LimitQuery, SetLimits},
};

/// List limits, with what their budgets have left.
///
/// The limits that hold for the caller, the defaults among them. With `of=organisation`, for those who manage its members: all that
/// are set in the organisation.
#[utoipa::path(
    get, path = "/v1/limits", operation_id = "list_limits", tag = "accounts", security(("token" = [])),
    params(LimitQuery),
    responses(
        (status = 200, description = "The limits", body = LimitList),
        (status = 403, description = "Those of the organisation are for its owners and admins", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<LimitQuery>,
) -> Result<Json<LimitList>, HttpError> {
    Ok(Json(state.gateway.limits().list(&caller, query.of).await?))
}

/// Get the limits of a token, an access key, a user, a team or the organisation.
#[utoipa::path(
    get, path = "/v1/limits/{kind}/{id}", operation_id = "get_limits", tag = "accounts", security(("token" = [])),
    params(
        ("kind" = String, Path, description = "`token`, `access_key`, `user`, `team`, `organisation`, or `operator`: the limits that the gateway's operator has set for an organisation", example = "user"),
        ("id" = String, Path, description = "The id of the token, the user and so on"),
    ),
    responses(
        (status = 200, description = "The limits", body = LimitBody),
        (status = 404, description = "It has no limits of its own", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((kind, id)): PathParam<(String, String)>,
) -> Result<Json<LimitBody>, HttpError> {
    Ok(Json(state.gateway.limits().get(&caller, &kind, &id).await?))
}

/// Set the limits of a token, an access key, a user, a team or the organisation, in place of earlier ones.
///
/// A limit that is left out doesn't hold; one is needed. The organisation's own are set by its owners; those of the kind
/// `operator`, which hold besides, by the gateway's operator. They have effect within ten seconds.
#[utoipa::path(
    put, path = "/v1/limits/{kind}/{id}", operation_id = "set_limits", tag = "accounts", security(("token" = [])),
    params(
        ("kind" = String, Path, description = "`token`, `access_key`, `user`, `team`, `organisation` or `operator`", example = "user"),
        ("id" = String, Path, description = "The id of the token, the user and so on"),
    ),
    request_body(content = SetLimits, example = json!({"requests_per_minute": 60, "dollars_per_month": "40"})),
    responses(
        (status = 200, description = "The limits", body = LimitBody),
        (status = 400, description = "A limit is malformed, and `param` names it; or there is none", body = ErrorEnvelope),
        (status = 403, description = "The organisation's own limits, and those of owners, are set by owners", body = ErrorEnvelope),
        (status = 404, description = "There is no such user, team, token or access key in the organisation", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn set(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((kind, id)): PathParam<(String, String)>,
    JsonBody(SetLimits(limits)): JsonBody<SetLimits>,
) -> Result<Json<LimitBody>, HttpError> {
    Ok(Json(state.gateway.limits().set(&caller, &kind, &id, limits).await?))
}

/// Remove limits. A user has the operator's defaults again.
#[utoipa::path(
    delete, path = "/v1/limits/{kind}/{id}", operation_id = "remove_limits", tag = "accounts", security(("token" = [])),
    params(
        ("kind" = String, Path, description = "`token`, `access_key`, `user`, `team`, `organisation` or `operator`", example = "user"),
        ("id" = String, Path, description = "The id of the token, the user and so on"),
    ),
    responses(
        (status = 204, description = "The limits are removed"),
        (status = 404, description = "It has no limits of its own", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((kind, id)): PathParam<(String, String)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.limits().remove(&caller, &kind, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
