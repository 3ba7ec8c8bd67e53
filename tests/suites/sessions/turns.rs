//! Turns: their context, their order, and what each stores.

use futures::future::join_all;
use hearth_tests::{Home, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};

use crate::{GLB, PNG, answer, create, items, played, prompt, texts};

#[tokio::test]
async fn turn_has_the_earlier_turns_as_its_context() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let fields = json!({"model": "rig:big", "system_prompt": "Be brief."});
    let session = create(&client, &fields).await;
    upstream.reply(answer("It is Paris."));
    let body = json!({"session_id": session, "input": {"prompt": "What is the capital of France?"}});
    let first = client.post("/v1/generate", &body).await.json();
    assert_eq!((&first["session_id"], &first["model"]), (&json!(session), &json!("big")), "{first}");
    assert!(first["message_id"].as_str().unwrap().starts_with("msg_"), "{first}");
    upstream.reply(answer("About two million."));
    let path = format!("/v1/sessions/{session}/generate");
    let second = client.post(&path, &prompt("How many people live there?")).await.json();
    assert_eq!(second["output"]["text"], "About two million.", "{second}");
    let sent = upstream.received().pop().unwrap().body;
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "It is Paris."},
        {"role": "user", "content": "How many people live there?"},
    ]);
    assert_eq!(sent["messages"], expected);
    // A system prompt of the request holds for its turn alone.
    upstream.reply(answer("Oui."));
    let body = json!({"system_prompt": "Speak French.", "input": {"prompt": "Sure?"}, "stream": true});
    let events = client.stream(&path, &body).await.rest().await;
    let complete = &events[events.len() - 2].data;
    assert_eq!((&complete["event"], &complete["session_id"]), (&json!("complete"), &json!(session)));
    let sent = upstream.received().pop().unwrap().body;
    assert_eq!(sent["messages"][0]["content"], "Speak French.");
    assert_eq!(sent["messages"].as_array().unwrap().len(), 6);
    assert_eq!(texts(&client, &session).await.len(), 6);
    home.stop().await;
}

/// Requests that one session gets at once.
const WRITERS: usize = 50;

#[tokio::test]
async fn requests_at_once_are_carried_out_one_after_the_other() {
    let home = Home::start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}/generate");
    let asks = (0..WRITERS).map(|number| {
        let (client, path) = (client.clone(), path.clone());
        async move {
            let body =
                json!({"input": {"prompt": format!("Question {number}")}, "parameters": {"max_tokens": 2}});
            client.post(&path, &body).await
        }
    });
    let answers = join_all(asks).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let items = items(&client, &session).await;
    let roles: Vec<_> = items.iter().map(|item| item["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant"].repeat(WRITERS));
    let mut questions: Vec<_> =
        items.iter().step_by(2).map(|item| item["content"][0]["text"].as_str().unwrap().to_owned()).collect();
    questions.sort();
    let mut asked: Vec<_> = (0..WRITERS).map(|number| format!("Question {number}")).collect();
    asked.sort();
    assert_eq!(questions, asked);
    home.stop().await;
}

