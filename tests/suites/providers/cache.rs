//! The cache of answers.

use std::time::{Duration, Instant};

use hearth_tests::{Answer, Client, Reply, Upstream, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, chat, chunk, failure, with, with_node};

const ON: &str = "[cache]\nenabled = true";

/// A request whose answer is deterministic, so that it is cached.
fn greedy(prompt: &str) -> Value {
    let mut body = chat("rig0:big");
    body["temperature"] = json!(0);
    body["messages"][0]["content"] = json!(prompt);
    body
}

async fn ask(client: &Client, body: &Value, headers: &[(&str, &str)]) -> Answer {
    post(client, "/v1/chat/completions", body, headers).await
}

async fn post(client: &Client, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(Method::POST, path).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
/// The cache outcome and the text of an answer.
fn outcome(answer: Answer) -> (String, String) {
    let text = answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    (answer.header("x-hearth-cache").to_owned(), text)
}

fn pair(outcome: &str, text: &str) -> (String, String) {
    (outcome.to_owned(), text.to_owned())
}

/// An answer with this text.
fn answer_with(text: &str) -> Reply {
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": text}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ])
}

#[tokio::test]
async fn nothing_is_cached_by_default() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    for _ in 0..2 {
        upstream.reply(answer());
        assert_eq!(
            outcome(ask(&client, &greedy("Hi"), &[("x-hearth-cache", "use")]).await),
            pair("", ANSWER_TEXT)
        );
    }
    assert_eq!(upstream.received().len(), 2);
    ask(&client, &greedy("Hi"), &[("x-hearth-cache", "only-if-cached")]).await.error(504, "not_cached");
    let stats = client.get("/v1/cache/stats").await.json();
    assert_eq!((&stats["enabled"], &stats["hit_rate"]), (&json!(false), &Value::Null), "{stats}");
    home.stop().await;
}

