//! `GET /docs`: Swagger UI over the OpenAPI document, with its files in this binary.

use std::sync::{Arc, LazyLock};

use axum::{
    http::{
        HeaderMap,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Redirect, Response},
};
use hearth_http::{HttpError, PathParam};
use hearth_wire::{ApiError, ErrorCode, error::ErrorEnvelope};
use utoipa_swagger_ui::Config;

/// Swagger UI's configuration. The document's path is relative to the page: both may be served below a prefix.
static UI: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("../openapi.json")));

/// Beginning of the page: the folder of its files, and the viewport, without which a phone shows it too small to read.
const HEAD: &str =
    "<head><base href=\"docs/\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

/// Get the API's documentation as a page.
#[utoipa::path(
    get, path = "/docs", operation_id = "get_docs", tag = "ops",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
pub(crate) async fn page() -> Result<Response, HttpError> {
    let page = asset("index.html")?;
    // The page's links are relative, and `/docs` has no slash at its end.
    let body = String::from_utf8_lossy(&page.bytes).replacen("<head>", HEAD, 1).replacen(
        "<title>Swagger UI</title>",
        "<title>Hearth API</title>",
        1,
    );
    Ok(([(CONTENT_TYPE, page.content_type)], body).into_response())
}

/// Redirects a browser from `/` to the page. Other clients get the text that Ollama's clients expect there.
pub(crate) async fn root(headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        Redirect::temporary("docs").into_response()
    } else {
        RUNNING.into_response()
    }
}

/// Response to clients of Ollama's API at `/`.
const RUNNING: &str = "Ollama is running (Hearth, which speaks its API; the documentation is at /docs)";

/// Redirects a browser from `/docs/` to `/docs`, to which the page's links are relative.
pub(crate) async fn redirect_up() -> Redirect {
    Redirect::temporary("../docs")
}

/// Get a file of that page.
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "get_docs_file", tag = "ops", params(("file" = String, Path)),
    responses(
        (status = 200, description = "The file", body = String),
        (status = 404, description = "No such file", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn file(PathParam(file): PathParam<String>) -> Result<Response, HttpError> {
    let file = asset(&file)?;
    let headers = [(CONTENT_TYPE, file.content_type), (CACHE_CONTROL, "public, max-age=3600".to_owned())];
    Ok((headers, file.bytes.into_owned()).into_response())
}

fn asset(name: &str) -> Result<utoipa_swagger_ui::SwaggerFile<'static>, ApiError> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&UI)).map_err(|error| {
        tracing::error!(%error, name, "a file of the documentation can't be read");
        ApiError::new(ErrorCode::Internal, "the documentation can't be read")
    })?;
    file.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no such file"))
}
