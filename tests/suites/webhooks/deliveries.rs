//! Order, batches, filters, visibility, and the log.

use std::sync::Arc;

use hearth_domain::MemberRole;
use hearth_tests::{Person, operators_organisation};
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    create, create_at, deliveries, ended, gateway, gateway_with, id, patch, post,
    receiver::{Receiver, Reply},
    run, send_test,
};

#[tokio::test]
async fn events_of_a_subject_come_in_order_and_others_do_not_wait() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    let client = home.client();
    let webhook = create_at(&client, &receiver.url).await;
    let held = Arc::new(Notify::new());
    receiver.reply(&[Reply::Held(Arc::clone(&held), 500)]);
    // Tests of a webhook have one subject, a run has another.
    let first = send_test(&client, &webhook).await;
    receiver.wait_for(1).await;
    let second = send_test(&client, &webhook).await;
    let run = run(&client).await;
    let received = receiver.wait_for(2).await;
    assert_eq!(received[1].json()["subject"], json!(run), "{received:?}");
    held.notify_one();
    let received = receiver.wait_for(4).await;
    let ids: Vec<&str> = received[2..].iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids, [&first, &second]);
    home.stop().await;
}

#[tokio::test]
async fn events_within_a_window_come_in_one_request_that_stays_the_same() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    let batch = json!({"max_events": 3, "window_seconds": 1});
    let webhook = create(&client, json!({"events": ["*"], "url": receiver.url, "batch": batch})).await;
    receiver.reply(&[Reply::Status(500)]);
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(send_test(&client, &webhook).await);
    }
    let received = receiver.wait_for(3).await;
    let ids = |number: usize| -> Vec<String> {
        let events = received[number].json();
        let ids = events.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    assert_eq!((ids(0), ids(2)), (events[..3].to_vec(), events[3..].to_vec()));
    assert_eq!((ids(1), received[1].header("webhook-id")), (ids(0), received[0].header("webhook-id")));
    assert_eq!(received[0].header("content-type"), "application/cloudevents-batch+json");
    assert!(received[0].is_signed_by(webhook["secret"].as_str().unwrap()));
    for event in &events {
        assert_eq!(ended(&client, &webhook, event).await["state"], "delivered");
    }
    assert_eq!(ended(&client, &webhook, &events[1]).await["sent_with"], json!(events[0]));
    home.stop().await;
}

#[tokio::test]
async fn webhook_gets_the_events_that_its_patterns_and_its_filter_select() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    let client = home.client();
    let url = |path: &str| format!("{}/{path}", receiver.url);
    let of = |events: &str, filter: serde_json::Value, path: &str| json!({"events": [events], "filter": filter, "url": url(path)});
    let model = home.model.clone();
    create(&client, of("run.completed", json!({"attributes": {"model": model}}), "a")).await;
    let other = create(&client, of("run.*", json!({"attributes": {"model": "other-*"}}), "b")).await;
    let failed = create(&client, of("*.failed", json!({}), "c")).await;
    run(&client).await;
    receiver.wait_for(1).await;
    assert_eq!((deliveries(&client, &other).await, deliveries(&client, &failed).await), (vec![], vec![]));
    // From now on it gets the run too.
    assert_eq!(patch(&client, &other, json!({"filter": {"subject": "req_*"}})).await.status, 200);
    let last = run(&client).await;
    let received = receiver.wait_for(3).await;
    assert!(received[1..].iter().all(|one| one.json()["subject"] == json!(last)), "{received:?}");
    home.stop().await;
}

