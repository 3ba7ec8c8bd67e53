//! The API of the template over HTTP, through API Gateway's emulator.

use hearth_tests::{Cloud, Ended, hearth, run};
use lambda_emulator::{ApiGateway, Placement};
use reqwest::{Client, Method, Response, StatusCode, header::ACCEPT};
use serde_json::{Value, json};

fn stage() -> Placement {
    Placement::Stage("dev".to_owned())
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = reqwest::redirect::Policy::none();
    Client::builder().no_proxy().redirect(redirects).build().unwrap()
}

async fn get(url: &str, accept: &str) -> Response {
    client().get(url).header(ACCEPT, accept).send().await.unwrap()
}

async fn text(url: &str, accept: &str) -> String {
    let response = get(url, accept).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{url}: {text}");
    text
}

/// Follows a link of a page, as a browser does.
fn joined(page: &str, link: &str) -> String {
    page.parse::<reqwest::Url>().unwrap().join(link).unwrap().to_string()
}

#[tokio::test]
async fn documentation_works_below_a_stage_and_a_base_path() {
    let cloud = Cloud::start().await;
    for placement in [stage(), Placement::Domain("/llm/eu".to_owned()), Placement::Domain(String::new())] {
        let api = cloud.api(placement).await;
        let url = api.url();
        let page = text(&format!("{url}/docs"), "text/html").await;
        let base = page.split("<base href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let base = joined(&format!("{url}/docs"), base);
        // Every file of the page is text, whatever the browser accepts.
        for (link, accept, words) in [
            ("./swagger-ui.css", "text/css,*/*;q=0.1", ".swagger-ui"),
            ("index.css", "text/css,*/*;q=0.1", "box-sizing"),
            ("./swagger-ui-bundle.js", "*/*", "SwaggerUIBundle"),
            ("./swagger-ui-standalone-preset.js", "*/*", "SwaggerUIStandalonePreset"),
            ("./swagger-initializer.js", "*/*", "../openapi.json"),
        ] {
            assert!(link.ends_with("initializer.js") || page.contains(link), "the page lacks {link}: {page}");
            let file = text(&joined(&base, link), accept).await;
            assert!(file.contains(words), "{url} {link}: {}", &file[..file.len().min(200)]);
        }
        assert!(!page.contains(".png"), "{page}");
        let document = text(&joined(&base, "../openapi.json"), "application/json").await;
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["servers"], json!([{"url": url}]));
        let redirect = get(&format!("{url}/"), "text/html").await;
        assert_eq!(
            (redirect.status(), redirect.headers()["location"].to_str().unwrap()),
            (StatusCode::TEMPORARY_REDIRECT, format!("{url}/docs").as_str())
        );
    }
}

