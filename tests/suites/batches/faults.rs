//! Inputs and requests for batches that can't be carried out.

use hearth_tests::{Home, Setup};
use serde_json::{Value, json};

use crate::{CHAT, create, ended, hours, line, question, questions, try_create, upload};

#[tokio::test]
async fn wrong_file_fails_with_the_lines_at_fault() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let good = question("auto", "Hi");
    let lines = [
        line("a", CHAT, &good),
        line("a", CHAT, &good),
        String::new(),
        line("b", "/v1/embeddings", &good),
        "{\"custom_id\": \"c\"".to_owned(),
        json!({"custom_id": "d", "method": "POST", "url": CHAT}).to_string(),
        json!({"custom_id": "e", "method": "GET", "url": CHAT, "body": {}}).to_string(),
    ];
    let path = create(&client, &lines, CHAT, &json!({})).await;
    let batch = ended(&client, &path).await;
    assert_eq!((&batch["status"], batch["failed_at"].is_u64()), (&json!("failed"), true), "{batch}");
    assert_eq!((&batch["output_file_id"], &batch["error_file_id"]), (&Value::Null, &Value::Null));
    let faults = batch["errors"]["data"].as_array().unwrap();
    let listed: Vec<_> = faults
        .iter()
        .map(|fault| (fault["line"].as_u64().unwrap(), fault["code"].as_str().unwrap()))
        .collect();
    let expected = [
        (2, "duplicate_custom_id"),
        (4, "mismatched_endpoint"),
        (5, "invalid_json_line"),
        (6, "invalid_request"),
        (7, "invalid_request"),
    ];
    assert_eq!(listed, expected);
    assert_eq!((&faults[3]["param"], &faults[4]["param"]), (&json!("body"), &json!("method")));
    // No request was carried out.
    assert_eq!(client.get("/v1/requests").await.json()["requests"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn input_over_a_limit_fails() {
    let settings = "[batches]\nmax_requests = 3\nrequest_max_bytes = '2KiB'\nmax_bytes = '64KiB'";
    let home = Setup::new().settings(settings).without_node().start().await;
    let client = home.client();
    let code = async |lines: &[String]| {
        let path = create(&client, lines, CHAT, &json!({})).await;
        let batch = ended(&client, &path).await;
        batch["errors"]["data"][0]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code(&questions("auto", 4)).await, "too_many_requests");
    let long = line("a", CHAT, &question("auto", &"x".repeat(3000)));
    assert_eq!(code(&[long]).await, "request_too_large");
    assert_eq!(code(&["\n \n".to_owned()]).await, "empty_file");
    let large = upload(&client, &vec![line("a", CHAT, &question("auto", &"x".repeat(1000))); 70]).await;
    let refused = try_create(&client, &large, CHAT, &json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (413, &json!("payload_too_large"))
    );
    home.stop().await;
}

#[tokio::test]
async fn bad_request_for_a_batch_is_refused_with_its_field() {
    let home = Home::start().await;
    let client = home.client();
    let file = upload(&client, &questions("auto", 1)).await;
    let file = file.as_str();
    for (id, endpoint, options, param) in [
        (file, "/v1/generate", json!({}), "endpoint"),
        (file, CHAT, json!({"completion_window": "1h"}), "completion_window"),
        (file, CHAT, json!({"when": "later"}), "when"),
        (file, CHAT, json!({"max_price": -1}), "max_price"),
        (
            file,
            CHAT,
            json!({"output_expires_after": {"anchor": "created_at", "seconds": 1}}),
            "output_expires_after",
        ),
        (file, CHAT, json!({"surprise": 1}), "surprise"),
        ("file-none", CHAT, json!({}), "input_file_id"),
    ] {
        let refused = try_create(&client, id, endpoint, &options).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
        assert_eq!(refused.json()["error"]["param"], param, "{options}");
    }
    // Another purpose, as an output's.
    let path = create(&client, &questions("auto", 1), CHAT, &json!({})).await;
    let output = ended(&client, &path).await["output_file_id"].as_str().unwrap().to_owned();
    let refused = try_create(&client, &output, CHAT, &json!({})).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (400, &json!("input_file_id")));
    home.stop().await;
}

#[tokio::test]
async fn user_has_a_number_of_batches_at_a_time() {
    let settings = format!("[batches]\nuser_max_count = 2\nnight = '{}'", hours(720, 722));
    let home = Setup::new().settings(&settings).without_node().start().await;
    let client = home.client();
    let file = upload(&client, &questions("auto", 1)).await;
    let wait = json!({"when": "night"});
    let first = try_create(&client, &file, CHAT, &wait).await.json();
    assert_eq!(try_create(&client, &file, CHAT, &wait).await.status, 200);
    let refused = try_create(&client, &file, CHAT, &wait).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (429, &json!("quota_exceeded")));
    let path = crate::path_of(&first);
    assert_eq!(client.post(&format!("{path}/cancel"), &json!({})).await.status, 200);
    ended(&client, &path).await;
    assert_eq!(try_create(&client, &file, CHAT, &wait).await.status, 200);
    home.stop().await;
}
