//! Runs that go on without their clients, over a restart of their gateway.

use hearth_tests::{
    Event,
    relay::{RelayStream, RelayWorld, history, long_request},
};
use reqwest::Method;

use crate::MODEL;

/// Tokens of an answer that takes longer than a restart.
const TOKENS: u64 = 3000;

#[tokio::test]
async fn run_that_continues_is_recorded_whole_over_a_restart_of_its_gateway() {
    let mut world = RelayWorld::start().await;
    let _node = world.node().await;
    let text = world.ask(MODEL, TOKENS).await.rest().await.text;
    for crashes in [false, true] {
        let mut body = long_request(MODEL, TOKENS);
        body["on_disconnect"] = "continue".into();
        let stream = RelayStream::open(&world.client(), &body).await;
        let mut stream = stream.unwrap_or_else(|answer| panic!("{answer:?}"));
        stream.read_text(20).await;
        if crashes {
            world.crash_gateway().await;
        } else {
            world.restart_gateway().await;
        }
        let answer = stream.rest().await;
        let client = world.client();
        let record = history(&client, &answer.id).await;
        assert_eq!(
            (&record["status"], &record["output"]["text"]),
            (&"completed".into(), &text.clone().into())
        );
        // No token is lost or doubled in the stored events either.
        let request = client.request(Method::GET, &format!("/v1/requests/{}/events", answer.id));
        let events = client.events(request).await.rest().await;
        let seqs: Vec<u64> = events.iter().map(|event| event.id).collect();
        // Some events aren't rendered, and have no place in the stream.
        assert!(seqs.len() > 20 && seqs.is_sorted(), "{seqs:?}");
        let texts: String = events.iter().filter(|event| event.name() == "delta").map(Event::text).collect();
        assert_eq!(texts, text, "crashes: {crashes}");
    }
}
