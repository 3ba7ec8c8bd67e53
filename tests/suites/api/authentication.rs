//! Who may ask.

use hearth_tests::Home;
use reqwest::Method;

use crate::capital_of_france;

/// One route of each kind that needs a token.
const GUARDED: [(&str, &str); 6] = [
    ("POST", "/v1/generate"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/requests/req_01J9ZX5V2QH8N4T6W0C3M7K1RB"),
    ("GET", "/v1/users/tokens"),
    ("GET", "/metrics"),
];

/// Of no kind, of another vendor, and of ours with a bad checksum and with a good one.
fn strangers() -> [Option<String>; 5] {
    let made_up = hearth_auth::ApiToken::generate();
    [
        None,
        Some("wrong".to_owned()),
        Some("sk-0123456789".to_owned()),
        Some(format!("hth_{}", "0".repeat(49))),
        Some(made_up.expose().to_owned()),
    ]
}

#[tokio::test]
async fn without_a_good_token_every_route_answers_401() {
    let home = Home::start().await;
    for token in strangers() {
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
async fn the_token_may_come_as_x_api_key() {
    let home = Home::start().await;
    let anonymous = home.client().with_token(None);
    let request = anonymous.request(Method::GET, "/v1/models").header("x-api-key", &home.token);
    assert_eq!(anonymous.send(request).await.status, 200);
    home.stop().await;
}