#[tokio::test]
async fn streamed_turn_that_waits_is_queued_and_follows_the_cancelled_one() {
    let home = Home::start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let mut body = hearth_tests::endless_run();
    body["session_id"] = json!(session);
    let mut first = client.stream("/v1/generate", &body).await;
    first.next_named("delta").await;
    let body = json!({
        "session_id": session, "input": {"prompt": "What is the capital of France?"}, "stream": true,
        "parameters": {"temperature": 0, "max_tokens": 20},
    });
    let mut second = client.stream("/v1/generate", &body).await;
    assert_eq!(second.next().await.unwrap().data, json!({"event": "queued", "position": 1}));
    hearth_tests::cancel_run(&client, &first.request_id).await;
    let first = first.rest().await;
    assert_eq!(first[first.len() - 2].data["finish_reason"], "cancelled");
    let second = second.rest().await;
    assert_eq!(second[second.len() - 2].data["event"], "complete", "{second:?}");
    let items = items(&client, &session).await;
    let states: Vec<_> = items.iter().map(|item| item["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["completed", "incomplete", "completed", "completed"]);
    assert!(!items[1]["content"][0]["text"].as_str().unwrap().is_empty(), "{items:?}");
    home.stop().await;
}

#[tokio::test]
async fn turn_that_has_waited_too_long_is_a_conflict() {
    let home = Setup::new().settings("[sessions]\nturn_wait_seconds = 1\n").start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let mut body = hearth_tests::endless_run();
    body["session_id"] = json!(session);
    let mut first = client.stream("/v1/generate", &body).await;
    first.next_named("delta").await;
    let path = format!("/v1/sessions/{session}/generate");
    let error = client.post(&path, &prompt("Hello!")).await.error(409, "conflict");
    assert!(error["message"].as_str().unwrap().contains("earlier turns"), "{error}");
    let body = json!({"input": {"prompt": "Hello!"}, "stream": true});
    let events = client.stream(&path, &body).await.rest().await;
    let names: Vec<&str> = events.iter().map(hearth_tests::Event::name).collect();
    assert_eq!(names, ["queued", "error", "[DONE]"]);
    assert_eq!(events[1].data["error"]["code"], "conflict");
    hearth_tests::cancel_run(&client, &first.request_id).await;
    first.rest().await;
    // Those that were refused have left nothing.
    assert_eq!(items(&client, &session).await.len(), 2);
    home.stop().await;
}

#[tokio::test]
async fn client_that_leaves_leaves_the_text_so_far() {
    let home = Home::start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let mut body = hearth_tests::endless_run();
    body["session_id"] = json!(session);
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("delta").await;
    drop(stream);
    let item = eventually("the end of the answer", async || {
        let items = items(&client, &session).await;
        (items[1]["status"] == "incomplete").then(|| items[1].clone())
    })
    .await;
    assert!(!item["content"][0]["text"].as_str().unwrap().is_empty(), "{item}");
    // The session goes on.
    let answer = client.post(&format!("/v1/sessions/{session}/generate"), &prompt("Hello!")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn turn_goes_on_without_its_client_where_the_request_says_so() {
    let home = Home::start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let body = json!({
        "session_id": session, "input": {"prompt": "Tell me a story."}, "stream": true, "on_disconnect": "continue",
        "parameters": {"ignore_eos": true, "max_tokens": 60},
    });
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("delta").await;
    drop(stream);
    eventually("the end of the answer", async || {
        let items = items(&client, &session).await;
        (items[1]["status"] == "completed").then_some(())
    })
    .await;
    home.stop().await;
}

#[tokio::test]
async fn refused_turn_leaves_no_message() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}/generate");
    let body = json!({"model": "nobody", "input": {"prompt": "Hi"}});
    client.post(&path, &body).await.error(404, "model_not_found");
    upstream.reply(Reply::json(400, &json!({"error": {"message": "no", "code": "invalid"}})));
    let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "fallback": false});
    assert!(!client.post(&path, &body).await.status.is_success());
    assert_eq!(items(&client, &session).await, Vec::<Value>::new());
    upstream.reply(answer("Hello."));
    assert_eq!(client.post(&path, &body).await.status, 200);
    let sent = upstream.received().pop().unwrap().body;
    assert_eq!(sent["messages"], json!([{"role": "user", "content": "Hi"}]));
    home.stop().await;
}

#[tokio::test]
async fn turn_whose_run_fails_before_its_first_token_has_a_failed_answer() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    for (number, stream) in [false, true].into_iter().enumerate() {
        let session = create(&client, &json!({"title": "Trip"})).await;
        let limited = json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}});
        upstream.reply(Reply::json(429, &limited).header("retry-after", "45"));
        let path = format!("/v1/sessions/{session}/generate");
        let model = format!("rig:big-{number}");
        let body = json!({"model": model, "input": {"prompt": "Hi"}, "fallback": false, "stream": stream});
        client.post(&path, &body).await.error(429, "provider_rate_limited");
        let messages =
            client.get(&format!("/v1/sessions/{session}/messages")).await.json()["messages"].clone();
        assert_eq!(
            (&messages[0]["role"], &messages[0]["content"]),
            (&json!("user"), &json!("Hi")),
            "{messages}"
        );
        let failed = &messages[1];
        assert_eq!(
            (&failed["state"], &failed["model"], &failed["provider"]),
            (&json!("failed"), &json!(format!("big-{number}")), &json!("rig")),
            "{messages}"
        );
        assert_eq!(failed["error"]["code"], "provider_rate_limited", "{messages}");
        // It is generated again in place of the failure.
        upstream.reply(answer("Hello."));
        let again = json!({"model": format!("rig:other-{number}"), "stream": false});
        let again = client.post(&format!("/v1/sessions/{session}/regenerate"), &again).await;
        assert_eq!(again.status, 200, "{again:?}");
        let sent = upstream.received().pop().unwrap().body;
        assert_eq!(sent["messages"], json!([{"role": "user", "content": "Hi"}]));
        assert_eq!(texts(&client, &session).await, ["Hi", "Hello."]);
    }
    home.stop().await;
}

