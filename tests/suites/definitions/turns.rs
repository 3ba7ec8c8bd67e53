//! Turns of sessions with a template.

use hearth_tests::Upstream;
use serde_json::json;

use crate::{answer, create_template, played, put, summary};

#[tokio::test]
async fn rendered_messages_are_the_input_of_a_turn_and_are_repeated_with_its_version() {
    let upstream = Upstream::start().await;
    let home = played(&upstream).await;
    let client = home.client();
    create_template(&client, "summary", &json!({})).await;
    let session =
        client.post("/v1/sessions", &json!({"model": "rig:big", "system_prompt": "Session."})).await.json();
    let session = session["id"].as_str().unwrap();
    let path = format!("/v1/sessions/{session}/generate");
    upstream.reply(answer("One."));
    let body = json!({"template_id": "summary", "variables": {"text": "A"}});
    let turn = client.post(&path, &body).await;
    assert_eq!((turn.status.as_u16(), turn.header("x-hearth-template")), (200, "summary@1.0.0"), "{turn:?}");
    assert_eq!(turn.json()["template"]["version"], "1.0.0");
    // The next turn has no template: the session's prompt holds, and the rendered message is in the history.
    upstream.reply(answer("Two."));
    client.post(&path, &json!({"input": {"prompt": "More"}})).await;
    let sent = upstream.received().pop().unwrap().body;
    let expected = json!([
        {"role": "system", "content": "Session."},
        {"role": "user", "content": "Sum up: A"},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "More"},
    ]);
    assert_eq!(sent["messages"], expected);
    let mut template = summary();
    template["messages"][0]["content"] = json!("Be very {{ style }}.");
    put(&client, "/v1/templates/summary", &json!({"template": template})).await;
    upstream.reply(answer("Uno."));
    let again = json!({"message_id": turn.json()["message_id"], "parameters": {"temperature": 1.0}});
    let again = client.post(&format!("/v1/sessions/{session}/regenerate"), &again).await;
    assert_eq!(
        (again.status.as_u16(), again.header("x-hearth-template")),
        (200, "summary@1.0.0"),
        "{again:?}"
    );
    let sent = upstream.received().pop().unwrap().body;
    let expected =
        json!([{"role": "system", "content": "Be short."}, {"role": "user", "content": "Sum up: A"}]);
    assert_eq!((&sent["messages"], &sent["temperature"]), (&expected, &json!(1.0)));
    home.stop().await;
}

#[tokio::test]
async fn refused_turn_leaves_nothing_in_the_session() {
    let upstream = Upstream::start().await;
    let home = played(&upstream).await;
    let client = home.client();
    create_template(&client, "summary", &json!({})).await;
    let session = client.post("/v1/sessions", &json!({"model": "rig:big"})).await.json();
    let session = session["id"].as_str().unwrap();
    let body = json!({"template_id": "summary", "variables": {}});
    let refused = client.post(&format!("/v1/sessions/{session}/generate"), &body).await;
    assert_eq!(refused.error(400, "invalid_request")["param"], "variables.text");
    let messages = client.get(&format!("/v1/sessions/{session}/messages")).await.json();
    assert_eq!(messages["messages"], json!([]), "{messages}");
    home.stop().await;
}
