//! Search of the hub.

use serde_json::json;

use hearth_tests::Setup;

use super::{
    REPO,
    hub::{Fault, Hub, TOKEN},
    start,
};

#[tokio::test]
async fn search_returns_pages_with_files_and_their_fit() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let path = "/v1/models/search?source=huggingface&query=tiny&modality=text&sort=likes&limit=2";
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let page = answer.json();
    let model = &page["models"][0];
    assert_eq!(
        (&model["id"], &model["author"], &model["name"]),
        (&json!(REPO), &json!("owner"), &json!("tiny-GGUF"))
    );
    assert_eq!((&model["license"], &model["modality"]), (&json!("mit"), &json!("text")));
    assert_eq!((&model["parameters"], &model["context_length"]), (&json!(1_000_000), &json!(2048)));
    let file = &model["files"][0];
    assert_eq!((&file["quantisation"], &file["fit"]), (&json!("Q8_0"), &json!("fits")), "{file}");
    assert_eq!(file["source"], format!("hf:{REPO}/tiny-Q8_0.gguf"));
    assert_eq!(file["size_bytes"], hub.content().len());
    // A repository whose files the hub doesn't describe is listed without sizes.
    assert_eq!(page["models"][1]["files"][0]["size_bytes"], json!(null));
    let query = hub.queries()[0].clone();
    for pair in [
        ("search", "tiny"),
        ("filter", "gguf"),
        ("pipeline_tag", "text-generation"),
        ("sort", "likes"),
        ("limit", "2"),
    ] {
        assert!(query.contains(&(pair.0.to_owned(), pair.1.to_owned())), "{pair:?} in {query:?}");
    }
    let cursor = page["next_cursor"].as_str().unwrap();
    let last = client.get(&format!("{path}&cursor={cursor}")).await.json();
    assert_eq!((&last["models"][0]["id"], &last["next_cursor"]), (&json!("other/last"), &json!(null)));
    assert!(hub.queries()[1].contains(&("cursor".to_owned(), "second".to_owned())));
    // The cursor is of this search.
    client.get(&format!("/v1/models/search?query=other&cursor={cursor}")).await.error(400, "invalid_request");
}

#[tokio::test]
async fn bad_search_names_its_field_and_a_failing_hub_is_502() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let long = format!("query={}", "x".repeat(201));
    for (query, field) in
        [("limit=0", "limit"), ("limit=51", "limit"), (long.as_str(), "query"), ("cursor=x", "cursor")]
    {
        let error = client.get(&format!("/v1/models/search?{query}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], field, "{query}");
    }
    for query in ["source=elsewhere", "modality=smell", "sort=odd", "unknown=1"] {
        client.get(&format!("/v1/models/search?{query}")).await.error(400, "invalid_request");
    }
    for (fault, code) in [(Fault::Down, "provider_error"), (Fault::Gated, "provider_auth")] {
        let hub = Hub::with(fault).await;
        let home = start(&hub, "").await;
        home.client().get("/v1/models/search?query=x").await.error(502, code);
    }
}

#[tokio::test]
async fn token_of_the_settings_searches_for_the_operator_alone() {
    let hub = Hub::with(Fault::Gated).await;
    let settings = format!("[hub]\nurl = '{}'\ntoken = '{TOKEN}'\n", hub.url);
    let home = Setup::new().settings(&settings).start().await;
    assert_eq!(home.client().get("/v1/models/search?query=x").await.status, 200);
    let (home, stranger) = home.restart_with_a_stranger().await;
    let client = home.client().with_token(Some(&stranger));
    client.get("/v1/models/search?query=x").await.error(502, "provider_auth");
}
