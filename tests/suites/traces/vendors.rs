//! Requests to vendors: cost, failures, and the headers that vendors get.

use hearth_tests::{Collector, Home, Reply, Setup, Upstream, chat_request};
use serde_json::{Value, json};

use crate::{TRACE, assert_parents, one, post_in_trace, settings};

const PRICE: &str = "[models.'rig0:big']\nprice = {input = 1, output = 2, cached_input = 0.1}\n";

/// A `hearth up` with the providers `rig0` and `rig1`, and the price of a model.
async fn with_vendors(collector: &Collector, upstreams: [&Upstream; 2], traces: &str, more: &str) -> Home {
    let mut toml = settings(collector, traces);
    for (number, upstream) in upstreams.iter().enumerate() {
        toml += &format!(
            "[providers.rig{number}]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\n\
             models = ['big']\n",
            upstream.url
        );
    }
    Setup::new().arguments(&["--no-node"]).settings(&format!("{toml}{PRICE}{more}")).start().await
}

fn answer() -> Reply {
    let chunk = |delta: Value, finish: Option<&str>| json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let usage =
        json!({"prompt_tokens": 11, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}});
    Reply::chunks(&[
        chunk(json!({"content": "Hello."}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": usage}),
    ])
}

fn overloaded() -> Reply {
    Reply::json(503, &json!({"error": {"message": "no", "code": "overloaded"}})).header("retry-after", "30")
}

#[tokio::test]
async fn cost_on_the_span_is_the_cost_on_the_answer() {
    let (collector, upstream) = (Collector::start().await, Upstream::start().await);
    let home = with_vendors(&collector, [&upstream, &upstream], "", "").await;
    upstream.reply(answer());
    let body = json!({"model": "rig0:big", "input": {"prompt": "Hi"}});
    let answer = home.client().post("/v1/generate", &body).await.json();
    let spans = collector.wait_for_names(&["POST /v1/generate", "run", "chat big"]).await;
    let expected: f64 = answer["cost"]["usd"].as_str().unwrap().parse().unwrap();
    assert!(expected > 0.0, "{answer}");
    let (run, attempt) = (&one(&spans, "run").attributes, &one(&spans, "chat big").attributes);
    assert_eq!(
        (&run["hearth.run.cost_usd"], &attempt["hearth.cost_usd"]),
        (&json!(expected), &json!(expected))
    );
    for (name, expected) in [
        ("gen_ai.provider.name", json!("openai_compatible")),
        ("gen_ai.response.model", json!("big")),
        ("gen_ai.usage.input_tokens", json!(11)),
        ("gen_ai.usage.cache_read.input_tokens", json!(8)),
        ("server.address", json!("127.0.0.1")),
        ("hearth.provider", json!("rig0")),
    ] {
        assert_eq!(attempt[name], expected, "{name}");
    }
    home.stop().await;
}

#[tokio::test]
async fn failed_attempt_and_fallback_are_shown() {
    let (collector, first, second) =
        (Collector::start().await, Upstream::start().await, Upstream::start().await);
    let home =
        with_vendors(&collector, [&first, &second], "", "[fallbacks]\n'rig0:big' = ['rig1:big']\n").await;
    first.reply(overloaded());
    second.reply(answer());
    post_in_trace(&home.client(), "/v1/chat/completions", &chat_request("rig0:big", "Hi"), "01").await;
    let is_met =
        |spans: &[hearth_tests::ReceivedSpan]| spans.iter().any(|span| span.name.starts_with("POST"));
    let spans = collector.wait_for("the trace", is_met).await;
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "chat big").collect();
    let shown = |number: usize| {
        let span = attempts[number];
        (span.failed, span.attributes["hearth.provider"].clone(), span.attributes["hearth.attempt"].clone())
    };
    assert_eq!((shown(0), shown(1)), ((true, json!("rig0"), json!(1)), (false, json!("rig1"), json!(2))));
    assert_eq!(attempts[0].attributes["error.type"], "provider_error");
    assert_eq!(attempts[0].attributes["http.response.status_code"], 503);
    let run = one(&spans, "run");
    assert_eq!((run.events.as_slice(), run.failed), (["fallback".to_owned()].as_slice(), false));
    assert_parents(&spans, &[("run", "POST /v1/chat/completions")]);
    home.stop().await;
}

#[tokio::test]
async fn vendor_gets_the_trace_only_where_it_is_enabled() {
    for (setting, is_sent) in [("", false), ("propagate_to_vendors = true", true)] {
        let (collector, upstream) = (Collector::start().await, Upstream::start().await);
        let home = with_vendors(&collector, [&upstream, &upstream], setting, "").await;
        upstream.reply(answer());
        post_in_trace(&home.client(), "/v1/chat/completions", &chat_request("rig0:big", "Hi"), "01").await;
        let headers = &upstream.received()[0].headers;
        let sent = headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(sent.is_some(), is_sent);
        if let Some(sent) = sent {
            let spans = collector.wait_for_names(&["chat big"]).await;
            assert_eq!(sent, format!("00-{TRACE}-{}-01", one(&spans, "chat big").id));
        }
        home.stop().await;
    }
}
