//! Files and artifacts as inputs, by their ids.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_tests::{Client, Home, Reply, Setup, Upstream};
use serde_json::{Value, json};

use crate::{PNG, id_of, stored};

async fn start(kind: &str) -> (Home, Upstream) {
    let upstream = Upstream::start().await;
    let settings = format!(
        "[providers.rig]\nkind = '{kind}'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    (Setup::new().settings(&settings).without_node().start().await, upstream)
}

async fn files(client: &Client) -> [String; 3] {
    let png = BASE64_STANDARD.decode(PNG).unwrap();
    let mut ids = Vec::new();
    for (name, bytes) in [("fox.png", &png[..]), ("a.pdf", b"%PDF-1.7\n"), ("notes.txt", b"Buy milk.")] {
        ids.push(id_of(&stored(client, name, bytes).await).to_owned());
    }
    ids.try_into().unwrap()
}

/// An answer of the vendor.
fn answered() -> Reply {
    let chunk = |delta: Value, finish: Option<&str>| {
        json!({"id": "x", "object": "chat.completion.chunk",
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    Reply::chunks(&[chunk(json!({"content": "Milk."}), None), chunk(json!({}), Some("stop"))])
}

/// The text of the request that the vendor has received.
async fn sent(home: &Home, upstream: &Upstream, path: &str, body: &Value) -> String {
    upstream.reply(answered());
    let answer = home.client().post(path, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    upstream.received().pop().unwrap().body.to_string()
}

fn has_all(sent: &str) {
    let pdf = BASE64_STANDARD.encode(b"%PDF-1.7\n");
    for part in [&format!("data:image/png;base64,{PNG}"), &pdf, "Buy milk."] {
        assert!(sent.contains(part), "{part} isn't in {sent}");
    }
    assert!(!sent.contains("file-"), "{sent}");
}

#[tokio::test]
async fn files_are_inputs_of_chat_and_responses() {
    let (home, upstream) = start("openai_compatible").await;
    let [image, pdf, text] = files(&home.client()).await;
    let content = json!([
        {"type": "text", "text": "What is missing?"},
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "file", "file": {"file_id": pdf}},
        {"type": "file", "file": {"file_id": text}},
    ]);
    let chat = json!({"model": "rig:big", "messages": [{"role": "user", "content": content}]});
    has_all(&sent(&home, &upstream, "/v1/chat/completions", &chat).await);
    let content = json!([
        {"type": "input_text", "text": "What is missing?"},
        {"type": "input_image", "file_id": image},
        {"type": "input_file", "file_id": pdf},
        {"type": "input_file", "file_id": text},
    ]);
    let responses = json!({"model": "rig:big", "input": [{"role": "user", "content": content}]});
    has_all(&sent(&home, &upstream, "/v1/responses", &responses).await);
    let content = json!([
        {"type": "text", "text": "What is missing?"},
        {"type": "image", "source": {"type": "file", "file_id": image}},
        {"type": "document", "source": {"type": "file", "file_id": pdf}},
        {"type": "document", "source": {"type": "file", "file_id": text}},
    ]);
    let messages = json!({
        "model": "rig:big", "max_tokens": 50, "messages": [{"role": "user", "content": content}],
    });
    has_all(&sent(&home, &upstream, "/v1/messages", &messages).await);
    home.stop().await;
}

#[tokio::test]
async fn text_file_is_read_by_a_local_model() {
    let home = Home::start().await;
    let file = stored(&home.client(), "question.txt", b"What is the capital of France?").await;
    let part = json!({"type": "file", "file": {"file_id": id_of(&file)}});
    let body = json!({
        "model": home.model, "messages": [{"role": "user", "content": [part]}], "max_tokens": 16, "temperature": 0,
    });
    let answer = home.client().post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json()["usage"]["prompt_tokens"].as_u64().unwrap() > 8, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn file_that_is_no_image_or_too_large_is_refused_as_an_input() {
    let (home, upstream) = start("openai_compatible").await;
    let client = home.client();
    let [_, pdf, text] = files(&client).await;
    for id in [&pdf, &text] {
        let part = json!({"type": "image_url", "image_url": {"url": id}});
        let body = json!({"model": "rig:big", "messages": [{"role": "user", "content": [part]}]});
        client.post("/v1/chat/completions", &body).await.error(400, "invalid_request");
    }
    let large = stored(&client, "large.txt", &vec![b'x'; (10 << 20) + 1]).await;
    let part = json!({"type": "file", "file": {"file_id": id_of(&large)}});
    let body = json!({"model": "rig:big", "messages": [{"role": "user", "content": [part]}]});
    client.post("/v1/chat/completions", &body).await.error(413, "payload_too_large");
    let missing = json!({"type": "file", "file": {"file_id": "file-01J9ZX5V2QH8N4T6W0C3M7K1RB"}});
    let body = json!({"model": "rig:big", "messages": [{"role": "user", "content": [missing]}]});
    client.post("/v1/chat/completions", &body).await.error(404, "not_found");
    assert!(upstream.received().is_empty(), "a refused request reached the vendor");
    home.stop().await;
}

#[tokio::test]
async fn files_of_an_input_are_limited_together_however_often_one_is_named() {
    let (home, upstream) = start("openai_compatible").await;
    let client = home.client();
    let file = stored(&client, "half.txt", &vec![b'x'; 6 << 20]).await;
    let small = stored(&client, "small.txt", b"x").await;
    let ask = async |id: &str, count: usize| {
        let part = json!({"type": "file", "file": {"file_id": id}});
        let body = json!({"model": "rig:big", "messages": [{"role": "user", "content": vec![part; count]}]});
        client.post("/v1/chat/completions", &body).await
    };
    let error = ask(id_of(&file), 2).await.error(413, "payload_too_large");
    assert_eq!(error["details"]["limit_bytes"], 10 << 20);
    ask(id_of(&small), 65).await.error(413, "payload_too_large");
    assert!(upstream.received().is_empty(), "a refused request reached the vendor");
    for (id, count) in [(id_of(&file), 1), (id_of(&small), 64)] {
        upstream.reply(answered());
        let answer = ask(id, count).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn access_key_reads_no_file_of_its_owner() {
    let home = Home::start().await;
    let client = home.client();
    let file = stored(&client, "diary.txt", b"secret").await;
    let created =
        client.post("/v1/users/access-keys", &json!({"name": "kiosk", "models": [home.model]})).await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    let part = json!({"type": "file", "file": {"file_id": id_of(&file)}});
    let body =
        json!({"model": home.model, "messages": [{"role": "user", "content": [part]}], "max_tokens": 4});
    client.with_token(Some(&key)).post("/v1/chat/completions", &body).await.error(403, "forbidden");
    assert_eq!(client.post("/v1/chat/completions", &body).await.status, 200);
    home.stop().await;
}
