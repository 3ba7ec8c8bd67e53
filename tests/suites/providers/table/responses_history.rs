//! Earlier answers of the responses API in the next request: items that aren't stored whole, items that another provider must not
//! miss, citations and phases of texts, and the list of a request's items.

use hearth_tests::{Client, Home, Reply, Upstream};
use serde_json::{Value, json};

use super::{home, neutral::list, vendors};

const PATH: &str = "/v1/responses";

/// A response of the vendor, in one piece.
fn response(output: &[Value]) -> Value {
    let usage = json!({"input_tokens": 5, "output_tokens": 7});
    json!({"id": "resp_1", "object": "response", "status": "completed", "output": output, "usage": usage})
}

fn whole(output: &[Value]) -> Reply {
    Reply::json(200, &response(output))
}

/// A response of the vendor as a stream, with a text in two pieces.
fn stream(output: &[Value]) -> Reply {
    let mut frames = Vec::new();
    for (index, item) in output.iter().enumerate() {
        let mut added = item.clone();
        added["content"] = json!([]);
        frames.push(json!({"type": "response.output_item.added", "output_index": index, "item": added}));
        let text = item["content"][0]["text"].as_str().unwrap_or_default();
        let (first, second) = text.split_at(text.len() / 2);
        for piece in [first, second].into_iter().filter(|piece| !piece.is_empty()) {
            frames.push(json!({"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": piece}));
        }
        frames.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    frames.push(json!({"type": "response.completed", "response": response(output)}));
    let frame =
        |frame: &Value| format!("event: {}\ndata: {frame}\n\n", frame["type"].as_str().unwrap_or_default());
    Reply::stream(&frames.iter().map(frame).collect::<String>())
}

fn message(text: &str, annotations: &Value, phase: Option<&str>) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []});
    let mut message = json!({"type": "message", "id": "msg_vendor", "status": "completed", "role": "assistant", "content": [part]});
    if let Some(phase) = phase {
        message["phase"] = json!(phase);
    }
    message
}

