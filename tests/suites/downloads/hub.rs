//! A hub, a registry and a file server in one, with one model file and the faults that a test wants.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use futures::{StreamExt as _, stream};
use hearth_tests::tiny_chat;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::watch};

use super::REPO;

/// A fault of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The body of each of the first two responses breaks off.
    Truncated,
    /// The whole file is sent, whatever range is requested.
    WholeOnly,
    /// The listed SHA-256 is another one.
    WrongHash,
    /// The listed size is larger than any disk.
    HugeSize,
    /// Requests without the right token are refused.
    Gated,
    /// The file changes after the first response.
    Changes,
    /// The file is no model.
    NotGguf,
    /// Each request fails.
    Down,
}

/// The right token of [`Fault::Gated`].
pub(super) const TOKEN: &str = "hf_right";

/// A repository whose model sees images.
pub(super) const VISION: &str = "owner/vision-GGUF";

/// The server.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    pub(super) url: String,
    state: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    content: Bytes,
    fault: Option<Fault>,
    /// Bodies are sent to their middle while it is false.
    is_open: watch::Sender<bool>,
    /// The `range` of each request for the file.
    ranges: Mutex<Vec<Option<String>>>,
    queries: Mutex<Vec<Vec<(String, String)>>>,
    responses: AtomicUsize,
}

impl Hub {
    pub(super) async fn start() -> Self {
        Self::start_with(None, true).await
    }

    /// A server whose bodies stop in the middle until [`Hub::open`].
    pub(super) async fn closed() -> Self {
        Self::start_with(None, false).await
    }

    pub(super) async fn with(fault: Fault) -> Self {
        Self::start_with(Some(fault), true).await
    }

