//! Citations and the tools that a vendor ran: a client of the vendor's dialect gets them as the vendor sent them, streamed and
//! whole, and may send them back; other clients get the text.

use hearth_tests::{Home, Reply, Upstream};
use serde_json::{Value, json};

use super::{home, neutral::list, setup, vendors};

/// A vendor's answer with a citation, in one piece and as the frames of a stream.
struct Cited {
    vendor: &'static str,
    path: &'static str,
    body: Value,
    whole: Value,
    frames: Vec<Value>,
    /// The parts of a whole answer of the gateway that must equal the vendor's, by their places.
    places: &'static [&'static str],
    /// Text that a stream of the gateway must contain, each in one event.
    streamed: Vec<Value>,
}

/// Entry of Anthropic's `citations`.
fn search_citation() -> Value {
    json!({"type": "web_search_result_location", "url": "https://example.org/shannon", "title": "Shannon",
        "encrypted_index": "Eo8B", "cited_text": "born in 1916"})
}

fn anthropic() -> Cited {
    let search = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "Shannon"}});
    let page = json!({"type": "web_search_result", "url": "https://example.org/shannon", "encrypted_content": "EqgB"});
    let result = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]});
    let cited = json!({"type": "text", "text": "born in 1916", "citations": [search_citation()]});
    let content = json!([
        {"type": "text", "text": "I search. ", "citations": []}, search, result,
        {"type": "text", "text": "He was ", "citations": []}, cited,
        {"type": "text", "text": ".", "citations": []},
    ]);
    let usage = json!({"input_tokens": 5, "output_tokens": 7, "server_tool_use": {"web_search_requests": 1}});
    let whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "big", "content": content,
        "stop_reason": "pause_turn", "stop_sequence": null, "usage": usage, "container": {"id": "container_1"}});
    let mut frames = vec![json!({"type": "message_start", "message": {"usage": {"input_tokens": 5}}})];
    for (index, block) in list(&content).iter().enumerate() {
        let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let mut begun = block.clone();
        let mut deltas = Vec::new();
        match block["type"].as_str().unwrap_or_default() {
            "text" => {
                begun["text"] = json!("");
                begun["citations"] = json!([]);
                let citations = list(&block["citations"]).iter();
                deltas
                    .extend(citations.map(|one| delta(json!({"type": "citations_delta", "citation": one}))));
                deltas.push(delta(json!({"type": "text_delta", "text": block["text"]})));
            }
            "server_tool_use" => {
                begun["input"] = json!({});
                let (first, second) = ("{\"query\":", " \"Shannon\"}");
                let pieces =
                    [first, second].map(|json| json!({"type": "input_json_delta", "partial_json": json}));
                deltas.extend(pieces.map(delta));
            }
            _ => {}
        }
        frames.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        frames.extend(deltas);
        frames.push(json!({"type": "content_block_stop", "index": index}));
    }
    let end = json!({"stop_reason": "pause_turn", "stop_sequence": null, "container": {"id": "container_1"}});
    frames.push(json!({"type": "message_delta", "delta": end, "usage": usage}));
    frames.push(json!({"type": "message_stop"}));
    Cited {
        vendor: "anthropic",
        path: "/v1/messages",
        body: json!({"max_tokens": 100, "messages": [{"role": "user", "content": "When was Shannon born?"}],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        whole,
        frames,
        places: &["/content", "/stop_reason", "/container", "/usage/server_tool_use"],
        streamed: vec![
            json!({"type": "content_block_start", "index": 1,
                "content_block": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}}),
            json!({"type": "content_block_delta", "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": "{\"query\":\"Shannon\"}"}}),
            json!({"type": "content_block_start", "index": 2, "content_block": result}),
            json!({"type": "content_block_delta", "index": 4,
                "delta": {"type": "citations_delta", "citation": search_citation()}}),
            json!({"type": "content_block_start", "index": 5, "content_block": {"type": "text", "text": ""}}),
        ],
    }
}

fn url_citation(start: u32, end: u32) -> Value {
    json!({"type": "url_citation", "start_index": start, "end_index": end, "url": "https://example.org/shannon", "title": "Shannon"})
}

