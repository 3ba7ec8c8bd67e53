//! Health, metrics, request ids, CORS, compression and unknown routes.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use hearth_domain::{NodeId, Owner};
use hearth_store::{Store, nodes::NodeRecord};
use hearth_tests::{Home, Setup, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{capital_of_france, with};

#[tokio::test]
async fn health_and_version_need_no_token() {
    let home = Home::start().await;
    let anonymous = home.client().with_token(None);
    let health = anonymous.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (200, &"ok".into()));
    let version = anonymous.get("/version").await;
    assert_eq!(version.json()["version"], env!("CARGO_PKG_VERSION"));
    home.stop().await;
}

#[tokio::test]
async fn readiness_has_uptime_and_each_dependency() {
    let home = Home::start().await;
    let client = home.client();
    let first = client.get("/ready").await;
    assert_eq!(first.status, 200, "{first:?}");
    let body = first.json();
    // On a busy machine the disk may be slow.
    assert!(body["status"] == "ready" || body["checks"]["stores"]["state"] == "slow", "{body}");
    assert!(body["uptime_seconds"].is_u64() && body["version"].is_string(), "{body}");
    if body["status"] == "ready" {
        for store in ["table", "bucket", "secret"] {
            let check = &body["checks"][store];
            assert!(check["state"] == "ok" && check["latency_ms"].as_f64().unwrap() >= 0.0, "{body}");
        }
    }
    assert_eq!(body["checks"]["configuration"]["state"], "ok", "{body}");
    assert_eq!(body["nodes"].as_object().map(serde_json::Map::len), Some(1), "{body}");
    assert_eq!(body["providers"], json!({}));
    // The result serves for two seconds: a second probe checks nothing.
    let began = Instant::now();
    let second = client.get("/ready").await.json();
    if began.elapsed() < Duration::from_secs(1) {
        assert_eq!(second["checks"], body["checks"]);
    }
    client.with_token(None).get("/ready").await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn hanging_node_is_slow_and_the_gateway_degraded() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let home = Setup::new().arguments(&["--no-node"]).start().await;
    let add_node = async |store: &Store| {
        let owner = Owner::of_record(store.operator().await.unwrap(), None);
        let node = NodeRecord { url: Some(url.clone()), ..NodeRecord::new(NodeId::new(), owner, "far") };
        store.nodes().put(&node).await.unwrap();
    };
    let (home, ()) = home.restart_after(add_node).await;
    // On a busy machine the list of nodes may not be read in time.
    let ready = async || {
        Some(home.client().get("/ready").await.json()).filter(|body| body["nodes"]["far"].is_object())
    };
    let body = eventually("the node is listed", ready).await;
    assert_eq!(
        (&body["status"], &body["nodes"]["far"]["state"]),
        (&"degraded".into(), &"slow".into()),
        "{body}"
    );
    home.stop().await;
}

#[tokio::test]
async fn public_readiness_is_the_status_alone() {
    let home = Setup::new().settings("public_readiness = true").arguments(&["--no-node"]).start().await;
    let client = home.client();
    let public = client.with_token(None).get("/ready").await;
    assert_eq!(public.status, 200, "{public:?}");
    let body = public.json();
    assert!(body.as_object().is_some_and(|fields| fields.len() == 1) && body["status"].is_string(), "{body}");
    assert!(client.get("/ready").await.json()["checks"].is_object());
    client.with_token(Some("wrong")).get("/ready").await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn every_metric_is_described_and_a_run_has_its_stages() {
    let home = Home::start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let streamed = json!({"input": {"prompt": "Hello!"}, "stream": true});
    client.stream("/v1/generate", &streamed).await.rest().await;
    let text = String::from_utf8(client.get("/metrics").await.body.to_vec()).unwrap();
    let with_prefix = |prefix: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
        lines.filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
    };
    assert_eq!(with_prefix("# HELP "), with_prefix("# TYPE "));
    for line in [
        "hearth_stage_seconds_count{stage=\"authenticate\"}",
        "hearth_stage_seconds_count{stage=\"resolve\"} 2",
        "hearth_stage_seconds_count{stage=\"answer\"} 1",
        "hearth_stage_seconds_count{stage=\"queue\"} 1",
        "hearth_stage_seconds_count{stage=\"first_byte\"} 1",
        "hearth_stage_seconds_count{stage=\"stream\"} 1",
        "hearth_run_seconds_count{outcome=\"completed\"} 2",
        "hearth_runs_in_progress 0",
        "hearth_node_queue_depth 0",
        "hearth_node_up{node=",
        "gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"local\",gen_ai_request_model=\"tiny-chat",
        "gen_ai_client_token_usage_sum{",
        "gen_ai_server_time_to_first_token_seconds_count{",
        "gen_ai_server_time_per_output_token_seconds_count{",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.lines().any(|present| present.starts_with(line)), "{line} is missing in\n{text}");
    }
    home.stop().await;
}

