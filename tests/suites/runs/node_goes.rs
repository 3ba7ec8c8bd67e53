//! The node goes away, or the connection to it.

use serde_json::json;

use crate::place::{DirectNode, Place, ended};

#[tokio::test]
async fn node_is_killed_direct() {
    let mut place = Place::direct().await;
    let stream = place.begin(&json!("cancel")).await;
    let run = stream.request_id.clone();
    let DirectNode { process, proxy, .. } = place.node.take().unwrap();
    process.kill().await;
    let events = stream.rest().await;
    let error = &events[events.len() - 2].data;
    assert_eq!(error["error"]["code"], "node_lost", "{error}");
    let record = ended(&place.client(), &run).await;
    assert_eq!(
        (&record["status"], &record["error"]["code"]),
        (&json!("failed"), &json!("node_lost")),
        "{record}"
    );
    assert_ne!(record["output"]["text"], "", "{record}");
    drop(proxy);
    place.stop().await;
}

#[tokio::test]
async fn connection_to_the_node_breaks_direct() {
    let place = Place::direct().await;
    let mut stream = place.begin(&json!("cancel")).await;
    let (client, run) = (place.client(), stream.request_id.clone());
    let proxy = &place.node.as_ref().unwrap().proxy;
    let mut last = 0;
    for _ in 0..3 {
        proxy.cut();
        // More text comes after each cut, and no number is missing.
        for _ in 0..20 {
            let event = stream.next().await.unwrap();
            assert!(last == 0 || event.id == last + 1, "{event:?} after {last}");
            last = event.id;
        }
    }
    hearth_tests::cancel_run(&client, &run).await;
    assert_eq!(stream.next_named("complete").await.data["finish_reason"], "cancelled");
    let record = ended(&client, &run).await;
    assert_eq!(record["status"], "cancelled", "{record}");
    place.stop().await;
}
