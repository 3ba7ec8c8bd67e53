use axum::{
    Json, Router,
    http::StatusCode,
    routing::{delete, get, post},
};
use clap::Parser;
use serde_json::Value;

use hearth_wire::native::tokens::{CreatedToken, TokenBody, TokenList};

use super::output::table;
use super::*;
use crate::client::testing::{context, serve};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    token: Token,
}

fn parse(line: &str) -> Result<Token, clap::Error> {
    Line::try_parse_from(line.split_whitespace()).map(|line| line.token)
}

fn record() -> TokenBody {
    TokenBody {
        id: "tok_1".to_owned(),
        name: "laptop".to_owned(),
        prefix: "hth_ab".to_owned(),
        scopes: vec![Scope::Generate, Scope::ModelsRead],
        created_at: "2026-01-01T00:00:00Z".to_owned(),
        models: Some(vec!["local".to_owned()]),
        expires_at: None,
        revoked_at: None,
        rotated_at: None,
        last_used_at: None,
    }
}

#[test]
fn create_flags_become_a_request() {
    let line = "hearth create laptop --scope generate,ops --scope models:read --expires-in-days 30 --models local,a:*";
    let TokenCommand::Create(create) = parse(line).unwrap().command else { panic!("not a create") };
    let request = create.request();
    assert_eq!(request.name, "laptop");
    assert_eq!(request.scopes, Some(vec![Scope::Generate, Scope::Ops, Scope::ModelsRead]));
    assert_eq!(request.expires_in_days, Some(30));
    assert_eq!(request.models, Some(vec!["local".to_owned(), "a:*".to_owned()]));
}

#[test]
fn request_without_scopes_leaves_them_to_the_gateway() {
    let TokenCommand::Create(create) = parse("hearth create x").unwrap().command else { panic!("no create") };
    assert_eq!(create.request().scopes, None);
}

#[test]
fn invalid_flags_are_refused() {
    for line in ["hearth create", "hearth create x --scope all", "hearth create x --expires-in-days 0"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn data_folder_may_follow_the_command() {
    assert_eq!(parse("hearth list --data d").unwrap().data, Some("d".into()));
    assert_eq!(parse("hearth --data d list").unwrap().data, Some("d".into()));
    assert_eq!(parse("hearth list").unwrap().data, None);
    assert!(parse("hearth list --data d --table t").is_err());
}

#[test]
fn table_shows_no_token() {
    assert_eq!(
        table(&[record()]).to_string(),
        "ID     NAME    PREFIX  SCOPES                MODELS  CREATED     LAST USED  STATE\n\
         tok_1  laptop  hth_ab  generate,models:read  local   2026-01-01  never      active\n"
    );
}

#[test]
fn table_fits_a_terminal_of_100_columns() {
    let long = TokenBody {
        id: "tok_01J9ZX5V2QH8N4T6W0C3M7K1RB".to_owned(),
        name: "the laptop in the workshop".to_owned(),
        prefix: "hth_abcdefgh".to_owned(),
        scopes: Scope::ALL.iter().copied().skip(1).collect(),
        models: Some(vec!["openai:gpt-5-mini".to_owned(), "local:*".to_owned()]),
        expires_at: Some("2096-12-31T00:00:00Z".to_owned()),
        last_used_at: Some("2096-01-31T00:00:00Z".to_owned()),
        ..record()
    };
    let text = table(&[long]).fitted(Some(100));
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("tok_01J9ZX5V2QH8N4T6W0C3M7K1RB"), "{text}");
}

#[tokio::test]
async fn tokens_are_created_listed_renamed_rotated_and_revoked() {
    let create = async |Json(body): Json<Value>| {
        assert_eq!(body["name"], "laptop");
        Json(CreatedToken { token: "hth_abc".to_owned(), record: record() })
    };
    let list = async || Json(TokenList { tokens: vec![record()] });
    let rename = async |Json(body): Json<Value>| {
        assert_eq!(body["name"], "new");
        Json(record())
    };
    let rotate = async |Json(body): Json<Value>| {
        assert_eq!(body["grace_seconds"], 60);
        Json(CreatedToken { token: "hth_abc".to_owned(), record: record() })
    };
    let revoke = async || StatusCode::NO_CONTENT;
    let router = Router::new()
        .route("/v1/users/tokens", post(create).get(list))
        .route("/v1/users/tokens/tok_1", delete(revoke).patch(rename))
        .route("/v1/users/tokens/tok_1/rotate", post(rotate));
    let url = serve(router).await;
    for line in
        ["create laptop", "list", "rename tok_1 new", "rotate tok_1 --grace-seconds 60", "revoke tok_1"]
    {
        parse(&format!("hearth {line} --url {url}")).unwrap().run(&context(&url)).await.unwrap();
    }
    parse(&format!("hearth revoke tok_2 --url {url}")).unwrap().run(&context(&url)).await.unwrap_err();
}

#[tokio::test]
async fn tokens_of_a_member_are_listed_and_revoked() {
    let organisations = async || {
        Json(serde_json::json!({"organisations": [{
            "id": "org_1", "name": "One", "regions": [], "owners": 1, "is_operator": true,
            "created_at": "2026-01-01T00:00:00Z", "disabled_at": null, "role": "owner", "current": true,
        }]}))
    };
    let user = "usr_01J9ZX5V2QH8N4T6W0C3M7K1RB";
    let path = format!("/v1/organisations/org_1/members/{user}/tokens");
    let router = Router::new()
        .route("/v1/organisations", get(organisations))
        .route(&path, get(async || Json(TokenList { tokens: vec![record()] })))
        .route(&format!("{path}/tok_1"), delete(async || StatusCode::NO_CONTENT));
    let url = serve(router).await;
    for line in ["list", "revoke tok_1"] {
        let line = format!("hearth {line} --user {user} --url {url}");
        parse(&line).unwrap().run(&context(&url)).await.unwrap();
    }
}