#[tokio::test]
async fn cached_answer_is_replayed_in_every_form() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    let client = home.client();
    upstream.reply(answer());
    let first = ask(&client, &greedy("Hi"), &[]).await;
    let usage = first.json()["usage"].clone();
    assert_eq!(outcome(first), pair("miss", ANSWER_TEXT));

    let second = ask(&client, &greedy("Hi"), &[]).await;
    assert_eq!(second.json()["usage"], usage);
    assert_eq!(second.header("x-hearth-cost"), "0");
    let id = second.header("x-request-id").to_owned();
    assert_eq!(outcome(second), pair("hit", ANSWER_TEXT));
    // A replay has a record of its own.
    let record = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(
        (&record["status"], &record["output"]["text"]),
        (&json!("completed"), &json!(ANSWER_TEXT)),
        "{record}"
    );
    assert_eq!(record["usage"]["prompt_tokens"], usage["prompt_tokens"], "{record}");

    // As a stream, and in other dialects.
    let mut body = greedy("Hi");
    body["stream"] = json!(true);
    let mut events = client.stream("/v1/chat/completions", &body).await;
    let mut text = String::new();
    while let Some(event) = events.next().await {
        text.push_str(event.data["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    assert_eq!(text, ANSWER_TEXT);
    let streamed = ask(&client, &body, &[]).await;
    assert_eq!(streamed.header("x-hearth-cache"), "hit");
    assert!(streamed.body.trim_ascii_end().ends_with(b"data: [DONE]"));
    let native = json!({"model": "rig0:big", "input": {"prompt": "Hi"}, "parameters": {"temperature": 0}});
    let native = client.post("/v1/generate", &native).await;
    assert_eq!(native.header("x-hearth-cache"), "hit");
    let native = native.json();
    assert_eq!((&native["output"]["text"], &native["finish_reason"]), (&json!(ANSWER_TEXT), &json!("stop")));
    let reason = native["selection"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("cache"), "{native}");
    let response = json!({"model": "rig0:big", "input": "Hi", "temperature": 0});
    let response = client.post("/v1/responses", &response).await;
    assert_eq!(response.header("x-hearth-cache"), "hit");
    assert_eq!(response.json()["output"][0]["content"][0]["text"], ANSWER_TEXT);
    let legacy = json!({"model": "rig0:big", "prompt": "Hi", "temperature": 0});
    let legacy = client.post("/v1/completions", &legacy).await;
    assert_eq!(legacy.json()["choices"][0]["text"], ANSWER_TEXT);
    assert_eq!(upstream.received().len(), 1);

    let stats = client.get("/v1/cache/stats").await.json();
    assert_eq!(stats["misses"], 1, "{stats}");
    assert_eq!(stats["entries"], 1, "{stats}");
    assert!(stats["hits"].as_u64() >= Some(4) && stats["hit_rate"].as_f64() > Some(0.7), "{stats}");
    let metrics = String::from_utf8_lossy(&client.get("/metrics").await.body).into_owned();
    assert!(metrics.contains("hearth_cache_requests_total{result=\"hit\"}"), "{metrics}");
    home.stop().await;
}

#[tokio::test]
async fn sampled_request_is_cached_on_demand_only() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    let client = home.client();
    for text in ["one", "two", "three"] {
        upstream.reply(answer_with(text));
    }
    let varied = chat("rig0:big");
    assert_eq!(outcome(ask(&client, &varied, &[]).await), pair("", "one"));
    assert_eq!(outcome(ask(&client, &varied, &[("x-hearth-cache", "use")]).await), pair("miss", "two"));
    assert_eq!(outcome(ask(&client, &varied, &[("x-hearth-cache", "use")]).await), pair("hit", "two"));
    assert_eq!(outcome(ask(&client, &varied, &[]).await), pair("", "three"));
    home.stop().await;
}

#[tokio::test]
async fn cache_control_of_a_request_is_followed() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    let client = home.client();
    for text in ["one", "two", "three"] {
        upstream.reply(answer_with(text));
    }
    let body = greedy("Hi");
    ask(&client, &body, &[("x-hearth-cache", "only-if-cached")]).await.error(504, "not_cached");
    ask(&client, &body, &[("cache-control", "only-if-cached")]).await.error(504, "not_cached");
    // Neither stored nor served from the cache.
    assert_eq!(outcome(ask(&client, &body, &[("cache-control", "no-store")]).await), pair("", "one"));
    assert_eq!(outcome(ask(&client, &body, &[]).await), pair("miss", "two"));
    assert_eq!(
        outcome(ask(&client, &body, &[("x-hearth-cache", "only-if-cached")]).await),
        pair("hit", "two")
    );
    // A new answer replaces the entry.
    assert_eq!(outcome(ask(&client, &body, &[("x-hearth-cache", "no-cache")]).await), pair("miss", "three"));
    assert_eq!(outcome(ask(&client, &body, &[]).await), pair("hit", "three"));
    let refused = ask(&client, &body, &[("x-hearth-cache", "always")]).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "x-hearth-cache", "{refused}");
    let field = |word: &str| json!({"model": "rig0:big", "input": {"prompt": "Hi"}, "parameters": {"temperature": 0}, "cache": word});
    let cached =
        post(&client, "/v1/generate", &field("only-if-cached"), &[("x-hearth-cache", "no-store")]).await;
    assert_eq!(cached.json()["output"]["text"], "three");
    let refused = client.post("/v1/generate", &field("always")).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "cache", "{refused}");
    home.stop().await;
}

