//! `GET /v1/route`: dry run of the routing.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::route::{RouteBody, RouteQuery},
};

/// Explain the routing of a request: its candidates, and the reasons against the other models. No provider is called.
#[utoipa::path(
    get, path = "/v1/route", operation_id = "explain_route", tag = "generate", security(("token" = [])),
    params(RouteQuery),
    responses(
        (status = 200, description = "Candidates in order, with the reasons", body = RouteBody),
        (status = 404, description = "No such model or provider", body = ErrorEnvelope),
        (status = 503, description = "No model can serve such a request", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn route(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<RouteQuery>,
) -> Result<Json<RouteBody>, HttpError> {
    Ok(Json(state.gateway.route(&caller, query.into_generation()?).await?))
}
