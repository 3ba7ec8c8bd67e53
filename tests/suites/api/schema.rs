//! Schemas of parameters: `/v1/schema`, `/v1/models/{id}/schema`, and the check of requests.

use hearth_tests::{Answer, Client, Home};
use reqwest::Method;
use serde_json::{Value, json};

async fn put(client: &Client, model: &str, body: &Value) -> Answer {
    let path = format!("/v1/models/{model}/schema");
    client.send(client.request(Method::PUT, &path).json(body)).await
}

async fn schema(client: &Client, query: &str) -> Value {
    client.get(&format!("/v1/schema{query}")).await.json()
}

fn request(model: &str, parameters: &Value) -> Value {
    json!({"model": model, "input": {"prompt": "Hello!"}, "parameters": parameters})
}

#[tokio::test]
async fn schema_is_built_from_the_metadata_of_the_model() {
    let home = Home::start().await;
    let client = home.client();
    let all = schema(&client, "").await;
    assert_eq!((&all["model"], &all["version"], &all["origin"]), (&json!(null), &json!(0), &json!("built")));
    assert!(all["schema"]["properties"]["texture_size"]["enum"].is_array(), "{all}");
    let of_model = schema(&client, &format!("?model={}", home.model)).await;
    assert_eq!(of_model["schema"]["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let properties = &of_model["schema"]["properties"];
    assert_eq!(properties["max_tokens"]["maximum"], 4096);
    assert_eq!(properties["size"], json!(null));
    for (name, property) in properties.as_object().unwrap() {
        assert!(property["description"].is_string(), "{name}");
    }
    assert!(!of_model["guidance"].as_array().unwrap().is_empty());
    let answer = client.post("/v1/generate", &of_model["example"]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    client.get("/v1/schema?model=nosuch").await.error(404, "model_not_found");
    let unversioned = format!("/v1/schema?model={}&version=7", home.model);
    assert_eq!(client.get(&unversioned).await.error(404, "not_found")["param"], "version");
    client.get("/v1/schema?colour=red").await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn edited_schema_checks_the_parameters_of_requests() {
    let home = Home::start().await;
    let client = home.client();
    let edited = json!({
        "schema": {
            "type": "object",
            "properties": {
                "temperature": {"type": "number", "minimum": 0, "maximum": 0.7, "description": "Keep it low."},
                "max_tokens": {"type": "integer", "maximum": 8},
            },
            "required": ["max_tokens"],
            "additionalProperties": false,
        },
        "guidance": ["Short answers only."],
        "version": 0,
        "message": "first",
    });
    let stored = put(&client, &home.model, &edited).await.json();
    assert_eq!((&stored["version"], &stored["origin"]), (&json!(1), &json!("edited")), "{stored}");
    let current = schema(&client, &format!("?model={}", home.model)).await;
    assert_eq!((&current["schema"], &current["guidance"]), (&edited["schema"], &edited["guidance"]));
    assert_eq!(client.get(&format!("/v1/models/{}", home.model)).await.json()["schema_version"], 1);

    for (parameters, param, bound) in [
        (json!({"temperature": 0.9, "max_tokens": 2}), "parameters.temperature", "0.7"),
        (json!({"max_tokens": 9}), "parameters.max_tokens", "8"),
        (json!({"temperature": 0.2}), "parameters", "max_tokens"),
        (json!({"max_tokens": 2, "top_k": 3}), "parameters", "top_k"),
    ] {
        let answer = client.post("/v1/generate", &request(&home.model, &parameters)).await;
        let error = answer.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{parameters}: {error}");
        assert!(error["message"].as_str().unwrap().contains(bound), "{error}");
    }
    let good = json!({"temperature": 0.7, "max_tokens": 2});
    for model in [home.model.clone(), format!("local:{}", home.model)] {
        let answer = client.post("/v1/generate", &request(&model, &good)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // The other dialects have the same parameters under their own names.
    let hello = json!([{"role": "user", "content": "Hi"}]);
    for (path, mut body, param) in [
        ("/v1/chat/completions", json!({"messages": hello, "max_tokens": 9}), "max_tokens"),
        ("/v1/responses", json!({"input": "Hi", "max_output_tokens": 17}), "max_output_tokens"),
        ("/v1/messages", json!({"messages": hello, "max_tokens": 9}), "max_tokens"),
        ("/api/chat", json!({"messages": hello, "options": {"num_predict": 9}}), "options.num_predict"),
    ] {
        body["model"] = json!(home.model);
        let refused = client.post(path, &body).await;
        assert_eq!(refused.status, 400, "{path}: {refused:?}");
        let text = refused.json().to_string();
        assert!(text.contains(param) && text.contains("the schema of"), "{path}: {text}");
    }
    let chat = json!({"model": home.model, "messages": hello, "max_tokens": 2, "temperature": 0.7});
    assert_eq!(client.post("/v1/chat/completions", &chat).await.status, 200);
    let session = client.post("/v1/sessions", &json!({"model": home.model})).await.json();
    let path = format!("/v1/sessions/{}/generate", session["id"].as_str().unwrap());
    let refused =
        client.post(&path, &json!({"input": {"prompt": "Hi"}, "parameters": {"max_tokens": 9}})).await;
    assert_eq!(refused.error(400, "invalid_request")["param"], "parameters.max_tokens");
    let by_provider = request(&format!("local:{}", home.model), &json!({"max_tokens": 9}));
    client.post("/v1/generate", &by_provider).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn versions_of_a_schema_remain_and_follow_each_other() {
    let home = Home::start().await;
    let client = home.client();
    let with_max = |max: u32, version: u32| json!({"schema": {"properties": {"max_tokens": {"maximum": max}}}, "version": version});
    for version in 0..3 {
        assert_eq!(
            put(&client, &home.model, &with_max(version + 1, version)).await.json()["version"],
            version + 1
        );
    }
    let late = put(&client, &home.model, &with_max(9, 1)).await.error(409, "conflict");
    assert_eq!(late["details"]["current_version"], 3, "{late}");
    let home = home.crash_and_restart().await;
    let client = home.client();
    let second = schema(&client, &format!("?model={}&version=2", home.model)).await;
    assert_eq!(second["schema"]["properties"]["max_tokens"]["maximum"], 2);
    let history = client.get(&format!("/v1/models/{}/schema/versions", home.model)).await.json();
    let numbers: Vec<_> = history["versions"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!((numbers, &history["current"]), (vec![&json!(3), &json!(2), &json!(1)], &json!(3)));

    let reset = put(&client, &home.model, &json!({"schema": null})).await.json();
    assert_eq!((&reset["version"], &reset["origin"]), (&json!(4), &json!("built")), "{reset}");
    let answer = client.post("/v1/generate", &request(&home.model, &json!({"max_tokens": 5}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn bad_schema_is_refused() {
    let home = Home::start().await;
    let client = home.client();
    let huge = json!({"description": "x".repeat(40_000)});
    for (body, param) in [
        (json!({"schema": []}), "schema"),
        (json!({"schema": {"properties": {"colour": {}}}}), "schema"),
        (json!({"schema": {"properties": {"temperature": {"type": "hot"}}}}), "schema"),
        (json!({"schema": {"properties": {"quality": {"pattern": "("}}}}), "schema"),
        (json!({"schema": {"$schema": "http://json-schema.org/draft-04/schema#"}}), "schema"),
        (json!({"schema": huge}), "schema"),
        (json!({"schema": {}, "guidance": [" "]}), "guidance[0]"),
        (json!({"schema": {}, "colour": 1}), "colour"),
    ] {
        let error = put(&client, &home.model, &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{error}");
    }
    put(&client, "nosuch", &json!({"schema": {}})).await.error(404, "model_not_found");
    let path = format!("/v1/models/{}", home.model);
    let answer = client.send(client.request(Method::PUT, &path).json(&json!({}))).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD, PATCH, DELETE"));
    home.stop().await;
}