#[tokio::test]
async fn only_complete_answers_are_cached() {
    let upstream = Upstream::start().await;
    let home =
        with_node(&[&upstream], "[fallbacks]\n'rig0:big' = ['tiny-chat']\n[cache]\nenabled = true").await;
    let client = home.client();
    let filtered =
        Reply::chunks(&[chunk(json!({"content": "Well"}), None), chunk(json!({}), Some("content_filter"))]);
    let broken = Reply::begun(&[chunk(json!({"content": "Once"}), None)]).then_break();
    let empty = Reply::chunks(&[chunk(json!({"content": ""}), None), chunk(json!({}), Some("stop"))]);
    for reply in [filtered, broken, empty] {
        upstream.reply(reply);
        ask(&client, &greedy("Hi"), &[]).await;
    }
    // A fallback's answer is not cached.
    upstream.reply(failure(401, "invalid_api_key"));
    let stand_in = ask(&client, &greedy("Hi"), &[]).await;
    assert_eq!(stand_in.json()["model"], "tiny-chat");
    upstream.reply(answer());
    assert_eq!(outcome(ask(&client, &greedy("Hi"), &[]).await), pair("miss", ANSWER_TEXT));
    assert_eq!(upstream.received().len(), 5);
    // An answer at the requested token limit is complete.
    let mut short = greedy("Hi");
    short["max_tokens"] = json!(1);
    upstream.reply(Reply::chunks(&[chunk(json!({"content": "He"}), None), chunk(json!({}), Some("length"))]));
    assert_eq!(outcome(ask(&client, &short, &[]).await), pair("miss", "He"));
    let again = ask(&client, &short, &[]).await;
    assert_eq!(again.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(outcome(again), pair("hit", "He"));
    home.stop().await;
}

#[tokio::test]
async fn thoughts_and_calls_are_replayed_unchanged() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    let client = home.client();
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "id": "call_7", "type": "function", "function": function}]});
    upstream.reply(Reply::chunks(&[
        chunk(json!({"reasoning_content": "I should "}), None),
        chunk(json!({"reasoning_content": "look."}), None),
        chunk(call(json!({"name": "look", "arguments": ""})), None),
        chunk(call(json!({"arguments": "{\"at\":"})), None),
        chunk(call(json!({"arguments": "\"it\"}"})), None),
        chunk(json!({}), Some("tool_calls")),
    ]));
    let mut body = greedy("Hi");
    body["tools"] =
        json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    let first = ask(&client, &body, &[]).await;
    let again = ask(&client, &body, &[]).await;
    assert_eq!((first.header("x-hearth-cache"), again.header("x-hearth-cache")), ("miss", "hit"));
    let (first, again) = (first.json(), again.json());
    assert_eq!(first["choices"], again["choices"]);
    let function = &again["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&function["id"], &function["function"]["arguments"]),
        (&json!("call_7"), &json!("{\"at\":\"it\"}"))
    );
    home.stop().await;
}

#[tokio::test]
async fn identical_concurrent_requests_are_coalesced() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    upstream.reply(answer().split(3));
    let ask = async || outcome(ask(&home.client(), &greedy("Hi"), &[]).await);
    let response = futures::future::join_all((0..16).map(|_| ask())).await;
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(
        response.iter().filter(|response| **response == pair("miss", ANSWER_TEXT)).count(),
        1,
        "{response:?}"
    );
    assert_eq!(
        response.iter().filter(|response| **response == pair("hit", ANSWER_TEXT)).count(),
        15,
        "{response:?}"
    );
    home.stop().await;
}

#[tokio::test]
async fn follower_takes_over_when_the_leader_fails_or_leaves() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    // The first client disconnects during the answer.
    upstream.reply(Reply::begun(&[chunk(json!({"content": "Once"}), None)]).then_silence());
    upstream.reply(answer());
    let client = home.client();
    let mut leaving = greedy("Hi");
    leaving["stream"] = json!(true);
    let mut stream = client.stream("/v1/chat/completions", &leaving).await;
    stream.next().await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let client = home.client();
            tokio::spawn(async move { outcome(ask(&client, &greedy("Hi"), &[]).await) })
        })
        .collect();
    drop(stream);
    upstream.left().await;
    for response in waiting {
        assert_eq!(response.await.unwrap().1, ANSWER_TEXT);
    }
    assert_eq!(upstream.received().len(), 2);

    // The first request fails.
    upstream.reply(failure(400, "invalid_value"));
    upstream.reply(answer());
    let ask = async || ask(&home.client(), &greedy("Hello"), &[]).await;
    let response = futures::future::join_all((0..4).map(|_| ask())).await;
    assert_eq!(response.iter().filter(|response| response.status != 200).count(), 1, "{response:?}");
    assert_eq!(upstream.received().len(), 4);
    home.stop().await;
}

