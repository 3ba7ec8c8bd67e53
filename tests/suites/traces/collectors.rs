//! Collectors that need a key, refuse, or don't answer.

use std::time::{Duration, Instant};

use hearth_tests::{Collector, Setup, chat_request, eventually};
use tokio::net::TcpListener;

use crate::settings;

#[tokio::test]
async fn collector_gets_the_headers_of_the_settings() {
    let collector = Collector::start().await;
    let toml = settings(&collector, "headers = 'x-honeycomb-team=key%2D1,x-dataset=hearth'");
    let home = Setup::new().arguments(&["--no-node"]).settings(&toml).start().await;
    home.client().get("/health").await;
    collector.wait_for_names(&["GET /health"]).await;
    let headers = collector.headers().remove(0);
    assert!(headers["x-honeycomb-team"] == "key-1" && headers["x-dataset"] == "hearth", "{headers:?}");
    home.stop().await;
}

#[tokio::test]
async fn refusing_collector_costs_spans_and_they_are_counted() {
    // A free port, where nothing listens.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let toml = format!("[traces]\nendpoint = '{endpoint}'\n");
    let home = Setup::new().arguments(&["--no-node"]).settings(&toml).start().await;
    let client = home.client();
    assert_eq!(client.get("/health").await.status, 200);
    eventually("the count of lost spans", async || {
        let metrics = client.get("/metrics").await;
        let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
        metrics.contains("hearth_trace_spans_dropped_total{reason=\"export_failed\"}").then_some(())
    })
    .await;
    home.stop().await;
}

#[tokio::test]
async fn silent_collector_delays_no_request() {
    // Connections are accepted by the system, and nobody reads them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toml = format!("[traces]\nendpoint = 'http://{}'\n", listener.local_addr().unwrap());
    let home = Setup::new().settings(&toml).start().await;
    let client = home.client();
    let body = chat_request("tiny-chat", "Hello");
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(client.post("/v1/chat/completions", &body).await.status, 200);
        slowest = slowest.max(began.elapsed());
    }
    // The exporter waits for ten seconds.
    assert!(slowest < Duration::from_secs(8), "{slowest:?}");
    let began = Instant::now();
    home.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
