use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query},
    http::StatusCode,
    routing::{get, post},
};
use clap::Parser;
use hearth_domain::{Role, SessionMessageState};
use hearth_wire::native::sessions::{
    SessionDetails, SessionEntry, SessionList, SessionMessageBody, SessionSearchResult,
};
use serde_json::Value;

use super::{
    list::{results_table, table},
    show::text,
    *,
};
use crate::client::testing::{context, serve};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    sessions: Sessions,
}

fn parse(line: &str) -> Result<Sessions, clap::Error> {
    Line::try_parse_from(line.split_whitespace()).map(|line| line.sessions)
}

fn body(id: &str, title: Option<&str>) -> Value {
    json!({
        "id": id, "title": title, "title_is_automatic": false, "system_prompt": "be brief", "model": null,
        "context_overflow": "truncate_middle", "metadata": {}, "state_tokens": null, "status": "open",
        "branch": null, "head": null, "created_at": "2096-01-31T09:30:00.000Z",
        "last_used_at": "2096-01-31T09:30:00.000Z", "reset_at": null, "closed_at": null, "expires_at": null,
    })
}

fn entry() -> SessionEntry {
    serde_json::from_value(json!({
        "id": "sess_1", "title": "A poem\nabout rain", "last_used_at": "2096-01-31T09:30:00.000Z",
        "created_at": "2096-01-31T09:30:00.000Z", "status": "open",
    }))
    .unwrap()
}

fn message(role: Role, content: &str, state: SessionMessageState) -> SessionMessageBody {
    serde_json::from_value(json!({
        "id": "msg_1", "parent_id": null, "role": role, "content": content, "images": 0, "tool_calls": [],
        "tool_call_id": null, "modality": "text", "artifacts": [], "model": null, "provider": null,
        "request_id": null, "state": state, "usage": null, "finish_reason": null, "state_tokens": null,
        "created_at": "2096-01-31T09:30:00.000Z", "finished_at": null, "edited_at": null,
    }))
    .unwrap()
}

#[test]
fn tables_have_a_line_for_each_entry() {
    let sessions = table(&[entry()]).to_string();
    assert!(sessions.lines().count() == 2 && sessions.contains("A poem about rain"), "{sessions}");
    let result = |role| SessionSearchResult {
        session: entry(),
        message_id: None,
        role,
        snippet: "the\nrain".to_owned(),
    };
    let results = results_table(&[result(None), result(Some(Role::User))]).to_string();
    assert!(
        results.contains("title") && results.contains("user") && results.contains("the rain"),
        "{results}"
    );
}

#[test]
fn session_is_shown_with_its_messages_and_their_states() {
    let details = SessionDetails {
        session: serde_json::from_value(body("sess_1", Some("Rain"))).unwrap(),
        messages: vec![
            message(Role::User, "Write a poem.", SessionMessageState::Complete),
            message(Role::Assistant, "Rain, rain", SessionMessageState::Interrupted),
        ],
        messages_cursor: Some("more".to_owned()),
    };
    let text = text(&details);
    for expected in ["sess_1", "Rain", "be brief", "earlier messages", "Write a poem.", "(interrupted)"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn incomplete_lines_are_refused() {
    for line in ["x", "x show", "x close", "x search", "x export", "x list --status lost", "x rename sess_1"]
    {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[tokio::test]
async fn commands_send_their_requests() {
    let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (created, changed, ended, imported) =
        (requests.clone(), requests.clone(), requests.clone(), requests.clone());
    let create = async move |Json(request): Json<Value>| {
        created.lock().unwrap().push(request);
        (StatusCode::CREATED, Json(body("sess_1", None)))
    };
    let list = async |Query(query): Query<BTreeMap<String, String>>| {
        assert_eq!(query["status"], "archived");
        let next_cursor = (!query.contains_key("cursor")).then(|| "next".to_owned());
        Json(SessionList { sessions: vec![entry()], next_cursor })
    };
    let search = async |Query(query): Query<BTreeMap<String, String>>| {
        assert_eq!(query["query"], "rain poem");
        Json(json!({"results": [], "next_cursor": null}))
    };
    let change = async move |Path(id): Path<String>, Json(request): Json<Value>| {
        changed.lock().unwrap().push(request);
        Json(body(&id, Some("Rain")))
    };
    let end = async move |Path(id): Path<String>, Query(query): Query<BTreeMap<String, String>>| {
        ended.lock().unwrap().push(json!(query));
        Json(json!({"id": id, "deleted": query["permanent"] == "true", "expires_at": null}))
    };
    let import = async move |Json(file): Json<Value>| {
        imported.lock().unwrap().push(file);
        Json(json!({
            "format": "chatgpt", "skipped": [],
            "imported": [{"id": "sess_2", "title": "Rain", "messages": 2}],
        }))
    };
    let export = async |Query(query): Query<BTreeMap<String, String>>| format!("a {}", query["format"]);
    let show = async |Path(id): Path<String>| {
        let mut shown = body(&id, None);
        shown["messages"] = json!([message(Role::User, "Hi", SessionMessageState::Complete)]);
        shown["messages_cursor"] = Value::Null;
        Json(shown)
    };
    let router = Router::new()
        .route("/v1/sessions", post(create).get(list))
        .route("/v1/sessions/search", get(search))
        .route("/v1/sessions/import", post(import))
        .route("/v1/sessions/{id}", get(show).put(change).delete(end))
        .route("/v1/sessions/{id}/archive", post(async |Path(id): Path<String>| Json(body(&id, None))))
        .route("/v1/sessions/{id}/export", get(export));
    let url = serve(router).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("conversations.json"), folder.path().join("poem.md"));
    fs::write(&file, r#"[{"title": "Rain"}]"#).unwrap();
    for line in [
        "new --title Rain --system brief --model tiny-chat".to_owned(),
        "list --status archived".to_owned(),
        "show sess_1".to_owned(),
        "search rain poem".to_owned(),
        "rename sess_1 Rain".to_owned(),
        "archive sess_1".to_owned(),
        "close sess_1".to_owned(),
        "delete --yes sess_1".to_owned(),
        format!("import {}", file.display()),
        format!("export sess_1 --format markdown --out {}", out.display()),
    ] {
        let sessions = parse(&format!("x {line} --url {url}")).unwrap();
        sessions.run(&context(&url)).await.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert_eq!(fs::read_to_string(out).unwrap(), "a markdown");
    let requests = requests.lock().unwrap();
    assert_eq!(
        (&requests[0]["title"], &requests[0]["system_prompt"], &requests[0]["model"]),
        (&json!("Rain"), &json!("brief"), &json!("tiny-chat"))
    );
    assert_eq!(requests[1], json!({"title": "Rain"}));
    assert_eq!((&requests[2]["permanent"], &requests[3]["permanent"]), (&json!("false"), &json!("true")));
    assert_eq!(requests[4], json!([{"title": "Rain"}]));
}
