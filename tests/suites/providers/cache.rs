//! The cache of answers: what is the same is asked once.

use std::time::{Duration, Instant};

use hearth_tests::{Answer, Client, Reply, Upstream, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{SAID, answer, chat, chunk, failure, with};

const ON: &str = "[cache]\nenabled = true";

/// A question whose answer is the same again.
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
fn said(answer: Answer) -> (String, String) {
    let text = answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    (answer.header("x-hearth-cache").to_owned(), text)
}

fn pair(outcome: &str, text: &str) -> (String, String) {
    (outcome.to_owned(), text.to_owned())
}

/// An answer of this text.
fn saying(text: &str) -> Reply {
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": text}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ])
}

#[tokio::test]
async fn without_a_setting_nothing_is_kept() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    for _ in 0..2 {
        upstream.reply(answer());
        assert_eq!(said(ask(&client, &greedy("Hi"), &[("x-hearth-cache", "use")]).await), pair("", SAID));
    }
    assert_eq!(upstream.received().len(), 2);
    ask(&client, &greedy("Hi"), &[("x-hearth-cache", "only-if-cached")]).await.error(504, "not_cached");
    let stats = client.get("/v1/cache/stats").await.json();
    assert_eq!((&stats["enabled"], &stats["hit_rate"]), (&json!(false), &Value::Null), "{stats}");
    home.stop().await;
}

#[tokio::test]
async fn what_was_answered_is_answered_again_in_every_form() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    let client = home.client();
    upstream.reply(answer());
    let first = ask(&client, &greedy("Hi"), &[]).await;
    let usage = first.json()["usage"].clone();
    assert_eq!(said(first), pair("miss", SAID));

    let second = ask(&client, &greedy("Hi"), &[]).await;
    assert_eq!(second.json()["usage"], usage);
    assert_eq!(second.header("x-hearth-cost"), "0");
    let id = second.header("x-request-id").to_owned();
    assert_eq!(said(second), pair("hit", SAID));
    // It has a record of its own.
    let record = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(
        (&record["status"], &record["output"]["text"]),
        (&json!("completed"), &json!(SAID)),
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
    assert_eq!(text, SAID);
    let streamed = ask(&client, &body, &[]).await;
    assert_eq!(streamed.header("x-hearth-cache"), "hit");
    assert!(streamed.body.trim_ascii_end().ends_with(b"data: [DONE]"));
    let native = json!({"model": "rig0:big", "input": {"prompt": "Hi"}, "parameters": {"temperature": 0}});
    let native = client.post("/v1/generate", &native).await;
    assert_eq!(native.header("x-hearth-cache"), "hit");
    let native = native.json();
    assert_eq!((&native["output"]["text"], &native["finish_reason"]), (&json!(SAID), &json!("stop")));
    let reason = native["selection"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("cache"), "{native}");
    let response = json!({"model": "rig0:big", "input": "Hi", "temperature": 0});
    let response = client.post("/v1/responses", &response).await;
    assert_eq!(response.header("x-hearth-cache"), "hit");
    assert_eq!(response.json()["output"][0]["content"][0]["text"], SAID);
    let legacy = json!({"model": "rig0:big", "prompt": "Hi", "temperature": 0});
    let legacy = client.post("/v1/completions", &legacy).await;
    assert_eq!(legacy.json()["choices"][0]["text"], SAID);
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
async fn who_samples_takes_part_only_when_it_says_so() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    let client = home.client();
    for text in ["one", "two", "three"] {
        upstream.reply(saying(text));
    }
    let varied = chat("rig0:big");
    assert_eq!(said(ask(&client, &varied, &[]).await), pair("", "one"));
    assert_eq!(said(ask(&client, &varied, &[("x-hearth-cache", "use")]).await), pair("miss", "two"));
    assert_eq!(said(ask(&client, &varied, &[("x-hearth-cache", "use")]).await), pair("hit", "two"));
    assert_eq!(said(ask(&client, &varied, &[]).await), pair("", "three"));
    home.stop().await;
}