#[tokio::test]
async fn member_gets_own_events_only_and_the_organisation_those_of_all() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    let (home, developer) = home
        .restart_after(async |store| {
            let organisation = operators_organisation(store).await;
            Person::in_organisation(store, organisation, MemberRole::Developer).await.token
        })
        .await;
    let (owner, developer) = (home.client(), home.client().with_token(Some(&developer)));
    let of_all =
        json!({"events": ["run.*"], "url": format!("{}/all", receiver.url), "visibility": "organisation"});
    developer.post("/v1/webhooks", &of_all).await.error(403, "forbidden");
    let of_all = create(&owner, of_all).await;
    let own = create_at(&developer, &receiver.url).await;
    // A webhook of another user isn't found; one of the organisation by its owners and admins alone.
    owner.get(&format!("/v1/webhooks/{}", id(&own))).await.error(404, "not_found");
    developer.get(&format!("/v1/webhooks/{}", id(&of_all))).await.error(404, "not_found");
    let first = run(&owner).await;
    receiver.wait_for(1).await;
    let second = run(&developer).await;
    receiver.wait_for(3).await;
    let subjects = |all: Vec<serde_json::Value>| -> Vec<String> {
        all.iter().rev().map(|one| one["subject"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(subjects(deliveries(&owner, &of_all).await), [first, second.clone()]);
    assert_eq!(subjects(deliveries(&developer, &own).await), [second]);
    home.stop().await;
}

#[tokio::test]
async fn result_of_a_job_goes_to_its_own_webhook_alone() {
    let (home, receiver, own) = (gateway().await, Receiver::start().await, Receiver::start().await);
    let client = home.client();
    let of_all = json!({"events": ["job.*"], "url": receiver.url, "visibility": "organisation"});
    create(&client, of_all).await;
    let input = json!({"input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}});
    let job = json!({"kind": "generate", "input": input, "webhook": {"url": own.url}});
    let submitted = client.post("/v1/jobs", &job).await;
    assert_eq!(submitted.status, 202, "{submitted:?}");
    let at_own = own.wait_for(1).await.remove(0).json();
    assert_eq!(at_own["type"], "job.completed", "{at_own}");
    assert!(at_own["data"]["work"]["result"].is_object(), "{at_own}");
    let elsewhere = receiver.wait_for(1).await.remove(0).json();
    assert_eq!((&elsewhere["id"], &elsewhere["type"]), (&at_own["id"], &at_own["type"]));
    assert_eq!(elsewhere["data"]["state"], "completed", "{elsewhere}");
    assert_eq!(elsewhere["data"]["work"]["result"], json!(null), "{elsewhere}");
    home.stop().await;
}

#[tokio::test]
async fn log_has_pages_and_a_replay_sends_an_event_again() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    let webhook = create_at(&client, &receiver.url).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.insert(0, send_test(&client, &webhook).await);
    }
    for event in &events {
        ended(&client, &webhook, event).await;
    }
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let cursor_parameter = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path =
            format!("/v1/webhooks/{}/deliveries?limit=2&state=delivered{cursor_parameter}", id(&webhook));
        let page = client.get(&path).await.json();
        let ids = page["deliveries"].as_array().unwrap().iter();
        listed.extend(ids.map(|one| one["event"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, events);
    // A page that has the last ones has no cursor, with a state and without.
    for query in ["limit=3", "limit=3&state=delivered", "limit=1&state=failed"] {
        let page = client.get(&format!("/v1/webhooks/{}/deliveries?{query}", id(&webhook))).await.json();
        assert_eq!(page["next_cursor"], json!(null), "{query}: {page}");
    }
    let replayed = post(&client, &webhook, &format!("deliveries/{}/replay", events[1]), json!({})).await;
    assert_eq!(replayed.status, 202, "{replayed:?}");
    assert_eq!(receiver.wait_for(4).await[3].header("webhook-id"), events[1]);
    // Those of a time: none has failed, and all were delivered.
    let replayed = post(&client, &webhook, "replay", json!({})).await.json();
    assert_eq!(replayed["replayed"], 0);
    ended(&client, &webhook, &events[1]).await;
    let replayed = post(&client, &webhook, "replay", json!({"state": "delivered"})).await.json();
    assert_eq!((&replayed["replayed"], &replayed["has_more"]), (&json!(3), &json!(false)));
    let received = receiver.wait_for(7).await;
    let again: Vec<&str> = received[4..].iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(again, [&events[2], &events[1], &events[0]]);
    home.stop().await;
}

#[tokio::test]
async fn paused_webhook_gets_its_events_when_it_is_resumed() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    let client = home.client();
    let webhook = create_at(&client, &receiver.url).await;
    assert_eq!(post(&client, &webhook, "pause", json!({})).await.json()["state"], "paused");
    let runs = [run(&client).await, run(&client).await];
    hearth_tests::eventually("the events of both runs", async || {
        (deliveries(&client, &webhook).await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(receiver.received().len(), 0);
    post(&client, &webhook, "resume", json!({})).await;
    let received = receiver.wait_for(2).await;
    for run in runs {
        assert!(received.iter().any(|one| one.json()["subject"] == json!(run)), "{run}");
    }
    home.stop().await;
}