#[tokio::test]
async fn unknown_sessions_and_bad_fields_are_refused() {
    let home = Home::start().await;
    let client = home.client();
    let unknown = "sess_01J9ZX5V2QH8N4T6W0C3M7K1RB";
    let body = json!({"session_id": unknown, "input": {"prompt": "Hi"}});
    let error = client.post("/v1/generate", &body).await.error(404, "not_found");
    assert_eq!(error["param"], "session_id");
    client.post(&format!("/v1/sessions/{unknown}/generate"), &prompt("Hi")).await.error(404, "not_found");
    client.post(&format!("/v1/sessions/{unknown}/regenerate"), &json!({})).await.error(404, "not_found");
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}/generate");
    for (body, param) in [
        (json!({"session_id": unknown, "input": {"prompt": "Hi"}}), "session_id"),
        (json!({"input": {"prompt": "Hi"}, "context_overflow": "forget"}), "context_overflow"),
        (json!({"input": {"prompt": "Hi"}, "state_tokens": "x".repeat(20_000)}), "state_tokens"),
        (json!({"input": {"prompt": "Hi"}, "session": unknown}), "session"),
    ] {
        let error = client.post(&path, &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{error}");
    }
    let body = json!({"input": {"prompt": "Hi"}, "context_overflow": "error"});
    let error = client.post("/v1/generate", &body).await.error(400, "invalid_request");
    assert_eq!(error["param"], "context_overflow");
    home.stop().await;
}

#[tokio::test]
async fn picture_of_one_turn_is_the_input_of_the_next() {
    let upstream = Upstream::start().await;
    let more = "[models.'rig:seer']\ncapabilities = ['chat', 'vision']\n\
                [providers.own]\nkind = 'huggingface'\nbase_url = 'UPSTREAM'\napi_key = 'sk-rig'\n";
    let home = played(&upstream, &more.replace("UPSTREAM", &upstream.url)).await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}/generate");
    let drawn = json!({"created": 1, "data": [{"b64_json": PNG, "revised_prompt": "a red fox"}]});
    upstream.reply(Reply::json(200, &drawn));
    let body = json!({"model": "rig:gpt-image-1", "input": {"prompt": "a fox"}});
    let first = client.post(&path, &body).await.json();
    assert_eq!(first["modality"], "image", "{first}");
    upstream.reply(Reply::json(200, &drawn));
    let body = json!({"model": "rig:gpt-image-1", "input": {"prompt": "in the rain"}});
    let second = client.post(&path, &body).await.json();
    assert_eq!(second["modality"], "image", "{second}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1/images/edits");
    assert!(String::from_utf8_lossy(&sent.raw).contains("image/png"), "the picture wasn't sent");
    // A model that sees gets the picture, and another one its description.
    upstream.reply(answer("A fox."));
    let body = json!({"model": "rig:seer", "input": {"prompt": "What is it?"}});
    crate::post(&client, &path, &body).await;
    let sent = upstream.received().pop().unwrap().body;
    let messages = sent["messages"].as_array().unwrap();
    assert!(messages.last().unwrap()["content"].to_string().contains("data:image/png;base64"), "{sent}");
    upstream.reply(answer("Blind."));
    let body = json!({"model": "rig:big", "input": {"prompt": "And now?"}});
    crate::post(&client, &path, &body).await;
    let sent = upstream.received().pop().unwrap().body;
    assert!(sent["messages"].to_string().contains("(a picture: a red fox)"), "{sent}");
    assert!(!sent["messages"].to_string().contains("base64"), "{sent}");
    // A mesh is made of the picture.
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let body = json!({"model": "own:trellis", "modality": "3d", "input": {"prompt": "as a figure"}});
    let mesh = client.post(&path, &body).await.json();
    assert_eq!(mesh["modality"], "3d", "{mesh}");
    let sent = upstream.received().pop().unwrap().body;
    assert!(sent["inputs"].as_str().is_some_and(|inputs| inputs.contains(&PNG[..20])), "{sent}");
    home.stop().await;
}

