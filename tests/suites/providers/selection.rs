//! Selection of a model for a request that leaves the choice, and its description in the answer.

use hearth_tests::{Reply, Upstream};
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, chat, chunk, failure, with_node};

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn generate(fields: Value) -> Value {
    let mut body = json!({"input": {"prompt": "Hi"}});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn tools() -> Value {
    let function = json!({"name": "look", "parameters": {"type": "object"}});
    json!([{"type": "function", "function": function}])
}

#[tokio::test]
async fn weighted_alias_distributes_requests() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let alias = "[aliases.both]\nstrategy = 'weighted'\n\
                 models = [{model = 'rig0:big', weight = 3}, {model = 'rig1:big', weight = 1}]\n";
    let home = with_node(&[&first, &second], alias).await;
    for _ in 0..4 {
        first.reply(answer());
        second.reply(answer());
        let response = home.client().post("/v1/chat/completions", &chat("both")).await;
        assert_eq!(response.status, 200);
        assert_eq!(
            response.header("x-hearth-selection-reason"),
            "the alias both stands for this model, whose turn it is of 2"
        );
    }
    assert_eq!((first.received().len(), second.received().len()), (3, 1));
    home.stop().await;
}

#[tokio::test]
async fn cheapest_capable_model_is_selected() {
    let (dear, cheap) = (Upstream::start().await, Upstream::start().await);
    let settings = "[aliases.any]\nstrategy = 'cost'\nmodels = ['rig0:big', 'rig1:big']\n\
        [models.'rig0:big']\nprice = {input = 5, output = 10}\ncapabilities = ['chat', 'tools']\n\
        [models.'rig1:big']\nprice = {input = 1, output = 2}\ncapabilities = ['chat']\n";
    let home = with_node(&[&dear, &cheap], settings).await;
    let client = home.client();
    cheap.reply(answer());
    let response = client.post("/v1/chat/completions", &chat("any")).await;
    assert_eq!(response.header("x-hearth-provider"), "rig1");
    // A cheaper model without tool calls is passed over.
    dear.reply(answer());
    let mut body = chat("any");
    body["tools"] = tools();
    let response = client.post("/v1/chat/completions", &body).await;
    assert_eq!(response.header("x-hearth-provider"), "rig0");
    // The route preview has the same choice, and sends no request.
    let route = client.get("/v1/route?model=any&tools=true").await.json();
    assert_eq!(route["candidates"][0]["provider"], "rig0", "{route}");
    assert_eq!(
        route["passed_over"],
        json!([{"provider": "rig1", "model": "big", "why": "it calls no tools"}])
    );
    let route = client.get("/v1/route?model=any").await.json();
    assert_eq!(route["candidates"][0]["price"], json!({"input": 1.0, "output": 2.0}), "{route}");
    assert_eq!((dear.received().len(), cheap.received().len()), (1, 1));
    client.get("/v1/route?modle=any").await.error(400, "invalid_request");
    client.get("/v1/route?model=none").await.error(404, "model_not_found");
    home.stop().await;
}

#[tokio::test]
async fn schema_is_enforced_by_local_models() {
    let upstream = Upstream::start().await;
    let settings = "[aliases.any]\nmodels = ['rig0:big', 'tiny-chat']\n\
        [models.'rig0:big']\ncapabilities = ['chat', 'tools']\n";
    let home = with_node(&[&upstream], settings).await;
    let schema = json!({
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": false,
    });
    let mut body = chat("any");
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "it", "schema": schema}});
    let response = home.client().post("/v1/chat/completions", &body).await;
    assert_eq!(
        (response.status.as_u16(), response.header("x-hearth-provider")),
        (200, "local"),
        "{response:?}"
    );
    let content = response.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(serde_json::from_str::<Value>(&content).unwrap()["ok"].is_boolean(), "{content}");
    home.stop().await;
}

#[tokio::test]
async fn rule_or_preference_selects_the_model() {
    let upstream = Upstream::start().await;
    let rules = "[[selection.rules]]\nwords = ['code']\nmodel = 'rig0:big'\n\
                 [[selection.rules]]\nimages = true\nmodel = 'nobody:here'\n";
    let home = with_node(&[&upstream], rules).await;
    let client = home.client();
    upstream.reply(answer());
    let body = json!({"input": {"prompt": "Some Code, please"}});
    let response = client.post("/v1/generate", &body).await.json();
    assert_eq!(response["selection"]["selected_provider"], "rig0", "{response}");
    assert_eq!(response["selection"]["reason"], "a rule sends prompts with \"code\" to rig0:big");
    let response = client.post("/v1/generate", &generate(json!({"model": "auto"}))).await.json();
    assert_eq!(response["model"], "tiny-chat", "{response}");
    upstream.reply(answer());
    let response =
        client.post("/v1/generate", &generate(json!({"preferred_model": "rig0:big"}))).await.json();
    assert_eq!(response["selection"]["reason"], "its user prefers this model", "{response}");
    // An image needs a model with vision: the node has none, and the rule's model doesn't exist.
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let content = json!([{"type": "text", "text": "What is it?"}, image]);
    let settings = json!({"input": {"messages": [{"role": "user", "content": content}]}});
    upstream.reply(answer());
    let response = client.post("/v1/generate", &settings).await.json();
    assert_eq!(response["selection"]["selected_provider"], "rig0", "{response}");
    home.stop().await;
}

