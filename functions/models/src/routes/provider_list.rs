//! `GET /v1/providers`.

use axum::{Json, extract::State};
use hearth_http::AppState;
use hearth_wire::native::providers::ProviderList;

/// The providers that are set up, beside the nodes.
#[utoipa::path(
    get, path = "/v1/providers", operation_id = "list_providers", tag = "models", security(("token" = [])),
    responses(
        (status = 200, description = "The providers, their models and their state", body = ProviderList),
    ),
)]
pub(crate) async fn list(State(state): State<AppState>) -> Json<ProviderList> {
    Json(ProviderList { providers: state.gateway.list_providers().await })
}