fn responses() -> Cited {
    let action = json!({"type": "search", "query": "Shannon", "sources": [{"type": "url", "url": "https://example.org"}]});
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action});
    let part = |text: &str, annotations: Value| json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []});
    let message = |id: &str, content: Value| json!({"type": "message", "id": id, "status": "completed", "role": "assistant", "content": [content]});
    let (first, second) = ("He was born in 1916.", "He died in 2001.");
    let messages = [
        message("msg_1", part(first, json!([url_citation(7, 19), url_citation(0, 2)]))),
        message("msg_2", part(second, json!([url_citation(3, 15)]))),
    ];
    let usage = json!({"input_tokens": 5, "output_tokens": 7});
    let [one, two] = messages.clone();
    let whole = json!({"id": "resp_1", "object": "response", "status": "completed", "output": [search, one, two], "usage": usage});
    let mut frames = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}}),
        json!({"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": search}),
    ];
    for (index, message) in (1..).zip(&messages) {
        let part = &message["content"][0];
        frames.push(json!({"type": "response.output_item.added", "output_index": index, "item": {"type": "message", "id": message["id"], "content": []}}));
        frames.push(json!({"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": part["text"]}));
        for (number, annotation) in list(&part["annotations"]).iter().enumerate() {
            frames.push(json!({"type": "response.output_text.annotation.added", "output_index": index, "content_index": 0,
                "annotation_index": number, "annotation": annotation}));
        }
        frames.push(json!({"type": "response.output_text.done", "output_index": index, "content_index": 0, "text": part["text"]}));
        frames.push(json!({"type": "response.output_item.done", "output_index": index, "item": message}));
    }
    frames.push(json!({"type": "response.completed", "response": whole}));
    Cited {
        vendor: "responses",
        path: "/v1/responses",
        body: json!({"max_output_tokens": 100, "input": "When was Shannon born?", "tools": [{"type": "web_search"}],
            "include": ["web_search_call.action.sources"]}),
        whole,
        frames,
        places: &["/output/0/action", "/output/0/type", "/output/1/content", "/output/2/content"],
        streamed: vec![
            json!({"type": "response.output_text.annotation.added", "output_index": 1, "annotation_index": 1,
                "annotation": url_citation(0, 2)}),
            json!({"type": "response.output_text.annotation.added", "output_index": 2, "annotation_index": 0,
                "annotation": url_citation(3, 15)}),
        ],
    }
}

fn chat() -> Cited {
    let citation = |start: u32| {
        json!({"type": "url_citation", "url_citation": {"url": "https://example.org", "title": "Shannon",
            "start_index": start, "end_index": 4}})
    };
    let annotations = json!([citation(0), citation(1), citation(2)]);
    let message = json!({"role": "assistant", "content": "1916", "annotations": annotations});
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 7});
    let whole =
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage});
    let chunk =
        |delta: Value, end: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": end}]});
    Cited {
        vendor: "chat",
        path: "/v1/chat/completions",
        body: json!({"max_tokens": 100, "messages": [{"role": "user", "content": "When was Shannon born?"}]}),
        whole,
        frames: vec![
            chunk(json!({"role": "assistant", "content": "1916"}), json!(null)),
            chunk(json!({"annotations": [citation(0), citation(1)]}), json!(null)),
            chunk(json!({"annotations": [citation(2)]}), json!(null)),
            chunk(json!({}), json!("stop")),
        ],
        places: &["/choices/0/message/annotations"],
        // The SDKs can't join lists of several chunks.
        streamed: vec![json!({"choices": [{"index": 0, "delta": {"annotations": annotations}}]})],
    }
}

