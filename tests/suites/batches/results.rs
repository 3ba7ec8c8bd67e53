//! Results of OpenAI's batches, of each route.

use std::{fs, path::Path};

use hearth_tests::{Client, Home, Setup};
use serde_json::{Value, json};

use crate::{CHAT, create, ended, line, lines_of, path_of, question, questions, results, try_create, upload};

#[tokio::test]
async fn each_request_has_the_answer_that_its_route_gives() {
    let home = Home::start().await;
    let client = home.client();
    let mut lines = questions("auto", 20);
    lines.push(line("bad", CHAT, &json!({"model": "auto", "messages": [], "temperature": 9})));
    lines.push(line("unknown", CHAT, &question("no-such-model", "Hi")));
    let path = create(&client, &lines, CHAT, &json!({"metadata": {"for": "a test"}})).await;
    let batch = ended(&client, &path).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    assert_eq!(batch["request_counts"], json!({"total": 22, "completed": 20, "failed": 2}));
    assert_eq!((&batch["metadata"]["for"], &batch["errors"]), (&json!("a test"), &Value::Null));
    assert!(batch["usage"]["output_tokens"].as_u64().unwrap() >= 20, "{batch}");
    for time in ["created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at"] {
        assert!(batch[time].is_u64(), "{time}: {batch}");
    }
    let output = lines_of(&client, &batch["output_file_id"]).await;
    assert_eq!(output.len(), 20);
    for result in &output {
        let response = &result["response"];
        assert_eq!((&response["status_code"], &result["error"]), (&json!(200), &Value::Null));
        assert_eq!(response["body"]["object"], "chat.completion");
        assert!(response["body"]["choices"][0]["message"]["content"].is_string(), "{result}");
        // The run is among the requests.
        let request = client.get(&format!("/v1/requests/{}", response["request_id"].as_str().unwrap())).await;
        assert_eq!(request.status, 200, "{request:?}");
    }
    let results = results(&client, &batch).await;
    let bad = &results["bad"]["response"];
    assert_eq!(
        (&bad["status_code"], &bad["body"]["error"]["code"]),
        (&json!(400), &json!("invalid_request"))
    );
    assert_eq!(results["unknown"]["response"]["status_code"], 404);
    let file = client.get(&format!("/v1/files/{}", batch["output_file_id"].as_str().unwrap())).await.json();
    assert_eq!(file["purpose"], "batch_output");
    home.stop().await;
}

/// Carries out requests of a route; returns the bodies of the responses.
async fn bodies(client: &Client, endpoint: &str, requests: &[Value]) -> Vec<Value> {
    let lines: Vec<String> = requests
        .iter()
        .enumerate()
        .map(|(number, body)| line(&format!("r{number}"), endpoint, body))
        .collect();
    let path = create(client, &lines, endpoint, &json!({})).await;
    let batch = ended(client, &path).await;
    let results = results(client, &batch).await;
    (0..requests.len()).map(|number| results[&format!("r{number}")]["response"]["body"].clone()).collect()
}

#[tokio::test]
async fn every_route_is_carried_out() {
    let setup = Setup::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny-embed/tiny-embed.gguf");
    fs::create_dir_all(setup.models_folder()).unwrap();
    fs::copy(file, setup.models_folder().join("tiny-embed.gguf")).unwrap();
    let home = setup.start().await;
    let client = home.client();
    let text = bodies(&client, "/v1/responses", &[json!({"model": "auto", "input": "Hello!"})]).await;
    assert_eq!(
        (&text[0]["object"], &text[0]["status"]),
        (&json!("response"), &json!("completed")),
        "{text:?}"
    );
    // It is stored, as one of the route is.
    let id = text[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/v1/responses/{id}")).await.status, 200);
    let requests = [
        json!({"model": "auto", "input": "And?", "previous_response_id": id}),
        json!({"model": "auto", "input": "Hi", "background": true}),
        json!({"model": "auto", "input": "Hi", "stream": true}),
    ];
    let text = bodies(&client, "/v1/responses", &requests).await;
    assert_eq!(text[0]["previous_response_id"], id, "{text:?}");
    assert_eq!(
        (&text[1]["error"]["param"], &text[2]["error"]["param"]),
        (&json!("background"), &json!("stream"))
    );

    let prompts = json!({"model": "auto", "prompt": ["One", "Two"], "max_tokens": 4});
    let text = bodies(&client, "/v1/completions", &[prompts]).await;
    assert_eq!(text[0]["choices"].as_array().unwrap().len(), 2, "{text:?}");

    let request = json!({"model": "auto", "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]});
    let text = bodies(&client, "/v1/messages", &[request, json!({"model": "auto"})]).await;
    assert_eq!((&text[0]["type"], &text[1]["type"]), (&json!("message"), &json!("error")), "{text:?}");

    let request = json!({"model": "tiny-embed", "input": ["one", "two"]});
    let text = bodies(&client, "/v1/embeddings", &[request]).await;
    assert_eq!(text[0]["data"].as_array().unwrap().len(), 2, "{text:?}");
    home.stop().await;
}

#[tokio::test]
async fn batches_are_their_owners() {
    let home = Home::start().await;
    let client = home.client();
    let path = create(&client, &questions("auto", 1), CHAT, &json!({})).await;
    ended(&client, &path).await;
    let user = json!({"email": "ada@example.org", "name": "Ada", "password": "a long sentence, yes", "role": "developer"});
    assert_eq!(client.post("/v1/users", &user).await.status, 201);
    let login = json!({"email": "ada@example.org", "password": "a long sentence, yes"});
    let login = client.post("/v1/users/login", &login).await.json();
    let other = client.with_token(login["access_token"].as_str());
    assert_eq!(other.get(&path).await.status, 404);
    assert_eq!(other.post(&format!("{path}/cancel"), &json!({})).await.status, 404);
    assert_eq!(other.get("/v1/batches").await.json()["data"], json!([]));
    let file = client.get(&path).await.json()["input_file_id"].as_str().unwrap().to_owned();
    let refused = try_create(&other, &file, CHAT, &json!({})).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (404, &json!("input_file_id")));
    home.stop().await;
}

#[tokio::test]
async fn list_goes_page_by_page() {
    let home = Home::start().await;
    let client = home.client();
    let file = upload(&client, &questions("auto", 1)).await;
    let mut paths = Vec::new();
    for _ in 0..5 {
        paths.push(path_of(&try_create(&client, &file, CHAT, &json!({})).await.json()));
    }
    paths.reverse();
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/batches?limit=2{after}")).await.json();
        listed.extend(page["data"].as_array().unwrap().iter().map(path_of));
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(listed, paths);
    for (query, param) in [("limit=0", "limit"), ("limit=101", "limit"), ("after=x", "after")] {
        let refused = client.get(&format!("/v1/batches?{query}")).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (400, &json!(param)));
    }
    home.stop().await;
}