#[tokio::test]
async fn readiness_and_metrics_need_the_scope_ops() {
    let home = Home::start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let metrics = client.get("/metrics").await;
    assert_eq!(metrics.status, 200, "{metrics:?}");
    let text = String::from_utf8_lossy(&metrics.body);
    assert!(text.lines().any(|line| line.starts_with("# TYPE hearth_")), "{text}");
    assert!(!text.contains(&home.token), "a metric holds a token");
    client.with_token(None).get("/metrics").await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn unknown_methods_and_paths_share_a_label_and_have_short_log_lines() {
    let home = Home::start_with(&["--no-node"]).await;
    let anonymous = home.client().with_token(None);
    let long = "M".repeat(20_000);
    for number in 0..50 {
        let method = Method::from_bytes(format!("{long}{number}").as_bytes()).unwrap();
        let path = format!("/{}/{number}?{}", "p".repeat(500), "q".repeat(500));
        let request = anonymous.request(method, &path).header("user-agent", "u".repeat(10_000));
        assert_eq!(anonymous.send(request).await.status, 404);
    }
    let metrics = home.client().get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("hearth_requests_total")).collect();
    assert_eq!(lines, ["hearth_requests_total{method=\"other\",route=\"none\",status=\"404\"} 50"]);
    let folder = home.data().join("logs");
    let _folder = home.stop().await;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let longest = text.lines().map(str::len).max().unwrap_or_default();
        assert!(longest < 1000 && text.contains("\"method\":\"other\""), "{longest}");
    }
}

#[tokio::test]
async fn log_line_of_a_request_has_its_id_and_latency() {
    let home = Home::start_with(&["--no-node"]).await;
    let response = home.client().get("/v1/models").await;
    let (id, folder) = (response.header("x-request-id").to_owned(), home.data().join("logs"));
    let _folder = home.stop().await;
    let text = std::fs::read_to_string(folder.join("hearth.log")).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["request_id"] == id.as_str()).unwrap();
    assert!(line["latency_ms"].as_f64().is_some_and(|millis| millis > 0.0), "{line}");
    assert_eq!(
        (&line["level"], &line["method"], &line["route"]),
        (&json!("INFO"), &json!("GET"), &json!("/v1/models"))
    );
    assert_eq!(line["status"], 200);
    assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
}

#[tokio::test]
async fn gateway_without_a_node_is_ready() {
    let home = Home::start_with(&["--no-node"]).await;
    let ready = home.client().get("/ready").await;
    assert_eq!(ready.status, 200, "{ready:?}");
    home.stop().await;
}

#[tokio::test]
async fn every_response_has_a_request_id_of_its_own() {
    let home = Home::start().await;
    let client = home.client();
    let mut seen = BTreeSet::new();
    let anonymous = client.with_token(None);
    let responses = [
        ("/health", client.get("/health").await),
        ("/version", client.get("/version").await),
        ("/v1/models", client.get("/v1/models").await),
        ("/openapi.json", client.get("/openapi.json").await),
        ("/docs", client.get("/docs").await),
        ("unknown route", client.get("/no/such/route").await),
        ("unknown model", client.get("/v1/models/none").await),
        ("no token", anonymous.get("/v1/models").await),
        ("wrong method", client.delete("/v1/generate").await),
        ("invalid body", client.post("/v1/generate", &serde_json::json!([])).await),
        ("preflight", anonymous.send(anonymous.request(Method::OPTIONS, "/v1/generate")).await),
        ("head", client.send(client.request(Method::HEAD, "/v1/models")).await),
    ];
    for (case, response) in responses {
        assert!(response.header("x-request-id").starts_with("req_"), "{case}: {response:?}");
        assert!(seen.insert(response.header("x-request-id").to_owned()), "{case} repeats an id");
    }
    home.stop().await;
}

