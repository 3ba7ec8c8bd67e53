//! `/api/*`: Ollama's dialect, answered by a local model.

use hearth_tests::{Answer, Home, Setup, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::embeddings;

fn capital(model: &str) -> Value {
    json!({
        "model": model, "options": {"temperature": 0, "num_predict": 40},
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    })
}

/// The error, in Ollama's shape: its message stands in `error` itself.
fn error(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["code"], code, "{answer:?}");
    assert_eq!(body["request_id"], answer.header("x-request-id"), "{answer:?}");
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn chat_streams_lines_unless_stream_is_false() {
    let home = Home::start().await;
    let client = home.client();
    let mut body = capital(&format!("{}:latest", home.model));
    let lines = client.stream("/api/chat", &body).await.rest().await;
    assert!(lines.len() > 2, "{lines:?}");
    let streamed: String = lines.iter().filter_map(|line| line.data["message"]["content"].as_str()).collect();
    assert!(streamed.contains("Paris"), "{streamed}");
    let last = &lines.last().unwrap().data;
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
    assert_eq!(last["model"], body["model"]);

    body["stream"] = json!(false);
    let answer = client.post("/api/chat", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-hearth-model"), home.model);
    let answer = answer.json();
    assert_eq!(answer["message"]["content"], streamed, "{answer}");
    for field in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
        assert!(answer[field].as_u64().unwrap() > 0, "{field}: {answer}");
    }
    let durations: u64 = ["load_duration", "prompt_eval_duration", "eval_duration"]
        .iter()
        .filter_map(|field| answer[*field].as_u64())
        .sum();
    assert!(durations <= answer["total_duration"].as_u64().unwrap() + 3, "{answer}");
    assert!(answer["eval_duration"].as_u64().unwrap() > 1, "the pieces' times are noted: {answer}");
    assert_eq!(answer["prompt_eval_count"], last["prompt_eval_count"]);
    home.stop().await;
}

#[tokio::test]
async fn prompt_raw_prompt_and_ignored_options() {
    let home = Home::start().await;
    let client = home.client();
    let mut body = json!({
        "model": home.model, "stream": false, "prompt": "What is the capital of France?",
        "options": {"temperature": 0, "num_predict": 3, "num_ctx": 8192, "made_up": 1},
    });
    let answer = client.post("/api/generate", &body).await;
    assert_eq!(answer.header("x-hearth-ignored-options"), "num_ctx, unknown");
    let answer = answer.json();
    assert_eq!((&answer["done_reason"], &answer["eval_count"]), (&json!("length"), &json!(3)), "{answer}");
    let prompt_tokens = answer["prompt_eval_count"].as_u64().unwrap();

    body["raw"] = json!(true);
    let raw = client.post("/api/generate", &body).await.json();
    assert!(raw["prompt_eval_count"].as_u64().unwrap() < prompt_tokens, "no template is around it: {raw}");
    // The model's own control token in a raw prompt is one token, and text elsewhere.
    let control = |raw: bool| json!({"model": home.model, "stream": false, "raw": raw, "prompt": "<|im_end|>", "options": {"num_predict": 1}});
    let count =
        async |raw| client.post("/api/generate", &control(raw)).await.json()["prompt_eval_count"].as_u64();
    assert!(count(true).await.unwrap() <= 2);
    assert!(count(false).await > count(true).await);

    body["raw"] = json!(false);
    body["suffix"] = json!("Paris.");
    let message = error(&client.post("/api/generate", &body).await, 400, "invalid_request");
    assert!(message.contains("fill gaps"), "{message}");
    home.stop().await;
}

#[tokio::test]
async fn schema_is_enforced_and_tool_arguments_are_objects() {
    let home = Home::start().await;
    let client = home.client();
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"], "additionalProperties": false});
    let body = json!({
        "model": home.model, "stream": false, "format": schema, "options": {"temperature": 0, "seed": 1},
        "messages": [{"role": "user", "content": "Give me a JSON object with name and age for Ada, who is 36."}],
    });
    let answer = client.post("/api/chat", &body).await.json();
    let object: Value = serde_json::from_str(answer["message"]["content"].as_str().unwrap()).unwrap();
    assert!(object["name"].is_string() && object["age"].is_i64(), "{answer}");
    assert_eq!(answer["structured"]["valid"], true, "{answer}");

    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let mut body = json!({
        "model": home.model, "options": {"temperature": 0},
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Get the weather in a city", "parameters": parameters}}],
    });
    let lines = client.stream("/api/chat", &body).await.rest().await;
    let call = lines.iter().find_map(|line| line.data["message"]["tool_calls"].get(0)).unwrap();
    assert_eq!(call["function"]["name"], "get_weather");
    assert!(call["function"]["arguments"]["city"].is_string(), "{call}");
    assert_eq!(lines.last().unwrap().data["done_reason"], "stop");

    // The answer is handed back without the call's id, as clients do that don't know of it.
    let mut handed_back = call.clone();
    handed_back["id"] = Value::Null;
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": "", "tool_calls": [handed_back]}));
    messages.push(json!({"role": "tool", "tool_name": "get_weather", "content": "sunny"}));
    body["stream"] = json!(false);
    let answer = client.post("/api/chat", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn errors_have_the_format_of_ollama() {
    let home = Home::start().await;
    let client = home.client();
    let message = error(&client.post("/api/chat", &capital("nobody")).await, 404, "model_not_found");
    assert!(message.starts_with("model 'nobody' not found"), "{message}");
    let message = error(&client.post("/api/show", &json!({"name": "nobody"})).await, 404, "model_not_found");
    assert!(message.starts_with("model 'nobody' not found"), "{message}");
    error(&client.post("/api/show", &json!({})).await, 400, "invalid_request");
    error(&client.with_token(None).post("/api/chat", &capital(&home.model)).await, 401, "unauthorized");
    let mut body = capital(&home.model);
    body["options"]["temperature"] = json!("hot");
    let answer = client.post("/api/chat", &body).await;
    error(&answer, 400, "invalid_request");
    assert_eq!(answer.json()["param"], "options.temperature");
    // Too long for its context, which only the node knows.
    let words = "word ".repeat(100_000);
    body["options"] = json!({});
    body["messages"][0]["content"] = json!(words);
    error(&client.post("/api/chat", &body).await, 400, "context_length_exceeded");
    for (method, path) in [
        (Method::POST, "/api/create"),
        (Method::POST, "/api/copy"),
        (Method::POST, "/api/push"),
        (Method::HEAD, "/api/blobs/sha256:29fdb92e57cf0827ded04ae6461b5931d01fa595843f55d36f5b275a52087dd2"),
    ] {
        let answer = client.send(client.request(method.clone(), path)).await;
        assert_eq!(answer.status, 404, "{path}");
        if method != Method::HEAD {
            error(&answer, 404, "not_found");
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn models_are_listed_shown_loaded_unloaded_and_deleted() {
    let home = Setup::new().models(&["second"]).start().await;
    let client = home.client();
    let tags = client.get("/api/tags").await.json();
    let models = tags["models"].as_array().unwrap();
    let entry = |name: &str| models.iter().find(|model| model["name"] == name).unwrap();
    let first = entry(&format!("{}:latest", home.model));
    assert_eq!(first["name"], first["model"]);
    assert_eq!(
        (&first["details"]["format"], first["digest"].as_str().map(str::len)),
        (&json!("gguf"), Some(64))
    );
    assert!(first["size"].as_u64().unwrap() > 0 && entry("auto:latest").is_object());
    assert_ne!(first["digest"], entry("second:latest")["digest"]);
    let head = client.send(client.request(Method::HEAD, "/api/tags")).await;
    assert_eq!(head.status, 200);

    let show = client.post("/api/show", &json!({"model": home.model})).await.json();
    let family = show["details"]["family"].as_str().unwrap();
    assert!(show["model_info"][format!("{family}.context_length")].as_u64().unwrap() > 0, "{show}");
    assert!(show["capabilities"].as_array().unwrap().contains(&json!("completion")), "{show}");

    let is_loaded = async |name: &str| {
        let models = client.get("/api/ps").await.json();
        models["models"].as_array().unwrap().iter().any(|model| model["name"] == name)
    };
    assert!(!is_loaded("second:latest").await);
    let answer = client.post("/api/generate", &json!({"model": "second:latest"})).await.json();
    assert_eq!((&answer["done"], &answer["done_reason"]), (&json!(true), &json!("load")), "{answer}");
    eventually("the model in memory", async || is_loaded("second:latest").await.then_some(())).await;
    // It answers once it is loaded.
    let mut body = capital("second");
    body["stream"] = json!(false);
    assert_eq!(client.post("/api/chat", &body).await.status, 200);
    let answer = client.post("/api/chat", &json!({"model": "second", "messages": [], "keep_alive": 0})).await;
    assert_eq!(answer.json()["done_reason"], "unload", "{answer:?}");
    eventually("the model out of memory", async || (!is_loaded("second:latest").await).then_some(())).await;

    let pulled = client.stream("/api/pull", &json!({"model": "second"})).await.rest().await;
    assert_eq!(pulled.last().unwrap().data, json!({"status": "success"}));
    let delete = client.request(Method::DELETE, "/api/delete").json(&json!({"model": "second:latest"}));
    let answer = client.send(delete).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    error(&client.post("/api/show", &json!({"model": "second"})).await, 404, "model_not_found");
    home.stop().await;
}

#[tokio::test]
async fn embed_returns_a_list_and_embeddings_one_vector() {
    let home = embeddings::home().await;
    let client = home.client();
    let answer = client
        .post("/api/embed", &json!({"model": "tiny-embed:latest", "input": ["one", "two"]}))
        .await
        .json();
    let vectors = answer["embeddings"].as_array().unwrap();
    assert_eq!((vectors.len(), &answer["model"]), (2, &json!("tiny-embed:latest")), "{answer}");
    assert!(answer["prompt_eval_count"].as_u64().unwrap() >= 2);
    let one = client.post("/api/embeddings", &json!({"model": "tiny-embed", "prompt": "one"})).await.json();
    assert_eq!(one["embedding"].as_array().unwrap().len(), vectors[0].as_array().unwrap().len());
    let none = client.post("/api/embed", &json!({"model": "tiny-embed", "input": []})).await.json();
    assert_eq!(none["embeddings"], json!([]));
    let answer = client.post("/api/embed", &json!({"model": home.model, "input": "one"})).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn root_answers_clients_and_redirects_browsers() {
    let home = Home::start().await;
    let anonymous = home.client().with_token(None);
    let version = anonymous.get("/api/version").await.json();
    let version: Vec<u32> =
        version["version"].as_str().unwrap().split('.').map(|number| number.parse().unwrap()).collect();
    assert!(version >= vec![0, 6, 4], "VS Code asks for 0.6.4: {version:?}");
    let answer = anonymous.get("/").await;
    assert!(answer.body.starts_with(b"Ollama is running"), "{answer:?}");
    let browser = anonymous.request(Method::GET, "/").header("accept", "text/html,*/*;q=0.8");
    let page = anonymous.send(browser).await;
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    // As Ollama's documentation has it: `curl -d`, which says that it sends a form.
    let client = home.client();
    let request = client.request(Method::POST, "/api/chat").body(capital(&home.model).to_string());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(client.send(request).await.status, 200);
    home.stop().await;
}
