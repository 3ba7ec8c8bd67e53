//! Batches that may not begin, or go on.

use std::time::Duration;

use hearth_domain::MemberRole;
use hearth_store::database::{Query, Sort};
use hearth_tests::{Person, Setup, eventually, hearth, operators_organisation, run};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{CHAT, create, ended, questions, vendor::Vendor};

#[tokio::test]
async fn batch_of_a_member_who_may_no_longer_generate_fails() {
    let vendor = Vendor::start(Duration::ZERO).await;
    let home = vendor.home("").await;
    let (home, person) = home
        .restart_after(async |store| {
            let organisation = operators_organisation(store).await;
            Person::in_organisation(store, organisation, MemberRole::Developer).await
        })
        .await;
    let (operator, client) = (home.client(), home.client().with_token(Some(&person.token)));
    operator.send(operator.request(Method::PUT, "/v1/job-pauses/batch")).await;
    let path = create(&client, &questions("rig:big", 3), CHAT, &json!({})).await;
    let member = format!("/v1/organisations/{}/members/{}", person.organisation, person.user);
    let demoted =
        operator.send(operator.request(Method::PATCH, &member).json(&json!({"role": "viewer"}))).await;
    assert!(demoted.status.is_success(), "{demoted:?}");
    operator.delete("/v1/job-pauses/batch").await;
    eventually("the job of the batch has failed", async || {
        let metrics = String::from_utf8_lossy(&operator.get("/metrics").await.body).into_owned();
        let is_end = |line: &str| line.contains("kind=\"batch\"") && line.contains("state=\"failed\"");
        metrics.lines().any(|line| line.starts_with("hearth_jobs_ended_total{") && is_end(line)).then_some(())
    })
    .await;
    let member = operator.request(Method::PATCH, &member).json(&json!({"role": "developer"}));
    assert!(operator.send(member).await.status.is_success());
    let batch = ended(&client, &path).await;
    assert_eq!(
        (&batch["status"], &batch["errors"]["data"][0]["code"]),
        (&json!("failed"), &json!("forbidden")),
        "{batch}"
    );
    assert_eq!(vendor.count(), 0);

    // Its job is a dead letter that isn't retried, but by another batch.
    let job = batch["job_id"].as_str().unwrap().to_owned();
    let refused = client.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await.error(409, "conflict");
    assert!(refused["message"].as_str().unwrap().contains("POST /v1/batches"), "{refused}");
    let mut command = hearth(home.folder(), &["jobs", "dead", "retry", "--all"]);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &person.token);
    let retried = run(command, "").await;
    assert!(retried.status.success() && retried.stderr.contains("create the batch again"), "{retried:?}");
    let dead = client.get("/v1/jobs?dead=true").await.json();
    assert_eq!(dead["jobs"][0]["id"], job);
    home.stop().await;
}

#[tokio::test]
async fn refused_batch_of_messages_leaves_no_file() {
    let home = Setup::new().settings("[jobs]\nmax_queued = 1\n").arguments(&["--no-node"]).start().await;
    let client = home.client();
    client.send(client.request(Method::PUT, "/v1/job-pauses/batch")).await;
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let item = json!({"custom_id": "a", "params": {"model": "auto", "max_tokens": 8, "messages": messages}});
    let body = json!({"requests": [item]});
    let create = async || client.post("/v1/messages/batches", &body).await;
    assert_eq!(create().await.status, 200);
    for _ in 0..2 {
        let refused = create().await;
        assert_eq!(refused.status, 429, "{refused:?}");
    }
    let me: Value = client.get("/v1/organisations").await.json();
    let sums = format!("FILESUM#{}", me["organisations"][0]["id"].as_str().unwrap());
    let (home, count) = home
        .restart_after(async |store| {
            let items = store.database().query(&Query::partition(sums, Sort::All)).await.unwrap().items;
            let sums: Value = serde_json::from_str(&items[0].body).unwrap();
            sums["count"].as_i64().unwrap()
        })
        .await;
    assert_eq!(count, 1);
    home.stop().await;
}
