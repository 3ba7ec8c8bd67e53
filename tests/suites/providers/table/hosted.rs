//! Tools beyond functions: a namespace reaches every vendor, and a tool that a vendor runs itself reaches those of the
//! client's dialect alone.

use hearth_tests::Upstream;
use serde_json::{Value, json};

use super::{
    home,
    neutral::{Answer, End, look},
    setup, vendors,
};

/// Requests in two dialects: path, body, and the vendor of the same dialect.
fn requests() -> [(&'static str, Value, &'static str); 2] {
    let parameters = json!({"type": "object", "properties": {"at": {"type": "string"}}});
    let namespace = json!({"type": "namespace", "name": "places", "tools": [
        {"type": "function", "name": "look", "parameters": parameters}]});
    let responses =
        json!({"input": "Look!", "tools": [namespace, {"type": "web_search", "external_web_access": false}]});
    let messages = json!({
        "max_tokens": 100, "messages": [{"role": "user", "content": "Look!"}],
        "tools": [{"name": "places__look", "input_schema": parameters},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
    });
    [("/v1/responses", responses, "responses"), ("/v1/messages", messages, "anthropic")]
}

#[tokio::test]
async fn namespace_reaches_every_vendor_and_hosted_search_its_own() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = home.client();
    for vendor in &vendors::ALL {
        for (path, body, same) in requests() {
            let what = format!("{path} over {}", vendor.name);
            let mut body = body;
            body["model"] = json!(format!("{}:{}", vendor.name, vendor.model));
            let mut call = look("c1", "Ulm");
            call.name = "places__look".to_owned();
            let answer = Answer { calls: vec![call], end: End::Calls, ..Answer::default() };
            upstream.reply((vendor.stream_answer)(&answer));
            let response = client.post(path, &body).await;
            assert_eq!(response.status, 200, "{what}: {response:?}");
            let response = response.json();
            let sent = upstream.received().pop().unwrap().body.to_string();
            assert!(sent.contains("places__look"), "{what}: {sent}");
            assert_eq!(sent.contains("web_search"), vendor.name == same, "{what}: {sent}");
            if path == "/v1/responses" {
                let items = response["output"].as_array().unwrap();
                let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
                let names = (&call["namespace"], &call["name"]);
                assert_eq!(names, (&json!("places"), &json!("look")), "{what}: {response}");
            }
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn required_hosted_search_is_refused_elsewhere() {
    let upstream = Upstream::start().await;
    let home = setup(&vendors::ALL, &upstream).start().await;
    let client = home.client();
    let local = format!("local:{}", home.model);
    let choices = [json!({"type": "web_search"}), json!({"type": "tool", "name": "web_search"})];
    for ((path, body, same), choice) in requests().into_iter().zip(choices) {
        let mut body = body;
        body["tool_choice"] = choice.clone();
        for vendor in &vendors::ALL {
            body["model"] = json!(format!("{}:{}", vendor.name, vendor.model));
            let before = upstream.received().len();
            if vendor.name == same {
                upstream.reply((vendor.stream_answer)(&Answer {
                    text: "Found.".to_owned(),
                    ..Answer::default()
                }));
                assert_eq!(client.post(path, &body).await.status, 200, "{path} over {}", vendor.name);
                let sent = upstream.received().pop().unwrap().body;
                assert_eq!(sent["tool_choice"], choice, "{path}: {sent}");
                continue;
            }
            let refused = client.post(path, &body).await;
            assert_eq!(refused.status, 400, "{path} over {}: {refused:?}", vendor.name);
            let message = refused.json()["error"]["message"].to_string();
            assert!(message.contains("web_search"), "{message}");
            assert_eq!(upstream.received().len(), before);
        }
        body["model"] = json!(local);
        assert_eq!(client.post(path, &body).await.status, 400, "{path} over a local model");
    }
    home.stop().await;
}
