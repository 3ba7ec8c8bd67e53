//! `GET /v1/usage`: sums of requests, tokens and costs.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::usage::{UsageBody, UsageFormat, UsageQuery},
};

/// Sum up usage by day, model, provider, token, user or team.
///
/// The caller's own; with `of=organisation`, for its owners, admins and auditors, everybody's. A run counts on the day on which
/// it began.
#[utoipa::path(
    get, path = "/v1/usage", operation_id = "get_usage", tag = "accounts", security(("token" = [])),
    params(UsageQuery),
    responses(
        (status = 200, description = "The sums; with `format=csv` as `text/csv`", content(
            (UsageBody = "application/json"),
            (String = "text/csv"),
        )),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The role may not read everybody's usage", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<UsageQuery>,
) -> Result<Response, HttpError> {
    let usage = state.gateway.usage().report(&caller, &query).await?;
    if query.format == UsageFormat::Json {
        return Ok(Json(usage).into_response());
    }
    let mut response = usage.to_csv().into_response();
    let (csv, attachment) = ("text/csv; charset=utf-8", "attachment; filename=\"usage.csv\"");
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(csv));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(attachment));
    Ok(response)
}
