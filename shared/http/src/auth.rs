//! Who may call a route.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use hearth_domain::Scope;
use hearth_wire::{ApiError, ErrorCode};
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{AppState, HttpError};

/// A route layer that lets callers with `scope` pass. Handlers find them as an extension,
/// [`hearth_gateway::Caller`].
pub async fn require(
    State((state, scope)): State<(AppState, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&state, scope, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => HttpError(error).into_response(),
    }
}

/// Who calls, for a route that is open to others too.
///
/// # Errors
/// `unauthorized` without a valid credential; `forbidden` if it lacks `scope`.
pub async fn caller(
    state: &AppState,
    scope: Scope,
    headers: &HeaderMap,
) -> Result<hearth_gateway::Caller, ApiError> {
    let caller = state.gateway.authenticate(credential(headers)?).await?;
    caller.require(scope)?;
    Ok(caller)
}

/// The credential: `Authorization: Bearer`, or `X-API-Key`.
fn credential(headers: &HeaderMap) -> Result<&str, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = text(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, credential) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(credential.trim())
    });
    bearer.or_else(|| text("x-api-key")).filter(|credential| !credential.is_empty()).ok_or_else(|| {
        let message = "no API token was sent; send one as `Authorization: Bearer hth_...`";
        ApiError::new(ErrorCode::Unauthorized, message)
    })
}
