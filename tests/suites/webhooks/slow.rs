//! An endpoint that doesn't answer delays its own events alone.

use std::sync::Arc;

use hearth_tests::Setup;
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    SETTINGS, create, create_at,
    receiver::{Receiver, Reply},
    run,
};

/// Runs, each of which is a subject with an event.
const RUNS_COUNT: usize = 16;

#[tokio::test]
async fn events_of_other_webhooks_do_not_wait_for_a_slow_endpoint() {
    let settings = format!("{SETTINGS}[jobs]\nconcurrency = 1\n");
    let home = Setup::new().settings(&settings).start().await;
    let (slow, healthy) = (Receiver::start().await, Receiver::start().await);
    let client = home.client();
    create(&client, json!({"events": ["run.*"], "url": slow.url})).await;
    create_at(&client, &healthy.url).await;
    let never = Arc::new(Notify::new());
    let replies: Vec<Reply> = std::iter::repeat_n(Reply::Held(never, 204), 5 * RUNS_COUNT).collect();
    slow.reply(&replies);
    for _ in 0..RUNS_COUNT {
        run(&client).await;
    }
    healthy.wait_for(RUNS_COUNT).await;
    // Of four places the slow one has one; without a bound its events, which were first, had all of them.
    let count = slow.received().len();
    assert!(count < RUNS_COUNT / 2, "{count} deliveries to the slow endpoint");
    home.stop().await;
}
