//! Answers with a JSON Schema at providers: strict mode, tools, instructions, repairs, further attempts and their charges.

use hearth_schema::samples::samples;
use hearth_tests::{Home, Reply, Setup, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

/// A `hearth up` with a provider of each way, all of them at one address.
async fn home(upstream: &Upstream) -> Home {
    let url = &upstream.url;
    let provider = |name: &str, kind: &str, model: &str| {
        format!(
            "[providers.{name}]\nkind = '{kind}'\nbase_url = '{url}/v1'\napi_key = 'sk-{name}'\nmodels = ['{model}']\n\
             [models.'{name}:{model}']\nprice = {{input = 1000, output = 1000}}\ncapabilities = ['chat', 'tools', 'json_schema']\n"
        )
    };
    let settings = [
        provider("strict", "openai", "gpt-4o"),
        provider("claude", "anthropic", "claude-sonnet-4-5"),
        provider("early", "anthropic", "claude-3-5-haiku"),
        provider("asked", "deepseek", "deepseek-chat"),
    ];
    Setup::new().settings(&settings.concat()).without_node().start().await
}

/// A whole answer in OpenAI's format: two tokens of a prompt, and three of an answer.
fn completion(text: &str) -> Reply {
    let message = json!({"role": "assistant", "content": text});
    Reply::json(
        200,
        &json!({
            "id": "x", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 3},
        }),
    )
}

/// A whole answer in Anthropic's format.
fn message(content: &Value, reason: &str) -> Reply {
    Reply::json(
        200,
        &json!({
            "id": "msg_1", "type": "message", "role": "assistant", "content": [content], "stop_reason": reason,
            "usage": {"input_tokens": 2, "output_tokens": 3},
        }),
    )
}

fn person() -> Value {
    json!({
        "type": "object", "required": ["name"],
        "properties": {"name": {"type": "string", "minLength": 2}, "age": {"type": "integer"}},
    })
}

fn generate(model: &str, schema: &Value) -> Value {
    let format = json!({"type": "json_schema", "json_schema": {"name": "it", "schema": schema}});
    json!({
        "model": model, "input": {"prompt": "Who?"}, "parameters": {"max_tokens": 50, "response_format": format},
    })
}

fn chat(model: &str, schema: &Value) -> Value {
    let format = json!({"type": "json_schema", "json_schema": {"name": "it", "schema": schema}});
    json!({
        "model": model, "messages": [{"role": "user", "content": "Who?"}], "max_tokens": 50, "response_format": format,
    })
}

/// The status, the means and the number of attempts.
fn report(structured: &Value) -> (&str, &str, u64) {
    let text = |name: &str| structured[name].as_str().unwrap_or_else(|| panic!("{structured}"));
    let attempts = structured["attempts"].as_u64().unwrap_or_else(|| panic!("{structured}"));
    (text("status"), text("how"), attempts)
}

#[tokio::test]
async fn schema_is_rewritten_for_strict_mode_and_the_answer_back() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    upstream.reply(completion("{\"name\":\"Ada\",\"age\":null}"));
    let answer = home.client().post("/v1/generate", &generate("strict:gpt-4o", &person())).await.json();
    assert_eq!(answer["output"]["text"], "{\"name\":\"Ada\"}", "{answer}");
    assert_eq!(report(&answer["structured"]), ("passed", "strict", 1));
    let sent = &upstream.received()[0].body["response_format"]["json_schema"];
    assert_eq!(sent["strict"], true, "{sent}");
    assert_eq!(sent["schema"]["required"], json!(["name", "age"]));
    assert_eq!(sent["schema"]["properties"]["age"]["type"], json!(["integer", "null"]));
    assert_eq!(sent["schema"]["properties"]["name"]["description"], "{minLength: 2}");

    // A root that is no object is wrapped, and taken out.
    upstream.reply(completion("{\"answer\":[1,2]}"));
    let list = json!({"type": "array", "items": {"type": "integer"}});
    let answer = home.client().post("/v1/generate", &generate("strict:gpt-4o", &list)).await.json();
    assert_eq!(answer["output"]["text"], "[1,2]", "{answer}");
    assert_eq!(answer["structured"]["status"], "passed");

    // A client of OpenAI's dialect gets what it sends.
    upstream.reply(completion("{\"name\":\"Ada\",\"age\":null}"));
    let answer = home.client().post("/v1/chat/completions", &chat("strict:gpt-4o", &person())).await.json();
    assert_eq!(report(&answer["choices"][0]["structured"]), ("failed", "asked", 1), "{answer}");
    assert_eq!(answer["choices"][0]["structured"]["violations"][0]["path"], "/age");
    let sent = upstream.received()[2].body["response_format"]["json_schema"].clone();
    assert_eq!(sent, json!({"name": "it", "schema": person()}));
    home.stop().await;
}