#[tokio::test]
async fn a_request_says_what_it_wants_of_the_cache() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    let client = home.client();
    for text in ["one", "two", "three"] {
        upstream.reply(saying(text));
    }
    let body = greedy("Hi");
    ask(&client, &body, &[("x-hearth-cache", "only-if-cached")]).await.error(504, "not_cached");
    ask(&client, &body, &[("cache-control", "only-if-cached")]).await.error(504, "not_cached");
    // Nothing is kept of this, and nothing is given.
    assert_eq!(said(ask(&client, &body, &[("cache-control", "no-store")]).await), pair("", "one"));
    assert_eq!(said(ask(&client, &body, &[]).await), pair("miss", "two"));
    assert_eq!(said(ask(&client, &body, &[("x-hearth-cache", "only-if-cached")]).await), pair("hit", "two"));
    // A fresh one takes its place.
    assert_eq!(said(ask(&client, &body, &[("x-hearth-cache", "no-cache")]).await), pair("miss", "three"));
    assert_eq!(said(ask(&client, &body, &[]).await), pair("hit", "three"));
    let refused = ask(&client, &body, &[("x-hearth-cache", "always")]).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "x-hearth-cache", "{refused}");
    let field = |word: &str| json!({"model": "rig0:big", "input": {"prompt": "Hi"}, "parameters": {"temperature": 0}, "cache": word});
    let found =
        post(&client, "/v1/generate", &field("only-if-cached"), &[("x-hearth-cache", "no-store")]).await;
    assert_eq!(found.json()["output"]["text"], "three");
    let refused = client.post("/v1/generate", &field("always")).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "cache", "{refused}");
    home.stop().await;
}

#[tokio::test]
async fn only_whole_answers_are_kept() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "[fallbacks]\n'rig0:big' = ['tiny-chat']\n[cache]\nenabled = true").await;
    let client = home.client();
    let filtered =
        Reply::chunks(&[chunk(json!({"content": "Well"}), None), chunk(json!({}), Some("content_filter"))]);
    let broken = Reply::begun(&[chunk(json!({"content": "Once"}), None)]).then_break();
    let empty = Reply::chunks(&[chunk(json!({"content": ""}), None), chunk(json!({}), Some("stop"))]);
    for reply in [filtered, broken, empty] {
        upstream.reply(reply);
        ask(&client, &greedy("Hi"), &[]).await;
    }
    // Another model's answer, for now.
    upstream.reply(failure(401, "invalid_api_key"));
    let stand_in = ask(&client, &greedy("Hi"), &[]).await;
    assert_eq!(stand_in.json()["model"], "tiny-chat");
    upstream.reply(answer());
    assert_eq!(said(ask(&client, &greedy("Hi"), &[]).await), pair("miss", SAID));
    assert_eq!(upstream.received().len(), 5);
    // So many tokens were asked for.
    let mut short = greedy("Hi");
    short["max_tokens"] = json!(1);
    upstream.reply(Reply::chunks(&[chunk(json!({"content": "He"}), None), chunk(json!({}), Some("length"))]));
    assert_eq!(said(ask(&client, &short, &[]).await), pair("miss", "He"));
    let again = ask(&client, &short, &[]).await;
    assert_eq!(again.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(said(again), pair("hit", "He"));
    home.stop().await;
}

#[tokio::test]
async fn thoughts_and_calls_come_back_as_they_were() {
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
async fn equal_requests_at_once_are_one() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    upstream.reply(answer().split(3));
    let ask = async || said(ask(&home.client(), &greedy("Hi"), &[]).await);
    let told = futures::future::join_all((0..16).map(|_| ask())).await;
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(told.iter().filter(|told| **told == pair("miss", SAID)).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|told| **told == pair("hit", SAID)).count(), 15, "{told:?}");
    home.stop().await;
}

