//! Definitions in the cloud: one function stores them, another uses them, each under its role.

use hearth_tests::{Client, Cloud};
use lambda_emulator::Placement;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{create_schema, create_template, put, receipt, send, summary};

#[tokio::test]
async fn definitions_are_stored_by_one_function_and_used_by_another() {
    let cloud = Cloud::start().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    create_schema(&client, "receipt", &json!({"visibility": "organisation"})).await;
    let mut template = summary();
    template["schema_id"] = json!("receipt@1");
    create_template(&client, "summary", &json!({"template": template})).await;
    let parameters = json!({"temperature": 0, "seed": 1});
    let body = json!({"template_id": "summary", "variables": {"text": "Tea 3"}, "parameters": parameters});
    let answer = client.post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-hearth-schema"), "receipt@1.0.0", "{answer:?}");
    let answer = answer.json();
    let data: Value = serde_json::from_str(answer["output"]["text"].as_str().unwrap()).unwrap();
    assert!(data["shop"].is_string() && data["total"].is_u64(), "{answer}");
    // Another process sees the new version and the label at once: only versions, which never change, are cached.
    let mut schema = receipt();
    schema["properties"]["note"] = json!({"type": "string", "maxLength": 4});
    assert_eq!(
        put(&client, "/v1/schemas/receipt", &json!({"schema": schema})).await.json()["version"],
        "1.1.0"
    );
    assert_eq!(client.post("/v1/generate", &body).await.header("x-hearth-schema"), "receipt@1.1.0");
    let label = "/v1/schemas/receipt/labels/production";
    put(&client, label, &json!({"version": "1.0.0", "expected": null})).await;
    let chat = json!({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "schema_id": "receipt@production"});
    let answer = client.post("/v1/chat/completions", &chat).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-hearth-schema")),
        (200, "receipt@1.0.0"),
        "{answer:?}"
    );
    assert_eq!(client.delete(label).await.status, 200);
    let share = json!({"visibility": "private"});
    assert_eq!(send(&client, Method::PATCH, "/v1/schemas/receipt", &share).await.status, 200);
    assert_eq!(client.delete("/v1/templates/summary").await.status, 200);
    assert_eq!(client.delete("/v1/schemas/receipt").await.status, 200);
}
