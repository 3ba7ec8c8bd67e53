//! Vendors that fail in the middle of a response: the client gets an error in its dialect, and the run's record has
//! the text before it.

use hearth_tests::{Reply, Upstream};
use serde_json::{Value, json};

use super::{
    LONG, SHORT, Vendor,
    clients::{self, Client},
    home,
    neutral::{Answer, Request, user_turn},
    vendors::{self, Failure},
};

const BEGUN: &str = "Once upon";

/// Name of a failure, the vendor's response, and the error code.
type FailureCase = (&'static str, fn(&Vendor) -> Reply, &'static str);

const FAILURES: [FailureCase; 5] = [
    ("overloaded", |vendor| (vendor.fails)(BEGUN, Failure::Overloaded), "provider_rate_limited"),
    ("a fault", |vendor| (vendor.fails)(BEGUN, Failure::Fault), "provider_error"),
    ("an early end", |vendor| (vendor.begins)(BEGUN), "provider_error"),
    ("a broken connection", |vendor| (vendor.begins)(BEGUN).then_break(), "provider_error"),
    ("silence", |vendor| (vendor.begins)(BEGUN).then_silence(), "provider_timeout"),
];

/// Creates a request to a model that no other client uses, since failures open the circuit of a model.
fn question(client: &Client, vendor: &Vendor, number: usize) -> Value {
    let request = Request { turns: vec![user_turn("Tell me a story.")], ..Request::default() };
    let model = format!("{}:{}-{number}-{}", vendor.name, vendor.model, client.name);
    let mut body = (client.request)(&request, &model);
    (client.set_max_tokens)(&mut body, LONG);
    body
}

async fn every_client_gets_the_error(vendor: &Vendor) {
    let upstream = Upstream::start().await;
    let home = home(std::slice::from_ref(vendor), &upstream).await;
    let gateway = home.client();
    for (number, (name, fails, code)) in FAILURES.into_iter().enumerate() {
        for client in &clients::ALL {
            let what = format!("{name}, {} over {}", client.name, vendor.name);
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
            assert_eq!((client.stream_error)(&events).as_deref(), Some(code), "{what}: {events:?}");
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

/// The client has nothing of a response in one piece that breaks off, so the gateway requests it again.
#[tokio::test]
async fn broken_whole_answer_is_requested_again() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    for vendor in &vendors::ALL {
        for client in &clients::ALL {
            let what = format!("{} over {}", client.name, vendor.name);
            let mut body = question(client, vendor, 0);
            (client.set_max_tokens)(&mut body, SHORT);
            let before = upstream.received().len();
            upstream.reply((vendor.begins)(BEGUN).then_break());
            upstream.reply((vendor.fails)(BEGUN, Failure::Fault));
            upstream
                .reply((vendor.whole_answer)(&Answer { text: "The end.".to_owned(), ..Answer::default() }));
            let answer = home.client().post(&client.path_of(&body), &body).await;
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
            assert_eq!((client.parse_answer)(&answer.json()).text, "The end.", "{what}: {answer:?}");
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
async fn broken_chat_completion_reports_the_error() {
    every_client_gets_the_error(&vendors::chat::VENDOR).await;
}

#[tokio::test]
async fn broken_response_reports_the_error() {
    every_client_gets_the_error(&vendors::responses::VENDOR).await;
}

#[tokio::test]
async fn broken_anthropic_message_reports_the_error() {
    every_client_gets_the_error(&vendors::anthropic::VENDOR).await;
}

#[tokio::test]
async fn broken_gemini_answer_reports_the_error() {
    every_client_gets_the_error(&vendors::gemini::VENDOR).await;
}

#[tokio::test]
async fn broken_bedrock_answer_reports_the_error() {
    every_client_gets_the_error(&vendors::bedrock::VENDOR).await;
}