#[tokio::test]
async fn provider_and_selection_mode_limit_the_choice() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(answer());
    let response = client.post("/v1/generate", &generate(json!({"provider": "rig0"}))).await.json();
    assert_eq!(
        (&response["model"], &response["output"]["text"]),
        (&json!("big"), &json!(ANSWER_TEXT)),
        "{response}"
    );
    upstream.reply(answer());
    let response =
        client.post("/v1/generate", &generate(json!({"selection_mode": "commercial_only"}))).await.json();
    assert_eq!(response["selection"]["selected_provider"], "rig0", "{response}");
    let refused = generate(json!({"model": "rig0:big", "selection_mode": "free_only"}));
    let refused = client.post("/v1/generate", &refused).await.error(503, "no_model_available");
    assert_eq!(refused["param"], "selection_mode");
    home.stop().await;
}

#[tokio::test]
async fn free_model_serves_without_credit_unless_excluded() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(failure(402, "insufficient_quota"));
    let response = client.post("/v1/generate", &generate(json!({"model": "rig0:big"}))).await.json();
    let selection = &response["selection"];
    assert_eq!(
        (&response["model"], &selection["fallback_reason"]),
        (&json!("tiny-chat"), &json!("quota_exceeded")),
        "{response}"
    );
    // A request can exclude a fallback.
    for body in [
        generate(json!({"model": "rig0:big", "fallback": false})),
        generate(json!({"model": "rig0:big", "selection_mode": "model"})),
    ] {
        upstream.reply(failure(402, "insufficient_quota"));
        client.post("/v1/generate", &body).await.error(429, "quota_exceeded");
    }
    home.stop().await;
}

#[tokio::test]
async fn answer_is_resumed_by_a_fallback_on_demand() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let settings = "[fallbacks]\n'rig0:big' = ['rig1:big']\n\
        [models.'rig0:big']\nprice = {input = 1, output = 2}\n\
        [models.'rig1:big']\nprice = {input = 10, output = 20}\n";
    let home = with_node(&[&first, &second], settings).await;
    first.reply(Reply::begun(&[chunk(json!({"content": "Once upon "}), None)]).then_break());
    second.reply(answer());
    let parameters = json!({"max_tokens": 50});
    let body =
        generate(json!({"model": "rig0:big", "resume": true, "stream": true, "parameters": parameters}));
    let events = home.client().stream("/v1/generate", &body).await.rest().await;
    let of = |name: &str| -> Vec<Value> {
        events.iter().map(|event| event.data.clone()).filter(|data| data["event"] == name).collect()
    };
    let complete = of("complete").remove(0);
    assert_eq!(complete["output"]["text"], format!("Once upon {ANSWER_TEXT}"), "{complete}");
    let selection = &complete["selection"];
    assert_eq!(
        (&selection["selected_provider"], &selection["resumed"], &selection["fallback_used"]),
        (&json!("rig1"), &json!(true), &json!(true))
    );
    // The stream marks the place where the fallback took over.
    let resumed: Vec<_> = of("model_selected").iter().map(|data| data["resumed"].clone()).collect();
    assert_eq!(resumed, [Value::Null, json!(true)]);
    let messages = second.received()[0].body["messages"].clone();
    assert_eq!(messages[1], json!({"role": "assistant", "content": "Once upon "}), "{messages}");
    // The first model's usage counts too. It wasn't reported, so it is estimated: three tokens of four bytes, and five
    // of the prompt.
    assert_eq!(second.received()[0].body["max_tokens"], 47);
    let usage = &complete["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(16), &json!(7)), "{complete}");
    assert_eq!(complete["cost"]["usd"], "0.000201", "{complete}");
    let id = complete["request_id"].as_str().unwrap();
    let record = home.client().get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!((&record["usage"], &record["cost"]), (usage, &complete["cost"]), "{record}");
    home.stop().await;
}
