//! OpenAI's conversations, and the responses that continue them.

use hearth_tests::{Home, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{answer, items, played, texts};

async fn conversation(client: &hearth_tests::Client, fields: &Value) -> String {
    let created = client.post("/v1/conversations", fields).await;
    assert_eq!(created.status, 200, "{created:?}");
    let created = created.json();
    assert_eq!(created["object"], "conversation");
    created["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn response_continues_its_conversation_in_one_piece_and_streamed() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let first =
        json!([{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hi Ada."}]);
    let id = conversation(&client, &json!({"items": first, "metadata": {"topic": "names"}})).await;
    upstream.reply(answer("You are Ada."));
    let body =
        json!({"model": "rig:big", "input": "Who am I?", "conversation": id, "instructions": "Be brief."});
    let response = client.post("/v1/responses", &body).await.json();
    assert_eq!(response["conversation"], json!({"id": id}), "{response}");
    let sent = upstream.received().pop().unwrap().body;
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hi Ada."},
        {"role": "user", "content": "Who am I?"},
    ]);
    assert_eq!(sent["messages"], expected);
    upstream.reply(answer("Still Ada."));
    let body = json!({"model": "rig:big", "input": "Sure?", "conversation": {"id": id}, "stream": true});
    let events = client.stream("/v1/responses", &body).await.rest().await;
    let last = &events.last().unwrap().data;
    assert_eq!(
        (&last["type"], &last["response"]["conversation"]["id"]),
        (&json!("response.completed"), &json!(id))
    );
    let items = items(&client, &id).await;
    assert_eq!(items.len(), 6);
    // Items of a response have the ids of its output.
    assert_eq!(items[5]["id"], last["response"]["output"][0]["id"]);
    assert_eq!(texts(&client, &id).await[3..], ["You are Ada.", "Sure?", "Still Ada."]);
    // A response of a conversation is continued with what was before it.
    upstream.reply(answer("Ada."));
    let body = json!({"model": "rig:big", "input": "Again?", "previous_response_id": response["id"]});
    assert_eq!(client.post("/v1/responses", &body).await.status, 200);
    let sent = upstream.received().pop().unwrap().body;
    let contents: Vec<_> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(contents, ["My name is Ada.", "Hi Ada.", "Who am I?", "You are Ada.", "Again?"]);
    home.stop().await;
}

#[tokio::test]
async fn conversation_is_changed_listed_and_deleted() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let id = conversation(&client, &json!({})).await;
    let path = format!("/v1/conversations/{id}");
    let changed = client.post(&path, &json!({"metadata": {"a": "b"}})).await.json();
    assert_eq!((&changed["id"], &changed["metadata"]), (&json!(id), &json!({"a": "b"})));
    let all: Vec<_> = (0..5).map(|number| json!({"role": "user", "content": format!("{number}")})).collect();
    let added = client.post(&format!("{path}/items"), &json!({"items": all})).await.json();
    assert_eq!((&added["object"], added["data"].as_array().unwrap().len()), (&json!("list"), 5), "{added}");
    let page = client.get(&format!("{path}/items?limit=2")).await.json();
    assert_eq!((&page["has_more"], &page["data"][0]["content"][0]["text"]), (&json!(true), &json!("4")));
    let after = page["last_id"].as_str().unwrap();
    let rest = client.get(&format!("{path}/items?limit=100&after={after}")).await.json();
    assert_eq!((&rest["has_more"], rest["data"].as_array().unwrap().len()), (&json!(false), 3), "{rest}");
    let item = format!("{path}/items/{}", page["data"][0]["id"].as_str().unwrap());
    assert_eq!(client.get(&item).await.json(), page["data"][0]);
    assert_eq!(client.delete(&item).await.json()["object"], "conversation");
    client.get(&item).await.error(404, "not_found");
    assert_eq!(texts(&client, &id).await, ["0", "1", "2", "3"]);
    let deleted = client.delete(&path).await.json();
    assert_eq!(deleted, json!({"id": id, "object": "conversation.deleted", "deleted": true}));
    client.get(&path).await.error(404, "not_found");
    client.get(&format!("/v1/sessions/{id}")).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn unknown_conversations_and_bad_items_are_refused() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let unknown = "sess_01J9ZX5V2QH8N4T6W0C3M7K1RB";
    for id in [unknown, "conv_123"] {
        let body = json!({"model": "auto", "input": "Hi", "conversation": id});
        let error = client.post("/v1/responses", &body).await.error(404, "not_found");
        assert_eq!(error["param"], "conversation");
        client.get(&format!("/v1/conversations/{id}")).await.error(404, "not_found");
        client.get(&format!("/v1/conversations/{id}/items")).await.error(404, "not_found");
        client.delete(&format!("/v1/conversations/{id}")).await.error(404, "not_found");
    }
    let body =
        json!({"model": "auto", "input": "Hi", "conversation": unknown, "previous_response_id": unknown});
    assert_eq!(
        client.post("/v1/responses", &body).await.error(400, "invalid_request")["param"],
        "conversation"
    );
    let id = conversation(&client, &json!({})).await;
    let many = vec![json!({"role": "user", "content": "x"}); 21];
    for (body, param) in [
        (json!({"items": many}), "items"),
        (json!({"items": [{"role": "user"}]}), "items[0].content"),
        (json!({"items": [{"role": "wizard", "content": "x"}]}), "items[0].role"),
    ] {
        let error = client.post(&format!("/v1/conversations/{id}/items"), &body).await;
        assert_eq!(error.error(400, "invalid_request")["param"], param);
    }
    let long = json!({"metadata": {"a": "x".repeat(600)}});
    client.post("/v1/conversations", &long).await.error(400, "invalid_request");
    client.get(&format!("/v1/conversations/{id}/items?limit=0")).await.error(400, "invalid_request");
    client.get(&format!("/v1/conversations/{id}/items?after=nothing")).await.error(400, "invalid_request");
    let huge = json!({"items": [{"role": "user", "content": "x".repeat(100_000)}]});
    let added = client.post(&format!("/v1/conversations/{id}/items"), &huge).await;
    assert_eq!(added.status, 200, "{added:?}");
    assert_eq!(items(&client, &id).await[0]["content"][0]["text"].as_str().unwrap().len(), 100_000);
    let wrong = client.request(Method::PATCH, &format!("/v1/conversations/{id}"));
    assert_eq!(client.send(wrong).await.status, 405);
    home.stop().await;
}
