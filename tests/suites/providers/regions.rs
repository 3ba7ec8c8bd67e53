//! Organisations that are bound to regions: nodes and providers outside of them serve nothing of theirs.

use hearth_tests::{Answer, Home, Setup, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{answer, chat};

/// A `hearth up` in the region `us-east-1`, with a provider there, one in `eu-central-1`, and one that is nowhere.
async fn home_with_regions(upstream: &Upstream) -> Home {
    let provider = |name: &str, region: &str| {
        let url = &upstream.url;
        format!(
            "[providers.{name}]\nkind = 'openai_compatible'\nbase_url = '{url}/v1'\napi_key = 'sk'\nmodels = ['{name}-big']\n\
             {region}\n"
        )
    };
    let providers = [
        provider("eu", "region = 'eu-central-1'"),
        provider("us", "region = 'us-east-1'"),
        provider("somewhere", ""),
    ];
    let settings = "[node]\nregion = 'us-east-1'\n[aliases]\nany = ['us:us-big', 'somewhere:somewhere-big', 'eu:eu-big']\n";
    Setup::new().settings(&format!("{settings}{}", providers.concat())).start().await
}

async fn bind(home: &Home, regions: Value) {
    let client = home.client();
    let own = client.get("/v1/organisations").await.json();
    let path = format!("/v1/organisations/{}", own["organisations"][0]["id"].as_str().unwrap_or_default());
    let request = client.request(Method::PATCH, &path).json(&json!({"regions": regions}));
    assert_eq!(client.send(request).await.status, 200);
}

fn message(answer: &Answer) -> String {
    answer.error(503, "no_model_available")["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn candidates_outside_the_organisations_regions_are_passed_over_with_the_reason() {
    let upstream = Upstream::start().await;
    let home = home_with_regions(&upstream).await;
    let client = home.client();
    let before = client.get("/v1/route?model=any").await.json();
    assert_eq!(before["candidates"][0]["provider"], "us", "{before}");

    bind(&home, json!(["eu-central-1", "eu-west-1"])).await;
    for (model, reason) in [
        ("us:us-big", "it is in the region us-east-1"),
        ("us-big", "it is in the region us-east-1"),
        ("somewhere:somewhere-big", "its region isn't set"),
        (&home.model, "it is in the region us-east-1"),
    ] {
        let refused = message(&client.post("/v1/chat/completions", &chat(model)).await);
        assert!(
            refused.contains(reason) && refused.contains("eu-central-1, eu-west-1"),
            "{model}: {refused}"
        );
    }
    assert!(upstream.received().is_empty(), "a request left its regions");

    let route = client.get("/v1/route?model=any").await.json();
    let of = |list: &str, field: &str| -> Vec<Value> {
        route[list].as_array().unwrap().iter().map(|one| one[field].clone()).collect()
    };
    assert_eq!(of("candidates", "provider"), ["eu"], "{route}");
    let reasons = of("passed_over", "why");
    assert!(reasons.iter().any(|why| why.as_str().unwrap().contains("its region isn't set")), "{route}");
    assert!(reasons.iter().any(|why| why.as_str().unwrap().contains("us-east-1")), "{route}");

    // Without a name, the default model of the node is passed over too.
    for model in ["any", "auto"] {
        upstream.reply(answer());
        let response = client.post("/v1/chat/completions", &chat(model)).await;
        assert_eq!(response.status, 200, "{model}: {response:?}");
        assert_eq!(upstream.received().pop().unwrap().body["model"], "eu-big", "{model}");
    }
    bind(&home, json!(["ap-south-1"])).await;
    let refused = message(&client.post("/v1/chat/completions", &chat("auto")).await);
    assert!(refused.contains("eu (it is in the region eu-central-1"), "{refused}");
    bind(&home, json!([])).await;
    upstream.reply(answer());
    assert_eq!(client.post("/v1/chat/completions", &chat("us:us-big")).await.status, 200);
    home.stop().await;
}
