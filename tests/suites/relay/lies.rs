//! Nodes that say what isn't so. A gateway believes a node about its own models and runs alone.

use hearth_domain::{Cost, RunId, Selection, Timestamp};
use hearth_tests::relay::{RelayAnswer, RelayStream, RelayWorld, long_request};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody, relay::NodeRefusal};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;

/// Asks for an answer of a model, in the background.
fn ask(world: &RelayWorld, model: &str) -> JoinHandle<RelayAnswer> {
    let (client, body) = (world.client(), long_request(model, 100));
    tokio::spawn(async move {
        match RelayStream::open(&client, &body).await {
            Ok(stream) => stream.rest().await,
            Err(refused) => refused,
        }
    })
}

#[tokio::test]
async fn node_without_the_model_that_it_reported_refuses_and_the_client_learns_why() {
    let world = RelayWorld::start().await;
    let node = world.scripted("liar", &["ghost"]).await;
    let asking = ask(&world, "ghost");
    let run = node.next_run().await;
    let error = ApiError::new(ErrorCode::ModelNotFound, "this node has no model ghost");
    let refusal = NodeRefusal { fence: run.claimed.fence, error };
    let path = format!("/v1/node/runs/{}/refuse", run.id());
    assert!(node.send(Method::POST, &path, &json!(refusal)).await.status.is_success());
    let answer = asking.await.unwrap();
    assert_eq!((answer.error.as_deref(), answer.text.as_str()), (Some("model_not_found"), ""), "{answer:?}");
    world.assert_ended_once(&answer.id).await;
}

#[tokio::test]
async fn node_cant_touch_the_run_of_another_node() {
    let world = RelayWorld::start().await;
    let (node, thief) = (world.scripted("own", &["ghost"]).await, world.scripted("thief", &["other"]).await);
    let asking = ask(&world, "ghost");
    let mut run = node.next_run().await;
    assert!(thief.claim(run.id()).await.is_err());
    for id in [run.id(), RunId::new()] {
        let event = RunEvent { seq: 1, body: RunEventBody::text("stolen") };
        let refused = thief.try_post(id, run.claimed.fence, vec![event]).await;
        assert!([403, 404, 409].contains(&refused.status.as_u16()), "{refused:?}");
    }
    node.serve(&mut run, &["one ", "two"]).await;
    let answer = asking.await.unwrap();
    answer.assert_whole("one two");
    world.assert_ended_once(&answer.id).await;
}

#[tokio::test]
async fn events_that_leave_a_gap_or_follow_the_end_are_not_stored() {
    let world = RelayWorld::start().await;
    let node = world.scripted("wild", &["ghost"]).await;
    let asking = ask(&world, "ghost");
    let mut run = node.next_run().await;
    node.post(&mut run, vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("one ")]).await;
    let gap = vec![RunEvent { seq: run.seq + 5, body: RunEventBody::text("far") }];
    let answer = node.try_post(run.id(), run.claimed.fence, gap).await;
    assert_eq!(answer.json()["last_seq"], run.seq, "{answer:?}");
    let words = vec![
        RunEventBody::text("two"),
        RunEventBody::Done { finish_reason: hearth_domain::FinishReason::Stop },
    ];
    node.post(&mut run, words).await;
    let after = run.next(vec![RunEventBody::text("three")]);
    node.try_post(run.id(), run.claimed.fence, after).await;
    let answer = asking.await.unwrap();
    answer.assert_whole("one two");
    let record = world.assert_ended_once(&answer.id).await;
    assert_eq!(record["output"]["text"], "one two", "{record}");
}

#[tokio::test]
async fn events_that_are_the_gateways_own_are_refused() {
    let world = RelayWorld::start().await;
    let node = world.scripted("forger", &["ghost"]).await;
    let asking = ask(&world, "ghost");
    let mut run = node.next_run().await;
    let cost = Cost::from_nanodollars(1000 * 1_000_000_000);
    for forged in [RunEventBody::Selected(Selection::example("gpt-5", "openai")), RunEventBody::Cost { cost }]
    {
        let event = RunEvent { seq: 1, body: forged };
        let refused = node.try_post(run.id(), run.claimed.fence, vec![event]).await;
        refused.error(400, "invalid_request");
    }
    node.serve(&mut run, &["one ", "two"]).await;
    let answer = asking.await.unwrap();
    answer.assert_whole("one two");
    let record = world.assert_ended_once(&answer.id).await;
    assert!(!record.to_string().contains("gpt-5"), "{record}");
}

#[tokio::test]
async fn list_in_the_place_of_an_object_is_refused() {
    let world = RelayWorld::start().await;
    let node = world.scripted("loose", &["ghost"]).await;
    let asking = ask(&world, "ghost");
    let mut run = node.next_run().await;
    let path = format!("/v1/node/runs/{}/events", run.id());
    let usage = json!({"seq": 1, "event": "usage", "usage": [1000, 1000, 0]});
    for events in [json!([usage]), json!([[1, "usage", {}]])] {
        let batch = json!({"fence": run.claimed.fence, "events": events});
        node.send(Method::POST, &path, &batch).await.error(400, "invalid_request");
    }
    let report = json!([null, "scripted", Timestamp::now()]);
    node.send(Method::POST, "/v1/node/report", &report).await.error(400, "invalid_request");
    node.serve(&mut run, &["one ", "two"]).await;
    asking.await.unwrap().assert_whole("one two");
}

#[tokio::test]
async fn report_with_too_many_models_or_too_large_a_status_is_refused() {
    let world = RelayWorld::start().await;
    let node = world.scripted("hoarder", &["ghost"]).await;
    let names: Vec<String> = (0..1_001).map(|number| format!("ghost {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let error = node.clone().with_models(&names).try_report().await.error(400, "invalid_request");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("1001 models")), "{error}");
    let long = "g".repeat(201);
    node.clone().with_models(&[&long]).try_report().await.error(400, "invalid_request");
    let reason = "x".repeat(9 << 20);
    let backend = json!({"library": "libggml-cpu.so", "state": "failed", "reason": reason});
    let status = json!({"models": [], "backends": [backend]});
    let report = json!({"status": status, "version": "scripted", "now": Timestamp::now()});
    node.send(Method::POST, "/v1/node/report", &report).await.error(413, "payload_too_large");
    // It serves on with the models of its last report.
    let asking = ask(&world, "ghost");
    let mut run = node.next_run().await;
    node.serve(&mut run, &["one ", "two"]).await;
    asking.await.unwrap().assert_whole("one two");
}

#[tokio::test]
async fn huge_refusal_of_a_run_is_bounded_as_a_whole() {
    let world = RelayWorld::start().await;
    let node = world.scripted("verbose", &["ghost"]).await;
    let asking = ask(&world, "ghost");
    let run = node.next_run().await;
    let huge = "x".repeat(1 << 20);
    let error = ApiError::new(ErrorCode::ModelNotFound, &*huge).with("fact", &*huge).at(&*huge);
    let refusal = NodeRefusal { fence: run.claimed.fence, error };
    let path = format!("/v1/node/runs/{}/refuse", run.id());
    assert!(node.send(Method::POST, &path, &json!(refusal)).await.status.is_success());
    let answer = asking.await.unwrap();
    assert_eq!(answer.error.as_deref(), Some("model_not_found"), "{}", answer.id);
    let record = world.assert_ended_once(&answer.id).await;
    assert!(record.to_string().len() < 20_000, "{}", record.to_string().len());
}
