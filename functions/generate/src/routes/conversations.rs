//! `/v1/conversations`: OpenAI's conversations, which are sessions.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, OptionalJsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    openai::responses::{
        ConversationItemList, ConversationItemsQuery, ConversationObject, CreateConversation,
        CreateConversationItems, DeletedConversation, UpdateConversation, messages_of_items,
    },
};
use serde_json::Value;

/// Create a conversation, as OpenAI's SDKs do.
///
/// It is a session: `/v1/sessions/{id}` has it too. `POST /v1/responses` continues it with `conversation`.
#[utoipa::path(
    post, path = "/v1/conversations", operation_id = "create_conversation", tag = "compatible", security(("token" = [])),
    request_body(
        content = CreateConversation,
        example = json!({"items": [{"role": "user", "content": "Hello!"}], "metadata": {"topic": "demo"}}),
    ),
    responses(
        (status = 200, description = "The conversation", body = ConversationObject),
        (status = 400, description = "An item or the metadata are wrong", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    OptionalJsonBody(request): OptionalJsonBody<CreateConversation>,
) -> Result<Json<ConversationObject>, HttpError> {
    let messages = messages_of_items(request.items.unwrap_or_default())?;
    let metadata = request.metadata.unwrap_or_default();
    let session = state.gateway.create_conversation(&caller, metadata, messages).await?;
    Ok(Json(ConversationObject::from(&session)))
}

/// Get a conversation.
#[utoipa::path(
    get, path = "/v1/conversations/{id}", operation_id = "get_conversation", tag = "compatible", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the conversation")),
    responses(
        (status = 200, description = "The conversation", body = ConversationObject),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<String>,
) -> Result<Json<ConversationObject>, HttpError> {
    let session = state.gateway.conversation_session(&caller, &id).await?;
    Ok(Json(ConversationObject::from(&session)))
}

/// Replace the metadata of a conversation.
#[utoipa::path(
    post, path = "/v1/conversations/{id}", operation_id = "update_conversation", tag = "compatible",
    security(("token" = [])),
    request_body(content = UpdateConversation, example = json!({"metadata": {"topic": "demo"}})),
    params(("id" = String, Path, description = "Id of the conversation")),
    responses(
        (status = 200, description = "The conversation", body = ConversationObject),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn update(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<UpdateConversation>,
) -> Result<Json<ConversationObject>, HttpError> {
    let session = state.gateway.update_conversation(&caller, &id, request.metadata).await?;
    Ok(Json(ConversationObject::from(&session)))
}

/// Delete a conversation with its items.
///
/// Responses that were created in it stay, until they are deleted themselves or expire.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}", operation_id = "delete_conversation", tag = "compatible",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the conversation")),
    responses(
        (status = 200, description = "Deletion", body = DeletedConversation),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<String>,
) -> Result<Json<DeletedConversation>, HttpError> {
    state.gateway.delete_conversation(&caller, &id).await?;
    Ok(Json(DeletedConversation::new(id)))
}

/// Add items to a conversation.
///
/// While a response in the conversation is in progress, the items wait for its end.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/items", operation_id = "create_conversation_items", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = CreateConversationItems,
        example = json!({"items": [{"role": "user", "content": "Hello!"}]}),
    ),
    params(("id" = String, Path, description = "Id of the conversation")),
    responses(
        (status = 200, description = "The added items", body = ConversationItemList),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The conversation is closed, or in use for too long", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create_items(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<CreateConversationItems>,
) -> Result<Json<ConversationItemList>, HttpError> {
    let session = state.gateway.conversation_session(&caller, &id).await?;
    let messages = messages_of_items(request.items)?;
    Ok(Json(state.gateway.add_conversation_messages(&caller, session.id, messages).await?))
}

/// List the items of a conversation, newest first unless `order` is `asc`.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/items", operation_id = "list_conversation_items", tag = "compatible",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the conversation"), ConversationItemsQuery),
    responses(
        (status = 200, description = "A page of items", body = ConversationItemList),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_items(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<String>,
    QueryParams(query): QueryParams<ConversationItemsQuery>,
) -> Result<Json<ConversationItemList>, HttpError> {
    Ok(Json(state.gateway.conversation_items(&caller, &id, &query).await?))
}

/// Get an item of a conversation.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/items/{item_id}", operation_id = "get_conversation_item", tag = "compatible",
    security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the conversation"),
        ("item_id" = String, Path, description = "Id of the item"),
    ),
    responses(
        (status = 200, description = "The item", body = Object),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get_item(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, item)): PathParam<(String, String)>,
) -> Result<Json<Value>, HttpError> {
    Ok(Json(state.gateway.conversation_item(&caller, &id, &item).await?))
}

/// Delete an item of a conversation, with the others of its message; returns the conversation.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}/items/{item_id}", operation_id = "delete_conversation_item",
    tag = "compatible", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the conversation"),
        ("item_id" = String, Path, description = "Id of the item"),
    ),
    responses(
        (status = 200, description = "The conversation", body = ConversationObject),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete_item(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, item)): PathParam<(String, String)>,
) -> Result<Json<ConversationObject>, HttpError> {
    let session = state.gateway.delete_conversation_item(&caller, &id, &item).await?;
    Ok(Json(ConversationObject::from(&session)))
}