fn gemini() -> Cited {
    let code = json!({"executableCode": {"language": "PYTHON", "code": "print(1916)"}});
    let result = json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1916\n"}});
    let grounding = json!({"webSearchQueries": ["Shannon"], "groundingChunks": [{"web": {"uri": "https://example.org"}}]});
    let citation =
        json!({"citationSources": [{"startIndex": 0, "endIndex": 4, "uri": "https://example.org"}]});
    let parts = [json!({"text": "It runs."}), code.clone(), result.clone(), json!({"text": "1916"})];
    let usage = json!({"promptTokenCount": 5, "candidatesTokenCount": 7});
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0,
        "groundingMetadata": grounding, "citationMetadata": citation});
    let whole = json!({"candidates": [candidate], "usageMetadata": usage});
    let mut frames: Vec<_> = parts
        .iter()
        .map(|part| json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]}))
        .collect();
    frames.push(json!({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0,
        "groundingMetadata": grounding, "citationMetadata": citation}], "usageMetadata": usage}));
    let part = |part: Value| json!({"candidates": [{"content": {"parts": [part]}}]});
    Cited {
        vendor: "gemini",
        path: "/v1beta/models/gemini:big:generateContent",
        body: json!({"generationConfig": {"maxOutputTokens": 100}, "contents": [{"role": "user", "parts": [{"text": "When?"}]}],
            "tools": [{"codeExecution": {}}, {"googleSearch": {}}]}),
        whole,
        frames,
        places: &[
            "/candidates/0/content/parts",
            "/candidates/0/groundingMetadata",
            "/candidates/0/citationMetadata",
        ],
        streamed: vec![
            part(code),
            part(result),
            json!({"candidates": [{"finishReason": "STOP", "groundingMetadata": grounding, "citationMetadata": citation}]}),
        ],
    }
}

impl Cited {
    fn stream(&self) -> Reply {
        let frame = |frame: &Value| match frame["type"].as_str() {
            Some(name) => format!("event: {name}\ndata: {frame}\n\n"),
            None => format!("data: {frame}\n\n"),
        };
        let end = if self.vendor == "chat" { "data: [DONE]\n\n" } else { "" };
        Reply::stream(&(self.frames.iter().map(frame).collect::<String>() + end))
    }

    /// The request, for the vendor of this name.
    fn request(&self, vendor: &str) -> (String, Value) {
        let mut body = self.body.clone();
        if self.vendor != "gemini" {
            body["model"] = json!(format!("{vendor}:big"));
        }
        (self.path.replace("gemini:big", &format!("{vendor}:big")), body)
    }
}

/// Returns whether `value` has all that `expected` has: fields of objects at any depth, and other values as they are.
fn contains(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(fields), Value::Object(expected)) => {
            expected.iter().all(|(name, one)| fields.get(name).is_some_and(|value| contains(value, one)))
        }
        (Value::Array(values), Value::Array(expected)) => {
            values.len() == expected.len()
                && values.iter().zip(expected).all(|(value, one)| contains(value, one))
        }
        (value, expected) => value == expected,
    }
}

async fn events(home: &Home, path: &str, mut body: Value) -> Vec<Value> {
    let path = path.replace(":generateContent", ":streamGenerateContent?alt=sse");
    if !path.contains("alt=sse") {
        body["stream"] = json!(true);
    }
    let events = home.client().stream(&path, &body).await.rest().await;
    events.into_iter().map(|event| event.data).collect()
}

#[tokio::test]
async fn citations_and_hosted_tools_reach_a_client_of_the_dialect() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    for cited in [anthropic(), responses(), chat(), gemini()] {
        let (path, body) = cited.request(cited.vendor);
        for reply in [Reply::json(200, &cited.whole), cited.stream()] {
            upstream.reply(reply);
            let answer = home.client().post(&path, &body).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let answer = answer.json();
            for place in cited.places {
                let (value, expected) = (answer.pointer(place), cited.whole.pointer(place).unwrap());
                assert!(value.is_some_and(|value| contains(value, expected)), "{path} {place}: {answer:#}");
            }
        }
        for reply in [Reply::json(200, &cited.whole), cited.stream()] {
            upstream.reply(reply);
            let events = events(&home, &path, body.clone()).await;
            for expected in &cited.streamed {
                let has = events.iter().any(|event| contains(event, expected));
                assert!(has, "{path}: no {expected} in {events:#?}");
            }
        }
    }
    let included = upstream.received().into_iter().find(|received| received.path.ends_with("/responses"));
    let included = included.unwrap().body["include"].to_string();
    assert!(included.contains("web_search_call.action.sources"), "{included}");
    home.stop().await;
}

