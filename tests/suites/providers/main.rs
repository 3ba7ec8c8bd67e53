//! Providers behind HTTP: a vendor's API is played by a server of ours, and `hearth up` asks it.

mod breaker;
mod cache;
mod catalog;
mod credits;
mod defaults;
mod discovery;
mod edits;
mod embeddings;
mod errors;
mod fallback;
mod images;
mod intent;
mod keys;
mod meshes;
mod owners;
mod redaction;
mod selection;
mod stream;
mod table;

use hearth_tests::{Home, Reply, Setup, Upstream};
use serde_json::{Value, json};

/// What a vendor's model says in these tests.
const SAID: &str = "Hello from afar.";

/// A `hearth up` that knows `upstreams` as `rig0`, `rig1` and so on, each with the model `big`. The key of each
/// is `sk-rig`.
async fn with(upstreams: &[&Upstream], more: &str) -> Home {
    let providers = upstreams.iter().enumerate().map(|(number, upstream)| {
        format!(
            "[providers.rig{number}]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n\
             first_byte_seconds = 5\nbetween_bytes_seconds = 2\n",
            upstream.url
        )
    });
    let providers: String = providers.collect();
    Setup::new().settings(&format!("{more}\n{providers}")).start().await
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

/// A whole answer in chunks.
fn answer() -> Reply {
    let usage =
        json!({"prompt_tokens": 11, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}});
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"content": "Hello "}), None),
        chunk(json!({"content": "from afar."}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": usage}),
    ])
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
}

fn failure(status: u16, code: &str) -> Reply {
    Reply::json(status, &json!({"error": {"message": "no", "code": code}}))
}
