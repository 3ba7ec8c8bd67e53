//! Requests with a schema or a template, in every dialect that generates.

use hearth_tests::{Home, Upstream};
use serde_json::{Value, json};

use crate::{answer, create_schema, create_template, played, put, receipt, summary};

/// A route, a request without its own messages, and the place of the answer's text.
fn routes(model: &str) -> Vec<(String, Value, &'static str)> {
    vec![
        ("/v1/generate".to_owned(), json!({"model": model}), "/output/text"),
        ("/v1/chat/completions".to_owned(), json!({"model": model}), "/choices/0/message/content"),
        ("/v1/messages".to_owned(), json!({"model": model, "max_tokens": 30}), "/content/0/text"),
        ("/v1/responses".to_owned(), json!({"model": model}), "/output/0/content/0/text"),
        ("/v1/completions".to_owned(), json!({"model": model}), "/choices/0/text"),
        (format!("/v1beta/models/{model}:generateContent"), json!({}), "/candidates/0/content/parts/0/text"),
        ("/api/chat".to_owned(), json!({"model": model, "stream": false}), "/message/content"),
        ("/api/generate".to_owned(), json!({"model": model, "stream": false}), "/response"),
    ]
}

#[tokio::test]
async fn template_and_schema_work_on_every_route_that_generates() {
    let upstream = Upstream::start().await;
    let home = played(&upstream).await;
    let client = home.client();
    create_schema(&client, "receipt", &json!({})).await;
    create_template(&client, "summary", &json!({})).await;
    for (path, mut body, text) in routes("rig:big") {
        body["template_id"] = json!("summary");
        body["variables"] = json!({"text": "Tea 3"});
        body["schema_id"] = json!("receipt@1");
        upstream.reply(answer(r#"{"shop": "Tea", "total": 3}"#));
        let answered = client.post(&path, &body).await;
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
        let found = answered.json().pointer(text).cloned();
        assert_eq!(found, Some(json!(r#"{"shop": "Tea", "total": 3}"#)), "{path}: {answered:?}");
        assert_eq!(answered.header("x-hearth-schema"), "receipt@1.0.0", "{path}");
        assert_eq!(answered.header("x-hearth-template"), "summary@1.0.0", "{path}");
        let sent = upstream.received().pop().unwrap().body;
        let expected = json!([
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Sum up: Tea 3"},
        ]);
        assert_eq!(sent["messages"], expected, "{path}: {sent}");
        let schema = &sent["response_format"]["json_schema"];
        assert_eq!(
            (&schema["name"], &schema["schema"]["properties"]["total"]["type"]),
            (&json!("receipt"), &json!("integer")),
            "{path}: {sent}"
        );
        assert_eq!(sent["temperature"], json!(0.25), "{path}: {sent}");
        for field in ["template_id", "schema_id", "variables"] {
            assert!(sent.get(field).is_none(), "{path}: {sent}");
        }
        let id = answered.header("x-request-id");
        let record = client.get(&format!("/v1/requests/{id}")).await.json();
        assert_eq!(
            (&record["schema"]["name"], &record["schema"]["version"]),
            (&json!("receipt"), &json!("1.0.0")),
            "{path}"
        );
        assert_eq!(record["template"]["name"], "summary", "{path}");
    }
    home.stop().await;
}

#[tokio::test]
async fn messages_of_the_request_follow_on_those_of_the_template() {
    let upstream = Upstream::start().await;
    let home = played(&upstream).await;
    let client = home.client();
    create_template(&client, "summary", &json!({})).await;
    let with = |more: Value| {
        let mut body = json!({"model": "rig:big", "template_id": "summary", "variables": {"text": "A"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    upstream.reply(answer("ok"));
    let body = with(
        json!({"messages": [{"role": "system", "content": "Own."}, {"role": "user", "content": "And B"}], "temperature": 1.0}),
    );
    assert_eq!(client.post("/v1/chat/completions", &body).await.status, 200);
    let sent = upstream.received().pop().unwrap().body;
    let messages = json!([
        {"role": "system", "content": "Be short.\n\nOwn."},
        {"role": "user", "content": "Sum up: A"},
        {"role": "user", "content": "And B"},
    ]);
    assert_eq!((&sent["messages"], &sent["temperature"]), (&messages, &json!(1.0)));
    upstream.reply(answer("ok"));
    let body = with(json!({"input": {"prompt": "And B"}, "system_prompt": "Own."}));
    let native = client.post("/v1/generate", &body).await.json();
    assert_eq!(upstream.received().pop().unwrap().body["messages"], messages);
    assert_eq!(
        (&native["template"]["name"], &native["template"]["version"]),
        (&json!("summary"), &json!("1.0.0"))
    );
    assert!(native.get("schema").is_none(), "{native}");
    // A streamed answer has them in its last event, and in the head.
    upstream.reply(answer("ok"));
    let events = client.stream("/v1/generate", &with(json!({"stream": true}))).await.rest().await;
    let complete = events.iter().find(|event| event.data["event"] == "complete").unwrap();
    assert_eq!(complete.data["template"]["name"], "summary");
    home.stop().await;
}

#[tokio::test]
async fn response_that_continues_another_has_the_messages_of_its_template() {
    let upstream = Upstream::start().await;
    let home = played(&upstream).await;
    let client = home.client();
    create_template(&client, "summary", &json!({})).await;
    upstream.reply(answer("First."));
    let body = json!({"model": "rig:big", "template_id": "summary", "variables": {"text": "A"}});
    let first = client.post("/v1/responses", &body).await.json();
    upstream.reply(answer("Second."));
    let body = json!({"model": "rig:big", "previous_response_id": first["id"], "input": "More",
        "template_id": "summary", "variables": {"text": "B", "style": "long"}});
    let second = client.post("/v1/responses", &body).await;
    assert_eq!(second.status, 200, "{second:?}");
    let sent = upstream.received().pop().unwrap().body;
    let texts: Vec<_> =
        sent["messages"].as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Be long.", "Sum up: A", "First.", "Sum up: B", "More"]);
    home.stop().await;
}

#[tokio::test]
async fn local_answer_fits_the_schema_of_its_template_and_labels_decide_the_version() {
    let home = Home::start().await;
    let client = home.client();
    create_schema(&client, "receipt", &json!({})).await;
    let mut template = summary();
    template["schema_id"] = json!("receipt@production");
    let refused = client.post("/v1/templates", &json!({"name": "summary", "template": template})).await;
    assert_eq!(refused.error(404, "not_found")["param"], "template.schema_id");
    let label = "/v1/schemas/receipt/labels/production";
    put(&client, label, &json!({"version": "1.0.0"})).await;
    create_template(&client, "summary", &json!({"template": template})).await;
    let body = json!({"template_id": "summary", "variables": {"text": "Tea 3"}, "parameters": {"temperature": 0, "seed": 1, "max_tokens": 200}});
    let native = client.post("/v1/generate", &body).await;
    assert_eq!(native.status, 200, "{native:?}");
    let native = native.json();
    let data: Value = serde_json::from_str(native["output"]["text"].as_str().unwrap()).unwrap();
    assert!(data["shop"].is_string() && data["total"].is_u64(), "{native}");
    assert_eq!(
        (&native["schema"]["version"], &native["structured"]["valid"]),
        (&json!("1.0.0"), &json!(true))
    );
    let mut schema = receipt();
    schema["properties"] = json!({"total": {"type": "integer", "minimum": 0, "maximum": 9}});
    schema["required"] = json!(["total"]);
    assert_eq!(
        put(&client, "/v1/schemas/receipt", &json!({"schema": schema})).await.json()["version"],
        "2.0.0"
    );
    assert_eq!(client.post("/v1/generate", &body).await.json()["schema"]["version"], "1.0.0");
    put(&client, label, &json!({"version": "2.0.0", "expected": "1.0.0"})).await;
    let native = client.post("/v1/generate", &body).await.json();
    assert_eq!(native["schema"]["version"], "2.0.0");
    let data: Value = serde_json::from_str(native["output"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(data.as_object().unwrap().keys().collect::<Vec<_>>(), ["total"], "{native}");
    home.stop().await;
}

#[tokio::test]
async fn examples_of_the_built_in_templates_are_answered_by_their_schemas() {
    let home = Home::start().await;
    let client = home.client();
    for name in ["classification", "form", "invoice", "support", "translation"] {
        let template = client.get(&format!("/v1/templates/{name}")).await.json();
        for example in template["template"]["variables"]["examples"].as_array().unwrap() {
            let rendered =
                client.post(&format!("/v1/templates/{name}/render"), &json!({"variables": example})).await;
            assert_eq!(rendered.status, 200, "{name}: {rendered:?}");
            assert_eq!(rendered.json()["schema_id"], format!("{name}@1.0.0"));
        }
        let example = &template["template"]["variables"]["examples"][0];
        let parameters = json!({"max_tokens": 1200, "seed": 3});
        let body = json!({"template_id": name, "variables": example, "parameters": parameters});
        let answer = client.post("/v1/generate", &body).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let answer = answer.json();
        assert_eq!(answer["schema"]["name"], name);
        // A model of one megabyte may not come to an end; if it does, its answer fits.
        if answer["finish_reason"] == "stop" {
            assert_eq!(answer["structured"]["valid"], true, "{name}: {answer}");
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn request_that_cannot_use_its_definitions_is_refused_with_the_field() {
    let home = Home::start_without_node().await;
    let client = home.client();
    create_template(&client, "summary", &json!({})).await;
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": receipt()}});
    let messages = json!([{"role": "user", "content": "Hi"}]);
    for (fields, status, code, param) in [
        (json!({"schema_id": "nosuch"}), 404, "not_found", "schema_id"),
        (json!({"schema_id": "invoice@9"}), 404, "not_found", "schema_id"),
        (json!({"schema_id": "Not a name"}), 400, "invalid_request", "schema_id"),
        (json!({"schema_id": "invoice", "response_format": schema}), 400, "invalid_request", "schema_id"),
        (json!({"template_id": "nosuch"}), 404, "not_found", "template_id"),
        (json!({"variables": {"a": 1}}), 400, "invalid_request", "variables"),
        (json!({"template_id": "summary"}), 400, "invalid_request", "variables.text"),
        (
            json!({"template_id": "summary", "variables": {"text": 1}}),
            400,
            "invalid_request",
            "variables.text",
        ),
        (
            json!({"template_id": "summary", "variables": {"text": "a", "x": 1}}),
            400,
            "invalid_request",
            "variables.x",
        ),
        (json!({"template_id": 5}), 400, "invalid_request", "template_id"),
    ] {
        let mut body = json!({"model": "auto", "messages": messages});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let error = client.post("/v1/chat/completions", &body).await.error(status, code);
        assert_eq!(error["param"], param, "{fields}: {error}");
    }
    let vectors = json!({"model": "auto", "input": "Hi", "schema_id": "invoice"});
    assert_eq!(
        client.post("/v1/embeddings", &vectors).await.error(400, "invalid_request")["param"],
        "schema_id"
    );
    client.post("/v1/chat/completions", &json!({"model": "auto"})).await.error(400, "invalid_request");
    home.stop().await;
}
