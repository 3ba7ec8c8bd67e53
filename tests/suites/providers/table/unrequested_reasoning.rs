//! Reasoning that a client of `/v1/messages` didn't request: the text is the first block, and the next request after
//! a tool call contains the signatures all the same.

use hearth_tests::Upstream;
use serde_json::{Value, json};

use super::{
    Cell, clients,
    features::{self, SEALS, THOUGHTS},
    holes::{self, Instead},
    home,
    neutral::Answer,
    next_of, vendors,
};

fn kinds(message: &Value) -> Vec<&str> {
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter_map(|block| block["type"].as_str()).collect()
}

#[tokio::test]
async fn unrequested_reasoning_is_hidden_but_its_signature_returned() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let client = clients::ALL.iter().find(|client| client.name == "messages");
    let client = client.unwrap_or_else(|| panic!("/v1/messages is among the clients"));
    let features = features::all();
    let feature = |name: &str| features.iter().find(|feature| feature.name == name).unwrap();
    for vendor in &vendors::ALL {
        for streamed in [false, true] {
            let what = format!("{} streamed: {streamed}", vendor.name);
            let cell = Cell { home: &home, upstream: &upstream, client, vendor, streamed, whole: false };
            let model = format!("{}:{}", vendor.name, vendor.model);
            let unasked = |name: &str| {
                let mut body = (client.request)(&feature(name).request, &model);
                body["thinking"] = json!(null);
                body
            };
            upstream.reply((vendor.stream_answer)(&feature(THOUGHTS).answer));
            let message = cell.ask(&unasked(THOUGHTS)).await.unwrap();
            assert_eq!(kinds(&message), ["text"], "{what}: {message}");

            upstream.reply((vendor.stream_answer)(&feature(SEALS).answer));
            let body = unasked(SEALS);
            let message = cell.ask(&body).await.unwrap();
            assert!(!message.to_string().contains(&feature(SEALS).answer.thoughts), "{what}: {message}");
            // Gemini's seal is a block of its own, beside its thoughts.
            let blocks = if vendor.name == "gemini" { 2 } else { 1 };
            let expected = [vec!["redacted_thinking"; blocks], vec!["tool_use"]].concat();
            assert_eq!(kinds(&message), expected, "{what}: {message}");
            upstream
                .reply((vendor.stream_answer)(&Answer { text: "A cat.".to_owned(), ..Answer::default() }));
            cell.ask(&(client.next_request)(body, &message, "a cat")).await.unwrap();
            let mut next = next_of(feature(SEALS));
            for hole in holes::ALL.iter().filter(|hole| cell.is_in(hole, feature(SEALS))) {
                if let Instead::Omitted(less) = hole.instead {
                    less(&mut next);
                }
            }
            assert_eq!(cell.last_request(), Some(next), "{what}");
        }
    }
    home.stop().await;
}