#[tokio::test]
async fn preflight_and_responses_have_cors_headers() {
    let home = Home::start().await;
    let anonymous = home.client().with_token(None);
    let preflight = anonymous
        .request(Method::OPTIONS, "/v1/generate")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let allowed = anonymous.send(preflight).await;
    assert!(allowed.status.is_success(), "{allowed:?}");
    assert!(
        ["*", "https://app.example"].contains(&allowed.header("access-control-allow-origin")),
        "{allowed:?}"
    );
    // A wildcard doesn't cover `Authorization` (Fetch Standard, 4.9).
    assert!(
        allowed.header("access-control-allow-headers").to_lowercase().contains("authorization"),
        "{allowed:?}"
    );

    let request = anonymous.request(Method::GET, "/v1/models").header("origin", "https://app.example");
    let refused = anonymous.send(request).await;
    assert_eq!(refused.status, 401);
    assert!(!refused.header("access-control-allow-origin").is_empty(), "the browser would hide the error");
    home.stop().await;
}

#[tokio::test]
async fn documents_are_compressed_and_streams_are_not() {
    let home = Home::start().await;
    let client = home.client();
    let get = |path| client.request(Method::GET, path);
    let plain = client.send(get("/openapi.json")).await;
    assert!(plain.json()["openapi"].as_str().unwrap().starts_with("3.1"), "{plain:?}");
    let zipped = client.send(get("/openapi.json").header("accept-encoding", "gzip")).await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    assert!(zipped.body.starts_with(&[0x1f, 0x8b]) && zipped.body.len() < plain.body.len() / 2);

    let stream = client.request(Method::POST, "/v1/generate").header("accept-encoding", "gzip");
    let events = client.events(stream.json(&with(capital_of_france(), "stream", true))).await;
    assert_eq!(events.encoding, None);
    assert_eq!(events.rest().await.last().unwrap().name(), "[DONE]");
    home.stop().await;
}

#[tokio::test]
async fn wrong_base_url_gets_a_suggested_route() {
    let home = Home::start().await;
    let client = home.client();
    for path in ["/chat/completions", "/v1/v1/chat/completions", "/openai/v1/chat/completions"] {
        let answer = client.post(path, &serde_json::json!({})).await;
        let error = answer.error(404, "not_found");
        assert_eq!(error["details"]["did_you_mean"], "/v1/chat/completions", "{path}");
    }
    let request = client.request(Method::POST, "/messages").header("anthropic-version", "2023-06-01");
    let answer = client.send(request).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (404, &"error".into()), "{answer:?}");
    let error = client.get("/nothing/like/it").await.error(404, "not_found");
    assert!(error["details"]["did_you_mean"].is_null(), "{error}");
    // The operator sees the path in the log, and none of a request to a route.
    client.get("/health").await;
    let folder = home.data().join("logs");
    let _folder = home.stop().await;
    let text = std::fs::read_to_string(folder.join("hearth.log")).unwrap();
    let requests: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["route"].is_string())
        .collect();
    let with_path = |path: &str| requests.iter().find(|line| line["path"] == path);
    for path in ["/chat/completions", "/openai/v1/chat/completions", "/messages", "/nothing/like/it"] {
        let line = with_path(path).unwrap_or_else(|| panic!("no line has the path {path}: {requests:?}"));
        assert_eq!((&line["route"], &line["status"]), (&json!("none"), &json!(404)), "{line}");
    }
    let health = requests.iter().find(|line| line["route"] == "/health").unwrap();
    assert!(health.get("path").is_none(), "{health}");
}
