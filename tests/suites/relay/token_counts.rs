//! A gateway that can't reach a node has it count tokens by a call.

use hearth_tests::{dense_text, relay::RelayWorld};
use serde_json::json;

use crate::MODEL;

#[tokio::test]
async fn session_of_dense_text_is_cut_by_the_count_of_a_relayed_node() {
    let world = RelayWorld::start().await;
    let _node = world.node().await;
    let client = world.client();
    let model = client.get(&format!("/v1/models/{MODEL}")).await.json();
    let context = usize::try_from(model["context_length"].as_u64().unwrap()).unwrap();
    let fields = json!({"model": MODEL, "context_overflow": "truncate_oldest"});
    let session = client.post("/v1/sessions", &fields).await.json();
    let session = session["id"].as_str().unwrap();
    for number in 0..6 {
        let text = dense_text("japanese", number, context / 2);
        let items = json!({"items": [
            {"role": "user", "content": text}, {"role": "assistant", "content": format!("answer {number}")},
        ]});
        let added = client.post(&format!("/v1/conversations/{session}/items"), &items).await;
        assert_eq!(added.status, 200, "{added:?}");
    }
    let body = json!({"input": {"prompt": "And now?"}, "parameters": {"max_tokens": 4}});
    let response = client.post(&format!("/v1/sessions/{session}/generate"), &body).await;
    assert_eq!(response.status, 200, "{response:?}");
    let response = response.json();
    assert!(response["warnings"][0].as_str().unwrap_or_default().contains("left out"), "{response}");
    let tokens = usize::try_from(response["usage"]["prompt_tokens"].as_u64().unwrap()).unwrap();
    assert!(tokens > context / 4 && tokens < context, "{tokens} of {context}");
}
