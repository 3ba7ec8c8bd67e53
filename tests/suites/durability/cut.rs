//! A killed process' open run is stored with its text so far.

use hearth_tests::{Reply, Setup, Upstream, eventually};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn killed_run_has_its_text_so_far() {
    let upstream = Upstream::start().await;
    let settings = format!(
        "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    let home = Setup::new().arguments(&["--no-node"]).settings(&settings).start().await;
    let chunk =
        |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    upstream.reply(Reply::begun(&[chunk("Once "), chunk("upon "), chunk("a time")]).then_silence());
    let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "stream": true});
    let stream = home.client().stream("/v1/generate", &body).await;
    let path = format!("/v1/requests/{}", stream.request_id);
    // Its events are recorded, though it hasn't ended.
    let mut follower =
        home.client().events(home.client().request(Method::GET, &format!("{path}/events"))).await;
    let mut text = String::new();
    eventually("all pieces in the record", async || {
        text.push_str(follower.next().await.unwrap().text());
        text.ends_with("a time").then_some(())
    })
    .await;
    let home = home.crash_and_restart().await;
    let record = home.client().get(&path).await.json();
    assert_eq!(
        (&record["status"], &record["error"]["code"]),
        (&json!("failed"), &json!("gateway_stopped")),
        "{record}"
    );
    assert_eq!(record["output"]["text"], "Once upon a time", "{record}");
    let message = record["error"]["message"].as_str().unwrap();
    assert!(message.contains("up to there"), "{message}");
    let events = home
        .client()
        .events(home.client().request(Method::GET, &format!("{path}/events")))
        .await
        .rest()
        .await;
    let last: Vec<&Value> = events.iter().rev().take(2).map(|event| &event.data).collect();
    assert_eq!((last[0], &last[1]["event"]), (&json!("[DONE]"), &json!("error")), "{events:?}");
    home.stop().await;
}
