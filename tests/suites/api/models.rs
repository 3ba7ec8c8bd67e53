//! `/v1/models`: the list, and the state of each model.

use std::{collections::BTreeSet, fs};

use hearth_tests::{Client, Home, Setup, eventually, tiny_chat};
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<String> {
    let models = list["data"].as_array().unwrap();
    models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// Puts further models into the folder, and waits until the catalog has them.
async fn add_models(home: &Home, names: &[&str]) {
    for name in names {
        fs::copy(tiny_chat(), home.data().join("models").join(format!("{name}.gguf"))).unwrap();
    }
    let client = home.client();
    eventually("the new models in the catalog", async || {
        let listed = ids(&client.get("/v1/models").await.json());
        names.iter().all(|name| listed.iter().any(|id| id == name)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn list_has_the_native_and_the_openai_format() {
    let home = Home::start().await;
    let list = home.client().get("/v1/models").await.json();
    assert_eq!((&list["object"], &list["next_cursor"]), (&json!("list"), &json!(null)));
    assert_eq!(list["data"], list["models"]);
    assert_eq!(ids(&list), ["auto", home.model.as_str()]);
    let model = &list["data"][1];
    assert_eq!((&model["object"], &model["owned_by"]), (&json!("model"), &json!("local")));
    assert!(model["created"].is_i64(), "{model}");
    assert_eq!(model["name"], home.model.as_str());
    assert_eq!((&model["modality"], &model["provider"]), (&json!("text"), &json!("local")));
    assert_eq!((&model["version"], &model["architecture"]), (&json!("Q8_0"), &json!("llama")));
    assert_eq!(model["context_length"], 4096);
    assert_eq!(model["size_bytes"], fs::metadata(tiny_chat()).unwrap().len());
    assert_eq!(model["capabilities"], json!(["chat", "json_schema", "tools"]), "{model}");
    assert!(model["node"].as_str().unwrap().starts_with("node_"), "{model}");
    home.stop().await;
}

#[tokio::test]
async fn model_has_its_runtime_status() {
    let home = Home::start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let model = client.get(&format!("/v1/models/{}", home.model)).await.json();
    let runtime = &model["runtime_status"];
    assert_eq!((&runtime["state"], &runtime["default"]), (&json!("loaded"), &json!(true)), "{model}");
    assert_eq!((&runtime["active"], &runtime["queue_depth"]), (&json!(0), &json!(0)), "{model}");
    assert!(runtime["slots"].as_u64() > Some(1) && runtime["pid"].as_u64() > Some(1), "{model}");
    assert!(runtime["loaded_at"].is_string() && runtime["last_used_at"].is_string(), "{model}");

    let status = client.get(&format!("/v1/models/{}/status", home.model)).await.json();
    assert_eq!(
        (&status["model"], &status["runtime_status"]["state"]),
        (&json!(home.model), &json!("loaded"))
    );
    let loaded = client.get("/v1/models/loaded").await.json();
    assert_eq!(loaded["models"][0]["id"], home.model.as_str());
    for path in ["/v1/models/none", "/v1/models/nobody/none", "/v1/models/none/status"] {
        client.get(path).await.error(404, "model_not_found");
    }
    home.stop().await;
}

#[tokio::test]
async fn list_is_filtered_by_query() {
    let home = Home::start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let count = async |query: &str| ids(&client.get(&format!("/v1/models?{query}")).await.json()).len();
    assert_eq!(count("modality=text").await, 2);
    assert_eq!(count("modality=image").await, 0);
    assert_eq!(count("provider=local").await, 1);
    assert_eq!(count("provider=openai").await, 0);
    assert_eq!(count("status=loaded").await, 1);
    assert_eq!(count("status=unloaded").await, 0);
    for (query, param) in [("modality=smell", "modality"), ("limit=0", "limit"), ("limit=201", "limit")] {
        let answer = client.get(&format!("/v1/models?{query}")).await;
        assert_eq!(answer.error(400, "invalid_request")["param"], param, "{query}");
    }
    home.stop().await;
}

/// Every page of one model each; and the cursor of the first.
async fn pages(client: &Client) -> (Vec<String>, String) {
    let (mut seen, mut first, mut query) = (Vec::new(), None, String::new());
    loop {
        let page = client.get(&format!("/v1/models?limit=1{query}")).await.json();
        assert_eq!(ids(&page).len(), 1, "{page}");
        seen.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        first.get_or_insert(cursor.to_owned());
        query = format!("&cursor={cursor}");
    }
    (seen, first.unwrap())
}

#[tokio::test]
async fn pages_have_each_model_once() {
    let home = Home::start().await;
    add_models(&home, &["second", "third"]).await;
    let client = home.client();
    let (seen, cursor) = pages(&client).await;
    assert_eq!(seen.len(), 4);
    let distinct: BTreeSet<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(distinct, BTreeSet::from(["auto", home.model.as_str(), "second", "third"]));

    let foreign = [format!("limit=1&modality=text&cursor={cursor}"), "limit=1&cursor=Zm9yZ2Vk".to_owned()];
    for query in foreign {
        let answer = client.get(&format!("/v1/models?{query}")).await;
        assert_eq!(answer.error(400, "invalid_request")["param"], "cursor", "{query}");
    }
    home.stop().await;
}

#[tokio::test]
async fn copies_of_a_model_have_the_names_of_their_files() {
    let home = Home::start().await;
    add_models(&home, &["second"]).await;
    let list = home.client().get("/v1/models").await.json();
    let names: BTreeSet<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["auto", home.model.as_str(), "second"]));
    home.stop().await;
}

#[tokio::test]
async fn aliases_are_listed_in_every_format() {
    let home = Setup::new().settings("[aliases]\nfast = ['tiny-chat']\nlost = ['nobody']\n").start().await;
    let client = home.client();
    let list = client.get("/v1/models").await.json();
    assert_eq!(ids(&list), ["auto", "fast", "lost", home.model.as_str()]);
    let alias = &list["data"][1];
    assert_eq!((&alias["owned_by"], &alias["name"]), (&json!("alias"), &json!("fast")));
    assert_eq!((&alias["context_length"], &alias["availability"]), (&json!(4096), &json!("available")));
    assert_eq!((&alias["runtime_status"], &alias["size_bytes"]), (&json!(null), &json!(null)));
    assert_eq!(list["data"][2]["availability"], "unknown");
    for id in ["auto", "fast"] {
        let model = client.get(&format!("/v1/models/{id}")).await.json();
        assert_eq!((&model["id"], &model["owned_by"]), (&json!(id), &json!("alias")));
    }
    let request =
        client.request(reqwest::Method::GET, "/v1/models").header("anthropic-version", "2023-06-01");
    assert_eq!(ids(&client.send(request).await.json()), ids(&list));
    assert_eq!(ids(&client.get("/v1/models?provider=local").await.json()), [home.model.as_str()]);
    home.stop().await;
}

#[tokio::test]
async fn model_is_removed_unless_it_is_the_default() {
    let home = Home::start().await;
    add_models(&home, &["second", "third"]).await;
    let client = home.client();
    let size = fs::metadata(home.model_file("second")).unwrap().len();
    let question = json!({"model": "second", "messages": [{"role": "user", "content": "Hello!"}]});
    let _ = client.post("/v1/chat/completions", &question).await.json();
    let removed = client.delete("/v1/models/second").await.json();
    assert_eq!(removed, json!({"model": "second", "removed": true, "freed_bytes": size, "link": false}));
    assert!(!home.model_file("second").exists());
    eventually("its process to end", async || {
        let gone = client.get("/v1/models/second").await;
        (gone.status == 404).then_some(())
    })
    .await;
    client.delete("/v1/models/second").await.error(404, "model_not_found");
    // The default model serves requests that name none.
    let refused = client.delete(&format!("/v1/models/{}", home.model)).await;
    let message = refused.error(409, "conflict")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("default model"), "{message}");
    client.delete("/v1/models/openai:gpt-5").await.error(409, "conflict");
    client.delete("/v1/models/auto").await.error(404, "model_not_found");
    // A link goes, and its file stays.
    let (file, link) = (home.folder().join("elsewhere.gguf"), home.model_file("linked"));
    fs::rename(home.model_file("third"), &file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let removed = client.delete("/v1/models/linked").await.json();
    assert_eq!((&removed["freed_bytes"], &removed["link"]), (&json!(0), &json!(true)));
    assert!(file.exists() && !link.is_symlink());
    // A token that may only read removes nothing.
    let reader = json!({"name": "reader", "scopes": ["generate", "models:read"]});
    let token = client.post("/v1/users/tokens", &reader).await.json();
    let reader = client.with_token(token["token"].as_str());
    reader.delete(&format!("/v1/models/{}", home.model)).await.error(403, "forbidden");
    home.stop().await;
}
