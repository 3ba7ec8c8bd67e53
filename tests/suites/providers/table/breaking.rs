//! A vendor that fails in the middle of an answer, however it does: the client is told in its dialect, and the
//! run's record has what came before.

use hearth_tests::{Reply, Upstream};
use serde_json::{Value, json};

use super::{
    LONG, SHORT, Vendor,
    clients::{self, Client},
    home,
    vendors::{self, Failure},
    words::{Answer, Asked, says},
};

const BEGUN: &str = "Once upon";

/// A way to fail, what comes of the vendor then, and the code that clients are told.
type Way = (&'static str, fn(&Vendor) -> Reply, &'static str);

const WAYS: [Way; 5] = [
    ("overloaded", |vendor| (vendor.fails)(BEGUN, Failure::Overloaded), "provider_rate_limited"),
    ("a fault", |vendor| (vendor.fails)(BEGUN, Failure::Fault), "provider_error"),
    ("an early end", |vendor| (vendor.begins)(BEGUN), "provider_error"),
    ("a broken connection", |vendor| (vendor.begins)(BEGUN).then_break(), "provider_error"),
    ("silence", |vendor| (vendor.begins)(BEGUN).then_silence(), "provider_timeout"),
];

/// A question to a model that no other client has asked: the circuit of one that fails often is open.
fn question(client: &Client, vendor: &Vendor, number: usize) -> Value {
    let asked = Asked { turns: vec![says("Tell me a story.")], ..Asked::default() };
    let model = format!("{}:{}-{number}-{}", vendor.name, vendor.model, client.name);
    let mut body = (client.asks)(&asked, &model);
    (client.limits)(&mut body, LONG);
    body
}

async fn every_client_hears_of_it(vendor: &Vendor) {
    let upstream = Upstream::start().await;
    let home = home(std::slice::from_ref(vendor), &upstream).await;
    let gateway = home.client();
    for (number, (way, fails, code)) in WAYS.into_iter().enumerate() {
        for client in &clients::ALL {
            let what = format!("{way}, {} over {}", client.name, vendor.name);
            let mut body = question(client, vendor, number);
            let mut runs = Vec::new();

            upstream.reply(fails(vendor));
            let answer = gateway.post(&client.path_of(&body), &body).await;
            let error = (client.error)(&answer.json());
            assert_eq!(error["code"], code, "{what}: {answer:?}");
            let is_limited = code == "provider_rate_limited";
            assert_eq!(answer.status == 429, is_limited, "{what}: {answer:?}");
            assert!(is_limited || answer.status.is_server_error(), "{what}: {answer:?}");
            runs.push(answer.header("x-request-id").to_owned());

            upstream.reply(fails(vendor));
            body["stream"] = json!(true);
            let stream = gateway.stream(&client.path_of(&body), &body).await;
            runs.push(stream.request_id.clone());
            let events: Vec<Value> = stream.rest().await.into_iter().map(|event| event.data).collect();
            assert_eq!((client.is_failed)(&events).as_deref(), Some(code), "{what}: {events:?}");
            assert!(events.iter().any(|event| event.to_string().contains(BEGUN)), "{what}: {events:?}");

            for run in runs {
                let record = gateway.get(&format!("/v1/requests/{run}")).await.json();
                assert_eq!(
                    (&record["status"], &record["error"]["code"], &record["output"]["text"]),
                    (&json!("failed"), &json!(code), &json!(BEGUN)),
                    "{what}: {record}"
                );
            }
        }
    }
    home.stop().await;
}

/// Nothing of an answer in one piece has reached the client when it breaks off, so it is asked for again.
#[tokio::test]
async fn broken_whole_answer_is_requested_again() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    for vendor in &vendors::ALL {
        for client in &clients::ALL {
            let what = format!("{} over {}", client.name, vendor.name);
            let mut body = question(client, vendor, 0);
            (client.limits)(&mut body, SHORT);
            let before = upstream.received().len();
            upstream.reply((vendor.begins)(BEGUN).then_break());
            upstream.reply((vendor.fails)(BEGUN, Failure::Fault));
            upstream.reply((vendor.says_whole)(&Answer { text: "The end.".to_owned(), ..Answer::default() }));
            let answer = home.client().post(&client.path_of(&body), &body).await;
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
            assert_eq!((client.is_told)(&answer.json()).text, "The end.", "{what}: {answer:?}");
            let requests = &upstream.received()[before..];
            assert!(
                requests.len() == 3 && !requests.iter().any(|one| (vendor.streams)(one)),
                "{what}: {requests:?}"
            );
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn chat_completions_that_break_off() {
    every_client_hears_of_it(&vendors::chat::VENDOR).await;
}

#[tokio::test]
async fn responses_that_break_off() {
    every_client_hears_of_it(&vendors::responses::VENDOR).await;
}

#[tokio::test]
async fn anthropics_messages_that_break_off() {
    every_client_hears_of_it(&vendors::anthropic::VENDOR).await;
}

#[tokio::test]
async fn gemini_that_breaks_off() {
    every_client_hears_of_it(&vendors::gemini::VENDOR).await;
}

#[tokio::test]
async fn bedrock_that_breaks_off() {
    every_client_hears_of_it(&vendors::bedrock::VENDOR).await;
}
