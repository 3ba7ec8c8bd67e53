//! Sign-in by a password, refresh tokens, logins and their end, and the keys that sign access tokens.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hearth_tests::{Answer, Client, Home, Setup};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "a long sentence of mine, yes";

/// A gateway with a user who has a password.
async fn home_of_ada() -> Home {
    let home = Home::start_without_node().await;
    create(&home, "ada@example.org", "developer").await;
    home
}

async fn create(home: &Home, email: &str, role: &str) -> Value {
    let user = json!({"email": email, "name": "Ada", "password": PASSWORD, "role": role});
    let created = home.client().post("/v1/users", &user).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()
}

async fn try_login(home: &Home, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    home.client().with_token(None).post("/v1/users/login", &body).await
}

async fn login(home: &Home, email: &str) -> Value {
    let answer = try_login(home, email, PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn refresh(home: &Home, token: &str) -> Answer {
    let body = json!({"refresh_token": token});
    home.client().with_token(None).post("/v1/users/refresh", &body).await
}

fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_else(|| panic!("no {field}: {body}"))
}

fn client(home: &Home, login: &Value) -> Client {
    home.client().with_token(Some(text(login, "access_token")))
}

fn id_of(user: &Value) -> &str {
    text(user, "id")
}

#[tokio::test]
async fn login_has_the_permissions_of_the_role_until_logout() {
    let home = Home::start().await;
    create(&home, "ada@example.org", "developer").await;
    let body = login(&home, " Ada@Example.org").await;
    assert_eq!((text(&body, "token_type"), &body["expires_in"]), ("Bearer", &json!(900)));
    assert_eq!(text(&body, "role"), "developer");
    assert!(text(&body, "refresh_token").starts_with("hrt_"), "{body}");
    let ada = client(&home, &body);
    assert_eq!(ada.get("/v1/models").await.status, 200);
    assert!(ada.ask("What is the capital of France?").await.contains("Paris"));
    ada.get("/v1/admin/users").await.error(403, "forbidden");

    let list = ada.get("/v1/users/me/logins").await.json();
    assert_eq!(list["logins"].as_array().map(Vec::len), Some(1), "{list}");
    let item = &list["logins"][0];
    assert_eq!((text(item, "id"), &item["current"]), (text(&body, "login"), &json!(true)));
    assert_eq!((text(item, "method"), text(item, "address")), ("password", "127.0.0.1"));
    assert!(!list.to_string().contains("hrt_"), "{list}");

    assert_eq!(ada.post("/v1/users/logout", &json!({})).await.status, 204);
    ada.get("/v1/models").await.error(401, "unauthorized");
    refresh(&home, text(&body, "refresh_token")).await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn wrong_password_and_unknown_address_have_one_answer() {
    let home = home_of_ada().await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.org", "another long password"),
        ("ada@example.org", ""),
        ("nobody@example.org", PASSWORD),
        ("nobody", PASSWORD),
    ] {
        let error = try_login(&home, email, password).await.error(401, "unauthorized");
        answers.push((error["message"].clone(), error["param"].clone(), error["details"].clone()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for body in [
        json!({"email": "ada@example.org"}),
        json!({"email": "", "password": PASSWORD}),
        json!({"email": "a".repeat(400), "password": PASSWORD}),
        json!({"email": "ada@example.org", "password": PASSWORD, "otp": "1"}),
        json!({"email": "ada@example.org", "password": PASSWORD, "organisation": "team"}),
    ] {
        home.client().with_token(None).post("/v1/users/login", &body).await.error(400, "invalid_request");
    }
    let elsewhere = json!({
        "email": "ada@example.org", "password": PASSWORD, "organisation": "org_01J9ZX5V2QH8N4T6W0C3M7K1RB",
    });
    home.client().with_token(None).post("/v1/users/login", &elsewhere).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn concurrent_refreshes_get_one_replacement() {
    let home = home_of_ada().await;
    let body = login(&home, "ada@example.org").await;
    let first = text(&body, "refresh_token");
    let answers = futures::future::join_all((0..20).map(|_| refresh(&home, first))).await;
    let second = answers[0].json();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(text(&answer.json(), "refresh_token"), text(&second, "refresh_token"));
    }
    assert_ne!(text(&second, "refresh_token"), first);
    for answer in &answers {
        assert_eq!(client(&home, &answer.json()).get("/v1/models").await.status, 200);
    }
    let list = client(&home, &second).get("/v1/users/me/logins").await.json();
    assert_eq!(list["logins"].as_array().map(Vec::len), Some(1), "{list}");
    home.stop().await;
}

#[tokio::test]
async fn reuse_of_a_replaced_refresh_token_ends_the_login() {
    let home = home_of_ada().await;
    let other = login(&home, "ada@example.org").await;
    let body = login(&home, "ada@example.org").await;
    let first = text(&body, "refresh_token");
    let second = refresh(&home, first).await.json();
    let third = refresh(&home, text(&second, "refresh_token")).await.json();
    assert_eq!(client(&home, &third).get("/v1/models").await.status, 200);

    // An invented token of this login ends nothing.
    let mut invented = text(&third, "refresh_token").to_owned().into_bytes();
    let at = invented.len() - 40;
    invented[at] = if invented[at] == b'A' { b'B' } else { b'A' };
    refresh(&home, std::str::from_utf8(&invented).unwrap()).await.error(401, "unauthorized");
    assert_eq!(client(&home, &third).get("/v1/models").await.status, 200);

    // The first was replaced twice: whoever has it has copied it.
    refresh(&home, first).await.error(401, "unauthorized");
    client(&home, &third).get("/v1/models").await.error(401, "unauthorized");
    refresh(&home, text(&third, "refresh_token")).await.error(401, "unauthorized");
    assert_eq!(client(&home, &other).get("/v1/models").await.status, 200, "another login has ended too");
    home.stop().await;
}

#[tokio::test]
async fn logins_are_ended_one_by_one_or_all_at_once() {
    let home = home_of_ada().await;
    create(&home, "bob@example.org", "developer").await;
    let bob = login(&home, "bob@example.org").await;
    let (one, two, three) = (
        login(&home, "ada@example.org").await,
        login(&home, "ada@example.org").await,
        login(&home, "ada@example.org").await,
    );
    let ada = client(&home, &one);
    // Another user's login isn't there.
    ada.delete(&format!("/v1/users/me/logins/{}", text(&bob, "login"))).await.error(404, "not_found");
    assert_eq!(ada.delete(&format!("/v1/users/me/logins/{}", text(&two, "login"))).await.status, 204);
    client(&home, &two).get("/v1/models").await.error(401, "unauthorized");
    assert_eq!(ada.get("/v1/users/me/logins").await.json()["logins"].as_array().map(Vec::len), Some(2));

    assert_eq!(ada.post("/v1/users/logout", &json!({"everywhere": true})).await.status, 204);
    for ended in [&one, &three] {
        client(&home, ended).get("/v1/models").await.error(401, "unauthorized");
        refresh(&home, text(ended, "refresh_token")).await.error(401, "unauthorized");
    }
    assert_eq!(client(&home, &bob).get("/v1/models").await.status, 200);
    assert_eq!(client(&home, &login(&home, "ada@example.org").await).get("/v1/models").await.status, 200);
    // An API token is no login.
    home.client().post("/v1/users/logout", &json!({})).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn refresh_obeys_the_present_role_and_a_disabled_user() {
    let home = Home::start().await;
    let user = create(&home, "ada@example.org", "developer").await;
    let body = login(&home, "ada@example.org").await;
    let organisation = text(&body, "organisation");
    let path = format!("/v1/organisations/{organisation}/members/{}", id_of(&user));
    let change = home.client().request(Method::PATCH, &path).json(&json!({"role": "viewer"}));
    assert_eq!(home.client().send(change).await.status, 200);
    client(&home, &body).post("/v1/generate", &crate::capital_of_france()).await.error(403, "forbidden");
    let refreshed = refresh(&home, text(&body, "refresh_token")).await.json();
    assert_eq!(text(&refreshed, "role"), "viewer");

    let path = format!("/v1/admin/users/{}", id_of(&user));
    let disable = home.client().request(Method::PATCH, &path).json(&json!({"disabled": true}));
    assert_eq!(home.client().send(disable).await.status, 200);
    refresh(&home, text(&refreshed, "refresh_token")).await.error(401, "unauthorized");
    client(&home, &refreshed).get("/v1/models").await.error(401, "unauthorized");
    try_login(&home, "ada@example.org", PASSWORD).await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn forged_access_tokens_are_refused() {
    let home = home_of_ada().await;
    let body = login(&home, "ada@example.org").await;
    let good = text(&body, "access_token");
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let decode = |part: &str| -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let (header, payload) = (decode(head), decode(claims));
    assert_eq!((text(&header, "alg"), text(&payload, "iss")), ("EdDSA", "hearth"));
    let with = |mut value: Value, field: &str, new: Value| {
        value[field] = new;
        value
    };
    let unsigned = |header: Value| format!("{}.{claims}.", encode(&header));
    let forged = [
        unsigned(with(header.clone(), "alg", json!("none"))),
        format!("{}.{claims}.{signature}", encode(&with(header.clone(), "alg", json!("HS256")))),
        format!("{}.{claims}.{signature}", encode(&with(header.clone(), "kid", json!("0123456789ab")))),
        format!("{}.{claims}.{signature}", encode(&with(header.clone(), "kid", json!("../../SIGNKEYS")))),
        format!("{head}.{}.{signature}", encode(&with(payload.clone(), "exp", json!(4_000_000_000_i64)))),
        format!(
            "{head}.{}.{signature}",
            encode(&with(payload.clone(), "iss", json!("https://evil.example")))
        ),
        format!("{head}.{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{head}.{claims}"),
        format!("{good}.{good}"),
        "eyJ".to_owned(),
        text(&body, "refresh_token").to_owned(),
    ];
    for token in forged {
        let answer = home.client().with_token(Some(&token)).get("/v1/models").await;
        let error = answer.error(401, "unauthorized");
        assert!(!error.to_string().contains(signature), "{error}");
    }
    assert_eq!(home.client().with_token(Some(good)).get("/v1/models").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn signing_key_is_rotated_with_overlap() {
    let home = home_of_ada().await;
    let before = login(&home, "ada@example.org").await;
    let kid = |body: &Value| {
        let head = text(body, "access_token").split('.').next().unwrap().to_owned();
        let head: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
        text(&head, "kid").to_owned()
    };
    let open = home.client().with_token(None);
    let kids = |set: &Value| -> Vec<String> {
        set["keys"].as_array().unwrap().iter().map(|key| text(key, "kid").to_owned()).collect()
    };
    let keys = open.get("/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), "public, max-age=60");
    let keys = keys.json();
    assert_eq!(kids(&keys), [kid(&before)]);
    let key = &keys["keys"][0];
    assert_eq!((text(key, "kty"), text(key, "crv"), text(key, "alg")), ("OKP", "Ed25519", "EdDSA"));
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(text(key, "x")).unwrap().len(), 32);

    let rotated = home.client().post("/v1/admin/signing-keys/rotate", &json!({})).await.json();
    let after = login(&home, "ada@example.org").await;
    assert_eq!(kids(&rotated), [kid(&before), kid(&after)]);
    assert_ne!(kid(&before), kid(&after));
    assert_eq!(kids(&open.get("/.well-known/jwks.json").await.json()), kids(&rotated));
    let list = home.client().get("/v1/admin/signing-keys").await.json();
    let states: Vec<&str> = list["keys"].as_array().unwrap().iter().map(|key| text(key, "state")).collect();
    assert_eq!(states, ["verifying", "signing"]);

    // Both survive a restart, and the private keys are in no answer and not plain on the disk.
    let home = home.restart().await;
    for body in [&before, &after] {
        assert_eq!(client(&home, body).get("/v1/models").await.status, 200);
    }
    let refreshed = refresh(&home, text(&before, "refresh_token")).await.json();
    assert_eq!(kid(&refreshed), kid(&after));
    client(&home, &after).post("/v1/admin/signing-keys/rotate", &json!({})).await.error(403, "forbidden");

    // After a revocation only the new key verifies, and the logins go on.
    let revoked = home.client().post("/v1/admin/signing-keys/rotate", &json!({"revoke": true})).await.json();
    assert_eq!(revoked["keys"].as_array().map(Vec::len), Some(1), "{revoked}");
    for body in [&before, &after, &refreshed] {
        client(&home, body).get("/v1/models").await.error(401, "unauthorized");
    }
    let refreshed = refresh(&home, text(&refreshed, "refresh_token")).await.json();
    assert_eq!(kids(&revoked), [kid(&refreshed)]);
    assert_eq!(client(&home, &refreshed).get("/v1/models").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn failed_attempts_are_limited_and_a_known_network_is_apart_from_strangers() {
    let home = home_of_ada().await;
    create(&home, "bob@example.org", "developer").await;
    // Ada has signed in from this network before. Ten failures are allowed at once.
    login(&home, "ada@example.org").await;
    for _ in 0..10 {
        try_login(&home, "ada@example.org", "wrong password").await.error(401, "unauthorized");
    }
    let refused = try_login(&home, "ada@example.org", PASSWORD).await;
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    refused.error(429, "rate_limited");
    assert!((1..=60).contains(&seconds), "{seconds}");
    // A success takes the failures of its account back.
    for _ in 0..9 {
        try_login(&home, "bob@example.org", "wrong password").await.error(401, "unauthorized");
    }
    login(&home, "bob@example.org").await;
    for _ in 0..9 {
        try_login(&home, "bob@example.org", "wrong password").await.error(401, "unauthorized");
    }
    login(&home, "bob@example.org").await;
    // This network has 29 attempts now, with the refused one. Thirty are allowed at once, and one more in ten seconds.
    let mut refused = None;
    for n in 0..6 {
        let answer = try_login(&home, &format!("nobody{n}@example.org"), PASSWORD).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.error(401, "unauthorized");
    }
    let error = refused.unwrap().error(429, "rate_limited");
    assert!(error["message"].as_str().unwrap().contains("this address"), "{error}");
    // A client can't choose its address by a header.
    let request = home.client().with_token(None).request(Method::POST, "/v1/users/login");
    let request = request.header("x-forwarded-for", "198.51.100.7");
    let request = request.json(&json!({"email": "bob@example.org", "password": PASSWORD}));
    home.client().send(request).await.error(429, "rate_limited");
    home.stop().await;
}

#[tokio::test]
async fn concurrent_attempts_stay_within_the_limit() {
    let home = home_of_ada().await;
    let attempts = (0..30).map(|_| try_login(&home, "ada@example.org", "wrong password"));
    let answers = futures::future::join_all(attempts).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(401), count(429)), (10, 20), "{answers:?}");
    home.stop().await;
}

#[tokio::test]
async fn address_of_a_trusted_proxys_client_is_the_logins() {
    let settings = "[server]\ntrusted_proxies = \"127.0.0.1\"\n";
    let home = Setup::new().settings(settings).without_node().start().await;
    create(&home, "ada@example.org", "developer").await;
    let request = home.client().with_token(None).request(Method::POST, "/v1/users/login");
    let request = request.header("x-forwarded-for", "192.0.2.1, 198.51.100.7");
    let request = request.json(&json!({"email": "ada@example.org", "password": PASSWORD}));
    let body = home.client().send(request).await.json();
    let list = client(&home, &body).get("/v1/users/me/logins").await.json();
    assert_eq!(list["logins"][0]["address"], "198.51.100.7", "{list}");
    home.stop().await;
}

/// Every file below a folder that has one of these texts.
fn files_with(folder: &Path, texts: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else if let Ok(bytes) = fs::read(&path) {
            let has = |text: &&str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            found.extend(texts.iter().any(has).then_some(path));
        }
    }
    found
}

#[tokio::test]
async fn no_secret_of_a_sign_in_is_stored_or_logged() {
    let home = home_of_ada().await;
    let first = login(&home, "ada@example.org").await;
    let second = refresh(&home, text(&first, "refresh_token")).await.json();
    client(&home, &second).get("/v1/users/me/logins").await;
    try_login(&home, "ada@example.org", "a wrong password of Ada's").await.error(401, "unauthorized");
    refresh(&home, "hrt_not-a-token-of-this-gateway").await.error(401, "unauthorized");
    let folder = home.stop().await;
    let signature = |body: &Value| text(body, "access_token").rsplit('.').next().unwrap().to_owned();
    let signatures = [signature(&first), signature(&second)];
    let secrets = [
        PASSWORD,
        "a wrong password of Ada's",
        "hrt_not-a-token-of-this-gateway",
        text(&first, "refresh_token"),
        text(&second, "refresh_token"),
        &signatures[0],
        &signatures[1],
    ];
    assert_eq!(files_with(folder.path(), &secrets), Vec::<PathBuf>::new());
    assert_ne!(
        files_with(folder.path(), &["login_"]),
        Vec::<PathBuf>::new(),
        "the search finds nothing at all"
    );
}