#[tokio::test]
async fn state_tokens_are_stored_and_passed_on() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({"model": "rig:big"})).await;
    let path = format!("/v1/sessions/{session}/generate");
    upstream.reply(answer("One."));
    let tokens = json!({"thread": "t-1"});
    let body = json!({"input": {"prompt": "Hi"}, "state_tokens": tokens});
    assert_eq!(client.post(&path, &body).await.json()["state_tokens"], tokens);
    upstream.reply(answer("Two."));
    let second = client.post(&path, &prompt("Hi again")).await.json();
    assert_eq!(second["state_tokens"], tokens, "{second}");
    assert_eq!(upstream.received().pop().unwrap().body["thread"], "t-1");
    // Without a session they are repeated alone.
    upstream.reply(answer("Three."));
    let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "state_tokens": "opaque"});
    assert_eq!(client.post("/v1/generate", &body).await.json()["state_tokens"], "opaque");
    home.stop().await;
}

#[tokio::test]
async fn title_is_the_beginning_of_the_first_prompt() {
    let home = Home::start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}/generate");
    let body = json!({"input": {"prompt": "What is the capital of France?\nPlease."}, "parameters": {"max_tokens": 4}});
    crate::post(&client, &path, &body).await;
    crate::post(&client, &path, &body).await;
    let listed = client.get("/v1/sessions").await.json();
    assert_eq!(listed["sessions"][0]["title"], "What is the capital of France?", "{listed}");
    let own = create(&client, &json!({"title": "Mine"})).await;
    crate::post(&client, &format!("/v1/sessions/{own}/generate"), &body).await;
    assert_eq!(client.get(&format!("/v1/sessions/{own}")).await.json()["title"], "Mine");
    home.stop().await;
}

#[tokio::test]
async fn title_is_written_by_a_model_where_the_settings_say_so() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "[sessions]\ntitle_by_model = true\n").await;
    let client = home.client();
    let session = create(&client, &json!({"model": "rig:big"})).await;
    upstream.reply(answer("It is Paris."));
    upstream.reply(answer("\"The capital of France\""));
    let path = format!("/v1/sessions/{session}");
    crate::post(&client, &format!("{path}/generate"), &prompt("What is the capital of France?")).await;
    eventually("the title", async || {
        (client.get(&path).await.json()["title"] == "The capital of France").then_some(())
    })
    .await;
    home.stop().await;
}

#[tokio::test]
async fn result_of_a_tool_follows_the_call_of_the_turn_before() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({"model": "rig:big"})).await;
    let path = format!("/v1/sessions/{session}/generate");
    let call =
        json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    upstream.reply(Reply::chunks(&[
        crate::chunk(json!({"role": "assistant", "tool_calls": [call]}), None),
        crate::chunk(json!({}), Some("tool_calls")),
    ]));
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    let body = json!({"input": {"prompt": "Look!"}, "tools": tools});
    let first = client.post(&path, &body).await.json();
    assert_eq!(first["finish_reason"], "tool_calls", "{first}");
    upstream.reply(answer("I see."));
    let result = json!([{"role": "tool", "tool_call_id": "c1", "content": "a fox"}]);
    let second = client.post(&path, &json!({"input": {"messages": result}, "tools": tools})).await;
    assert_eq!(second.status, 200, "{second:?}");
    let sent = upstream.received().pop().unwrap().body;
    let roles: Vec<_> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "tool"]);
    // A result without its call.
    let wrong = json!([{"role": "tool", "tool_call_id": "c2", "content": "a fox"}]);
    client.post(&path, &json!({"input": {"messages": wrong}})).await.error(400, "invalid_request");
    home.stop().await;
}
