use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query},
    routing::{delete, get, post},
};
use clap::Parser;
use hearth_domain::{Run, RunId, RunState, UserId, run::Failure};
use hearth_wire::native::{
    request_list::{RequestEntry, RequestList},
    requests::RequestStatus,
};
use serde_json::json;

use super::{list::table, show::text, *};
use crate::client::testing::{context, event_stream, serve};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    requests: Requests,
}

fn parse(line: &str) -> Result<Requests, clap::Error> {
    Line::try_parse_from(line.split_whitespace()).map(|line| line.requests)
}

fn failed_run() -> Run {
    Run {
        state: RunState::Failed,
        failure: Some(Failure { code: "node_lost".to_owned(), message: "the node is gone".to_owned() }),
        token: Some("tok_1".to_owned()),
        replay_of: Some(RunId::new()),
        text: "half an answer".to_owned(),
        ..Run::example(UserId::new())
    }
}

#[test]
fn table_has_the_code_of_a_failure_and_the_sender() {
    let table = table(&[RequestEntry::from(failed_run())]).to_string();
    assert!(table.contains("failed: node_lost") && table.trim_end().ends_with("tok_1"), "{table}");
}

#[test]
fn request_is_shown_with_its_failure_its_origin_and_its_output() {
    let run = failed_run();
    let shown = text(&RequestStatus::new(run.clone(), ""));
    for expected in ["node_lost: the node is gone", &run.replay_of.unwrap().to_string(), "half an answer\n"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let expired = Run { text: String::new(), has_expired_text: true, ..run };
    let shown = text(&RequestStatus::new(expired, ""));
    assert!(shown.contains("its text has expired"), "{shown}");
}

#[test]
fn unknown_state_missing_id_and_empty_page_are_refused() {
    for line in ["x list --state done", "x list --limit 0", "x show", "x delete", "x replay", "x"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[tokio::test]
async fn list_reads_pages_until_it_has_as_many_as_wanted() {
    let queries = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&queries);
    let list = async move |Query(query): Query<BTreeMap<String, String>>| {
        let page = query.get("cursor").map_or(0, |cursor| cursor.parse::<u32>().unwrap());
        seen.lock().unwrap().push(query);
        // A page of a narrow filter may be empty.
        let requests = if page == 1 { Vec::new() } else { vec![RequestEntry::from(failed_run())] };
        Json(RequestList { requests, next_cursor: Some((page + 1).to_string()) })
    };
    let url = serve(Router::new().route("/v1/requests", get(list))).await;
    let line = format!("x list --state failed,cancelled --sent-by tok_1 --limit 2 --url {url}");
    parse(&line).unwrap().run(&context(&url)).await.unwrap();
    let queries = queries.lock().unwrap();
    let of = |name: &str| queries.iter().map(|query| query.get(name).cloned()).collect::<Vec<_>>();
    assert_eq!(of("cursor"), [None, Some("1".to_owned()), Some("2".to_owned())]);
    assert_eq!(of("limit"), ["2", "1", "1"].map(|limit| Some(limit.to_owned())));
    assert!(of("state").iter().all(|state| state.as_deref() == Some("failed,cancelled")));
    assert!(of("token").iter().all(|token| token.as_deref() == Some("tok_1")));
}

#[tokio::test]
async fn replay_streams_the_new_answer_and_delete_asks_for_the_record() {
    let replay = async |Path(id): Path<String>, Query(query): Query<BTreeMap<String, String>>| {
        assert_eq!(
            (id.as_str(), query["stream"].as_str(), query["model"].as_str()),
            ("req_1", "true", "big")
        );
        event_stream(&[json!({
            "event": "complete", "request_id": "req_2", "model": "big", "modality": "text",
            "selection": {"selected_model": "big", "selected_provider": "local", "reason": "named",
                          "fallback_used": false, "fallback_reason": null},
            "output": {"text": "hello"}, "finish_reason": "stop", "warnings": [],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cached_tokens": 0},
        })])
    };
    let record = async |Path(id): Path<String>| Json(json!({"request_id": id, "deleted": true}));
    let router = Router::new()
        .route("/v1/requests/{id}/replay", post(replay))
        .route("/v1/requests/{id}/record", delete(record));
    let url = serve(router).await;
    for line in ["replay req_1 --model big", "delete --yes req_1 req_2"] {
        parse(&format!("x {line} --url {url}")).unwrap().run(&context(&url)).await.unwrap();
    }
}
