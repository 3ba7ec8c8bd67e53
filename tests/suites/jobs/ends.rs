//! Results, attempts, dead letters and expiry.

use hearth_tests::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{get, in_state, job, job_with, submit, vendor::Vendor};

#[tokio::test]
async fn result_is_the_response_of_its_request() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let id = submit(&client, &job("Hello")).await;
    let ended = in_state(&client, &id, "completed").await;
    let work = &ended["work"];
    assert_eq!(work["result"]["output"]["text"], "Hello", "{ended}");
    assert_eq!(
        (&ended["kind"], &ended["object"], &ended["error"]),
        (&json!("generate"), &json!("job"), &Value::Null)
    );
    let attempt = &work["attempts"][0];
    assert_eq!((&attempt["number"], work["attempts"].as_array().map(Vec::len)), (&json!(1), Some(1)));
    assert_eq!(attempt["request_id"], work["result"]["request_id"]);
    let request = client.get(&format!("/v1/requests/{}", attempt["request_id"].as_str().unwrap())).await;
    assert_eq!(request.json()["status"], "completed");
    assert_eq!(client.get(&format!("/v1/jobs/{id}/result")).await.json(), work["result"]);
    // Neither a list nor another owner has the result.
    let list = client.get("/v1/jobs?kind=generate").await.json();
    assert_eq!((&list["jobs"][0]["id"], &list["jobs"][0]["work"]["result"]), (&json!(id), &Value::Null));
    assert_eq!(client.get("/v1/jobs?kind=download").await.json()["jobs"], json!([]));
    let (home, stranger) = home.restart_with_a_stranger().await;
    let stranger = home.client().with_token(Some(&stranger));
    for path in [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/result")] {
        assert_eq!(stranger.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(stranger.get("/v1/jobs").await.json()["jobs"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn long_result_and_long_input_are_stored_as_objects() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let prompt = "long ".repeat(30_000);
    let id = submit(&client, &job(&prompt)).await;
    let ended = in_state(&client, &id, "completed").await;
    assert_eq!(ended["work"]["result"], Value::Null);
    assert!(ended["work"]["result_bytes"].as_u64().unwrap() > 150_000, "{ended}");
    let result = client.get(&format!("/v1/jobs/{id}/result")).await.json();
    assert_eq!(result["output"]["text"].as_str().map(str::len), Some(prompt.len()));
    home.stop().await;
}

#[tokio::test]
async fn bad_job_is_refused_with_the_field() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let late = "2096-01-01T00:00:00Z";
    for (body, field) in [
        (json!({"kind": "generate", "input": {}}), "input.input"),
        (json!({"kind": "generate", "input": {"input": {"prompt": "x"}, "stream": true}}), "input.stream"),
        (
            json!({"kind": "generate", "input": {"input": {"prompt": "x"}, "session_id": "sess_01J9ZX5V2QH8N4T6W0C3M7K1RB"}}),
            "input.session_id",
        ),
        (json!({"kind": "download", "input": {}}), "kind"),
        (json!({"kind": "delivery", "input": {}}), "kind"),
        (job_with("x", &json!({"max_attempts": 11})), "max_attempts"),
        (job_with("x", &json!({"expires_after_seconds": 0})), "expires_after_seconds"),
        (job_with("x", &json!({"not_before": late})), "not_before"),
    ] {
        let answer = client.post("/v1/jobs", &body).await;
        let error = answer.json();
        assert_eq!((answer.status.as_u16(), &error["error"]["param"]), (400, &json!(field)), "{error}");
    }
    assert_eq!(client.get("/v1/jobs").await.json()["jobs"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn repeated_submission_returns_the_first_job() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let send = async |body: &Value, key: &str| {
        client.send(client.request(Method::POST, "/v1/jobs").header("idempotency-key", key).json(body)).await
    };
    let (one, two) = (job("one"), job("two"));
    let (first, second) = tokio::join!(send(&one, "k"), send(&one, "k"));
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202));
    assert_eq!(first.json()["id"], second.json()["id"]);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    in_state(&client, &id, "completed").await;
    assert_eq!(send(&one, "k").await.json()["id"], id);
    assert_eq!(send(&two, "k").await.status, 409);
    assert_eq!(vendor.counts()["one"], 1);
    for (option, value) in
        [("priority", json!("low")), ("max_attempts", json!(9)), ("expires_after_seconds", json!(60))]
    {
        let mut with_option = one.clone();
        with_option[option] = value;
        assert_eq!(send(&with_option, "k").await.status, 409, "{option}");
        assert_eq!(send(&with_option, option).await.status, 202, "{option}");
        assert_eq!(send(&with_option, option).await.status, 202, "{option}");
        assert_eq!(send(&one, option).await.status, 409, "{option}");
    }
    assert_ne!(send(&two, "other").await.json()["id"], id);
    assert_eq!(send(&two, "").await.status, 400);
    home.stop().await;
}

#[tokio::test]
async fn failed_attempt_is_repeated_until_one_succeeds() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let id = submit(&client, &job("down")).await;
    let waiting = eventually("the first attempt has failed", async || {
        let job = get(&client, &id).await;
        (!job["work"]["attempts"][0]["error"].is_null()).then_some(job)
    })
    .await;
    assert!(["queued", "running"].contains(&waiting["state"].as_str().unwrap()), "{waiting}");
    vendor.recover();
    let ended = in_state(&client, &id, "completed").await;
    let attempts = ended["work"]["attempts"].as_array().unwrap();
    assert!(attempts.len() >= 2, "{ended}");
    assert_eq!(attempts[0]["error"]["code"], "request_failed", "{ended}");
    assert_eq!(attempts.last().unwrap()["error"], Value::Null);
    home.stop().await;
}

#[tokio::test]
async fn job_whose_attempts_have_failed_is_a_dead_letter_until_it_is_retried_or_dropped() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let broken = submit(&client, &job_with("broken", &json!({"max_attempts": 2}))).await;
    let bad = submit(&client, &job("bad")).await;
    let ended = in_state(&client, &bad, "failed").await;
    assert_eq!(ended["work"]["attempts"].as_array().map(Vec::len), Some(1), "{ended}");
    let ended = in_state(&client, &broken, "failed").await;
    assert_eq!(ended["work"]["attempts"].as_array().map(Vec::len), Some(2), "{ended}");
    assert_eq!((&ended["work"]["dead"], &ended["error"]["code"]), (&json!(true), &json!("request_failed")));
    let dead = async || {
        let list = client.get("/v1/jobs?dead=true").await.json();
        let jobs = list["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(dead().await, [bad.clone(), broken.clone()]);

    // A retry is a new job, which names the earlier one; a second one is the same.
    let retry = client.post(&format!("/v1/jobs/{bad}/retry"), &json!({})).await;
    assert_eq!((retry.status.as_u16(), &retry.json()["work"]["replay_of"]), (202, &json!(bad)));
    let again = retry.json()["id"].as_str().unwrap().to_owned();
    let earlier = get(&client, &bad).await;
    assert_eq!((&earlier["work"]["replayed_by"], &earlier["state"]), (&json!(again), &json!("failed")));
    in_state(&client, &again, "failed").await;
    let drop = async |id: &str| client.post(&format!("/v1/jobs/{id}/drop"), &json!({})).await.status.as_u16();
    assert_eq!((drop(&broken).await, drop(&broken).await), (200, 409));
    assert_eq!(dead().await, std::slice::from_ref(&again));
    assert_eq!(drop(&again).await, 200);
    assert_eq!(dead().await, Vec::<String>::new());
    assert_eq!(client.get("/v1/jobs?state=failed").await.json()["jobs"].as_array().map(Vec::len), Some(3));
    home.stop().await;
}

#[tokio::test]
async fn job_expires_whose_time_is_over_before_it_ends() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    client.send(client.request(Method::PUT, "/v1/job-pauses/generate")).await;
    let id = submit(&client, &job_with("never", &json!({"expires_after_seconds": 1}))).await;
    let ended = in_state(&client, &id, "expired").await;
    assert_eq!(ended["error"]["code"], "timed_out");
    assert_eq!(client.get("/v1/jobs?dead=true").await.json()["jobs"], json!([]));
    assert_eq!(vendor.prompts(), Vec::<String>::new());
    home.stop().await;
}
