//! Traces of a Lambda function, which is frozen after each response.

use std::{fs, path::PathBuf};

use hearth_tests::{Cloud, Collector};
use serde_json::{Value, json};

use crate::{assert_parents, names, one};

const SERVER: &str = "POST /v1/generate";
const NODE: &str = "POST /v1/runs";

fn event(cloud: &Cloud) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../events/post_v1.generate.json");
    let text = fs::read_to_string(path).unwrap();
    let text = text.replace("${HEARTH_TOKEN}", &cloud.token).replace("${HEARTH_MODEL}", "tiny-chat");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn spans_are_delivered_before_the_invocation_ends() {
    let (cloud, collector) = (Cloud::start().await, Collector::start().await);
    // Far above any real time, so that a busy machine doesn't cut it.
    let variables =
        [("HEARTH_TRACES__ENDPOINT", collector.url.as_str()), ("HEARTH_TRACES__FLUSH_MILLISECONDS", "10000")];
    let function = cloud.function_with("hearth-fn-generate", &variables).await;
    for number in 1..=2 {
        let answer = function.invoke(&event(&cloud)).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(String::from_utf8(answer.body().to_vec()).unwrap().contains("[DONE]"));
        // Without any wait: the function may be frozen now.
        let spans = collector.spans();
        let servers: Vec<_> = spans.iter().filter(|span| span.name == SERVER).collect();
        assert_eq!(servers.len(), number, "{:?}", names(&spans));
        let trace: Vec<_> =
            spans.iter().filter(|span| span.trace == servers[number - 1].trace).cloned().collect();
        assert_parents(&trace, &[("resolve", SERVER), ("run", SERVER), ("chat tiny-chat", "run")]);
        let is_last_write = |part: &Value| *part == json!("end");
        let last_write =
            trace.iter().find(|span| span.attributes.get("hearth.record.part").is_some_and(is_last_write));
        // The run's time has no part in the write that its client waits for.
        assert!(one(&trace, "run").times.1 < last_write.unwrap().times.1, "{trace:#?}");
    }
}

#[tokio::test]
async fn node_elsewhere_continues_the_trace() {
    let collector = Collector::start().await;
    let node = [
        ("HEARTH_TRACES__ENDPOINT", collector.url.as_str()),
        // OpenTelemetry's own variable, which the setting leaves open.
        ("OTEL_SERVICE_NAME", "hearth-node"),
    ];
    let cloud = Cloud::start_with_node(&node).await;
    let variables = [("HEARTH_TRACES__ENDPOINT", collector.url.as_str())];
    let function = cloud.function_with("hearth-fn-generate", &variables).await;
    function.invoke(&event(&cloud)).await.unwrap();
    let spans =
        collector.wait_for_names(&[SERVER, "chat tiny-chat", NODE, "queue", "prefill", "decode"]).await;
    assert_parents(&spans, &[(NODE, "chat tiny-chat"), ("queue", NODE), ("decode", NODE)]);
    let (server, node) = (one(&spans, SERVER), one(&spans, NODE));
    assert_eq!((server.service.as_str(), node.service.as_str()), ("hearth", "hearth-node"));
    assert_eq!(server.trace, node.trace);
    // The address that the gateway calls.
    assert_eq!(one(&spans, "chat tiny-chat").attributes["server.address"], "127.0.0.1");
}

#[tokio::test]
async fn silent_collector_delays_the_end_of_an_invocation_for_the_set_time_only() {
    let cloud = Cloud::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let variables =
        [("HEARTH_TRACES__ENDPOINT", endpoint.as_str()), ("HEARTH_TRACES__FLUSH_MILLISECONDS", "300")];
    let function = cloud.function_with("hearth-fn-generate", &variables).await;
    let mut answer = function.begin(&event(&cloud)).await.unwrap();
    let mut last = std::time::Instant::now();
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
        last = std::time::Instant::now();
    }
    let delay = last.elapsed().as_millis();
    assert!(String::from_utf8(text).unwrap().contains("[DONE]"));
    // The exporter's own limit is ten seconds.
    assert!((100..5000).contains(&delay), "{delay} ms");
}

#[tokio::test]
async fn xray_trace_of_the_invocation_is_continued() {
    let (cloud, collector) = (Cloud::start().await, Collector::start().await);
    let variables = [
        ("HEARTH_TRACES__ENDPOINT", collector.url.as_str()),
        ("HEARTH_TRACES__FLUSH_MILLISECONDS", "10000"),
        ("HEARTH_TRACES__PROPAGATION", "xray"),
    ];
    let function = cloud.function_with("hearth-fn-generate", &variables).await;
    function.invoke(&event(&cloud)).await.unwrap();
    let spans = collector.spans();
    let server = one(&spans, SERVER);
    assert_eq!((server.trace.as_str(), server.parent.as_str()), lambda_emulator::XRAY_IDS);
    assert!(spans.iter().all(|span| span.trace == server.trace), "{spans:#?}");
    // The node of this test doesn't trace.
    assert!(!names(&spans).contains(&NODE));
}
