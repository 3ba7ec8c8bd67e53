//! Sessions searched, exported and imported.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use hearth_domain::SessionId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::sessions::{
        SessionExportFormat, SessionExportQuery, SessionImportReport, SessionSearchQuery,
        SessionSearchResults,
    },
};
use serde_json::Value;

/// Search in the titles and messages of the caller's sessions.
#[utoipa::path(
    get, path = "/v1/sessions/search", operation_id = "search_sessions", tag = "sessions",
    security(("token" = [])),
    params(SessionSearchQuery),
    responses(
        (status = 200, description = "A page of the results", body = SessionSearchResults),
        (status = 400, description = "No words, or a bad limit or cursor", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn search(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<SessionSearchQuery>,
) -> Result<Json<SessionSearchResults>, HttpError> {
    Ok(Json(state.gateway.search_sessions(&caller, &query).await?))
}

/// Export a session: as JSON with the messages of all branches, or its active branch as Markdown.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/export", operation_id = "export_session", tag = "sessions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the session"), SessionExportQuery),
    responses(
        (status = 200, description = "A file", content(
            (Object = "application/json"), (String = "text/markdown"),
        )),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn export(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<SessionId>,
    QueryParams(query): QueryParams<SessionExportQuery>,
) -> Result<Response, HttpError> {
    let file = Body::from_stream(state.gateway.export_session(&caller, id, query.format).await?);
    let (media_type, ending) = match query.format {
        SessionExportFormat::Json => ("application/json", "json"),
        SessionExportFormat::Markdown => ("text/markdown; charset=utf-8", "md"),
    };
    let name = format!("attachment; filename=\"{id}.{ending}\"");
    let head = [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_DISPOSITION, name),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((head, file).into_response())
}

/// Import conversations: ChatGPT's `conversations.json`, Open WebUI's export of chats, or an export of a session as JSON.
///
/// Parts that can't be imported, such as pictures, are left out and named in the report. A conversation that was imported
/// before isn't imported again.
#[utoipa::path(
    post, path = "/v1/sessions/import", operation_id = "import_sessions", tag = "sessions",
    security(("token" = [])),
    request_body(content = serde_json::Value, description = "The file", example = json!([{
        "id": "a", "title": "A greeting",
        "chat": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]},
    }])),
    responses(
        (status = 200, description = "The report", body = SessionImportReport),
        (status = 400, description = "The file has none of these formats", body = ErrorEnvelope),
        (status = 413, description = "The file is over the limit: split it", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn import(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(file): JsonBody<Value>,
) -> Result<Json<SessionImportReport>, HttpError> {
    Ok(Json(state.gateway.import_sessions(&caller, file).await?))
}