#[tokio::test]
async fn earlier_claudes_call_a_tool_and_later_ones_have_an_output_format() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    let call = json!({"type": "tool_use", "id": "t1", "name": "return_answer", "input": {"name": "Ada"}});
    upstream.reply(message(&call, "tool_use"));
    let answer = client.post("/v1/generate", &generate("early:claude-3-5-haiku", &person())).await.json();
    assert_eq!(answer["output"]["text"], "{\"name\":\"Ada\"}", "{answer}");
    assert_eq!(
        (report(&answer["structured"]), &answer["finish_reason"]),
        (("passed", "tool", 1), &json!("stop"))
    );
    let sent = upstream.received()[0].body.clone();
    assert_eq!(sent["tool_choice"]["name"], "return_answer", "{sent}");
    assert_eq!(sent["tools"][0]["input_schema"], person(), "{sent}");

    let text = json!({"type": "text", "text": "{\"name\":\"Ada\"}"});
    upstream.reply(message(&text, "end_turn"));
    let answer = client.post("/v1/generate", &generate("claude:claude-sonnet-4-5", &person())).await.json();
    assert_eq!(report(&answer["structured"]), ("passed", "strict", 1), "{answer}");
    let sent = upstream.received()[1].body["output_config"]["format"]["schema"].clone();
    assert_eq!(sent["additionalProperties"], false, "{sent}");

    // Recursion isn't enforced there: a tool.
    let call = json!({"type": "tool_use", "id": "t1", "name": "return_answer", "input": {"next": {}}});
    upstream.reply(message(&call, "tool_use"));
    let chain = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
    let answer = client.post("/v1/generate", &generate("claude:claude-sonnet-4-5", &chain)).await.json();
    assert_eq!(report(&answer["structured"]), ("passed", "tool", 1), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn json_is_taken_out_of_prose_and_repaired() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    upstream.reply(completion(
        "Sure!\n```json\n{\"name\": \"Ada\", // her name\n \"age\": 36,}\n```\nAnything else?",
    ));
    let answer = home.client().post("/v1/generate", &generate("asked:deepseek-chat", &person())).await.json();
    let text: Value = serde_json::from_str(answer["output"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, json!({"name": "Ada", "age": 36}));
    assert_eq!(report(&answer["structured"]), ("passed", "asked", 1), "{answer}");
    assert_eq!(answer["structured"]["repaired"], true);
    let sent = upstream.received()[0].body.clone();
    assert_eq!(sent["response_format"], json!({"type": "json_object"}));
    assert!(sent["messages"][0]["content"].as_str().unwrap().contains("minLength"), "{sent}");
    home.stop().await;
}

#[tokio::test]
async fn unfit_answer_is_requested_again_with_its_errors_and_all_are_charged() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    upstream.reply(completion("{\"name\":\"A\"}"));
    upstream.reply(completion("I can't decide."));
    upstream.reply(completion("{\"name\":\"Ada\"}"));
    let answer = client.post("/v1/generate", &generate("asked:deepseek-chat", &person())).await.json();
    assert_eq!(answer["output"]["text"], "{\"name\":\"Ada\"}", "{answer}");
    assert_eq!(report(&answer["structured"]), ("passed", "asked", 3));
    assert_eq!(
        (&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]),
        (&json!(6), &json!(9))
    );
    assert_eq!(answer["cost"]["usd"], "0.015", "{answer}");
    let sent = upstream.received()[2].body["messages"].clone();
    let texts: Vec<&str> =
        sent.as_array().unwrap().iter().filter_map(|message| message["content"].as_str()).collect();
    let [_, "Who?", "I can't decide.", correction] = texts.as_slice() else { panic!("{texts:?}") };
    assert!(correction.contains("the answer isn't JSON"), "{correction}");
    let second = upstream.received()[1].body["messages"].to_string();
    assert!(second.contains("at /name: "), "{second}");

    // Dialects of vendors have one attempt, unless the request says otherwise.
    upstream.reply(completion("{\"name\":\"A\"}"));
    let once = client.post("/v1/chat/completions", &chat("asked:deepseek-chat", &person())).await.json();
    assert_eq!(report(&once["choices"][0]["structured"]), ("failed", "asked", 1), "{once}");
    upstream.reply(completion("{\"name\":\"A\"}"));
    upstream.reply(completion("{\"name\":\"Ada\"}"));
    let mut twice = chat("asked:deepseek-chat", &person());
    twice["max_attempts"] = json!(2);
    let answer = client.post("/v1/chat/completions", &twice).await.json();
    assert_eq!(report(&answer["choices"][0]["structured"]), ("passed", "asked", 2), "{answer}");
    assert_eq!(answer["usage"]["total_tokens"], 10);
    home.stop().await;
}

