//! What an operator, a browser and a load balancer ask.

use hearth_tests::Home;
use reqwest::Method;

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
async fn readiness_and_metrics_tell_the_operator() {
    let home = Home::start().await;
    let client = home.client();
    let ready = client.get("/ready").await;
    assert_eq!(ready.status, 200, "{ready:?}");

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
async fn made_up_methods_and_paths_are_one_label_and_short_lines() {
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
async fn a_gateway_without_a_node_is_ready_too() {
    let home = Home::start_with(&["--no-node"]).await;
    let ready = home.client().get("/ready").await;
    assert_eq!(ready.status, 200, "{ready:?}");
    home.stop().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let home = Home::start().await;
    let client = home.client();
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/health", "/version", "/v1/models", "/openapi.json", "/no/such/route", "/v1/models/none"] {
        let answer = client.get(path).await;
        assert!(answer.header("x-request-id").starts_with("req_"), "{path}: {answer:?}");
        assert!(seen.insert(answer.header("x-request-id").to_owned()), "{path} repeats an id");
    }
    home.stop().await;
}

#[tokio::test]
async fn a_browser_is_told_that_it_may_ask() {
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
async fn whole_answers_are_compressed_on_request_and_streams_never() {
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
async fn a_wrong_base_url_is_told_the_route_it_meant() {
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
    home.stop().await;
}
