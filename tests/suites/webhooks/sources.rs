//! Events of nodes that come and go, and of budgets that are used: each is delivered once.

use std::{collections::BTreeSet, time::Duration};

use hearth_domain::Timestamp;
use hearth_tests::{
    Client, Reply as VendorReply, Upstream, WebhookRequest,
    relay::{ScriptedNode, enrolment_code},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{create, deliveries, ended, gateway_with, receiver::Receiver};

/// A node counts as silent after two and a half times this. The test's own reports follow each other faster.
const REPORTS: &str = "[relay]\nreport_seconds = 4\n";
/// Age of an event, at most.
const EVENT_MAX_AGE: Duration = Duration::from_secs(60);

/// Checks an event against the documented envelope, and returns its data.
fn data_of(request: &WebhookRequest, secret: &str, kind: &str, subject: &str) -> Value {
    let event = request.json();
    assert!(request.is_signed_by(secret), "{request:?}");
    assert_eq!(request.header("content-type"), "application/cloudevents+json");
    let id = event["id"].as_str().unwrap();
    assert!(id.starts_with("evt_") && request.header("webhook-id") == id, "{event}");
    assert!(event["source"].as_str().unwrap().starts_with("/organisations/org_"), "{event}");
    for (field, expected) in [
        ("specversion", "1.0"),
        ("type", kind),
        ("subject", subject),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(event[field], expected, "{event}");
    }
    assert!(event["user"].as_str().unwrap().starts_with("usr_"), "{event}");
    let at: Timestamp = event["time"].as_str().unwrap().parse().unwrap();
    assert!(at.until(Timestamp::now()) < EVENT_MAX_AGE, "{event}");
    let fields: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    let documented =
        ["data", "datacontenttype", "id", "source", "specversion", "subject", "time", "type", "user"];
    assert_eq!(fields, BTreeSet::from(documented));
    event["data"].clone()
}

/// Waits until all of a webhook's events are delivered, and checks that each came once. Returns their number.
async fn delivered_once(client: &Client, webhook: &Value, receiver: &Receiver) -> usize {
    let events = deliveries(client, webhook).await;
    for event in &events {
        let delivery = ended(client, webhook, event["event"].as_str().unwrap()).await;
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(1)));
    }
    let received = receiver.received();
    let ids: BTreeSet<&str> = received.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!((received.len(), ids.len()), (events.len(), events.len()), "{received:?}");
    events.len()
}

