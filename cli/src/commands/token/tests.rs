use axum::{
    Json, Router,
    http::StatusCode,
    routing::{delete, post},
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
        expires_at: None,
        revoked_at: None,
    }
}

#[test]
fn create_flags_become_a_request() {
    let line = "hearth create laptop --scope generate,ops --scope models:read --expires-in-days 30";
    let TokenCommand::Create(create) = parse(line).unwrap().command else { panic!("not a create") };
    let request = create.request();
    assert_eq!(request.name, "laptop");
    assert_eq!(request.scopes, Some(vec![Scope::Generate, Scope::Ops, Scope::ModelsRead]));
    assert_eq!(request.expires_in_days, Some(30));
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
        "ID     NAME    PREFIX  SCOPES                CREATED     STATE\n\
         tok_1  laptop  hth_ab  generate,models:read  2026-01-01  active\n"
    );
}

#[tokio::test]
async fn tokens_are_created_listed_and_revoked() {
    let create = async |Json(body): Json<Value>| {
        assert_eq!(body["name"], "laptop");
        Json(CreatedToken { token: "hth_abc".to_owned(), record: record() })
    };
    let list = async || Json(TokenList { tokens: vec![record()] });
    let revoke = async || StatusCode::NO_CONTENT;
    let router = Router::new()
        .route("/v1/users/tokens", post(create).get(list))
        .route("/v1/users/tokens/tok_1", delete(revoke));
    let url = serve(router).await;
    for line in ["create laptop", "list", "revoke tok_1"] {
        parse(&format!("hearth {line} --url {url}")).unwrap().run(&context(&url)).await.unwrap();
    }
    parse(&format!("hearth revoke tok_2 --url {url}")).unwrap().run(&context(&url)).await.unwrap_err();
}