    async fn start_with(fault: Option<Fault>, is_open: bool) -> Self {
        let mut content = std::fs::read(tiny_chat()).unwrap();
        if fault == Some(Fault::NotGguf) {
            content[0] = b'<';
        }
        let state = Arc::new(Inner {
            content: content.into(),
            fault,
            is_open: watch::channel(is_open).0,
            ranges: Mutex::default(),
            queries: Mutex::default(),
            responses: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/api/models", get(list))
            .route("/api/models/{*repo}", get(repository))
            .route("/v2/library/tiny/manifests/{tag}", get(manifest))
            .route("/v2/team/{name}/manifests/{tag}", get(guarded_manifest))
            .route("/token", get(token))
            .route("/{*path}", get(file))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Sends the rest of all bodies.
    pub(super) fn open(&self) {
        self.state.is_open.send_replace(true);
    }

    /// The `range` of each request for the file so far.
    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        self.state.ranges.lock().unwrap().clone()
    }

    /// The queries of the lists so far.
    pub(super) fn queries(&self) -> Vec<Vec<(String, String)>> {
        self.state.queries.lock().unwrap().clone()
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.state.content
    }

    pub(super) fn sha256(&self) -> String {
        self.state.sha256()
    }
}

impl Inner {
    fn sha256(&self) -> String {
        if self.fault == Some(Fault::WrongHash) {
            return "0".repeat(64);
        }
        hearth_domain::hex(Sha256::digest(&self.content))
    }

    fn size(&self) -> u64 {
        if self.fault == Some(Fault::HugeSize) { 1 << 60 } else { self.content.len() as u64 }
    }

    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let is_right = headers.get("authorization").is_some_and(|value| value == &format!("Bearer {TOKEN}"));
        match self.fault {
            Some(Fault::Down) => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
            Some(Fault::Gated) if !is_right => Some(StatusCode::UNAUTHORIZED.into_response()),
            _ => None,
        }
    }

    fn info(&self) -> Value {
        let file = json!({"rfilename": "tiny-Q8_0.gguf", "size": self.size(), "lfs": {"sha256": self.sha256(), "size": self.size()}});
        json!({
            "id": REPO, "tags": ["gguf", "license:mit"], "pipeline_tag": "text-generation", "likes": 3, "downloads": 12,
            "lastModified": "2096-01-01T00:00:00.000Z", "gated": false,
            "gguf": {"total": 1_000_000, "architecture": "llama", "context_length": 2048},
            "siblings": [{"rfilename": "README.md", "size": 10}, file]
        })
    }
}

async fn list(
    State(hub): State<Arc<Inner>>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    if let Some(refusal) = hub.refusal(&headers) {
        return refusal;
    }
    let has_cursor = query.iter().any(|(name, _)| name == "cursor");
    hub.queries.lock().unwrap().push(query);
    let bare = |id: &str| json!({"id": id, "tags": ["gguf"], "siblings": [{"rfilename": "m-Q4_0.gguf"}]});
    if has_cursor {
        return Json(json!([bare("other/last")])).into_response();
    }
    let link = "<https://hub.example/api/models?limit=2&cursor=second>; rel=\"next\"";
    ([("link", link)], Json(json!([bare(REPO), bare("other/model")]))).into_response()
}

async fn repository(State(hub): State<Arc<Inner>>, headers: HeaderMap, Path(repo): Path<String>) -> Response {
    if let Some(refusal) = hub.refusal(&headers) {
        return refusal;
    }
    let repo = repo.split("/revision/").next().unwrap();
    let mut info = hub.info();
    if repo == VISION {
        let file = info["siblings"][1].clone();
        for name in ["mmproj-tiny-F32.gguf", "mmproj-tiny-F16.gguf"] {
            let mut projector = file.clone();
            projector["rfilename"] = json!(name);
            info["siblings"].as_array_mut().unwrap().push(projector);
        }
    }
    if [REPO, VISION].contains(&repo) {
        Json(info).into_response()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

async fn manifest(State(hub): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let accepts = headers.get("accept").unwrap().to_str().unwrap();
    assert!(accepts.contains("application/vnd.docker.distribution.manifest.v2+json"), "{accepts}");
    let layer = |kind: &str, digest: &str, size: u64| {
        let media_type = format!("application/vnd.ollama.image.{kind}");
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size})
    };
    let model = layer("model", &hub.sha256(), hub.size());
    Json(json!({"schemaVersion": 2, "layers": [layer("template", &"1".repeat(64), 5), model]}))
        .into_response()
}

/// A manifest for those who have a token of the token service.
async fn guarded_manifest(
    State(hub): State<Arc<Inner>>,
    headers: HeaderMap,
    Path((name, _)): Path<(String, String)>,
) -> Response {
    if let Some(challenge) = challenge(&headers, &name) {
        return challenge;
    }
    let digest = |digest: &str| format!("sha256:{digest}");
    let layer = |title: &str, size: u64| {
        let annotations = json!({"org.opencontainers.image.title": title});
        json!({"mediaType": "application/octet-stream", "digest": digest(&hub.sha256()), "size": size, "annotations": annotations})
    };
    Json(json!({"schemaVersion": 2, "layers": [layer("README.md", 3), layer("tiny.gguf", hub.size())]}))
        .into_response()
}

/// The refusal of a request without a token for the repository.
fn challenge(headers: &HeaderMap, name: &str) -> Option<Response> {
    let right = format!("Bearer token-for-{name}");
    if headers.get("authorization").is_some_and(|value| value == right.as_str()) {
        return None;
    }
    let host = headers.get("host").unwrap().to_str().unwrap();
    let challenge = format!(
        "Bearer realm=\"http://{host}/token\",service=\"played\",scope=\"repository:team/{name}:pull\""
    );
    Some((StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response())
}

/// The token service: anonymous for the repository `public`, for others with the user's token.
async fn token(headers: HeaderMap, Query(query): Query<Vec<(String, String)>>) -> Response {
    let of = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    assert_eq!(of("service").as_deref(), Some("played"));
    let scope = of("scope").unwrap();
    let name = scope.strip_prefix("repository:team/").unwrap().strip_suffix(":pull").unwrap();
    let password = BASE64.encode(format!("token:{TOKEN}"));
    let is_right = headers.get("authorization").is_some_and(|value| value == &format!("Basic {password}"));
    if name != "public" && !is_right {
        return StatusCode::FORBIDDEN.into_response();
    }
    Json(json!({"token": format!("token-for-{name}"), "expires_in": 300})).into_response()
}

async fn file(
    State(hub): State<Arc<Inner>>,
    headers: HeaderMap,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if path.starts_with("my-models/") && !query.is_some_and(|query| query.contains("X-Amz-Signature=")) {
        return StatusCode::FORBIDDEN.into_response();
    }
    if let Some(name) = path.strip_prefix("v2/team/").and_then(|path| path.split('/').next())
        && let Some(challenge) = challenge(&headers, name)
    {
        return challenge;
    }
    if path.ends_with("raw/main/README.md") {
        return "---\nlicense: mit\n---\n# Tiny\n".into_response();
    }
    if path.ends_with("raw/main/generation_config.json") {
        return Json(json!({"temperature": 0.6})).into_response();
    }
    if let Some(refusal) = hub.refusal(&headers) {
        return refusal;
    }
    let is_blob = path.starts_with("v2/") && path.ends_with(&format!("/blobs/sha256:{}", hub.sha256()));
    if !path.ends_with(".gguf") && !is_blob {
        return StatusCode::NOT_FOUND.into_response();
    }
    let range = headers.get("range").map(|range| range.to_str().unwrap().to_owned());
    hub.ranges.lock().unwrap().push(range.clone());
    let number = hub.responses.fetch_add(1, Ordering::SeqCst);
    let size = hub.content.len();
    let bounds = range.filter(|_| hub.fault != Some(Fault::WholeOnly)).map(|range| {
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        (from.parse::<usize>().unwrap(), to.parse::<usize>().map_or(size, |to| to + 1))
    });
    let (from, to) = bounds.unwrap_or((0, size));
    let is_changed = hub.fault == Some(Fault::Changes) && number > 0;
    let etag = if is_changed { "\"second\"" } else { "\"first\"" };
    // A validator of before asks for the whole new file.
    let is_outdated = headers.get("if-range").is_some_and(|before| before != etag);
    let (from, to, is_partial) = if is_outdated { (0, size, false) } else { (from, to, bounds.is_some()) };
    let body = body(&hub, &hub.content.slice(from..to), number);
    let response = Response::builder().header("etag", etag).header("content-length", to - from);
    let response = match is_partial {
        true => response
            .status(StatusCode::PARTIAL_CONTENT)
            .header("content-range", format!("bytes {from}-{}/{size}", to - 1)),
        false => response,
    };
    response.body(body).unwrap()
}

/// The bytes in two pieces, the second when the server is open.
fn body(hub: &Arc<Inner>, bytes: &Bytes, number: usize) -> Body {
    let (first, second) = (bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..));
    let is_cut = match hub.fault {
        Some(Fault::Truncated) => number < 2,
        Some(Fault::Changes) => number == 0,
        _ => false,
    };
    let mut is_open = hub.is_open.subscribe();
    let rest = stream::once(async move {
        // The server may be gone before it is opened.
        let _ = is_open.wait_for(|is_open| *is_open).await;
        if is_cut { Err(std::io::Error::other("cut")) } else { Ok(second) }
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(rest))
}
