//! Providers behind HTTP: a mock server plays a vendor's API, and `hearth up` calls it.

mod analyze;
mod cache;
mod catalog;
mod circuit_breaker;
mod configuration;
mod credits;
mod defaults;
mod embeddings;
mod errors;
mod fallback;
mod fuzz_seeds;
mod image_edits;
mod images;
mod intent;
mod keys;
mod limits;
mod limits_of_members;
#[cfg(target_os = "linux")]
mod memory;
mod meshes;
mod model_list;
mod options;
mod own_key_guards;
mod own_keys;
mod ownership;
mod proxies;
mod redaction;
mod regions;
mod selection;
mod stream;
mod structured;
mod table;
mod token_models;
mod waiting;

use hearth_tests::{Home, Reply, Setup, Upstream};
use serde_json::{Value, json};

/// The text of [`answer`].
const ANSWER_TEXT: &str = "Hello from afar.";

/// A `hearth up` with the providers `rig0`, `rig1` and so on at `upstreams`, each with the model `big` and the key
/// `sk-rig`. It has no node.
async fn with(upstreams: &[&Upstream], more: &str) -> Home {
    setup_with(upstreams, more).without_node().start().await
}

/// The same with a node, which has the small model.
async fn with_node(upstreams: &[&Upstream], more: &str) -> Home {
    setup_with(upstreams, more).start().await
}

fn setup_with(upstreams: &[&Upstream], more: &str) -> Setup {
    let providers = upstreams.iter().enumerate().map(|(number, upstream)| {
        format!(
            "[providers.rig{number}]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n\
             first_byte_seconds = 5\nbetween_bytes_seconds = 2\n",
            upstream.url
        )
    });
    let providers: String = providers.collect();
    Setup::new().settings(&format!("{more}\n{providers}"))
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

/// A complete answer in chunks.
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
