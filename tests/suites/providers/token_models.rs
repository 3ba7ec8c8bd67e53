//! Models of a token: providers' models, aliases, fallbacks and cached answers.

use hearth_tests::{Client, Home, Upstream};
use serde_json::{Value, json};

use crate::{answer, chat, failure, with_node};

/// A client with a token of the models.
async fn of_models(home: &Home, models: Value) -> Client {
    let body = json!({"name": "limited", "models": models});
    let created = home.client().post("/v1/users/tokens", &body).await;
    assert_eq!(created.status, 201, "{created:?}");
    home.client().with_token(created.json()["token"].as_str())
}

#[tokio::test]
async fn alias_and_fallback_stay_within_the_models_of_a_token() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let settings = "[aliases.both]\nmodels = ['rig0:big', 'rig1:big']\n\
                    [fallbacks]\n'rig1:big' = ['rig0:big', 'tiny-chat']\n";
    let home = with_node(&[&first, &second], settings).await;
    let client = of_models(&home, json!(["rig1:*"])).await;
    second.reply(answer());
    let response = client.post("/v1/chat/completions", &chat("both")).await;
    assert_eq!((response.status.as_u16(), response.header("x-hearth-provider")), (200, "rig1"));
    // The fallbacks of the settings aren't its models, so that the failure is its answer.
    second.reply(failure(400, "bad"));
    let response = client.post("/v1/chat/completions", &chat("rig1:big")).await;
    assert!(response.status.is_client_error() || response.status.is_server_error(), "{response:?}");
    client.post("/v1/chat/completions", &chat("rig0:big")).await.error(403, "forbidden");
    client.post("/v1/chat/completions", &chat("tiny-chat")).await.error(403, "forbidden");
    assert!(first.received().is_empty());
    let route = client.get("/v1/route?model=both").await.json();
    assert_eq!(route["candidates"].as_array().unwrap().len(), 1, "{route}");

    let list = client.get("/v1/models").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert!(ids.contains(&json!("both")) && ids.contains(&json!("rig1:big")), "{list}");
    assert!(!ids.contains(&json!("rig0:big")) && !ids.contains(&json!("tiny-chat")), "{list}");
    home.stop().await;
}

#[tokio::test]
async fn cached_answer_of_another_model_is_not_given_to_a_token() {
    let upstream = Upstream::start().await;
    let home = with_node(
        &[&upstream],
        "[cache]\nenabled = true\n[aliases.best]\nmodels = ['rig0:big', 'tiny-chat']\n",
    )
    .await;
    let mut body = chat("best");
    body["temperature"] = json!(0);
    upstream.reply(answer());
    let owner = home.client().post("/v1/chat/completions", &body).await;
    assert_eq!((owner.status.as_u16(), owner.header("x-hearth-provider")), (200, "rig0"));
    let again = home.client().post("/v1/chat/completions", &body).await;
    assert_eq!(again.header("x-hearth-cache"), "hit", "{again:?}");

    let local = of_models(&home, json!(["local"])).await;
    let response = local.post("/v1/chat/completions", &body).await;
    assert_eq!((response.status.as_u16(), response.header("x-hearth-cache")), (200, "miss"), "{response:?}");
    assert_eq!(response.header("x-hearth-provider"), "local");
    assert_eq!(upstream.received().len(), 1);
    home.stop().await;
}
