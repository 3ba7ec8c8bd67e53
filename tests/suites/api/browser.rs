//! Headers for browsers, and the pages that may read responses.

use hearth_tests::{Answer, Home, Setup};
use reqwest::Method;

async fn without_node() -> Home {
    Setup::new().arguments(&["--no-node"]).start().await
}

fn assert_is_data(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; frame-ancestors 'none'",
        "{answer:?}"
    );
    assert_eq!(answer.header("x-frame-options"), "DENY", "{answer:?}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{answer:?}");
}

#[tokio::test]
async fn responses_that_a_browser_shows_load_and_run_nothing() {
    let home = without_node().await;
    let (client, anonymous) = (home.client(), home.client().with_token(None));
    for path in ["/health", "/openapi.json", "/v1/models", "/v1/audit"] {
        assert_is_data(&client.get(path).await);
    }
    assert_is_data(&anonymous.get("/v1/models").await);
    assert_is_data(&anonymous.get("/no/such/path").await);
    let page = anonymous.get("/docs").await;
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|directive| directive == part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe-eval")
            && page.headers.get_all("content-security-policy").iter().count() == 1
    );
    // The page has no script of its own text, which the policy forbids.
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(text.matches("<script").count() == text.matches("<script src=").count(), "{text}");
    // Without TLS there is none to insist on.
    assert!(!page.headers.contains_key("strict-transport-security"));
    home.stop().await;
}

/// The links of the page are relative to `/docs`.
#[tokio::test]
async fn documentation_is_found_with_a_slash_at_its_end() {
    let home = without_node().await;
    let anonymous = home.client().with_token(None);
    let (page, with_slash) = (anonymous.get("/docs").await, anonymous.get("/docs/").await);
    assert_eq!((page.status.as_u16(), with_slash.status.as_u16()), (200, 200));
    assert!(with_slash.header("content-type").starts_with("text/html"), "{with_slash:?}");
    assert_eq!(page.body, with_slash.body);
    home.stop().await;
}

#[tokio::test]
async fn header_of_a_stranger_does_not_make_a_connection_secure() {
    let home = without_node().await;
    let client = home.client();
    let answer =
        client.send(client.request(Method::GET, "/health").header("x-forwarded-proto", "https")).await;
    assert!(!answer.headers.contains_key("strict-transport-security"), "{answer:?}");
    home.stop().await;
    let settings = "[server]\ntrusted_proxies = \"127.0.0.1\"\n";
    let home = Setup::new().arguments(&["--no-node"]).settings(settings).start().await;
    let client = home.client();
    let answer =
        client.send(client.request(Method::GET, "/health").header("x-forwarded-proto", "https")).await;
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn listed_pages_alone_may_read_responses() {
    let settings = "[server]\ncors_origins = \"https://app.example\"\n";
    let home = Setup::new().arguments(&["--no-node"]).settings(settings).start().await;
    let client = home.client();
    for (origin, allowed) in [("https://app.example", "https://app.example"), ("https://other.example", "")] {
        for method in [Method::GET, Method::OPTIONS] {
            let request = client.request(method, "/v1/models").header("origin", origin);
            let answer = client.send(request.header("access-control-request-method", "GET")).await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{answer:?}");
            assert!(
                answer.headers.get_all("vary").iter().any(|vary| vary.to_str().unwrap().contains("origin")),
                "{answer:?}"
            );
        }
    }
    home.stop().await;
}
