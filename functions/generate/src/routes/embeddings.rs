//! `POST /v1/embeddings`: the OpenAI dialect.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, RequestId, head};
use hearth_wire::{
    error::ErrorEnvelope,
    openai::embeddings::{EmbeddingList, EmbeddingRequest},
};

/// Give the vectors that stand for texts, as OpenAI's SDKs ask for them.
///
/// They are in this answer and nowhere else: the request's record has no output.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "compatible", security(("token" = [])),
    request_body = EmbeddingRequest,
    responses(
        (status = 200, body = EmbeddingList),
        (status = "4XX", body = ErrorEnvelope), (status = "5XX", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn embeddings(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(RequestId(id)): Extension<RequestId>,
    JsonBody(request): JsonBody<EmbeddingRequest>,
) -> Result<Response, HttpError> {
    let (count, format) = (request.input.count(), request.format());
    let run = state.gateway.generate(&caller, id, request.into_generation()?).await?;
    let events = run.collect().await;
    let answer = EmbeddingList::collected(&events, count, format)?;
    Ok(head::told(Json(answer).into_response(), &events))
}
