//! Jobs that are cancelled, paused and resumed, by themselves and by their kind; and the rights that they have.

use hearth_tests::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{get, in_state, job, submit, vendor::Vendor};

#[tokio::test]
async fn cancelled_job_stays_cancelled_and_its_request_stops() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let id = submit(&client, &job("wait")).await;
    vendor.has_received(1).await;
    let running = get(&client, &id).await;
    let request = running["work"]["attempts"][0]["request_id"].as_str().unwrap().to_owned();
    let cancelled = client.delete(&format!("/v1/jobs/{id}")).await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.json()["state"]), (200, &json!("cancelled")));
    eventually("the request is cancelled", async || {
        let request = client.get(&format!("/v1/requests/{request}")).await.json();
        (request["status"] == "cancelled").then_some(())
    })
    .await;
    vendor.open();
    let again = client.delete(&format!("/v1/jobs/{id}")).await.json();
    assert_eq!((&again["state"], &again["ended_at"]), (&json!("cancelled"), &cancelled.json()["ended_at"]));
    assert_eq!(client.get(&format!("/v1/jobs/{id}/result")).await.status, 409);
    assert_eq!(client.post(&format!("/v1/jobs/{id}/resume"), &json!({})).await.status, 409);
    home.stop().await;
}

#[tokio::test]
async fn of_a_cancel_and_a_completion_the_first_holds() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(submit(&client, &job(&format!("race {number}"))).await);
    }
    let answers = ids.iter().map(async |id| client.delete(&format!("/v1/jobs/{id}")).await);
    let answers: Vec<_> = futures::future::join_all(answers).await;
    for (id, answer) in ids.iter().zip(answers) {
        let (first, later) = (answer.json(), get(&client, id).await);
        assert!(["cancelled", "completed"].contains(&first["state"].as_str().unwrap()), "{first}");
        assert_eq!((&first["state"], &first["ended_at"]), (&later["state"], &later["ended_at"]));
        let has_result = client.get(&format!("/v1/jobs/{id}/result")).await.status == 200;
        assert_eq!(has_result, later["state"] == "completed", "{later}");
    }
    home.stop().await;
}

#[tokio::test]
async fn paused_job_waits_and_goes_on_after_a_restart() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let mut body = job("later");
    body["not_before"] = json!(soon());
    let id = submit(&client, &body).await;
    let pause = client.post(&format!("/v1/jobs/{id}/pause"), &json!({})).await;
    assert_eq!((pause.status.as_u16(), &pause.json()["state"]), (200, &json!("paused")));
    let home = home.restart().await;
    let client = home.client();
    assert_eq!(get(&client, &id).await["state"], "paused");
    assert_eq!(client.post(&format!("/v1/jobs/{id}/resume"), &json!({})).await.json()["state"], "queued");
    in_state(&client, &id, "completed").await;
    assert_eq!(vendor.prompts(), ["later"]);
    home.stop().await;
}

/// A time two seconds from now.
fn soon() -> String {
    hearth_domain::Timestamp::now().plus(std::time::Duration::from_secs(2)).to_string()
}

#[tokio::test]
async fn generation_of_a_job_that_is_paused_meanwhile_ends() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let id = submit(&client, &job("wait")).await;
    vendor.has_received(1).await;
    assert_eq!(client.post(&format!("/v1/jobs/{id}/pause"), &json!({})).await.json()["state"], "paused");
    vendor.open();
    let ended = in_state(&client, &id, "completed").await;
    assert_eq!((&ended["work"]["result"]["output"]["text"], vendor.prompts().len()), (&json!("wait"), 1));
    home.stop().await;
}

#[tokio::test]
async fn paused_kind_holds_its_jobs_until_it_is_resumed() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let pause = async |method: Method, path: &str| client.send(client.request(method, path)).await;
    let paused = pause(Method::PUT, "/v1/job-pauses/generate").await;
    assert_eq!((paused.status.as_u16(), &paused.json()["pauses"][0]["kind"]), (200, &json!("generate")));
    assert_eq!(pause(Method::PUT, "/v1/job-pauses/download").await.status, 400);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(submit(&client, &job(&format!("held {number}"))).await);
    }
    // It holds across a restart, and so do the jobs.
    let home = home.restart().await;
    let client = home.client();
    for id in &ids {
        assert_eq!(get(&client, id).await["state"], "queued");
    }
    assert_eq!(vendor.prompts(), Vec::<String>::new());
    let everywhere = client.send(client.request(Method::PUT, "/v1/job-pauses/batch?scope=gateway")).await;
    assert_eq!(everywhere.json()["pauses"].as_array().map(Vec::len), Some(2));
    let resumed = client.delete("/v1/job-pauses/generate").await.json();
    assert_eq!(resumed["pauses"][0]["scope"], "gateway");
    for id in &ids {
        in_state(&client, id, "completed").await;
    }
    assert_eq!(client.delete("/v1/job-pauses/batch?scope=gateway").await.json()["pauses"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn job_of_a_revoked_token_fails_as_forbidden() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let token =
        client.post("/v1/users/tokens", &json!({"name": "jobs", "scopes": ["generate"]})).await.json();
    let other = client.with_token(token["token"].as_str());
    client.send(client.request(Method::PUT, "/v1/job-pauses/generate")).await;
    let id = submit(&other, &job("forbidden")).await;
    let revoked = client.delete(&format!("/v1/users/tokens/{}", token["id"].as_str().unwrap())).await;
    assert!(revoked.status.is_success(), "{revoked:?}");
    client.delete("/v1/job-pauses/generate").await;
    let ended = in_state(&client, &id, "failed").await;
    assert_eq!(ended["error"]["code"], "forbidden", "{ended}");
    assert_eq!(vendor.prompts(), Vec::<String>::new());
    home.stop().await;
}

#[tokio::test]
async fn job_obeys_the_models_of_its_token() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let token = json!({"name": "few", "scopes": ["generate"], "models": ["local:*"]});
    let token = client.post("/v1/users/tokens", &token).await.json();
    let other = client.with_token(token["token"].as_str());
    let id = submit(&other, &job("no")).await;
    let ended = in_state(&client, &id, "failed").await;
    assert_eq!(ended["error"]["code"], "forbidden", "{ended}");
    assert_eq!(vendor.prompts(), Vec::<String>::new());
    assert_ne!(ended["error"]["message"], Value::Null);
    home.stop().await;
}
