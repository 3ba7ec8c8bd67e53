//! Charges of runs at nodes: a node is a member's machine, and its runs are other members' too.

use hearth_domain::{FinishReason, Usage};
use hearth_tests::{
    Client, eventually,
    relay::{RelayStream, RelayWorld, long_request},
};
use hearth_wire::RunEventBody;
use reqwest::Method;
use serde_json::{Value, json};

use crate::MODEL;

/// The estimated tokens of the prompt of [`long_request`].
const PROMPT: i64 = 13;

/// Sets a budget of tokens for the operator's organisation, and one for the client's token.
async fn set_budgets(client: &Client) {
    let organisations = client.get("/v1/organisations").await.json();
    let tokens = client.get("/v1/users/tokens").await.json();
    // The commands of this machine have a token too.
    let token = tokens["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "first token");
    for (kind, subject) in
        [("organisation", &organisations["organisations"][0]["id"]), ("token", &token.unwrap()["id"])]
    {
        let put = client.request(Method::PUT, &format!("/v1/limits/{kind}/{}", subject.as_str().unwrap()));
        let set = client.send(put.json(&json!({"tokens_per_month": 1_000_000}))).await;
        assert_eq!(set.status, 200, "{set:?}");
    }
}

/// Waits until the sums of usage have so many runs. Returns the tokens that are spent of each budget, and those of the sums.
async fn charged(client: &Client, runs: i64) -> (i64, i64) {
    let number = |value: &Value, field: &str| value[field].as_i64().unwrap_or_default();
    eventually("the settlement", async || {
        let total = client.get("/v1/usage").await.json()["total"].take();
        // Written in one transaction with the sums.
        let limits = client.get("/v1/limits").await.json();
        let used = number(&total, "prompt_tokens") + number(&total, "completion_tokens");
        let budgets = limits["data"].as_array()?.iter().map(|limit| &limit["budgets"][0]);
        let spent: Vec<i64> = budgets.map(|budget| number(budget, "tokens_spent")).collect();
        assert_eq!(spent.len(), 2, "{limits}");
        (number(&total, "requests") == runs && spent[0] == spent[1]).then_some((spent[0], used))
    })
    .await
}

#[tokio::test]
async fn node_spends_no_more_of_others_budgets_than_the_worst_case() {
    let world = RelayWorld::start().await;
    let client = world.client();
    set_budgets(&client).await;
    let node = world.scripted("liar", &["ghost"]).await;
    let (asking, body) = (client.clone(), long_request("ghost", 100));
    let asking = tokio::spawn(async move { RelayStream::open(&asking, &body).await });
    let mut run = node.next_run().await;
    node.post(&mut run, vec![RunEventBody::Started { prompt_tokens: 3 }, RunEventBody::text("one")]).await;
    let usage = Usage { prompt_tokens: 4_000_000_000, completion_tokens: 5, ..Usage::default() };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    node.post(&mut run, vec![RunEventBody::Usage { usage }, done]).await;
    let stream = asking.await.unwrap().unwrap_or_else(|answer| panic!("{answer:?}"));
    stream.rest().await.assert_whole("one");
    assert_eq!(charged(&client, 1).await, (PROMPT + 100, PROMPT + 100));
}

#[tokio::test]
async fn run_that_continues_is_charged_once_over_a_restart_of_its_gateway() {
    const TOKENS: i64 = 3000;
    let mut world = RelayWorld::start().await;
    let _node = world.node().await;
    set_budgets(&world.client()).await;
    let mut before = 0;
    for (runs, crashes) in [(1, false), (2, true)] {
        let mut body = long_request(MODEL, TOKENS.unsigned_abs());
        body["on_disconnect"] = "continue".into();
        let stream = RelayStream::open(&world.client(), &body).await;
        let mut stream = stream.unwrap_or_else(|answer| panic!("{answer:?}"));
        stream.read_text(20).await;
        if crashes {
            world.crash_gateway().await;
        } else {
            world.restart_gateway().await;
        }
        let id = stream.id().to_owned();
        drop(stream);
        let record = world.assert_ended_once(&id).await;
        assert_eq!(record["status"], "completed", "{record}");
        let (spent, used) = charged(&world.client(), runs).await;
        assert!(
            (TOKENS..=TOKENS + PROMPT).contains(&(spent - before)),
            "{before} {spent}, crashes: {crashes}"
        );
        assert_eq!(spent, used);
        before = spent;
    }
}