fn question(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn reference(item: &Value) -> Value {
    json!({"type": "item_reference", "id": item["id"]})
}

/// Sends a request to the vendor of this name, which answers with `reply`; returns the response.
async fn ask(client: &Client, upstream: &Upstream, vendor: &str, fields: Value, reply: Reply) -> Value {
    upstream.reply(reply);
    let mut body = json!({"model": format!("{vendor}:big"), "max_output_tokens": 100});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let answer = client.post(PATH, &body).await;
    assert_eq!(answer.status, 200, "{fields}: {answer:?}");
    answer.json()
}

/// The items of the last request to the vendor.
fn sent(upstream: &Upstream) -> Vec<Value> {
    upstream.received().pop().map(|received| list(&received.body["input"]).to_vec()).unwrap_or_default()
}

/// The next requests of a client that has the response `first` to the question `first_input`, by each of the ways.
fn next_requests(first_input: &Value, first: &Value) -> Vec<(&'static str, Value)> {
    let output = list(&first["output"]);
    let with = |items: Vec<Value>| {
        let items = [vec![first_input.clone()], items, vec![question("And?")]].concat();
        json!({"input": items})
    };
    vec![
        ("items", with(output.to_vec())),
        ("references", with(output.iter().map(reference).collect())),
        ("previous_response_id", json!({"input": "And?", "previous_response_id": first["id"]})),
    ]
}

async fn start() -> (Upstream, Home) {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    (upstream, home)
}

#[tokio::test]
async fn picture_that_is_stored_without_its_content_is_left_out() {
    let (upstream, home) = start().await;
    let client = home.client();
    let picture = json!({"type": "image_generation_call", "id": "ig_vendor", "status": "completed", "result": "A".repeat(300 << 10)});
    let output = [picture, message("A cat.", &json!([]), None)];
    let first_input = question("Draw a cat.");
    let first = ask(&client, &upstream, "responses", json!({"input": [first_input]}), whole(&output)).await;
    let stored = client.get(&format!("{PATH}/{}", first["id"].as_str().unwrap())).await.json();
    assert!(stored["output"][0].get("result").is_none(), "{stored:#}");
    let answer = [message("Yes.", &json!([]), None)];
    let mut requests = next_requests(&first_input, &first);
    requests.remove(0);
    let retrieved =
        [vec![first_input.clone()], list(&stored["output"]).to_vec(), vec![question("And?")]].concat();
    requests.push(("retrieved items", json!({"input": retrieved})));
    for (way, request) in requests {
        for vendor in ["responses", "anthropic"] {
            let reply = if vendor == "responses" { whole(&answer) } else { anthropic() };
            ask(&client, &upstream, vendor, request.clone(), reply).await;
            let body = upstream.received().pop().unwrap().body.to_string();
            assert!(body.contains("A cat.") && !body.contains("image_generation_call"), "{way}: {body}");
        }
    }
    // The live answer has the picture.
    let (_, whole_items) = next_requests(&first_input, &first).remove(0);
    ask(&client, &upstream, "responses", whole_items, whole(&answer)).await;
    assert!(sent(&upstream).iter().any(|item| item["type"] == "image_generation_call"));
    home.stop().await;
}

/// An answer of Anthropic.
fn anthropic() -> Reply {
    let content = json!([{"type": "text", "text": "Yes."}]);
    Reply::json(
        200,
        &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "big", "content": content,
            "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 7}}),
    )
}

#[tokio::test]
async fn texts_of_an_answer_stay_apart_for_another_provider() {
    let (upstream, home) = start().await;
    let client = home.client();
    let output = [message("Let me look.", &json!([]), None), message("Found it.", &json!([]), None)];
    let first_input = question("Look.");
    let conversation = client.post("/v1/conversations", &json!({})).await.json();
    let fields = json!({"input": [first_input], "conversation": conversation["id"]});
    ask(&client, &upstream, "responses", fields, whole(&output)).await;
    let first = ask(&client, &upstream, "responses", json!({"input": [first_input]}), whole(&output)).await;
    let mut requests = next_requests(&first_input, &first);
    requests.push(("conversation", json!({"input": "And?", "conversation": conversation["id"]})));
    for (way, request) in requests {
        ask(&client, &upstream, "anthropic", request, anthropic()).await;
        let sent = upstream.received().pop().unwrap().body["messages"].to_string();
        assert!(sent.contains("Let me look.") && sent.contains("Found it."), "{way}: {sent}");
        assert!(!sent.contains("look.Found"), "{way}: {sent}");
    }
    home.stop().await;
}

#[tokio::test]
async fn failure_of_the_provider_is_reported_if_a_fallback_lacks_its_items() {
    let (upstream, home) = start().await;
    let client = home.client();
    let call = json!({"type": "computer_call", "id": "cu_vendor", "call_id": "c1", "status": "completed", "action": {"type": "screenshot"}});
    let first = ask(&client, &upstream, "responses", json!({"input": "Look."}), whole(&[call])).await;
    let failure = || Reply::json(401, &json!({"error": {"code": "invalid_api_key", "message": "no"}}));
    let mut body = json!({
        "model": "responses:big", "max_output_tokens": 100, "input": "And?", "previous_response_id": first["id"],
        "fallback": {"models": ["anthropic:big"]},
    });
    upstream.reply(failure());
    client.post(PATH, &body).await.error(502, "provider_auth");
    body["fallback"]["models"] = json!(["anthropic:big", "responses:small"]);
    upstream.reply(failure());
    upstream.reply(whole(&[message("Yes.", &json!([]), None)]));
    assert_eq!(client.post(PATH, &body).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn item_that_another_provider_must_not_miss_is_refused_there() {
    let (upstream, home) = start().await;
    let client = home.client();
    let call = json!({"type": "computer_call", "id": "cu_vendor", "call_id": "c1", "status": "completed", "action": {"type": "screenshot"}});
    let output = [message("I look.", &json!([]), None), call];
    let first_input = question("Look.");
    let conversation = client.post("/v1/conversations", &json!({})).await.json();
    let fields = json!({"input": [first_input], "conversation": conversation["id"]});
    let in_conversation = ask(&client, &upstream, "responses", fields, whole(&output)).await;
    let first = ask(&client, &upstream, "responses", json!({"input": [first_input]}), whole(&output)).await;
    let result =
        json!({"type": "computer_call_output", "call_id": "c1", "output": {"type": "computer_screenshot"}});
    let [_, item] = list(&first["output"]) else { panic!("{first:#}") };
    let by_id = json!({"input": "And?", "previous_response_id": first["id"]});
    let by_conversation = json!({"input": "And?", "conversation": conversation["id"]});
    let whole_item = json!({"input": [first_input, item, question("And?")]});
    let cases = [
        (by_id, "previous_response_id", item["id"].clone()),
        (by_conversation, "conversation", in_conversation["output"][1]["id"].clone()),
        (whole_item, "input[1].type", json!("input[1]")),
    ];
    for (mut body, param, name) in cases {
        body["max_output_tokens"] = json!(100);
        for model in ["anthropic:big", "chat:big"] {
            body["model"] = json!(model);
            let error = client.post(PATH, &body).await.error(400, "invalid_request");
            let text = error["message"].as_str().unwrap();
            let is_named = text.contains(name.as_str().unwrap()) && text.contains("\"computer_call\"");
            assert!(error["param"] == param && is_named, "{model}: {error:#}");
        }
        body["model"] = json!("responses:big");
        upstream.reply(whole(&output));
        assert_eq!(client.post(PATH, &body).await.status, 200, "{param}");
        assert!(sent(&upstream).iter().any(|item| item["type"] == "computer_call"), "{param}");
    }
    // What the client has answered stays a part of the conversation.
    let fields = json!({"input": [result], "previous_response_id": first["id"]});
    let second =
        ask(&client, &upstream, "responses", fields, whole(&[message("Seen.", &json!([]), None)])).await;
    let body = json!({"model": "anthropic:big", "input": "And?", "previous_response_id": second["id"]});
    let error = client.post(PATH, &body).await.error(400, "invalid_request");
    assert_eq!(error["param"], "previous_response_id", "{error:#}");
    home.stop().await;
}

#[tokio::test]
async fn phase_and_citations_of_a_text_reach_the_client_and_the_next_request() {
    let (upstream, home) = start().await;
    let client = home.client();
    let cited = json!([{"type": "url_citation", "start_index": 0, "end_index": 4, "url": "https://example.org", "title": "A"}]);
    let output = [
        message("I search.", &json!([]), Some("commentary")),
        message("1916.", &cited, Some("final_answer")),
        message("More?", &json!([]), None),
    ];
    let first_input = question("When?");
    let phases = |items: &Value| list(items).iter().map(|item| item["phase"].clone()).collect::<Vec<_>>();
    let expected = [json!("commentary"), json!("final_answer"), Value::Null];
    for reply in [whole(&output), stream(&output)] {
        let first =
            ask(&client, &upstream, "responses", json!({"input": [first_input]}), reply.clone()).await;
        assert_eq!(phases(&first["output"]), expected, "{first:#}");
        let stored = client.get(&format!("{PATH}/{}", first["id"].as_str().unwrap())).await.json();
        assert_eq!(stored["output"], first["output"]);
        let conversation = client.post("/v1/conversations", &json!({})).await.json();
        let fields = json!({"input": [first_input], "conversation": conversation["id"]});
        ask(&client, &upstream, "responses", fields, reply).await;
        let mut requests = next_requests(&first_input, &first);
        requests.push(("conversation", json!({"input": "And?", "conversation": conversation["id"]})));
        for (way, request) in requests {
            ask(&client, &upstream, "responses", request, whole(&output)).await;
            let items = sent(&upstream);
            let [_, commentary, answer, plain, _] = &items[..] else { panic!("{way}: {items:#?}") };
            let text = |text: &str| json!({"type": "message", "role": "assistant", "content": text});
            let mut labelled = text("I search.");
            labelled["phase"] = json!("commentary");
            assert_eq!((commentary, plain), (&labelled, &text("More?")), "{way}");
            let part = json!({"type": "output_text", "text": "1916.", "annotations": cited});
            let expected = json!({"type": "message", "role": "assistant", "status": "completed", "content": [part],
                "phase": "final_answer"});
            assert_eq!(answer, &expected, "{way}");
        }
        // Another dialect has neither.
        let request = json!({"input": "And?", "previous_response_id": first["id"]});
        ask(&client, &upstream, "anthropic", request, anthropic()).await;
        let body = upstream.received().pop().unwrap().body.to_string();
        assert!(
            body.contains("1916.") && !body.contains("commentary") && !body.contains("example.org"),
            "{body}"
        );
    }
    // In a stream the beginning of a message has its phase, also when it is replayed.
    upstream.reply(stream(&output));
    let body = json!({"model": "responses:big", "input": "When?", "stream": true});
    let events = client.stream(PATH, &body).await.rest().await;
    let added = |events: &[hearth_tests::Event]| {
        let added = events.iter().filter(|event| event.data["type"] == "response.output_item.added");
        added.map(|event| event.data["item"]["phase"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(added(&events), expected);
    let last = &events.last().unwrap().data["response"];
    assert_eq!(phases(&last["output"]), expected);
    let replay = format!("{PATH}/{}?stream=true", last["id"].as_str().unwrap());
    let replayed = client.events(client.request(reqwest::Method::GET, &replay)).await.rest().await;
    assert_eq!(added(&replayed), expected);
    let chat = json!({"model": "responses:big", "messages": [question("When?")]});
    upstream.reply(whole(&output));
    let answer = client.post("/v1/chat/completions", &chat).await.json();
    assert!(!answer.to_string().contains("commentary"), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn input_of_a_stored_response_is_listed() {
    let (upstream, home) = start().await;
    let client = home.client();
    let output = [
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}),
        message("Hello.", &json!([]), None),
    ];
    let first_input = json!([question("Hi"), {"role": "user", "content": [
        {"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "https://example.org/a.png"}]}]);
    let first = ask(&client, &upstream, "responses", json!({"input": first_input}), whole(&output)).await;
    let path = format!("{PATH}/{}", first["id"].as_str().unwrap());
    let items = |query: &str| {
        let (client, path) = (&client, format!("{path}/input_items{query}"));
        async move { client.get(&path).await.json() }
    };
    let page = items("").await;
    assert_eq!((&page["object"], &page["has_more"]), (&json!("list"), &json!(false)), "{page:#}");
    let [second, one] = list(&page["data"]) else { panic!("{page:#}") };
    assert_eq!(one["content"], json!([{"type": "input_text", "text": "Hi"}]));
    assert_eq!(second["content"][1]["image_url"], Value::Null);
    assert_eq!((&page["first_id"], &page["last_id"]), (&second["id"], &one["id"]));
    let included = items("?order=asc&limit=2&include[]=message.input_image.image_url&include[]=x").await;
    assert_eq!(included["data"][1]["content"][1]["image_url"], "https://example.org/a.png");
    let rest = items(&format!("?after={}&limit=1", second["id"].as_str().unwrap())).await;
    assert_eq!(rest["data"], json!([one]));
    client.get(&format!("{path}/input_items?after=msg_1")).await.error(400, "invalid_request");
    client.get(&format!("{path}/input_items?limit=101")).await.error(400, "invalid_request");
    // A later request has its own input alone.
    let next = json!({"input": "And?", "previous_response_id": first["id"]});
    let next = ask(&client, &upstream, "responses", next, whole(&output)).await;
    let page = client.get(&format!("{PATH}/{}/input_items", next["id"].as_str().unwrap())).await.json();
    assert_eq!(list(&page["data"]).len(), 1, "{page:#}");
    assert_eq!(page["data"][0]["content"][0]["text"], "And?");
    // Encrypted reasoning is there if the read includes it.
    let stored = client.get(&path).await.json();
    assert_eq!(stored["output"][0]["encrypted_content"], Value::Null, "{stored:#}");
    let stored = client.get(&format!("{path}?include[]=reasoning.encrypted_content")).await.json();
    assert!(
        stored["output"][0]["encrypted_content"].as_str().is_some_and(|text| text.contains("gAAA")),
        "{stored:#}"
    );
    home.stop().await;
}

#[tokio::test]
async fn item_that_is_nested_too_deep_to_be_stored_is_refused() {
    let (upstream, home) = start().await;
    let client = home.client();
    let item = |levels: usize| {
        let nested = (0..levels).fold(json!(1), |value, _| json!([value]));
        json!({"type": "x_call", "id": "x_1", "x": nested})
    };
    let body = json!({"model": "responses:big", "input": [question("Hi"), item(110)]});
    let error = client.post(PATH, &body).await.error(400, "invalid_request");
    assert_eq!(error["param"], "input[1]", "{error:#}");
    let fields = json!({"input": [question("Hi"), item(100)]});
    let first =
        ask(&client, &upstream, "responses", fields, whole(&[message("Hello.", &json!([]), None)])).await;
    let stored = client.get(&format!("{PATH}/{}", first["id"].as_str().unwrap())).await;
    assert_eq!(stored.status, 200, "{stored:?}");
    home.stop().await;
}