#[tokio::test]
async fn routes_of_every_function_are_served_below_a_base_path() {
    let cloud = Cloud::start().await;
    // A base path that is also the beginning of routes.
    let api = cloud.api(Placement::Domain("/api".to_owned())).await;
    let (url, client) = (api.url(), client());
    let models = client.get(format!("{url}/v1/models")).bearer_auth(&cloud.token).send().await.unwrap();
    assert_eq!(models.status(), StatusCode::OK);
    let tags: Value = client
        .get(format!("{url}/api/tags"))
        .bearer_auth(&cloud.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(tags.to_string().contains("tiny-chat:latest"), "{tags}");
    let body = json!({"model": "tiny-chat", "stream": true, "max_tokens": 8, "messages": [{"role": "user", "content": "Hello!"}]});
    let answer = client
        .post(format!("{url}/v1/chat/completions"))
        .bearer_auth(&cloud.token)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(answer.text().await.unwrap().trim_end().ends_with("data: [DONE]"));
    let tokens = client.get(format!("{url}/v1/users/tokens")).bearer_auth(&cloud.token).send().await.unwrap();
    assert_eq!(tokens.status(), StatusCode::OK);
    let outside =
        client.get(url.replace("/api", "/v1/models")).bearer_auth(&cloud.token).send().await.unwrap();
    assert_eq!(outside.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn head_and_preflight_reach_every_function() {
    let cloud = Cloud::start().await;
    let api = cloud.api(stage()).await;
    let (url, client) = (api.url(), client());
    for route in ["/health", "/v1/models", "/v1/users/tokens", "/v1/requests/req_1"] {
        let preflight = client
            .request(Method::OPTIONS, format!("{url}{route}"))
            .header("origin", "https://app.example")
            .header("access-control-request-method", "GET")
            .send()
            .await
            .unwrap();
        assert!(preflight.status().is_success(), "{route}: {}", preflight.status());
        assert!(preflight.headers().contains_key("access-control-allow-methods"), "{route}");
    }
    let head = client.head(format!("{url}/v1/models")).bearer_auth(&cloud.token).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.text().await.unwrap(), "");
    // API Gateway renames the header of a 401.
    let refused = client.get(format!("{url}/v1/models")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(!refused.headers().contains_key("www-authenticate"));
    let unknown = client.get(format!("{url}/v1/unknown")).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.json::<Value>().await.unwrap()["error"]["code"], "not_found");
}

#[tokio::test]
async fn lines_of_a_buffered_function_arrive_as_text() {
    let cloud = Cloud::start().await;
    let api = cloud.api(stage()).await;
    let url = format!("{}/api/pull", api.url());
    let body = json!({"model": "tiny-chat"});
    let lines = client().post(url).bearer_auth(&cloud.token).json(&body).send().await.unwrap();
    let lines = lines.text().await.unwrap();
    assert!(lines.trim_end().ends_with(r#"{"status":"success"}"#), "{lines}");
}

#[tokio::test]
async fn body_over_the_limits_of_the_cloud_is_refused() {
    let cloud = Cloud::start().await;
    let api = cloud.api(stage()).await;
    let (url, client) = (format!("{}/v1/chat/completions", api.url()), client());
    for mebibytes in [7, 11] {
        let text = "x".repeat(mebibytes << 20);
        let body = json!({"model": "tiny-chat", "messages": [{"role": "user", "content": text}]});
        // The connection of a body that is refused unread may be cut.
        if let Ok(refused) = client.post(&url).bearer_auth(&cloud.token).json(&body).send().await {
            assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{mebibytes} MiB");
        }
    }
}

/// Runs `hearth` with these arguments, the address of the API and a token.
async fn run_hearth(api: &ApiGateway, token: &str, arguments: &[&str], input: &str) -> Ended {
    let home = tempfile::tempdir().unwrap();
    let url = api.url();
    let arguments = [arguments, &["--url", &url]].concat();
    let mut command = hearth(home.path(), &arguments);
    command.env("HEARTH_TOKEN", token);
    run(command, input).await
}

#[tokio::test]
async fn doctor_finds_no_problem_with_the_cloud() {
    let cloud = Cloud::start().await;
    let api = cloud.api(stage()).await;
    let doctor = ["doctor", "--json", "--model", "tiny-chat"];
    let ended = run_hearth(&api, &cloud.token, &doctor, "").await;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.status.code(), &report["healthy"]), (Some(0), &json!(true)), "{report:#}");
    let findings = report["findings"].as_array().unwrap();
    for about in ["connect", "version", "latency", "auth", "token", "ready", "models", "answer", "stream"] {
        let finding = findings.iter().find(|finding| finding["about"] == about);
        assert!(finding.is_some_and(|finding| finding["level"] == "ok"), "{about}: {report:#}");
    }
    let ended = run_hearth(&api, "hth_wrong", &doctor, "").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains(r#""healthy":false"#), "{ended:?}");
}

#[tokio::test]
async fn key_is_set_through_the_url_of_the_stack() {
    let cloud = Cloud::start().await;
    let api = cloud.api(stage()).await;
    let succeeds = async |arguments: &[&str], input: &str| {
        let ended = run_hearth(&api, &cloud.token, arguments, input).await;
        assert!(ended.status.success(), "{ended:?}");
        ended.stdout
    };
    assert!(succeeds(&["key", "set", "openai"], "sk-test\n").await.contains("is set"));
    let list: Value = serde_json::from_str(&succeeds(&["key", "list", "--json"], "").await).unwrap();
    let openai = list["providers"].as_array().unwrap().iter().find(|provider| provider["name"] == "openai");
    assert_eq!(openai.unwrap()["configured"], true, "{list}");
    assert!(succeeds(&["models", "list"], "").await.contains("tiny-chat"));
}
