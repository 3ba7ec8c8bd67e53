//! `/v1beta/models`: the Gemini dialect, answered by a local model.

use std::fs;

use hearth_tests::{Answer, Home, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::embeddings;

fn capital() -> Value {
    json!({
        "contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}],
        "generationConfig": {"temperature": 0, "maxOutputTokens": 40},
    })
}

fn path(model: &str, method: &str) -> String {
    format!("/v1beta/models/{model}:{method}")
}

fn text(answer: &Value) -> String {
    let parts = answer["candidates"][0]["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter_map(|part| part["text"].as_str()).collect()
}

/// The error, in Google's shape.
fn error(answer: &Answer, code: u16, status: &str) -> Value {
    assert_eq!(answer.status, code, "{answer:?}");
    let error = answer.json()["error"].clone();
    assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(status)), "{error}");
    assert_eq!(error["details"][0]["metadata"]["request_id"], answer.header("x-request-id"), "{error}");
    error
}

#[tokio::test]
async fn content_is_generated_as_document_events_and_array() {
    let home = Home::start().await;
    let client = home.client();
    let answer = client.post(&path(&home.model, "generateContent"), &capital()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-hearth-model"), home.model);
    let id = answer.header("x-request-id").to_owned();
    let whole = answer.json();
    assert!(text(&whole).contains("Paris"), "{whole}");
    assert_eq!((&whole["modelVersion"], &whole["responseId"]), (&json!(home.model), &json!(id)));
    let candidate = &whole["candidates"][0];
    assert_eq!(
        (&candidate["finishReason"], &candidate["content"]["role"]),
        (&json!("STOP"), &json!("model"))
    );
    let count = |name: &str| whole["usageMetadata"][name].as_u64().unwrap();
    assert_eq!(count("totalTokenCount"), count("promptTokenCount") + count("candidatesTokenCount"));

    let events = path(&home.model, "streamGenerateContent?alt=sse");
    let pieces = client.stream(&events, &capital()).await.rest().await;
    let pieces: Vec<Value> = pieces.into_iter().map(|event| event.data).collect();
    assert!(pieces.len() > 2, "{pieces:?}");
    assert_eq!(pieces.iter().map(text).collect::<String>(), text(&whole));
    let last = pieces.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    // How much of the prompt was cached differs.
    let total = &last["usageMetadata"]["totalTokenCount"];
    assert_eq!(total, &whole["usageMetadata"]["totalTokenCount"]);

    // Without `alt=sse` the stream is one array.
    let array = client.post(&path(&home.model, "streamGenerateContent"), &capital()).await;
    assert_eq!(array.header("content-type"), "application/json");
    let array = array.json();
    assert_eq!(array.as_array().unwrap().iter().map(text).collect::<String>(), text(&whole));
    home.stop().await;
}

#[tokio::test]
async fn model_name_in_a_path_may_have_colons_and_slashes() {
    let home = Home::start().await;
    let client = home.client();
    for name in
        ["local:tiny-chat", "local%3Atiny-chat", "models/local:tiny-chat", "models%2Ftiny-chat", "auto"]
    {
        let answer = client.post(&path(name, "generateContent"), &capital()).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        assert_eq!(answer.json()["modelVersion"], home.model);
    }
    // Some clients ask below /v1, and are redirected.
    for method in ["generateContent", "streamGenerateContent?alt=sse"] {
        let path = format!("/v1/models/local:{}:{method}", home.model);
        assert_eq!(client.post(&path, &capital()).await.status, 200, "{path}");
    }
    let listed = client.request(Method::GET, "/v1/models?pageSize=1").header("x-goog-api-key", &home.token);
    assert!(client.send(listed).await.json()["models"][0]["supportedGenerationMethods"].is_array());
    let escaped = format!("/v1beta/models/{}%3AgenerateContent", home.model);
    assert_eq!(client.post(&escaped, &capital()).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn key_header_is_accepted_and_key_in_the_url_refused() {
    let home = Home::start().await;
    let anonymous = home.client().with_token(None);
    let request = |path: &str| anonymous.request(Method::POST, path).json(&capital());
    let generate = path(&home.model, "generateContent");
    let answer = anonymous.send(request(&generate).header("x-goog-api-key", &home.token)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    error(&anonymous.send(request(&generate)).await, 401, "UNAUTHENTICATED");
    error(
        &anonymous.send(request(&generate).header("x-goog-api-key", "wrong")).await,
        401,
        "UNAUTHENTICATED",
    );
    let with_key = format!("{generate}?alt=sse&key={}", home.token);
    for request in [request(&with_key), request(&with_key).header("x-goog-api-key", &home.token)] {
        let refused = error(&anonymous.send(request).await, 401, "UNAUTHENTICATED");
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("x-goog-api-key") && !message.contains(&home.token), "{message}");
    }
    let (logs, token) = (home.data().join("logs"), home.token.clone());
    let folder = home.stop().await;
    let files: Vec<_> = fs::read_dir(&logs).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("/v1beta/models/"), "{text}");
        assert!(!text.contains(&token), "{} has the token", file.display());
    }
    drop(folder);
}

#[tokio::test]
async fn function_is_called_and_its_result_used() {
    let home = Home::start().await;
    let client = home.client();
    let function = json!({
        "name": "get_weather", "description": "Get the weather for a city",
        "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
    });
    let mut body = json!({
        "contents": [{"role": "user", "parts": [{"text": "What is the weather in Paris?"}]}],
        "tools": [{"function_declarations": [function]}], "generation_config": {"temperature": 0},
    });
    let answer = client.post(&path(&home.model, "generateContent"), &body).await.json();
    let content = answer["candidates"][0]["content"].clone();
    let call = &content["parts"][0]["functionCall"];
    assert_eq!(
        (&call["name"], &call["args"]),
        (&json!("get_weather"), &json!({"city": "Paris"})),
        "{answer}"
    );
    // The id is left out, as older clients do: the name says which call it is.
    let result = json!({"name": "get_weather", "response": {"temperature": 21, "condition": "sunny"}});
    let result = json!({"role": "user", "parts": [{"functionResponse": result}]});
    body["contents"].as_array_mut().unwrap().extend([content, result]);
    let answer = client.post(&path(&home.model, "generateContent"), &body).await.json();
    assert_eq!(text(&answer), "It is sunny and 21 degrees in Paris.", "{answer}");

    body["contents"].as_array_mut().unwrap().truncate(1);
    body["toolConfig"] =
        json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}});
    body["contents"][0]["parts"][0]["text"] = json!("Hello!");
    let answer = client.post(&path(&home.model, "generateContent"), &body).await.json();
    assert!(answer["candidates"][0]["content"]["parts"][0]["functionCall"].is_object(), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn answer_matches_the_schema_of_google() {
    let home = Home::start().await;
    let schema = r#"{"type": "OBJECT", "properties": {"age": {"type": "INTEGER"}, "name": {"type": "STRING"}},
        "required": ["name", "age"], "propertyOrdering": ["name", "age"]}"#;
    let schema: Value = serde_json::from_str(schema).unwrap();
    let body = json!({
        "contents": [{"parts": [{"text": "Give me JSON with name and age for Ada."}]}],
        "generationConfig": {"temperature": 0, "responseMimeType": "application/json", "responseSchema": schema},
    });
    let answer = home.client().post(&path(&home.model, "generateContent"), &body).await.json();
    let person: Value = serde_json::from_str(&text(&answer)).unwrap();
    assert_eq!(person, json!({"name": "Ada", "age": 36}), "{answer}");
    assert_eq!(answer["candidates"][0]["structured"]["valid"], true, "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn models_are_paged_and_tokens_counted() {
    let home = embeddings::home().await;
    let client = home.client();
    let first = client.get("/v1beta/models?pageSize=1").await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    assert_eq!(first["models"].as_array().unwrap().len(), 1, "{first}");
    let rest = client.get(&format!("/v1beta/models?pageSize=1000&pageToken={token}")).await.json();
    let pages = [first, rest];
    let models: Vec<&Value> = pages.iter().flat_map(|page| page["models"].as_array().unwrap()).collect();
    let methods = |name: &str| {
        let model = models.iter().find(|model| model["name"] == name);
        model.map(|model| model["supportedGenerationMethods"][0].as_str().unwrap())
    };
    assert_eq!(methods("models/tiny-chat"), Some("generateContent"));
    assert_eq!(methods("models/tiny-embed"), Some("embedContent"));
    let model = client.get("/v1beta/models/models/tiny-chat").await.json();
    assert_eq!(model["name"], "models/tiny-chat");
    assert!(model["inputTokenLimit"].as_u64().unwrap() > 0, "{model}");
    error(&client.get("/v1beta/models/none").await, 404, "NOT_FOUND");
    error(&client.get("/v1beta/models?pageToken=forged").await, 400, "INVALID_ARGUMENT");

    let body = json!({"contents": capital()["contents"]});
    // The node counts as it does for an answer; a model that isn't there is estimated.
    let answer = client.post(&path(&home.model, "generateContent"), &body).await.json();
    let tokens = &answer["usageMetadata"]["promptTokenCount"];
    assert!(tokens.as_u64().unwrap() > 0, "{answer}");
    for body in [body.clone(), json!({"generateContentRequest": body})] {
        // The gateway's view of the node may be older than the load.
        eventually("the node's count", async || {
            let count = client.post(&path(&home.model, "countTokens"), &body).await.json();
            (count == json!({"totalTokens": tokens})).then_some(())
        })
        .await;
        let count = client.post(&path("none", "countTokens"), &body).await.json();
        assert_eq!(count, json!({"totalTokens": 12}));
    }

    let one = json!({"content": {"parts": [{"text": "The cat sat on the mat."}]}});
    let vector = client.post(&path("tiny-embed", "embedContent"), &one).await.json();
    assert!(!vector["embedding"]["values"].as_array().unwrap().is_empty());
    let vectors =
        client.post(&path("tiny-embed", "batchEmbedContents"), &json!({"requests": [one, one]})).await.json();
    assert_eq!(vectors["embeddings"].as_array().unwrap().len(), 2, "{vectors}");
    home.stop().await;
}

#[tokio::test]
async fn errors_have_the_format_of_google() {
    let home = Home::start().await;
    let client = home.client();
    let generate = path(&home.model, "generateContent");
    let none = client.post(&path("none", "generateContent"), &capital()).await;
    let none = error(&none, 404, "NOT_FOUND");
    assert_eq!(none["details"][0]["reason"], "MODEL_NOT_FOUND", "{none}");
    error(&client.post(&path(&home.model, "predict"), &capital()).await, 404, "NOT_FOUND");
    assert_eq!(client.delete(&format!("/v1beta/models/{}", home.model)).await.status, 405);

    let audio = json!({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}});
    let refused = [
        (json!({"contents": [{"parts": [audio]}]}), "contents[0].parts[0].inlineData"),
        (json!({"contents": capital()["contents"], "cachedContent": "cachedContents/1"}), "cachedContent"),
        (json!({"contents": capital()["contents"], "tools": [{"computerUse": {}}]}), "tools"),
        (
            json!({"contents": capital()["contents"], "generationConfig": {"responseMimeType": "text/x.enum"}}),
            "generationConfig.responseMimeType",
        ),
        (
            json!({"contents": capital()["contents"], "generationConfig": {"topK": "many"}}),
            "generationConfig.topK",
        ),
        (json!({"contents": "Hi"}), "contents"),
    ];
    for (body, param) in refused {
        let error = error(&client.post(&generate, &body).await, 400, "INVALID_ARGUMENT");
        assert_eq!(error["details"][0]["metadata"]["param"], param, "{error}");
        assert_eq!(error["details"][1]["fieldViolations"][0]["field"], param, "{error}");
    }
    // Options without effect on the meaning are ignored.
    let mut body = capital();
    body["tools"] = json!([{"googleSearch": {}}]);
    body["safetySettings"] = json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]);
    assert_eq!(client.post(&generate, &body).await.status, 200);
    home.stop().await;
}