#[tokio::test]
async fn entries_are_per_model_and_deleted_by_pattern() {
    let (one, other) = (Upstream::start().await, Upstream::start().await);
    let home = with(&[&one, &other], "[aliases]\nfast = ['rig1:big']\n[cache]\nenabled = true").await;
    let client = home.client();
    let of = |model: &str| {
        let mut body = greedy("Hi");
        body["model"] = json!(model);
        body
    };
    let delete =
        async |pattern: &str| client.delete(&format!("/v1/cache{pattern}")).await.json()["deleted"].clone();
    let fill = async || {
        for (upstream, model) in [(&one, "rig0:big"), (&other, "rig1:big"), (&other, "fast")] {
            upstream.reply(answer());
            ask(&client, &of(model), &[]).await;
        }
    };
    fill().await;
    assert_eq!(delete("?pattern=nothing*").await, 0);
    assert_eq!(delete("?pattern=rig1:*").await, 2);
    assert_eq!(outcome(ask(&client, &of("rig0:big"), &[]).await), pair("hit", ANSWER_TEXT));
    other.reply(answer_with("fresh"));
    assert_eq!(outcome(ask(&client, &of("fast"), &[]).await), pair("miss", "fresh"));
    assert_eq!(delete("?pattern=fa*t").await, 1);
    assert_eq!(delete("").await, 1);
    assert_eq!(delete("").await, 0);
    client.delete("/v1/cache?pattern=").await.error(400, "invalid_request");
    client.delete("/v1/cache?patern=a").await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn entry_survives_a_restart() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    // Long enough to be compressed.
    let long = "All work and no play. ".repeat(500);
    upstream.reply(answer_with(&long));
    assert_eq!(outcome(ask(&home.client(), &greedy("Hi"), &[]).await), pair("miss", &long));
    let home = home.restart().await;
    // The lookup in the table has a short timeout, which the first request of a process may exceed.
    let cached = eventually("the answer in the table", async || {
        let response = ask(&home.client(), &greedy("Hi"), &[("x-hearth-cache", "only-if-cached")]).await;
        (response.status == 200).then_some(response)
    });
    assert_eq!(outcome(cached.await), pair("hit", &long));
    assert_eq!(upstream.received().len(), 1);
    home.stop().await;
}

#[tokio::test]
async fn cache_hit_is_fast() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    upstream.reply(answer());
    let (client, body) = (home.client(), greedy("Hi"));
    ask(&client, &body, &[]).await;
    let mut took = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        assert_eq!(ask(&client, &body, &[]).await.header("x-hearth-cache"), "hit");
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("a hit: p50 {half:?}, p99 {most:?}");
    // The binaries aren't optimised, and other tests run at the same time.
    assert!(half < Duration::from_millis(20), "p50 {half:?}, p99 {most:?}");
    home.stop().await;
}

#[tokio::test]
async fn tokens_of_one_user_share_the_cache() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    upstream.reply(answer());
    ask(&home.client(), &greedy("Hi"), &[]).await;
    let token = home.client().post("/v1/users/tokens", &json!({"name": "app"})).await.json();
    let app = home.client().with_token(token["token"].as_str());
    assert_eq!(outcome(ask(&app, &greedy("Hi"), &[]).await), pair("hit", ANSWER_TEXT));
    // Statistics of all users need a scope.
    app.get("/v1/cache/stats").await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn answer_of_a_node_is_cached() {
    let home = with_node(&[], ON).await;
    let client = home.client();
    let body = json!({"input": {"prompt": "Hi"}, "parameters": {"temperature": 0, "max_tokens": 12}});
    let first = client.post("/v1/generate", &body).await;
    let again = client.post("/v1/generate", &body).await;
    assert_eq!((first.header("x-hearth-cache"), again.header("x-hearth-cache")), ("miss", "hit"));
    let (first, again) = (first.json(), again.json());
    for field in ["model", "output", "usage", "finish_reason"] {
        assert_eq!(first[field], again[field], "{field}");
    }
    // Both have a record of their own.
    assert_ne!(first["request_id"], again["request_id"]);
    let events = format!("/v1/requests/{}/events", again["request_id"].as_str().unwrap());
    let mut events = client.events(client.request(Method::GET, &events)).await;
    let last = events.next_named("complete").await;
    assert_eq!(last.data["output"]["text"], first["output"]["text"]);
    home.stop().await;
}
