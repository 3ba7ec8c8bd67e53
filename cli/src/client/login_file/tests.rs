use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Json, Router, http::StatusCode, routing::post};
use hearth_domain::{LoginId, MemberRole, OrganisationId, UserId};
use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::client::testing::{closed_port, serve};

fn body(expires_in: u64, refresh_token: &str) -> LoginBody {
    LoginBody {
        access_token: Secret::new(format!("eyJ-of-{refresh_token}")),
        token_type: "Bearer".to_owned(),
        expires_in,
        refresh_token: Secret::new(refresh_token),
        refresh_expires_at: String::new(),
        login: LoginId::new(),
        user: UserId::new(),
        organisation: OrganisationId::new(),
        role: MemberRole::Developer,
    }
}

/// Serves a gateway whose refresh token `hrt_1` is valid once.
async fn gateway(uses: Arc<AtomicUsize>) -> Url {
    let refresh = async move |Json(request): Json<Value>| {
        let is_first = uses.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first && request["refresh_token"] == "hrt_1" {
            return Ok(Json(serde_json::to_value(body(900, "hrt_2")).unwrap()));
        }
        let error = ApiError::new(ErrorCode::Unauthorized, "the login has ended; sign in again");
        Err((StatusCode::UNAUTHORIZED, Json(serde_json::to_value(error.envelope("req_1")).unwrap())))
    };
    serve(Router::new().route("/v1/users/refresh", post(refresh))).await.parse().unwrap()
}

#[tokio::test]
async fn concurrent_commands_replace_an_expired_token_once() {
    let folder = TempDir::new().unwrap();
    let uses = Arc::new(AtomicUsize::new(0));
    let base = gateway(Arc::clone(&uses)).await;
    let file = LoginFile::in_folder(&folder.path().join("logins"), base.as_str());
    file.save(base.as_str(), &body(0, "hrt_1")).await.unwrap();
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let tokens = (0..20).map(|_| file.access_token(&http, &base));
    for token in futures::future::join_all(tokens).await {
        assert_eq!(token.unwrap().expose(), "eyJ-of-hrt_2");
    }
    assert_eq!(uses.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn refused_token_is_replaced_once_before_its_end() {
    let folder = TempDir::new().unwrap();
    let uses = Arc::new(AtomicUsize::new(0));
    let base = gateway(Arc::clone(&uses)).await;
    let file = LoginFile::in_folder(folder.path(), base.as_str());
    file.save(base.as_str(), &body(900, "hrt_1")).await.unwrap();
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let refused = file.access_token(&http, &base).await.unwrap();
    let tokens = (0..5).map(|_| file.access_token_after(&http, &base, &refused));
    for token in futures::future::join_all(tokens).await {
        assert_eq!(token.unwrap().expose(), "eyJ-of-hrt_2");
    }
    assert_eq!(uses.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn damaged_login_is_unusable_and_no_part_of_it_is_told() {
    let folder = TempDir::new().unwrap();
    let base: Url = closed_port().await.parse().unwrap();
    let file = LoginFile::in_folder(folder.path(), base.as_str());
    fs::write(&file.0, r#"{"refresh_token": "hrt_1"#).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let error = file.access_token(&http, &base).await.unwrap_err();
    assert!(error.is::<UnusableLogin>() && !format!("{error:?}").contains("hrt_1"), "{error:?}");
}

#[tokio::test]
async fn ended_login_is_removed() {
    let folder = TempDir::new().unwrap();
    let base = gateway(Arc::new(AtomicUsize::new(1))).await;
    let file = LoginFile::in_folder(folder.path(), base.as_str());
    file.save(base.as_str(), &body(0, "hrt_1")).await.unwrap();
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let error = file.access_token(&http, &base).await.unwrap_err().to_string();
    assert!(error.contains("has ended") && error.contains("hearth login"), "{error}");
    assert!(!file.exists());
}

#[tokio::test]
async fn file_is_its_owners_and_of_one_gateway() {
    let folder = TempDir::new().unwrap();
    let logins = folder.path().join("logins");
    let file = LoginFile::in_folder(&logins, "http://localhost:8080/v1");
    file.save("http://localhost:8080", &body(900, "hrt_1")).await.unwrap();
    assert_eq!(fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&logins).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(LoginFile::in_folder(&logins, "127.0.0.1:8080").exists());
    for other in ["https://127.0.0.1:8080", "http://127.0.0.1:8081", "https://gateway.example.org/../x"] {
        let other = LoginFile::in_folder(&logins, other);
        assert!(!other.exists() && other.0.parent() == Some(&logins), "{}", other.0.display());
    }
    file.remove().await.unwrap();
    assert!(!file.exists());
    file.remove().await.unwrap();
}
