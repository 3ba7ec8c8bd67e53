//! The parts of a Gemini model's turn: a client of Gemini's dialect gets them in the provider's order, each with its signature, and
//! the provider gets them back as the client has them.

use hearth_tests::{Reply, Upstream};
use serde_json::{Value, json};

use super::{
    LONG, SHORT, home,
    neutral::{Answer, list},
    vendors,
};

/// A turn of the model with parts of every kind.
fn model_turn() -> Vec<Value> {
    let code = json!({"language": "PYTHON", "code": "print(2 + 2)"});
    let result = json!({"outcome": "OUTCOME_OK", "output": "4\n"});
    vec![
        json!({"text": "Where is it?", "thought": true, "thoughtSignature": "UzA="}),
        json!({"text": "I look.", "thoughtSignature": "UzE="}),
        json!({"functionCall": {"id": "c1", "name": "look", "args": {"at": "Ulm"}}, "thoughtSignature": "UzI="}),
        json!({"text": "Then I compute."}),
        json!({"executableCode": code, "thoughtSignature": "UzM="}),
        json!({"codeExecutionResult": result, "thoughtSignature": "UzQ="}),
        json!({"text": "That was easy.", "thought": true}),
        json!({"text": "It is 4."}),
        json!({"text": " Surely."}),
        json!({"toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["4"]}}}),
        json!({"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}, "thoughtSignature": "UzU="}),
        json!({"functionCall": {"id": "c2", "name": "look", "args": {"at": "Bonn"}}}),
        json!({"text": "", "thoughtSignature": "UzY="}),
    ]
}

/// A request of this conversation, whose answer may have so many tokens.
fn request(contents: &[Value], max_tokens: u32) -> Value {
    json!({"contents": contents, "tools": [{"codeExecution": {}}, {"functionDeclarations": [{"name": "look"}]}],
        "generationConfig": {"maxOutputTokens": max_tokens, "thinkingConfig": {"includeThoughts": true}}})
}

fn frame(parts: &[Value], reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7}})
}

/// A stream with a frame for each part.
fn stream(parts: &[Value]) -> Reply {
    let frames = parts.iter().map(|part| frame(std::slice::from_ref(part), None));
    let frames = frames.chain([frame(&[json!({"text": ""})], Some("STOP"))]);
    Reply::stream(&frames.map(|frame| format!("data: {frame}\n\n")).collect::<String>())
}

fn user(parts: &Value) -> Value {
    json!({"role": "user", "parts": parts})
}

fn results() -> Value {
    let result =
        |id: &str| json!({"functionResponse": {"id": id, "name": "look", "response": {"result": "a cat"}}});
    user(&json!([result("c1"), result("c2")]))
}

#[tokio::test]
async fn whole_answer_has_the_providers_parts_and_the_next_request_too() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let (client, path) = (home.client(), "/v1beta/models/gemini:big:generateContent");
    let question = user(&json!([{"text": "Where?"}]));
    // The texts of two frames are pieces of one text.
    let mut joined = model_turn();
    joined.remove(8);
    joined[7] = json!({"text": "It is 4. Surely."});
    let replies = [
        (SHORT, Reply::json(200, &frame(&model_turn(), Some("STOP"))), model_turn()),
        (LONG, stream(&model_turn()), joined),
    ];
    for (max_tokens, reply, expected) in replies {
        upstream.reply(reply);
        let answer = client.post(path, &request(std::slice::from_ref(&question), max_tokens)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let content = answer.json()["candidates"][0]["content"].clone();
        assert_eq!(list(&content["parts"]), expected);

        upstream.reply(Reply::json(200, &frame(&[json!({"text": "Done."})], Some("STOP"))));
        let contents = [question.clone(), content, results()];
        let answer = client.post(path, &request(&contents, SHORT)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let sent = upstream.received().pop().unwrap().body;
        assert_eq!(list(&sent["contents"][1]["parts"]), expected);
    }
    home.stop().await;
}

#[tokio::test]
async fn streamed_parts_come_back_as_the_client_has_them() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let (client, question) = (home.client(), user(&json!([{"text": "Where?"}])));
    upstream.reply(stream(&model_turn()));
    let path = "/v1beta/models/gemini:big:streamGenerateContent?alt=sse";
    let body = request(std::slice::from_ref(&question), LONG);
    let frames = client.stream(path, &body).await.rest().await;
    let contents = frames.iter().map(|frame| frame.data["candidates"][0]["content"].clone());
    let contents: Vec<Value> = contents.collect();
    let parts: Vec<Value> = contents.iter().flat_map(|content| list(&content["parts"]).to_vec()).collect();
    // The text is already at the client when its signature comes.
    let mut expected = model_turn();
    expected[1] = json!({"text": "I look."});
    expected.insert(2, json!({"text": "", "thoughtSignature": "UzE="}));
    expected.push(json!({"text": ""}));
    assert_eq!(parts, expected);

    // SDKs store a content for each frame.
    let contents = [vec![question], contents, vec![results()]].concat();
    upstream.reply(Reply::json(200, &frame(&[json!({"text": "Done."})], Some("STOP"))));
    let answer = client.post("/v1beta/models/gemini:big:generateContent", &request(&contents, SHORT)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent = upstream.received().pop().unwrap().body;
    expected.pop();
    assert_eq!(list(&sent["contents"][1]["parts"]), expected);

    // Another vendor gets the texts and the calls.
    upstream.reply((vendors::anthropic::VENDOR.stream_answer)(&Answer {
        text: "Done.".to_owned(),
        ..Answer::default()
    }));
    let answer = client.post("/v1beta/models/anthropic:big:generateContent", &request(&contents, LONG)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent = upstream.received().pop().unwrap().body["messages"][1].to_string();
    let has_all =
        ["I look.", "Then I compute.", "It is 4.", "c1", "c2"].iter().all(|part| sent.contains(part));
    let has_none = ["UzE=", "UzY=", "That was easy.", "print(2"].iter().all(|part| !sent.contains(part));
    assert!(has_all && has_none, "{sent}");
    home.stop().await;
}