/// Reports that the node stops.
async fn report_stop(node: &ScriptedNode) {
    let body = json!({"version": "scripted", "now": Timestamp::now(), "stopping": true});
    let answer = node.send(Method::POST, "/v1/node/report", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn node_is_online_once_and_offline_once_however_often_it_reports() {
    let (home, receiver) = (gateway_with(REPORTS).await, Receiver::start().await);
    let client = home.client();
    let webhook = create(&client, json!({"events": ["node.*"], "url": receiver.url})).await;
    let secret = webhook["secret"].as_str().unwrap();
    let code = enrolment_code(&client).await;
    let node = ScriptedNode::enroll(&home.url, &code, "garage").await.with_models(&["ghost"]);
    let subject = node.id.to_string();
    for _ in 0..3 {
        node.report().await;
    }
    let received = receiver.wait_for(1).await;
    let online = data_of(&received[0], secret, "node.online", &subject);
    assert_eq!(online, json!({"node": subject, "name": "garage", "reason": null}));
    for _ in 0..2 {
        report_stop(&node).await;
    }
    let received = receiver.wait_for(2).await;
    let offline = data_of(&received[1], secret, "node.offline", &subject);
    assert_eq!(offline, json!({"node": subject, "name": "garage", "reason": "it has stopped"}));

    // It comes again, and falls silent.
    for _ in 0..2 {
        node.report().await;
    }
    let received = receiver.wait_for(4).await;
    data_of(&received[2], secret, "node.online", &subject);
    let silent = data_of(&received[3], secret, "node.offline", &subject);
    assert_eq!(silent["reason"], "it no longer answers");
    assert_eq!(delivered_once(&client, &webhook, &receiver).await, 4);
    home.stop().await;
}

#[tokio::test]
async fn node_that_is_online_at_a_kill_has_no_second_event() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let webhook = create(&home.client(), json!({"events": ["node.*"], "url": receiver.url})).await;
    let code = enrolment_code(&home.client()).await;
    let node = ScriptedNode::enroll(&home.url, &code, "garage").await;
    node.report().await;
    receiver.wait_for(1).await;
    let home = home.crash_and_restart().await;
    let client = home.client();
    let node = node.at(&home.url);
    node.report().await;
    report_stop(&node).await;
    let expected = BTreeSet::from(["node.offline".to_owned(), "node.online".to_owned()]);
    hearth_tests::eventually("both events", async || {
        let kinds =
            receiver.received().iter().map(|one| one.json()["type"].as_str().unwrap().to_owned()).collect();
        (expected == kinds).then_some(())
    })
    .await;
    // A delivery that the kill has cut may come twice, with its id.
    let received = receiver.received();
    let ids: BTreeSet<&str> = received.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!((ids.len(), deliveries(&client, &webhook).await.len()), (2, 2), "{received:?}");
    home.stop().await;
}

/// An answer of the vendor for which it bills this number of tokens.
fn answer(tokens: u64) -> VendorReply {
    let choice = json!({"index": 0, "delta": {"content": "short"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": tokens - 1});
    VendorReply::chunks(&[
        json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice]}),
        json!({"choices": [], "usage": usage}),
    ])
}

async fn ask(client: &Client) -> hearth_tests::Answer {
    let parameters = json!({"max_tokens": 4});
    let body = json!({"model": "vendor:big", "input": {"prompt": "Hi"}, "parameters": parameters});
    client.post("/v1/generate", &body).await
}

/// Waits for the settlement of runs, which have used so many tokens of the user's budget.
async fn settled(client: &Client, tokens: u64) {
    hearth_tests::eventually("the settlement", async || {
        let limits = client.get("/v1/limits").await.json();
        let budgets = limits["data"].as_array()?.iter().flat_map(|limit| limit["budgets"].as_array());
        let mut spent = budgets.flatten().filter_map(|budget| budget["tokens_spent"].as_u64());
        spent.any(|spent| spent == tokens).then_some(())
    })
    .await;
}

#[tokio::test]
async fn budget_is_reported_once_at_each_part_of_its_limit() {
    let (vendor, receiver) = (Upstream::start().await, Receiver::start().await);
    let provider = format!(
        "[providers.vendor]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-vendor'\nmodels = ['big']\n",
        vendor.url
    );
    let home = gateway_with(&provider).await;
    let client = home.client();
    let webhook = create(&client, json!({"events": ["budget.threshold"], "url": receiver.url})).await;
    let secret = webhook["secret"].as_str().unwrap();
    let user = webhook["user"].as_str().unwrap();
    let limit = client.request(Method::PUT, &format!("/v1/limits/user/{user}"));
    let limit = client.send(limit.json(&json!({"tokens_per_month": 1000}))).await;
    assert_eq!(limit.status, 200, "{limit:?}");
    // 40 %, 50 %, 55 %, 90 %, 110 %.
    let mut spent = 0;
    for tokens in [400, 100, 50, 350, 200] {
        vendor.reply(answer(tokens));
        let answer = ask(&client).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        spent += tokens;
        settled(&client, spent).await;
    }
    let received = receiver.wait_for(3).await;
    let subject = format!("user:{user}");
    for (request, percent) in received.iter().zip([50, 80, 100]) {
        let data = data_of(request, secret, "budget.threshold", &subject);
        let period = data["period"].clone();
        assert_eq!(period.as_str().map(str::len), Some("2026-11".len()), "{data}");
        let expected = json!({"budget": subject, "period": period, "resource": "tokens", "percent": percent});
        assert_eq!(data, expected);
    }
    // A refusal at the limit is no further event, nor is one after a restart.
    ask(&client).await.error(429, "quota_exceeded");
    let home = home.restart().await;
    let client = home.client();
    ask(&client).await.error(429, "quota_exceeded");
    assert_eq!(delivered_once(&client, &webhook, &receiver).await, 3);
    home.stop().await;
}
