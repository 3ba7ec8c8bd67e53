//! A provider's key in the provider's texts: it reaches no client, no record and no log.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_tests::{Client, Reply, Setup, Upstream};
use serde_json::{Value, json};

use crate::{answer, chat};

/// The key. No eight characters of it occur anywhere else.
const KEY: &str = "sk-7f3a9c2e11d04b5aa8e6/Zq+X0==";
/// The prompt, which the providers quote.
const PROMPT: &str = "PLANTED-PROMPT-91d2";
/// Statuses of errors, and whether the gateway retries.
const STATUSES: [(u16, bool); 11] = [
    (400, false),
    (401, false),
    (402, false),
    (403, false),
    (404, false),
    (409, false),
    (422, false),
    (429, true),
    (500, true),
    (503, true),
    (529, true),
];
/// The providers, by kind, and the paths of their base URLs.
const PROVIDERS: [(&str, &str, &str); 5] = [
    ("chat", "kind = 'openai_compatible'", "/v1"),
    ("responses", "kind = 'openai'\napi = 'responses'", "/v1"),
    ("messages", "kind = 'anthropic'", "/v1"),
    ("gemini", "kind = 'google'", "/v1beta"),
    ("bedrock", "kind = 'bedrock'", ""),
];

/// An error message that repeats the request's headers and body.
fn echo() -> String {
    let basic = STANDARD.encode(format!("user:{KEY}"));
    let escaped = KEY.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    format!(
        "you sent Authorization: Bearer {KEY} ({}...{}; Basic {basic}; {escaped}) and {PROMPT}",
        &KEY[..12],
        &KEY[KEY.len() - 9..]
    )
}

/// Parts of the key that must not be in any output.
fn planted() -> Vec<String> {
    let basic = STANDARD.encode(format!("user:{KEY}"));
    vec![
        KEY[..12].to_owned(),
        KEY[10..20].to_owned(),
        KEY[KEY.len() - 9..].to_owned(),
        basic[10..26].to_owned(),
    ]
}

fn error_in_stream(dialect: &str) -> Reply {
    let error = json!({"message": echo(), "type": "server_error", "code": "server_error"});
    match dialect {
        "chat" => Reply::chunks(&[json!({"error": error})]),
        "gemini" => {
            Reply::chunks(&[json!({"error": {"code": 500, "message": echo(), "status": "INTERNAL"}})])
        }
        "bedrock" => {
            Reply::messages(&[]).then_exception("internalServerException", &json!({"message": echo()}))
        }
        _ => {
            let body = json!({"type": "error", "error": {"type": "api_error", "message": echo()}});
            Reply::stream(&format!("event: error\ndata: {body}\n\n"))
        }
    }
}

fn assert_clean(text: &str, context: &str) {
    for part in planted() {
        assert!(!text.contains(&part), "{part} is in {context}: {text}");
    }
}