#[tokio::test]
async fn clients_of_other_dialects_get_the_text() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let all = [anthropic(), responses(), chat(), gemini()];
    for cited in &all {
        for client in all.iter().filter(|client| client.vendor != cited.vendor) {
            let (path, mut body) = client.request(cited.vendor);
            body.as_object_mut().unwrap().remove("tools");
            for reply in [Reply::json(200, &cited.whole), cited.stream()] {
                upstream.reply(reply);
                let answer = home.client().post(&path, &body).await;
                assert_eq!(answer.status, 200, "{path} over {}: {answer:?}", cited.vendor);
                let text = answer.json().to_string();
                let has_citation = text.contains("example.org") || text.contains("print(1916)");
                assert!(text.contains("1916") && !has_citation, "{path} over {}: {text}", cited.vendor);
            }
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn stored_response_has_its_citations_and_the_next_request_its_search() {
    let upstream = Upstream::start().await;
    let home = setup(&vendors::ALL, &upstream).without_node().start().await;
    let (client, cited) = (home.client(), responses());
    let (path, body) = cited.request("responses");
    upstream.reply(cited.stream());
    let answer = client.post(&path, &body).await.json();
    let id = answer["id"].as_str().unwrap();
    let stored = client.get(&format!("/v1/responses/{id}")).await.json();
    assert_eq!(stored["output"], answer["output"]);

    let search = &cited.whole["output"][0];
    let sent_search = |what: &str| {
        let sent = upstream.received().pop().unwrap().body;
        let items = sent["input"].as_array().unwrap().clone();
        let item = items.iter().find(|item| item["type"] == "web_search_call");
        assert_eq!(item.map(|item| &item["action"]), Some(&search["action"]), "{what}: {sent:#}");
        item.unwrap()["id"].clone()
    };
    let next = json!({"model": "responses:big", "input": "And where?", "previous_response_id": id, "max_output_tokens": 100});
    upstream.reply(Reply::json(200, &cited.whole));
    assert_eq!(client.post(&path, &next).await.status, 200);
    assert_eq!(sent_search("a stored conversation"), answer["output"][0]["id"]);

    // Without the store: the items themselves, and by their ids.
    let question = json!({"role": "user", "content": "And where?"});
    let output = answer["output"].as_array().unwrap();
    let by_id: Vec<Value> =
        output.iter().map(|item| json!({"type": "item_reference", "id": item["id"]})).collect();
    for (what, items) in [("items", output.clone()), ("references", by_id)] {
        let input = [items, vec![question.clone()]].concat();
        upstream.reply(Reply::json(200, &cited.whole));
        let body = json!({"model": "responses:big", "input": input, "max_output_tokens": 100});
        let answer = client.post(&path, &body).await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        let sent = sent_search(what);
        assert!(sent.as_str().unwrap().starts_with("ws_"), "{what}: {sent}");
    }

    // Another provider doesn't need the search, but an approval of a call is for its provider alone.
    upstream.reply(Reply::json(200, &anthropic().whole));
    let body = json!({"model": "anthropic:big", "input": [output[0], output[1], question], "max_output_tokens": 100});
    assert_eq!(client.post(&path, &body).await.status, 200);
    let sent = upstream.received().pop().unwrap().body.to_string();
    assert!(sent.contains("born in 1916") && !sent.contains("web_search_call"), "{sent}");
    let approval = json!({"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": true});
    let body = json!({"model": "anthropic:big", "input": [question, approval]});
    let refused = client.post(&path, &body).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status.as_u16(), &error["param"]), (400, &json!("input[1].type")), "{error}");
    upstream.reply(Reply::json(200, &cited.whole));
    let body = json!({"model": "responses:big", "input": [question, approval], "max_output_tokens": 100});
    assert_eq!(client.post(&path, &body).await.status, 200);
    assert_eq!(upstream.received().pop().unwrap().body["input"][1], approval);
    home.stop().await;
}

