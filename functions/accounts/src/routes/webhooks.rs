//! `/v1/webhooks`: subscriptions to events, and the log of their deliveries.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{EventId, WebhookId};
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::webhooks::{
        CreateWebhook, DeliveryBody, DeliveryList, DeliveryQuery, ReplayDeliveries, ReplayResult,
        RotateSecret, UpdateWebhook, WebhookBody, WebhookList, WebhookWithSecret,
    },
};

/// Subscribe to events. The response has the secret that verifies them, this once.
#[utoipa::path(
    post, path = "/v1/webhooks", operation_id = "create_webhook", tag = "webhooks", security(("token" = [])),
    request_body(content = CreateWebhook, example = json!({
        "events": ["run.failed", "job.*"], "url": "https://receiver.example/hearth",
    })),
    responses(
        (status = 201, description = "The webhook, with its secret", body = WebhookWithSecret),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "Only owners and admins may subscribe to the events of all members", body = ErrorEnvelope),
        (status = 409, description = "There are too many webhooks", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    note: AuditNote,
    JsonBody(request): JsonBody<CreateWebhook>,
) -> Result<(StatusCode, Json<WebhookWithSecret>), HttpError> {
    let created = state.gateway.webhooks().create(&caller, request).await?;
    note.resource(created.webhook.id);
    Ok((StatusCode::CREATED, Json(created)))
}

/// List one's own webhooks, and for owners and admins those of the organisation.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks", security(("token" = [])),
    responses((status = 200, description = "The webhooks, without their secrets", body = WebhookList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<WebhookList>, HttpError> {
    Ok(Json(state.gateway.webhooks().list(&caller).await?))
}

/// Get a webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", operation_id = "get_webhook", tag = "webhooks", security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    responses(
        (status = 200, description = "The webhook", body = WebhookBody),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
) -> Result<Json<WebhookBody>, HttpError> {
    Ok(Json(state.gateway.webhooks().get(&caller, id).await?))
}

/// Change a webhook.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", operation_id = "update_webhook", tag = "webhooks", security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    request_body(content = UpdateWebhook, example = json!({"events": ["run.*"]})),
    responses(
        (status = 200, description = "The changed webhook", body = WebhookBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
        (status = 409, description = "It was changed at the same time", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn update(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
    JsonBody(request): JsonBody<UpdateWebhook>,
) -> Result<Json<WebhookBody>, HttpError> {
    Ok(Json(state.gateway.webhooks().update(&caller, id, request).await?))
}

/// Delete a webhook. Deliveries that haven't ended are dropped.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", operation_id = "delete_webhook", tag = "webhooks", security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    responses(
        (status = 204, description = "The webhook is deleted"),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.webhooks().delete(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test event to a webhook. The response has its delivery; the list of deliveries shows the result a moment later.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/test", operation_id = "test_webhook", tag = "webhooks", security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    responses(
        (status = 202, description = "The delivery of the test event", body = DeliveryBody),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
        (status = 409, description = "The webhook isn't active", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn test(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
) -> Result<(StatusCode, Json<DeliveryBody>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(state.gateway.webhooks().test(&caller, id).await?)))
}

/// Replace the secret of a webhook. For a time the events have signatures by both secrets.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/rotate", operation_id = "rotate_webhook_secret", tag = "webhooks", security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    request_body(content = RotateSecret, example = json!({"overlap_seconds": 3600})),
    responses(
        (status = 200, description = "The webhook, with its new secret", body = WebhookWithSecret),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
        (status = 409, description = "It was changed at the same time", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
    JsonBody(request): JsonBody<RotateSecret>,
) -> Result<Json<WebhookWithSecret>, HttpError> {
    Ok(Json(state.gateway.webhooks().rotate(&caller, id, request).await?))
}

/// Pause a webhook: events are stored, and delivered once it is resumed.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/pause", operation_id = "pause_webhook", tag = "webhooks", security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    responses(
        (status = 200, description = "The webhook after that", body = WebhookBody),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
        (status = 409, description = "It was changed at the same time", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn pause(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
) -> Result<Json<WebhookBody>, HttpError> {
    Ok(Json(state.gateway.webhooks().pause(&caller, id).await?))
}

/// Resume a webhook that was paused or disabled, and deliver the events that wait.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/resume", operation_id = "resume_webhook", tag = "webhooks", security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    responses(
        (status = 200, description = "The webhook after that", body = WebhookBody),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
        (status = 409, description = "It was changed at the same time", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn resume(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
) -> Result<Json<WebhookBody>, HttpError> {
    Ok(Json(state.gateway.webhooks().resume(&caller, id).await?))
}

/// List the deliveries to a webhook of the last 30 days, the newest event first.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", operation_id = "list_webhook_deliveries", tag = "webhooks",
    security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`"), DeliveryQuery),
    responses(
        (status = 200, description = "A page of deliveries", body = DeliveryList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn deliveries(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
    QueryParams(query): QueryParams<DeliveryQuery>,
) -> Result<Json<DeliveryList>, HttpError> {
    Ok(Json(state.gateway.webhooks().deliveries(&caller, id, query).await?))
}

/// Send an event again whose delivery has ended. It has the same `webhook-id`.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/deliveries/{event}/replay", operation_id = "replay_webhook_delivery", tag = "webhooks",
    security(("token" = [])),
    params(
        ("id" = String, Path, description = "The webhook's id, `wh_...`"),
        ("event" = String, Path, description = "The event's id, `evt_...`"),
    ),
    responses(
        (status = 202, description = "The delivery, which is pending again", body = DeliveryBody),
        (status = 404, description = "No such webhook or delivery", body = ErrorEnvelope),
        (status = 409, description = "The delivery hasn't ended", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn replay(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, event)): PathParam<(WebhookId, EventId)>,
) -> Result<(StatusCode, Json<DeliveryBody>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(state.gateway.webhooks().replay(&caller, id, event).await?)))
}

/// Send the events of a time again whose deliveries have failed, or have another end; 500 at most.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/replay", operation_id = "replay_webhook_deliveries", tag = "webhooks",
    security(("token" = [])),
    params(("id" = String, Path, description = "The webhook's id, `wh_...`")),
    request_body(content = ReplayDeliveries, example = json!({"state": "failed"})),
    responses(
        (status = 202, description = "The number of deliveries", body = ReplayResult),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such webhook", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn replay_range(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<WebhookId>,
    JsonBody(request): JsonBody<ReplayDeliveries>,
) -> Result<(StatusCode, Json<ReplayResult>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(state.gateway.webhooks().replay_range(&caller, id, request).await?)))
}