#[tokio::test]
async fn when_the_first_fails_or_leaves_another_goes_on() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    // The first client leaves in the middle.
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
            tokio::spawn(async move { said(ask(&client, &greedy("Hi"), &[]).await) })
        })
        .collect();
    drop(stream);
    upstream.left().await;
    for told in waiting {
        assert_eq!(told.await.unwrap().1, SAID);
    }
    assert_eq!(upstream.received().len(), 2);

    // The first fails.
    upstream.reply(failure(400, "invalid_value"));
    upstream.reply(answer());
    let ask = async || ask(&home.client(), &greedy("Hello"), &[]).await;
    let told = futures::future::join_all((0..4).map(|_| ask())).await;
    assert_eq!(told.iter().filter(|told| told.status != 200).count(), 1, "{told:?}");
    assert_eq!(upstream.received().len(), 4);
    home.stop().await;
}

#[tokio::test]
async fn answers_are_ones_own_and_deleted_by_their_models_names() {
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
    assert_eq!(said(ask(&client, &of("rig0:big"), &[]).await), pair("hit", SAID));
    other.reply(saying("fresh"));
    assert_eq!(said(ask(&client, &of("fast"), &[]).await), pair("miss", "fresh"));
    assert_eq!(delete("?pattern=fa*t").await, 1);
    assert_eq!(delete("").await, 1);
    assert_eq!(delete("").await, 0);
    client.delete("/v1/cache?pattern=").await.error(400, "invalid_request");
    client.delete("/v1/cache?patern=a").await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_other_settings_everything() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    // Long enough to be compressed.
    let long = "All work and no play. ".repeat(500);
    upstream.reply(saying(&long));
    assert_eq!(said(ask(&home.client(), &greedy("Hi"), &[]).await), pair("miss", &long));
    let home = home.restart().await;
    // The table is asked for a moment only, and the first request of a process may find it slow.
    let found = eventually("the answer in the table", async || {
        let told = ask(&home.client(), &greedy("Hi"), &[("x-hearth-cache", "only-if-cached")]).await;
        (told.status == 200).then_some(told)
    });
    assert_eq!(said(found.await), pair("hit", &long));
    assert_eq!(upstream.received().len(), 1);
    home.stop().await;
}

#[tokio::test]
async fn a_hit_is_quick() {
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
    // Binaries of the tests aren't optimised, and others run beside.
    assert!(half < Duration::from_millis(20), "p50 {half:?}, p99 {most:?}");
    home.stop().await;
}

#[tokio::test]
async fn another_token_of_the_same_user_shares_its_answers() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], ON).await;
    upstream.reply(answer());
    ask(&home.client(), &greedy("Hi"), &[]).await;
    let made = home.client().post("/v1/users/tokens", &json!({"name": "app"})).await.json();
    let app = home.client().with_token(made["token"].as_str());
    assert_eq!(said(ask(&app, &greedy("Hi"), &[]).await), pair("hit", SAID));
    // What all users' requests come to isn't for everybody.
    app.get("/v1/cache/stats").await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn what_a_node_has_said_is_kept_too() {
    let home = with(&[], ON).await;
    let client = home.client();
    let body = json!({"input": {"prompt": "Hi"}, "parameters": {"temperature": 0, "max_tokens": 12}});
    let first = client.post("/v1/generate", &body).await;
    let again = client.post("/v1/generate", &body).await;
    assert_eq!((first.header("x-hearth-cache"), again.header("x-hearth-cache")), ("miss", "hit"));
    let (first, again) = (first.json(), again.json());
    for field in ["model", "output", "usage", "finish_reason"] {
        assert_eq!(first[field], again[field], "{field}");
    }
    // Both are found, and told apart.
    assert_ne!(first["request_id"], again["request_id"]);
    let events = format!("/v1/requests/{}/events", again["request_id"].as_str().unwrap());
    let mut events = client.events(client.request(Method::GET, &events)).await;
    let last = events.next_named("complete").await;
    assert_eq!(last.data["output"]["text"], first["output"]["text"]);
    home.stop().await;
}