#[tokio::test]
async fn best_unfit_answer_is_returned_with_its_errors() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    let mut body = generate("asked:deepseek-chat", &person());
    body["max_attempts"] = json!(2);
    upstream.reply(completion("{\"name\":\"A\"}"));
    upstream.reply(completion("{\"name\":1}"));
    let failed = client.post("/v1/generate", &body).await.json();
    assert_eq!(report(&failed["structured"]), ("failed", "asked", 2), "{failed}");
    assert_eq!(failed["structured"]["violations"][0]["path"], "/name", "{failed}");

    // The first one fits without the bounds, and the second one doesn't.
    body["allow_relaxed"] = json!(true);
    upstream.reply(completion("{\"name\":\"A\"}"));
    upstream.reply(completion("{\"name\":1}"));
    let relaxed = client.post("/v1/generate", &body).await.json();
    assert_eq!(report(&relaxed["structured"]), ("relaxed", "asked", 2), "{relaxed}");
    assert_eq!(
        (&relaxed["output"]["text"], &relaxed["usage"]["total_tokens"]),
        (&json!("{\"name\":\"A\"}"), &json!(10))
    );

    // A provider that fails meanwhile leaves the answer before.
    upstream.reply(completion("{\"name\":1}"));
    for _ in 0..4 {
        upstream.reply(Reply::json(400, &json!({"error": {"message": "no more"}})));
    }
    let earlier = client.post("/v1/generate", &body).await.json();
    assert_eq!(report(&earlier["structured"]), ("failed", "asked", 1), "{earlier}");
    assert_eq!(earlier["usage"]["total_tokens"], 5);
    home.stop().await;
}

#[tokio::test]
async fn refused_schema_becomes_an_instruction() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let refusal = json!({"error": {"message": "Invalid schema for response_format 'it'"}});
    upstream.reply(Reply::json(400, &refusal));
    upstream.reply(completion("{\"name\":\"Ada\"}"));
    let answer = home.client().post("/v1/generate", &generate("strict:gpt-4o", &person())).await.json();
    assert_eq!(report(&answer["structured"]), ("passed", "asked", 1), "{answer}");
    let sent = upstream.received()[1].body.clone();
    assert_eq!(sent["response_format"], json!({"type": "json_object"}), "{sent}");

    // A client that demands strict mode gets the refusal.
    upstream.reply(Reply::json(400, &refusal));
    let closed = json!({
        "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false,
    });
    let mut strict = chat("strict:gpt-4o", &closed);
    strict["response_format"]["json_schema"]["strict"] = json!(true);
    home.client().post("/v1/chat/completions", &strict).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn budget_reserves_all_attempts() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    let organisations = client.get("/v1/organisations").await.json();
    let id = organisations["organisations"][0]["id"].as_str().unwrap();
    // A tenth of a cent a token: one attempt may take 51 tokens and some of the prompt, two more than twice that.
    let limits = json!({"dollars_per_day": "0.2"});
    let path = format!("/v1/limits/organisation/{id}");
    let answer = client.send(client.request(Method::PUT, &path).json(&limits)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut body = chat("asked:deepseek-chat", &person());
    body["max_attempts"] = json!(5);
    let refused = client.post("/v1/chat/completions", &body).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    body["max_attempts"] = json!(1);
    upstream.reply(completion("{\"name\":\"Ada\"}"));
    assert_eq!(client.post("/v1/chat/completions", &body).await.status, 200);
    home.stop().await;
}

/// All samples: each answer that doesn't fit is requested again, and the one that fits is found in prose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_a_provider_to_200_schemas_pass_at_the_second_attempt() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    for sample in samples() {
        let model = if sample.number.is_multiple_of(2) { "strict:gpt-4o" } else { "asked:deepseek-chat" };
        let name = format!("{} {}", sample.kind, sample.number);
        upstream.reply(completion(&sample.unfit.to_string()));
        upstream.reply(completion(&format!("Better:\n```json\n{}\n```", sample.fitting)));
        let answer = client.post("/v1/generate", &generate(model, &sample.schema)).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let answer = answer.json();
        let (status, _, attempts) = report(&answer["structured"]);
        assert_eq!((status, attempts), ("passed", 2), "{name}: {answer}");
        let text: Value = serde_json::from_str(answer["output"]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, sample.fitting, "{name}");
    }
    home.stop().await;
}
