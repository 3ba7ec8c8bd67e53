//! Pictures of a node that its gateway can't reach.

use hearth_tests::relay::{NodeProcess, RelayWorld, enrolment_code};
use serde_json::json;

use crate::{MODEL, bytes_of, decoded, make, request};

#[tokio::test]
async fn picture_comes_whole_through_the_relay_and_after_lost_connections() {
    let world = RelayWorld::start().await;
    let code = enrolment_code(&world.client()).await;
    let mut node = NodeProcess::enroll(&world.proxy.url(), &code, &[]).await;
    node.add_image_model(MODEL);
    node.start().await;
    world.wait_for_model(MODEL).await;
    // Coloured noise, whose file has several pieces.
    let body = request("a fox", &json!({"size": "384x384", "steps": 1}));
    let client = world.client();
    let whole = make(&client, &body).await;
    let file = bytes_of(world.home(), &whole, 0).await;
    assert_eq!(decoded(&file).dimensions(), (384, 384));
    assert!(file.len() > 192 << 10, "{} bytes are one piece", file.len());
    world.proxy.cut();
    let again = make(&client, &body).await;
    assert_eq!(bytes_of(world.home(), &again, 0).await, file);
    world.assert_ended_once(again["request_id"].as_str().unwrap()).await;
    node.stop().await;
}
