//! `POST /v1/users/tokens`.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_gateway::{Caller, tokens::shown};
use hearth_http::{AppState, HttpError, JsonBody};
use hearth_wire::{
    error::ErrorEnvelope,
    native::tokens::{CreateToken, CreatedToken},
};

/// Make an API token. Its text is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/users/tokens", operation_id = "create_token", tag = "accounts", security(("token" = [])),
    request_body(
        content = CreateToken,
        example = json!({"name": "laptop", "scopes": ["generate", "models:read"]}),
    ),
    responses(
        (status = 201, description = "The token, whose text is shown this once", body = CreatedToken),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The token lacks the scope", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(ask): JsonBody<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), HttpError> {
    let (token, record) = state.gateway.create_token(&caller, ask).await?;
    let created = CreatedToken { token: token.expose().to_owned(), record: shown(record) };
    Ok((StatusCode::CREATED, Json(created)))
}
