//! Authentication: routes, tokens and the headers that carry them.

use hearth_tests::{
    Home,
    permission_matrix::{Things, operations},
};
use reqwest::Method;

use crate::capital_of_france;

/// Routes that need a token, one of each kind.
const GUARDED: [(&str, &str); 6] = [
    ("POST", "/v1/generate"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/requests/req_01J9ZX5V2QH8N4T6W0C3M7K1RB"),
    ("GET", "/v1/users/tokens"),
    ("GET", "/metrics"),
];

/// Returns invalid tokens: none, another text, another vendor's, and ours with a wrong and with a valid checksum.
fn invalid_tokens() -> [Option<String>; 5] {
    let unknown = hearth_auth::ApiToken::generate();
    [
        None,
        Some("wrong".to_owned()),
        Some("sk-0123456789".to_owned()),
        Some(format!("hth_{}", "0".repeat(49))),
        Some(unknown.expose().to_owned()),
    ]
}

#[tokio::test]
async fn missing_or_invalid_token_is_refused_with_401() {
    let home = Home::start_without_node().await;
    for token in invalid_tokens() {
        let stranger = home.client().with_token(token.as_deref());
        for (method, path) in GUARDED {
            let method: Method = method.parse().unwrap();
            let mut request = stranger.request(method.clone(), path);
            if method == Method::POST {
                request = request.json(&capital_of_france());
            }
            let error = stranger.send(request).await.error(401, "unauthorized");
            assert_eq!(error["type"], "authentication_error", "{path}");
            assert_eq!(error["retryable"], false, "{path}");
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn token_is_accepted_in_x_api_key() {
    let home = Home::start_without_node().await;
    let anonymous = home.client().with_token(None);
    let request = anonymous.request(Method::GET, "/v1/models").header("x-api-key", &home.token);
    assert_eq!(anonymous.send(request).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn every_documented_route_with_an_action_needs_a_token() {
    let home = Home::start_without_node().await;
    let anonymous = home.client().with_token(None);
    let document = anonymous.get("/openapi.json").await.json();
    let guarded = operations(&document).into_iter().filter(|one| one.action.is_some() || one.is_for_nodes);
    for operation in guarded {
        let (path, _) = Things::of_nobody().path(&operation.path).unwrap();
        let answer = anonymous.send(anonymous.request(operation.method.clone(), &path)).await;
        assert_eq!(answer.status, 401, "{operation}: {answer:?}");
        let body = answer.json();
        // Ollama's errors have the code beside the message.
        let (code, expected) = match path.as_str() {
            path if path.starts_with("/api/") => (&body["code"], "unauthorized"),
            path if path.starts_with("/v1beta/") => (&body["error"]["status"], "UNAUTHENTICATED"),
            _ => (&body["error"]["code"], "unauthorized"),
        };
        assert_eq!(code, expected, "{operation}: {answer:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn embedded_stores_are_not_served() {
    let home = Home::start_without_node().await;
    let (anonymous, owner) = (home.client().with_token(None), home.client());
    for path in ["/hearth-media", "/hearth-media/", "/hearth-media/runs/x", "/hearth-media/?list-type=2"] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            for client in [&anonymous, &owner] {
                let answer = client.send(client.request(method.clone(), path)).await;
                answer.error(404, "not_found");
            }
        }
    }
    home.stop().await;
}
