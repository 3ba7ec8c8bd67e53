//! An orderly stop under load.

use std::time::Duration;

use hearth_tests::{Reply, Setup, Upstream, eventually};
use serde_json::json;

use crate::{
    load::{Checks, Load, faults_after_stop},
    vendor::home_with_vendor,
};

/// Maximum duration of an orderly stop, with that of the model's process, on a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orderly_stop_under_load_loses_nothing() {
    let mut home = home_with_vendor("").await;
    for _ in 0..3 {
        let load = Load::start(&home.client(), &home.model);
        eventually("some answers", async || (load.count() > 40).then_some(())).await;
        let (restarted, took) = home.restart_timed().await;
        home = restarted;
        let received = load.end().await;
        // After a stop every answer must be recorded.
        let Checks { faults, count, .. } = faults_after_stop(&home.client(), received).await;
        assert!(faults.is_empty(), "{} of {count}: {faults:#?}", faults.len());
        assert!(took < STOP_LIMIT, "the stop took {took:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn orderly_stop_fails_a_run_with_its_text_so_far() {
    let upstream = Upstream::start().await;
    let settings = format!(
        "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n",
        upstream.url
    );
    let home = Setup::new().arguments(&["--no-node"]).settings(&settings).start().await;
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "Once upon"}, "finish_reason": null}]});
    upstream.reply(Reply::begun(&[chunk]).then_silence());
    let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "stream": true});
    let mut stream = home.client().stream("/v1/generate", &body).await;
    stream.next_named("delta").await;
    let path = format!("/v1/requests/{}", stream.request_id);
    let (home, took) = home.restart_timed().await;
    assert!(took < STOP_LIMIT, "the stop took {took:?}");
    let error = stream.next_named("error").await;
    assert_eq!(error.data["error"]["code"], "gateway_stopped", "{error:?}");
    let record = home.client().get(&path).await.json();
    assert_eq!(
        (&record["status"], &record["output"]["text"]),
        (&json!("failed"), &json!("Once upon")),
        "{record}"
    );
    assert!(record["error"]["message"].as_str().unwrap().contains("was stopped"), "{record}");
    home.stop().await;
}
