//! Whose seals and betas they are: both go to their own maker, and to nobody else.

use hearth_tests::Upstream;
use reqwest::Method;
use serde_json::json;

use super::{
    Cell,
    clients::{self, Client},
    features::{self, Feature},
    home, next_of,
    vendors::{self, Vendor},
    words::{Answer, Asked, Turn, says},
};

/// Bedrock, as it is asked here, has Anthropic's models, and each takes the other's seals
/// (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking>).
fn is_same_maker(one: &Vendor, other: &Vendor) -> bool {
    one.name == other.name
        || ["anthropic", "bedrock"].contains(&one.name) && ["anthropic", "bedrock"].contains(&other.name)
}

#[tokio::test]
async fn a_conversation_goes_on_with_another_maker_without_the_thoughts() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let feature = features::all().into_iter().find(|feature| feature.goes_on);
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

/// Has `first` think and call, and then the cell's vendor go on.
async fn moves(cell: &Cell<'_>, first: &Vendor, feature: &Feature) {
    let what = format!("{} from {} to {}", cell.client.name, first.name, cell.vendor.name);
    let model = |vendor: &Vendor| format!("{}:{}", vendor.name, vendor.model);
    let body = (cell.client.asks)(&feature.asked, &model(first));
    cell.upstream.reply((first.says)(&feature.answer));
    let told = cell.ask(&body).await.unwrap_or_else(|problem| panic!("{what}: {problem}"));
    cell.upstream.reply((cell.vendor.says)(&Answer { text: "A cat.".to_owned(), ..Answer::default() }));
    let mut body = (cell.client.goes_on)(body, &told, "a cat");
    body["model"] = json!(model(cell.vendor));
    cell.ask(&body).await.unwrap_or_else(|problem| panic!("{what}: {problem}"));
    let mut next = next_of(feature);
    for turn in &mut next.turns {
        if let Turn::Assistant { thoughts, .. } = turn {
            thoughts.clear();
        }
    }
    assert_eq!(cell.heard(), Some(next), "{what}");
}

#[tokio::test]
async fn betas_are_passed_on_to_anthropic_alone() {
    let upstream = Upstream::start().await;
    let home = home(&vendors::ALL, &upstream).await;
    let gateway = home.client();
    let asked = Asked { turns: vec![says("Hello!")], ..Asked::default() };
    for vendor in &vendors::ALL {
        for client in &clients::ALL {
            let Client { name, asks, .. } = client;
            upstream.reply((vendor.says)(&Answer { text: "Hello.".to_owned(), ..Answer::default() }));
            let body = asks(&asked, &format!("{}:{}", vendor.name, vendor.model));
            let request = gateway.request(Method::POST, &client.path_of(&body)).json(&body);
            let request = request.header("anthropic-beta", "one-2025-01-01, two-2025-02-02");
            let answer = gateway.send(request.header("anthropic-beta", "three-2025-03-03")).await;
            assert_eq!(answer.status, 200, "{name} over {}: {answer:?}", vendor.name);
            let received = upstream.received();
            let betas = received.last().and_then(|last| last.headers.get("anthropic-beta"));
            let betas = betas.and_then(|betas| betas.to_str().ok());
            let expected = "one-2025-01-01,two-2025-02-02,three-2025-03-03";
            let passed_on = vendor.name == "anthropic" && *name == "messages";
            assert_eq!(betas, passed_on.then_some(expected), "{name} over {}", vendor.name);
        }
    }
    home.stop().await;
}