/// Sends a request whose model fails, and checks the answer and the record. Returns the answer's text.
async fn ask(client: &Client, path: &str, body: &Value, context: &str) -> String {
    let answer = client.post(path, body).await;
    assert!(answer.status.is_client_error() || answer.status.is_server_error(), "{context}: {answer:?}");
    assert_clean(&format!("{answer:?} {}", String::from_utf8_lossy(&answer.body)), context);
    let record = client.get(&format!("/v1/requests/{}", answer.header("x-request-id"))).await;
    assert_clean(&String::from_utf8_lossy(&record.body), context);
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[expect(clippy::unwrap_used, reason = "a test's own folder can be read")]
pub(crate) fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

pub(crate) fn find(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn key_in_a_providers_errors_is_hidden_everywhere() {
    let upstream = Upstream::start().await;
    let settings = PROVIDERS.map(|(name, kind, path)| {
        format!("[providers.{name}]\n{kind}\nbase_url = '{}{path}'\napi_key = '{KEY}'\n", upstream.url)
    });
    let home = Setup::new().settings(&settings.concat()).without_node().start().await;
    let client = home.client();
    for (dialect, _, _) in PROVIDERS {
        for (status, is_retried) in STATUSES {
            let error = json!({"message": echo(), "code": KEY, "type": KEY});
            let shapes = [json!({"error": error}), json!({"message": echo()}), json!({"detail": echo()})];
            let shape = &shapes[usize::from(status) % shapes.len()];
            let tries = if is_retried { 3 } else { 1 };
            let replies = (0..tries).map(|_| Reply::json(status, shape).header("retry-after", KEY));
            replies.for_each(|reply| upstream.reply(reply));
            let mut body = chat(&format!("{dialect}:m{status}"));
            body["messages"][0]["content"] = json!(PROMPT);
            body["fallback"] = json!(false);
            body["stream"] = json!(status % 2 == 0);
            ask(&client, "/v1/chat/completions", &body, &format!("{dialect} {status}")).await;
        }
        (0..3).for_each(|_| upstream.reply(error_in_stream(dialect)));
        let body = json!({"model": format!("{dialect}:streams"), "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]});
        ask(&client, "/v1/messages", &body, &format!("{dialect}, in the stream")).await;
    }
    let data = home.data();
    let folder = home.stop().await;
    for path in files_below(&data) {
        let bytes = std::fs::read(&path).unwrap();
        for part in planted() {
            assert!(!find(&bytes, &part), "{part} is in {}", path.display());
        }
        if path.components().any(|part| part.as_os_str() == "logs") {
            assert!(!find(&bytes, PROMPT), "the prompt is in {}", path.display());
        }
    }
    drop(folder);
}

/// Providers of images, meshes and vectors, by kind, and the routes that use them.
const MEDIA: [(&str, &str, &[&str]); 5] = [
    ("openai", "/v1", &["/v1/images/generations", "/v1/embeddings"]),
    ("openai_compatible", "/v1", &["/v1/images/generations", "/v1/embeddings"]),
    ("google", "/v1beta", &["/v1/images/generations", "/v1/embeddings"]),
    ("huggingface", "", &["/v1/images/generations", "/v1/embeddings", "/v1/generate"]),
    ("stability", "", &["/v1/images/generations"]),
];

#[tokio::test]
async fn key_in_errors_about_images_meshes_and_vectors_is_hidden() {
    let upstream = Upstream::start().await;
    let settings = MEDIA.map(|(kind, path, _)| {
        format!("[providers.{kind}]\nbase_url = '{}{path}'\napi_key = '{KEY}'\n", upstream.url)
    });
    let home = Setup::new().settings(&settings.concat()).without_node().start().await;
    let client = home.client();
    for (kind, _, routes) in MEDIA {
        for path in routes {
            let body = |status: u16| {
                let model = if kind == "stability" { "core".to_owned() } else { format!("m{status}") };
                let model = format!("{kind}:{model}");
                match *path {
                    "/v1/embeddings" => json!({"model": model, "input": PROMPT}),
                    "/v1/generate" => json!({"model": model, "modality": "3d", "input": {"prompt": PROMPT}}),
                    _ => json!({"model": model, "prompt": PROMPT}),
                }
            };
            // Also an error in an answer of status 200, after which the gateway tries again.
            for (status, tries) in [(400, 1), (401, 1), (403, 1), (200, 3)] {
                let error = json!({"error": {"message": echo(), "code": KEY, "type": KEY}});
                (0..tries).for_each(|_| upstream.reply(Reply::json(status, &error)));
                let before = upstream.received().len();
                let context = format!("{path} of {kind}, {status}");
                let answer = ask(&client, path, &body(status), &context).await;
                assert_eq!(upstream.received().len(), before + tries, "{context}: {answer}");
                assert_eq!(answer.contains("[hidden]"), status != 401, "{context}: {answer}");
            }
        }
    }
    let data = home.data();
    let folder = home.stop().await;
    for path in files_below(&data) {
        let bytes = std::fs::read(&path).unwrap();
        for part in planted() {
            assert!(!find(&bytes, &part), "{part} is in {}", path.display());
        }
    }
    drop(folder);
}

#[tokio::test]
async fn no_log_level_reveals_a_key_a_token_or_a_prompt() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        let upstream = Upstream::start().await;
        let settings = format!(
            "log_level = '{level}'\n\n[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = '{KEY}'\n",
            upstream.url
        );
        let home = Setup::new().settings(&settings).without_node().start().await;
        let client = home.client();
        let mut body = chat("rig:m");
        body["messages"][0]["content"] = json!(PROMPT);
        upstream.reply(answer());
        let answer = client.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (0..3).for_each(|_| upstream.reply(Reply::json(500, &json!({"error": {"message": "broken"}}))));
        client.post("/v1/chat/completions", &body).await;
        let (logs, token) = (home.data().join("logs"), home.token.clone());
        let folder = home.stop().await;
        let texts: Vec<_> = files_below(&logs).iter().map(|path| std::fs::read(path).unwrap()).collect();
        assert!(texts.iter().any(|text| !text.is_empty()) || level == "error" || level == "warn", "{level}");
        for secret in [KEY, PROMPT, &token] {
            assert!(!texts.iter().any(|text| find(text, secret)), "{secret} is in the log at {level}");
        }
        drop(folder);
    }
}

#[tokio::test]
async fn key_in_a_list_of_models_is_left_out() {
    let upstream = Upstream::start().await;
    let models = json!({"data": [{"id": "good"}, {"id": format!("m-{KEY}")}, {"id": "x", "name": echo()}]});
    upstream.page("/v1/models", Reply::json(200, &models));
    let settings = format!(
        "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = '{KEY}'\n",
        upstream.url
    );
    let home = Setup::new().settings(&settings).without_node().start().await;
    let listed = hearth_tests::eventually("the list", async || {
        let list = home.client().get("/v1/models?provider=rig").await;
        let text = String::from_utf8_lossy(&list.body).into_owned();
        text.contains("rig:good").then_some(text)
    });
    assert_clean(&listed.await, "the list of models");
    home.stop().await;
}
