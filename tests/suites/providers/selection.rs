//! Who serves a request that leaves the choice, and what the answer tells of it.

use hearth_tests::{Reply, Upstream};
use serde_json::{Value, json};

use crate::{SAID, answer, chat, chunk, failure, with};

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
async fn an_alias_takes_turns_by_weight() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let alias = "[aliases.both]\nstrategy = 'weighted'\n\
                 models = [{model = 'rig0:big', weight = 3}, {model = 'rig1:big', weight = 1}]\n";
    let home = with(&[&first, &second], alias).await;
    for _ in 0..4 {
        first.reply(answer());
        second.reply(answer());
        let told = home.client().post("/v1/chat/completions", &chat("both")).await;
        assert_eq!(told.status, 200);
        assert_eq!(
            told.header("x-hearth-selection-reason"),
            "the alias both stands for this model, whose turn it is of 2"
        );
    }
    assert_eq!((first.received().len(), second.received().len()), (3, 1));
    home.stop().await;
}

#[tokio::test]
async fn the_cheapest_that_can_do_it_is_asked() {
    let (dear, cheap) = (Upstream::start().await, Upstream::start().await);
    let settings = "[aliases.any]\nstrategy = 'cost'\nmodels = ['rig0:big', 'rig1:big']\n\
        [models.'rig0:big']\nprice = {input = 5, output = 10}\ncapabilities = ['chat', 'tools']\n\
        [models.'rig1:big']\nprice = {input = 1, output = 2}\ncapabilities = ['chat']\n";
    let home = with(&[&dear, &cheap], settings).await;
    let client = home.client();
    cheap.reply(answer());
    let told = client.post("/v1/chat/completions", &chat("any")).await;
    assert_eq!(told.header("x-hearth-provider"), "rig1");
    // Who can't call tools isn't asked for them, however cheap.
    dear.reply(answer());
    let mut body = chat("any");
    body["tools"] = tools();
    let told = client.post("/v1/chat/completions", &body).await;
    assert_eq!(told.header("x-hearth-provider"), "rig0");
    // The same is told beforehand, and nobody is asked.
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
async fn a_schema_is_kept_to_by_every_local_model() {
    let upstream = Upstream::start().await;
    let settings = "[aliases.any]\nmodels = ['rig0:big', 'tiny-chat']\n\
        [models.'rig0:big']\ncapabilities = ['chat', 'tools']\n";
    let home = with(&[&upstream], settings).await;
    let schema = json!({
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": false,
    });
    let mut body = chat("any");
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "it", "schema": schema}});
    let told = home.client().post("/v1/chat/completions", &body).await;
    assert_eq!((told.status.as_u16(), told.header("x-hearth-provider")), (200, "local"), "{told:?}");
    let content = told.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(serde_json::from_str::<Value>(&content).unwrap()["ok"].is_boolean(), "{content}");
    home.stop().await;
}

#[tokio::test]
async fn a_request_without_a_model_goes_where_a_rule_or_its_user_says() {
    let upstream = Upstream::start().await;
    let rules = "[[selection.rules]]\nwords = ['code']\nmodel = 'rig0:big'\n\
                 [[selection.rules]]\nimages = true\nmodel = 'nobody:here'\n";
    let home = with(&[&upstream], rules).await;
    let client = home.client();
    upstream.reply(answer());
    let body = json!({"input": {"prompt": "Some Code, please"}});
    let told = client.post("/v1/generate", &body).await.json();
    assert_eq!(told["selection"]["selected_provider"], "rig0", "{told}");
    assert_eq!(told["selection"]["reason"], "a rule sends prompts with \"code\" to rig0:big");
    let told = client.post("/v1/generate", &generate(json!({"model": "auto"}))).await.json();
    assert_eq!(told["model"], "tiny-chat", "{told}");
    upstream.reply(answer());
    let told = client.post("/v1/generate", &generate(json!({"preferred_model": "rig0:big"}))).await.json();
    assert_eq!(told["selection"]["reason"], "its user prefers this model", "{told}");
    // Images go to who sees: no node does, and the rule's model isn't there.
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let content = json!([{"type": "text", "text": "What is it?"}, image]);
    let settings = json!({"input": {"messages": [{"role": "user", "content": content}]}});
    upstream.reply(answer());
    let told = client.post("/v1/generate", &settings).await.json();
    assert_eq!(told["selection"]["selected_provider"], "rig0", "{told}");
    home.stop().await;
}

#[tokio::test]
async fn a_provider_alone_is_enough_and_modes_bound_the_choice() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(answer());
    let told = client.post("/v1/generate", &generate(json!({"provider": "rig0"}))).await.json();
    assert_eq!((&told["model"], &told["output"]["text"]), (&json!("big"), &json!(SAID)), "{told}");
    upstream.reply(answer());
    let told =
        client.post("/v1/generate", &generate(json!({"selection_mode": "commercial_only"}))).await.json();
    assert_eq!(told["selection"]["selected_provider"], "rig0", "{told}");
    let refused = generate(json!({"model": "rig0:big", "selection_mode": "free_only"}));
    let refused = client.post("/v1/generate", &refused).await.error(503, "no_model_available");
    assert_eq!(refused["param"], "selection_mode");
    home.stop().await;
}

#[tokio::test]
async fn without_credit_a_free_model_serves_and_says_so() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(failure(402, "insufficient_quota"));
    let told = client.post("/v1/generate", &generate(json!({"model": "rig0:big"}))).await.json();
    let selection = &told["selection"];
    assert_eq!(
        (&told["model"], &selection["fallback_reason"]),
        (&json!("tiny-chat"), &json!("quota_exceeded")),
        "{told}"
    );
    // Whoever wants this model or none says so.
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
async fn another_model_goes_on_where_the_request_allows_it() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let settings = "[fallbacks]\n'rig0:big' = ['rig1:big']\n\
        [models.'rig0:big']\nprice = {input = 1, output = 2}\n\
        [models.'rig1:big']\nprice = {input = 10, output = 20}\n";
    let home = with(&[&first, &second], settings).await;
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
    assert_eq!(complete["output"]["text"], format!("Once upon {SAID}"), "{complete}");
    let selection = &complete["selection"];
    assert_eq!(
        (&selection["selected_provider"], &selection["resumed"], &selection["fallback_used"]),
        (&json!("rig1"), &json!(true), &json!(true))
    );
    // The place where another took over is marked in the stream.
    let resumed: Vec<_> = of("model_selected").iter().map(|data| data["resumed"].clone()).collect();
    assert_eq!(resumed, [Value::Null, json!(true)]);
    let messages = second.received()[0].body["messages"].clone();
    assert_eq!(messages[1], json!({"role": "assistant", "content": "Once upon "}), "{messages}");
    // What the first one took counts too: it hasn't told, so it is three tokens of four bytes, of a prompt of five.
    assert_eq!(second.received()[0].body["max_tokens"], 47);
    let usage = &complete["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(16), &json!(7)), "{complete}");
    assert_eq!(complete["cost"]["usd"], "0.000201", "{complete}");
    let id = complete["request_id"].as_str().unwrap();
    let record = home.client().get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!((&record["usage"], &record["cost"]), (usage, &complete["cost"]), "{record}");
    home.stop().await;
}
