//! `GET /openapi.json`, and `GET /docs`: Swagger UI over it, with its files in this binary.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{
    Extension,
    http::{
        HeaderMap,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Redirect, Response},
};
use hearth_http::{HttpError, PathParam, PublicUrl};
use hearth_wire::{ApiError, ErrorCode, error::ErrorEnvelope};
use serde_json::json;
use utoipa_swagger_ui::Config;

/// Swagger UI's configuration. The document's path is relative to the page: both may be served below a prefix.
static UI: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("../openapi.json")));

/// Links to icons in the page.
const ICON_LINK: &str = "<link rel=\"icon\"";
/// An empty icon. A browser without a link to one would request `/favicon.ico` of the host.
const NO_ICON: &str = "<link rel=\"icon\" href=\"data:,\">\n";

/// The server in the document: relative to it, since a proxy may serve it below a prefix.
const RELATIVE_SERVER: &str = r#""url": ".""#;

/// Beginning of the page: the folder of its files, and the viewport, without which a phone shows it too small to read.
const HEAD: &str =
    "<head><base href=\"docs/\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";

/// Policy of the page: scripts and requests of this host alone, and no frame around it. Swagger UI sets styles in its elements.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/// Get the OpenAPI 3.1 document of this API.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "get_openapi", tag = "ops",
    responses((status = 200, description = "This document", body = Value)),
)]
pub(crate) async fn openapi(url: Option<Extension<PublicUrl>>) -> impl IntoResponse {
    let document =
        url.map_or(Cow::Borrowed(crate::OPENAPI), |Extension(PublicUrl(url))| document_at(&url).into());
    ([(CONTENT_TYPE, "application/json")], document)
}

/// The document with an absolute server, where the public URL is certain: generators of clients want one.
fn document_at(url: &str) -> String {
    crate::OPENAPI.replacen(RELATIVE_SERVER, &format!(r#""url": {}"#, json!(url)), 1)
}

/// Get the API's documentation as a page.
#[utoipa::path(
    get, path = "/docs", operation_id = "get_docs", tag = "ops",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
pub(crate) async fn page() -> Result<Response, HttpError> {
    let page = asset("index.html")?;
    // The page's links are relative, and `/docs` has no slash at its end.
    let text = String::from_utf8_lossy(&page.bytes);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(ICON_LINK));
    let body: String = lines.flat_map(|line| [line, "\n"]).collect();
    let body = body
        .replacen("<head>", HEAD, 1)
        .replacen("<title>Swagger UI</title>", "<title>Hearth API</title>", 1)
        .replacen("</head>", &format!("{NO_ICON}</head>"), 1);
    let headers = [(CONTENT_TYPE, page.content_type), (CONTENT_SECURITY_POLICY, PAGE_POLICY.to_owned())];
    Ok((headers, body).into_response())
}

/// Redirects a browser from `/` to the page. Other clients get the text that Ollama's clients expect there. `url`: the public
/// URL, where the routes lie below a path, which may lack the slash that a relative link needs.
pub(crate) async fn root(url: Option<Extension<PublicUrl>>, headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        let page = url.map_or_else(|| "docs".to_owned(), |Extension(PublicUrl(url))| format!("{url}/docs"));
        Redirect::temporary(&page).into_response()
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
    get, path = "/docs/{file}", operation_id = "get_docs_file", tag = "ops",
    params(("file" = String, Path, description = "Name of the file.")),
    responses(
        (status = 200, description = "The file", body = String),
        (status = 404, description = "No such file", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn file(PathParam(file): PathParam<String>) -> Result<Response, HttpError> {
    let file = asset(&file)?;
    // API Gateway would pass on the base64 of a binary file.
    if file.content_type.starts_with("image/") {
        return Err(no_such_file().into());
    }
    let headers = [(CONTENT_TYPE, file.content_type), (CACHE_CONTROL, "public, max-age=3600".to_owned())];
    Ok((headers, file.bytes.into_owned()).into_response())
}

fn asset(name: &str) -> Result<utoipa_swagger_ui::SwaggerFile<'static>, ApiError> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&UI)).map_err(|error| {
        tracing::error!(%error, name, "a file of the documentation can't be read");
        ApiError::new(ErrorCode::Internal, "the documentation can't be read")
    })?;
    file.ok_or_else(no_such_file)
}

fn no_such_file() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no such file")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn document_at_a_url_has_it_as_its_server() {
        let document: Value = serde_json::from_str(&document_at("https://h.example/dev")).unwrap();
        assert_eq!(document["servers"], json!([{"url": "https://h.example/dev"}]));
        let relative: Value = serde_json::from_str(crate::OPENAPI).unwrap();
        assert_eq!(relative["servers"], json!([{"url": "."}]));
    }
}
