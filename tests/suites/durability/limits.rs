//! Endless answers are stopped, and slow clients slow the vendor.

use hearth_tests::{Reply, Setup, Upstream};
use serde_json::json;

#[tokio::test]
async fn endless_answer_is_stopped_at_the_limit() {
    let upstream = Upstream::start().await;
    let settings = format!(
        "answer_max_bytes = '1MiB'\n\
         [providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    let home = Setup::new().arguments(&["--no-node"]).settings(&settings).start().await;
    let text = "abcdefgh".repeat(512);
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    upstream.reply(Reply::begun(&[chunk]).then_repeat());
    let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "stream": true});
    let mut stream = home.client().stream("/v1/generate", &body).await;
    let path = format!("/v1/requests/{}", stream.request_id);
    let error = stream.next_named("error").await.data["error"].clone();
    assert_eq!(error["code"], "provider_error", "{error}");
    assert!(error["message"].as_str().unwrap().contains("answer_max_bytes"), "{error}");
    upstream.left().await;
    let record = home.client().get(&path).await.json();
    assert_eq!(record["status"], "failed");
    assert_eq!(
        record["output"]["text"].as_str().unwrap().len(),
        1 << 20,
        "the text up to the limit must be stored"
    );
    home.stop().await;
}

#[tokio::test]
async fn client_that_reads_nothing_stops_the_run() {
    let upstream = Upstream::start().await;
    let settings = format!(
        "answer_max_bytes = '1GiB'\n[server]\nwrite_seconds = 3\n\
         [providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    let home = Setup::new().arguments(&["--no-node"]).settings(&settings).start().await;
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "more "}, "finish_reason": null}]});
    upstream.reply(Reply::begun(&[chunk]).then_repeat());
    let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "stream": true});
    let stream = home.client().stream("/v1/generate", &body).await;
    let path = format!("/v1/requests/{}", stream.request_id);
    // The write timeout closes the connection, which ends the run.
    upstream.left().await;
    drop(stream);
    let record = home.client().get(&path).await.json();
    let text = record["output"]["text"].as_str().unwrap_or_default().len();
    assert!(text < 16 << 20, "the vendor was read up to {text} bytes");
    home.stop().await;
}
