//! Signatures and betas: each reaches its own vendor, and no other.

use hearth_tests::Upstream;
use reqwest::Method;
use serde_json::json;

use super::{
    Cell, clients,
    features::{self, Feature},
    home,
    neutral::{Answer, Request, Turn, user_turn},
    next_of,
    vendors::{self, Vendor},
};

/// Returns whether two vendors accept each other's signatures: Bedrock has Anthropic's models here
/// (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking>).
fn is_same_maker(one: &Vendor, other: &Vendor) -> bool {
    one.name == other.name
        || ["anthropic", "bedrock"].contains(&one.name) && ["anthropic", "bedrock"].contains(&other.name)
}

#[tokio::test]
async fn reasoning_is_not_sent_to_another_vendor() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let feature = features::all().into_iter().find(|feature| feature.has_next);
    let feature = feature.unwrap_or_else(|| panic!("no feature goes on"));
    for first in &vendors::ALL {
        for second in vendors::ALL.iter().filter(|second| !is_same_maker(first, second)) {
            for client in &clients::ALL {
                let cell = Cell {
                    home: &home,
                    upstream: &upstream,
                    client,
                    vendor: second,
                    streamed: false,
                    whole: false,
                };
                moves(&cell, first, &feature).await;
            }
        }
    }
    home.stop().await;
}

/// Gets reasoning and a call from `first`, and continues with the cell's vendor.
async fn moves(cell: &Cell<'_>, first: &Vendor, feature: &Feature) {
    let what = format!("{} from {} to {}", cell.client.name, first.name, cell.vendor.name);
    let model = |vendor: &Vendor| format!("{}:{}", vendor.name, vendor.model);
    let body = (cell.client.request)(&feature.request, &model(first));
    cell.upstream.reply((first.stream_answer)(&feature.answer));
    let response = cell.ask(&body).await.unwrap_or_else(|problem| panic!("{what}: {problem}"));
    cell.upstream
        .reply((cell.vendor.stream_answer)(&Answer { text: "A cat.".to_owned(), ..Answer::default() }));
    let mut body = (cell.client.next_request)(body, &response, "a cat");
    body["model"] = json!(model(cell.vendor));
    cell.ask(&body).await.unwrap_or_else(|problem| panic!("{what}: {problem}"));
    let mut next = next_of(feature);
    for turn in &mut next.turns {
        if let Turn::Assistant { thoughts, .. } = turn {
            thoughts.clear();
        }
    }
    assert_eq!(cell.last_request(), Some(next), "{what}");
}

#[tokio::test]
async fn betas_are_passed_on_to_anthropic_alone() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let gateway = home.client();
    let request = Request { turns: vec![user_turn("Hello!")], ..Request::default() };
    for vendor in &vendors::ALL {
        for client in &clients::ALL {
            let name = client.name;
            upstream
                .reply((vendor.stream_answer)(&Answer { text: "Hello.".to_owned(), ..Answer::default() }));
            let body = (client.request)(&request, &format!("{}:{}", vendor.name, vendor.model));
            let request = gateway.request(Method::POST, &client.path_of(&body)).json(&body);
            let request = request.header("anthropic-beta", "one-2025-01-01, two-2025-02-02");
            let answer = gateway.send(request.header("anthropic-beta", "three-2025-03-03")).await;
            assert_eq!(answer.status, 200, "{name} over {}: {answer:?}", vendor.name);
            let received = upstream.received();
            let betas = received.last().and_then(|last| last.headers.get("anthropic-beta"));
            let betas = betas.and_then(|betas| betas.to_str().ok());
            let expected = "one-2025-01-01,two-2025-02-02,three-2025-03-03";
            let passed_on = vendor.name == "anthropic" && name == "messages";
            assert_eq!(betas, passed_on.then_some(expected), "{name} over {}", vendor.name);
        }
    }
    home.stop().await;
}