#[tokio::test]
async fn approval_of_a_call_names_the_request_that_the_client_got() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = home.client();
    let request = json!({"type": "mcp_approval_request", "id": "mcpr_vendor", "name": "ask", "server_label": "wiki", "arguments": "{}"});
    let tools = json!({"type": "mcp_list_tools", "id": "mcpl_vendor", "server_label": "wiki",
        "tools": [{"name": "ask", "input_schema": {"type": "object"}, "annotations": null}]});
    let usage = json!({"input_tokens": 5, "output_tokens": 7});
    let response =
        json!({"object": "response", "status": "completed", "output": [tools, request], "usage": usage});
    upstream.reply(Reply::json(200, &response));
    let body = json!({"model": "responses:big", "input": "Ask the wiki.", "max_output_tokens": 100,
        "tools": [{"type": "mcp", "server_label": "wiki", "server_url": "https://example.org/mcp"}]});
    let answer = client.post("/v1/responses", &body).await.json();
    let output = answer["output"].clone();
    assert!(contains(&output[0]["tools"], &tools["tools"]), "{answer:#}");
    let approval =
        json!({"type": "mcp_approval_response", "approval_request_id": output[1]["id"], "approve": true});
    let question = json!({"role": "user", "content": "Ask the wiki."});
    let reference = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
    let requests = [
        ("a stored response", json!({"previous_response_id": answer["id"], "input": [approval]})),
        ("whole items", json!({"input": [question, output[0], output[1], approval]})),
        ("references", json!({"input": [question, reference(&output[0]), reference(&output[1]), approval]})),
    ];
    for (form, mut body) in requests {
        body["model"] = json!("responses:big");
        body["max_output_tokens"] = json!(100);
        upstream.reply(Reply::json(200, &responses().whole));
        let answer = client.post("/v1/responses", &body).await;
        assert_eq!(answer.status, 200, "{form}: {answer:?}");
        let sent = upstream.received().pop().unwrap().body["input"].clone();
        let item =
            |kind: &str| list(&sent).iter().find(|item| item["type"] == kind).cloned().unwrap_or_default();
        assert_eq!(item("mcp_list_tools")["tools"], tools["tools"], "{form}: {sent:#}");
        assert_eq!(item("mcp_approval_request")["id"], output[1]["id"], "{form}: {sent:#}");
        assert_eq!(item("mcp_approval_response"), approval, "{form}: {sent:#}");
    }
    // The earlier conversation in a provider's form is lost on another one.
    let compaction = json!({"type": "compaction", "encrypted_content": "gAAA"});
    let body = json!({"model": "anthropic:big", "input": [compaction, question]});
    client.post("/v1/responses", &body).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn items_behind_a_large_picture_have_their_numbers_in_the_store() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = home.client();
    let picture = json!({"type": "image_generation_call", "id": "ig_vendor", "status": "completed", "result": "A".repeat(300 << 10)});
    let mut cited = responses();
    cited.frames.insert(0, json!({"type": "response.output_item.done", "output_index": 9, "item": picture}));
    let (path, mut body) = cited.request("responses");
    body["stream"] = json!(true);
    upstream.reply(cited.stream());
    let events = client.stream(&path, &body).await.rest().await;
    let last = &events.last().unwrap().data;
    let response = &last["response"];
    assert_eq!(response["output"][0]["result"], picture["result"]);
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let stored = client.get(&path).await.json();
    let picture_id = &response["output"][0]["id"];
    let (stored_output, output) = (list(&stored["output"]), list(&response["output"]));
    assert_eq!((&stored_output[0]["id"], stored_output[0].get("result")), (picture_id, None), "{stored:#}");
    assert_eq!(&stored_output[1..], &output[1..]);
    // A stream that is resumed behind the picture has the same numbers.
    let from = events.iter().position(|event| event.data["type"] == "response.output_text.delta").unwrap();
    let number = events[from].data["sequence_number"].as_u64().unwrap();
    let resumed =
        client.request(reqwest::Method::GET, &format!("{path}?stream=true&starting_after={number}"));
    let resumed = client.events(resumed).await.rest().await;
    let kinds = |events: &[hearth_tests::Event]| {
        let shape = |event: &hearth_tests::Event| {
            let data = &event.data;
            (data["sequence_number"].clone(), data["type"].clone(), data["item_id"].clone())
        };
        events.iter().map(shape).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&resumed), kinds(&events[from + 1..]));
    let reference = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
    let body = json!({"model": "responses:big", "input": [reference(&output[2]), {"role": "user", "content": "And?"}], "max_output_tokens": 9});
    upstream.reply(Reply::json(200, &cited.whole));
    assert_eq!(client.post("/v1/responses", &body).await.status, 200);
    let sent = upstream.received().pop().unwrap().body["input"].to_string();
    assert!(sent.contains("born in 1916"), "{sent}");
    home.stop().await;
}
