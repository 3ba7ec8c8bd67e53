//! Limits over several processes of a function, which share the table.

use std::sync::Arc;

use futures::future::join_all;
use hearth_domain::{LimitSubject, Limits, OrganisationId, Timestamp};
use hearth_store::{limits::LimitRecord, usage::UsageCounts};
use hearth_tests::{Cloud, Reply, Upstream};
use lambda_emulator::Emulator;
use serde_json::{Value, json};

use crate::{Placeholders, invoke, permissions::configure};

const NAME: &str = "hearth-fn-generate";
/// Processes of the function.
const PROCESSES: usize = 4;
/// Requests to each process, one after the other.
const REQUESTS: usize = 50;
/// Tokens of a request: five of the prompt and four of the answer.
const TOKENS: u64 = 9;

/// An answer that uses as much as its request reserves.
fn answer() -> Reply {
    let choice = json!({"index": 0, "delta": {"content": "short"}, "finish_reason": "stop"});
    Reply::chunks(&[
        json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice]}),
        json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}}),
    ])
}

fn event(token: &str) -> Value {
    let values = Placeholders { token: token.to_owned(), ..Placeholders::default() };
    let mut event = values.event("post_v1.chat.completions.json");
    let messages = json!([{"role": "user", "content": "Hi"}]);
    event["body"] = json!({"model": "rig:big", "max_tokens": 4, "messages": messages}).to_string().into();
    event
}

/// Sets the limits of the operator's organisation, before a process has read them.
async fn set_limits(cloud: &Cloud, limits: Limits) -> OrganisationId {
    let operator = cloud.store().operator().await.unwrap();
    let organisation = OrganisationId::of_operator(operator);
    let subject = LimitSubject::Organisation(organisation);
    let record = LimitRecord::new(subject, limits, operator, Timestamp::now());
    cloud.store().limits().put(organisation, subject, &record).await.unwrap();
    organisation
}

/// Sends requests through several processes at once; returns the number of those that were served, and the codes of the others.
async fn race(cloud: &Arc<Cloud>, vendor: &Upstream) -> (usize, Vec<String>) {
    configure(cloud, 1, vendor).await;
    (0..PROCESSES * REQUESTS).for_each(|_| vendor.reply(answer()));
    let processes = (0..PROCESSES).map(|_| {
        let cloud = Arc::clone(cloud);
        tokio::spawn(async move {
            let function = cloud.function(NAME).await;
            let mut refused = Vec::new();
            for _ in 0..REQUESTS {
                let answer = invoke(&function, &event(&cloud.token)).await;
                if answer.status != 200 {
                    assert_eq!(answer.status, 429, "{}", String::from_utf8_lossy(&answer.body()));
                    refused.push(answer.json().unwrap()["error"]["code"].as_str().unwrap().to_owned());
                }
            }
            refused
        })
    });
    let refused: Vec<String> = join_all(processes).await.into_iter().flat_map(Result::unwrap).collect();
    (PROCESSES * REQUESTS - refused.len(), refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_requests_to_several_processes_the_budget_serves_exactly_ten() {
    let (cloud, vendor) = (Arc::new(Cloud::start().await), Upstream::start().await);
    // Nine tenths of an eleventh request are left.
    let limits = Limits { tokens_per_month: Some(11 * TOKENS - 1), ..Limits::default() };
    let organisation = set_limits(&cloud, limits).await;
    let (served, refused) = race(&cloud, &vendor).await;
    assert_eq!(served, 10);
    assert!(refused.iter().all(|code| code == "quota_exceeded"), "{refused:?}");
    assert_eq!(vendor.received().len(), 10);
    let month = Timestamp::now().to_string()[..7].to_owned();
    let rows = cloud.store().usage().of(organisation, &month, None).await.unwrap();
    let mut sums = UsageCounts::default();
    rows.iter().for_each(|row| sums.add(&row.counts));
    assert_eq!((sums.requests, sums.prompt_tokens, sums.completion_tokens), (10, 50, 40));
    // Each part of the limit is reported once, by whichever process noticed it first.
    let events = cloud.store().limit_events().of(organisation, &month).await.unwrap();
    let mut percents: Vec<u32> = events.iter().map(|event| event.percent).collect();
    percents.sort_unstable();
    assert_eq!(percents, [50, 80, 100]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_never_serve_more_than_their_shared_rate() {
    let (cloud, vendor) = (Arc::new(Cloud::start().await), Upstream::start().await);
    // A lease is of two requests. The hour may end in between.
    let begins = Timestamp::now().unix() / 3600;
    set_limits(&cloud, Limits { requests_per_hour: Some(100), ..Limits::default() }).await;
    let (served, refused) = race(&cloud, &vendor).await;
    let hours = usize::try_from(Timestamp::now().unix() / 3600 - begins).unwrap() + 1;
    assert!(served <= 100 * hours, "{served}");
    // What a process has leased and doesn't use is lost: at most one lease each.
    assert!(served >= 100 - 2 * PROCESSES, "{served}");
    assert!(refused.iter().all(|code| code == "rate_limited"), "{refused:?}");
}

/// Uses all that a function may do for limits: a request within a budget and a rate, and one beyond it.
pub(crate) async fn use_up(cloud: &Cloud, function: &Emulator, vendor: &Upstream) {
    let limits =
        Limits { requests_per_minute: Some(1000), tokens_per_day: Some(TOKENS), ..Limits::default() };
    set_limits(cloud, limits).await;
    vendor.reply(answer());
    for status in [200, 429] {
        let answer = invoke(function, &event(&cloud.token)).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body()));
    }
}
