//! Explicit entries of the registry: `POST /v1/models`, `PATCH` and `DELETE /v1/models/{id}`, and requests for them.

use std::fs;

use hearth_domain::MemberRole;
use hearth_store::Store;
use hearth_tests::{Answer, Client, Home, Person, Setup, eventually, operators_organisation, tiny_chat};
use reqwest::Method;
use serde_json::{Value, json};

async fn patch(client: &Client, path: &str, body: &Value) -> Answer {
    client.send(client.request(Method::PATCH, path).json(body)).await
}

async fn register(client: &Client, body: &Value) -> Value {
    let answer = client.post("/v1/models", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn ids(list: &Value) -> Vec<String> {
    list["models"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

fn generate(model: &str) -> Value {
    json!({"model": model, "input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}})
}

async fn state(client: &Client, id: &str) -> Value {
    client.get(&format!("/v1/models/{id}/status")).await.json()["runtime_status"].clone()
}

#[tokio::test]
async fn registered_model_serves_with_its_target_and_its_defaults() {
    let home = Home::start().await;
    let client = home.client();
    let entry = json!({
        "id": "team/writer", "target": home.model, "name": "Writer", "description": "For drafts",
        "source_url": "huggingface:someone/tiny", "parameters": {"max_tokens": 3, "temperature": 0.0},
    });
    let model = register(&client, &entry).await;
    assert_eq!(
        (&model["id"], &model["source"], &model["name"]),
        (&json!("team/writer"), &json!("registered"), &json!("Writer"))
    );
    assert_eq!((&model["modality"], &model["provider"]), (&json!("text"), &json!("local")), "{model}");
    assert_eq!(model["registration"]["parameters"], json!({"max_tokens": 3, "temperature": 0.0}));
    assert_eq!(client.get("/v1/models/team/writer").await.json()["description"], "For drafts");

    let request = json!({"model": "team/writer", "input": {"prompt": "Count to a hundred."}});
    let answer = client.post("/v1/generate", &request).await.json();
    assert_eq!(answer["model"], home.model.as_str(), "{answer}");
    assert!(answer["selection"]["reason"].as_str().unwrap().contains("team/writer"), "{answer}");
    assert_eq!(
        (&answer["usage"]["completion_tokens"], &answer["finish_reason"]),
        (&json!(3), &json!("length"))
    );
    let chat = json!({"model": "team/writer", "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(client.post("/v1/chat/completions", &chat).await.json()["usage"]["completion_tokens"], 3);
    home.stop().await;
}

#[tokio::test]
async fn entry_takes_the_place_of_a_discovered_model_until_it_is_removed() {
    let home = Home::start().await;
    let client = home.client();
    let path = format!("/v1/models/{}", home.model);
    let before = client.get(&path).await.json();
    assert_eq!(before["source"], "discovered");
    assert!(before["path"].as_str().unwrap().ends_with(".gguf"), "{before}");
    register(&client, &json!({"id": home.model, "description": "Ours", "version": "own"})).await;
    let list = client.get("/v1/models").await.json();
    assert_eq!(ids(&list), ["auto", home.model.as_str()]);
    let entry = client.get(&path).await.json();
    assert_eq!((&entry["source"], &entry["version"]), (&json!("registered"), &json!("own")));
    assert_eq!((&entry["size_bytes"], &entry["path"]), (&before["size_bytes"], &before["path"]));

    // Other entries for the same model are registered and changed as before.
    register(&client, &json!({"id": "other", "target": home.model})).await;
    let changed = patch(&client, "/v1/models/other", &json!({"name": "Other"})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    client.delete("/v1/models/other").await;

    let removed = client.delete(&path).await.json();
    assert_eq!((&removed["registration"], &removed["freed_bytes"]), (&json!(true), &json!(0)), "{removed}");
    assert_eq!(client.get(&path).await.json()["source"], "discovered");
    patch(&client, &path, &json!({"name": "x"})).await.error(404, "model_not_found");
    // A repeated removal of the entry touches no file.
    client.delete(&format!("{path}?registration=true")).await.error(404, "model_not_found");
    client.delete(&format!("{path}?registration=maybe")).await.error(400, "invalid_request");
    client.delete("/v1/models/nosuch?registration=true").await.error(404, "model_not_found");
    let long = format!("/v1/models/{}", "x".repeat(2000));
    patch(&client, &long, &json!({"name": "x"})).await.error(404, "model_not_found");
    client.delete(&long).await.error(404, "model_not_found");
    home.stop().await;
}

#[tokio::test]
async fn bad_entry_is_refused_with_its_field() {
    let home = Home::start().await;
    let client = home.client();
    for (body, param) in [
        (json!({"target": home.model}), "id"),
        (json!({"id": "openai:x", "target": home.model}), "id"),
        (json!({"id": "x/schema", "target": home.model}), "id"),
        (json!({"id": "a", "target": "nosuch"}), "target"),
        (json!({"id": "nosuch"}), "target"),
        (json!({"id": "a", "target": home.model, "modality": "image"}), "modality"),
        (json!({"id": "a", "target": home.model, "parameters": {"top_p": 2}}), "parameters.top_p"),
        (json!({"id": "a", "target": home.model, "lifecycle": {"slots": 999}}), "lifecycle.slots"),
        (json!({"id": "a", "target": home.model, "colour": "red"}), "colour"),
        (json!({"id": "a", "path": "/nowhere/model.gguf"}), "path"),
        (json!({"id": 5}), "id"),
    ] {
        let error = client.post("/v1/models", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{body}: {error}");
    }
    register(&client, &json!({"id": "a", "target": home.model})).await;
    client.post("/v1/models", &json!({"id": "a", "target": home.model})).await.error(409, "conflict");
    let nested =
        client.post("/v1/models", &json!({"id": "b", "target": "a"})).await.error(400, "invalid_request");
    assert_eq!(nested["param"], "target");
    for (body, param) in [
        (json!({"id": "b"}), "id"),
        (json!({"lifecycle": {"idle_seconds": 0}}), "lifecycle.idle_seconds"),
        (json!({"fallbacks": "a"}), "fallbacks"),
    ] {
        let error = patch(&client, "/v1/models/a", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{body}: {error}");
    }
    patch(&client, "/v1/models/a", &json!([])).await.error(400, "invalid_request");
    let huge = "x".repeat(3 << 20);
    let answer = client.post("/v1/models", &json!({"id": "c", "description": huge})).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    home.stop().await;
}

#[tokio::test]
async fn patch_changes_and_removes_fields() {
    let home = Home::start().await;
    let client = home.client();
    register(&client, &json!({"id": "a", "target": home.model, "name": "A", "description": "old"})).await;
    let changed = patch(&client, "/v1/models/a", &json!({"name": null, "description": "new"})).await.json();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("a"), &json!("new")));
    let races = (0..8).map(|number| {
        let client = client.clone();
        async move { patch(&client, "/v1/models/a", &json!({"parameters": {"max_tokens": number + 1}})).await }
    });
    for answer in futures::future::join_all(races).await {
        assert!(answer.status == 200 || answer.status == 409, "{answer:?}");
    }
    let entry = client.get("/v1/models/a").await.json();
    assert_eq!(entry["description"], "new");
    assert!(entry["registration"]["parameters"]["max_tokens"].as_u64() >= Some(1), "{entry}");
    home.stop().await;
}

#[tokio::test]
async fn list_is_searched_filtered_and_sorted_page_by_page() {
    let home = Setup::new().models(&["second"]).start().await;
    let client = home.client();
    for (id, context) in [("alpha", 100), ("beta", 300), ("gamma", 200)] {
        let entry =
            json!({"id": id, "target": home.model, "description": "Greek letter", "context_length": context});
        register(&client, &entry).await;
    }
    let list = async |query: &str| ids(&client.get(&format!("/v1/models?{query}")).await.json());
    assert_eq!(list("search=GREEK").await, ["alpha", "beta", "gamma"]);
    assert_eq!(list("search=alp").await, ["alpha"]);
    assert_eq!(list("source=registered&sort=-context_length").await, ["beta", "gamma", "alpha"]);
    assert_eq!(list("source=discovered").await.len(), 2);
    assert_eq!(list("source=alias").await, ["auto"]);
    assert_eq!(list("source=registered&capability=tools").await.len(), 3);
    assert_eq!(list("capability=vision").await.len(), 0);
    let (mut seen, mut query) = (Vec::new(), "source=registered&sort=context_length&limit=1".to_owned());
    loop {
        let page = client.get(&format!("/v1/models?{query}")).await.json();
        seen.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("source=registered&sort=context_length&limit=1&cursor={cursor}");
        let other = format!("source=registered&sort=name&limit=1&cursor={cursor}");
        let error = client.get(&format!("/v1/models?{other}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], "cursor");
    }
    assert_eq!(seen, ["alpha", "gamma", "beta"]);
    for (query, param) in
        [("sort=colour", "sort"), ("capability=flying", "capability"), ("source=x", "source")]
    {
        let error = client.get(&format!("/v1/models?{query}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{query}");
    }
    home.stop().await;
}

#[tokio::test]
async fn entries_belong_to_one_organisation_and_take_an_admin() {
    let add = async |store: &Store| {
        let operators = operators_organisation(store).await;
        let developer = Person::in_organisation(store, operators, MemberRole::Developer).await;
        (developer, Person::with_organisation(store).await)
    };
    let (home, (developer, stranger)) = Home::start().await.restart_after(add).await;
    let client = home.client();
    let of = |person: &Person| client.with_token(Some(&person.token));
    let (developer, stranger) = (of(&developer), of(&stranger));
    let entry = json!({"id": "ours", "target": home.model});
    developer.post("/v1/models", &entry).await.error(403, "forbidden");
    register(&client, &entry).await;
    assert_eq!(developer.get("/v1/models/ours").await.status, 200);
    patch(&developer, "/v1/models/ours", &json!({"name": "x"})).await.error(403, "forbidden");
    for path in ["/v1/models/ours", "/v1/models/ours/schema", "/v1/schema?model=ours"] {
        stranger.get(path).await.error(404, "model_not_found");
    }
    patch(&stranger, "/v1/models/ours", &json!({"name": "x"})).await.error(404, "model_not_found");
    stranger.delete("/v1/models/ours").await.error(404, "model_not_found");
    stranger.post("/v1/generate", &generate("ours")).await.error(404, "model_not_found");
    let file = json!({"id": "file", "path": tiny_chat().display().to_string()});
    stranger.post("/v1/models", &file).await.error(403, "forbidden");
    let answer = developer.post("/v1/generate", &generate("ours")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn default_of_the_organisation_serves_requests_without_a_model() {
    let home = Setup::new().models(&["second"]).start().await;
    let client = home.client();
    register(&client, &json!({"id": "first-choice", "target": "second", "default": true})).await;
    let request = json!({"input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 2}});
    let answer = client.post("/v1/generate", &request).await.json();
    assert_eq!(answer["model"], "second", "{answer}");
    register(&client, &json!({"id": "second-choice", "target": home.model, "default": true})).await;
    let first = client.get("/v1/models/first-choice").await.json();
    assert_eq!(first["registration"]["default"], json!(null), "{first}");
    let answer = client.post("/v1/generate", &request).await.json();
    assert_eq!(answer["model"], home.model.as_str(), "{answer}");
    let (one, other) = (
        json!({"id": "one", "target": "second", "default": true}),
        json!({"id": "other", "target": "second", "default": true}),
    );
    let _ = tokio::join!(client.post("/v1/models", &one), client.post("/v1/models", &other));
    let answer = client.post("/v1/generate", &request).await.json();
    assert_eq!(answer["model"], "second", "of two defaults at once one remains: {answer}");
    home.stop().await;
}

#[tokio::test]
async fn fallback_of_the_entry_serves_while_its_model_is_loaded() {
    let home = Setup::new().models(&["cold"]).start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let entry = json!({
        "id": "slow", "target": "cold", "fallbacks": [home.model], "while_loading": "fallback",
    });
    register(&client, &entry).await;
    let answer = client.post("/v1/generate", &generate("slow")).await.json();
    assert_eq!(answer["model"], home.model.as_str(), "{answer}");
    let selection = &answer["selection"];
    assert_eq!(
        (&selection["fallback_used"], &selection["fallback_reason"]),
        (&json!(true), &json!("loading"))
    );
    eventually("the registered model in memory", async || {
        (state(&client, "cold").await["state"] == "loaded").then_some(())
    })
    .await;
    assert_eq!(client.post("/v1/generate", &generate("slow")).await.json()["model"], "cold");
    home.stop().await;
}

#[tokio::test]
async fn fallback_of_the_request_serves_while_the_model_is_loaded() {
    let home = Setup::new().models(&["cold"]).start().await;
    let client = home.client();
    client.ask("Hello!").await;
    let mut request = generate("cold");
    request["while_loading"] = json!("fallback");
    request["fallback"] = json!({"models": [home.model]});
    let answer = client.post("/v1/generate", &request).await.json();
    assert_eq!(answer["model"], home.model.as_str(), "{answer}");
    assert_eq!(answer["selection"]["fallback_reason"], "loading");
    home.stop().await;
}

#[tokio::test]
async fn lifecycle_of_the_entry_reaches_the_node_and_survives_a_restart() {
    let home = Setup::new().models(&["second"]).start().await;
    let client = home.client();
    let entry = json!({"id": "second", "lifecycle": {"pin": true, "slots": 2, "context_length": 512}});
    register(&client, &entry).await;
    let loaded = async |client: &Client| {
        let client = client.clone();
        eventually("the pinned model in memory", async || {
            let status = state(&client, "second").await;
            (status["state"] == "loaded").then_some(status)
        })
        .await
    };
    assert_eq!(loaded(&client).await["slots"], 2);
    assert_eq!(client.get("/v1/models/second").await.json()["context_length"], 512);
    let home = home.restart().await;
    let client = home.client();
    assert_eq!(loaded(&client).await["slots"], 2);
    let home = home.crash_and_restart().await;
    let client = home.client();
    assert_eq!(loaded(&client).await["slots"], 2);
    assert_eq!(client.get("/v1/models/second").await.json()["source"], "registered");

    patch(&client, "/v1/models/second", &json!({"lifecycle": {"pin": null, "idle_seconds": 1}})).await;
    eventually("the unpinned model out of memory", async || {
        (state(&client, "second").await["state"] == "unloaded").then_some(())
    })
    .await;
    assert_eq!(state(&client, &home.model).await["state"], "loaded");
    home.stop().await;
}

#[tokio::test]
async fn registered_file_is_served_from_its_place() {
    let home = Home::start().await;
    let client = home.client();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("outside.gguf");
    fs::copy(tiny_chat(), &file).unwrap();
    let path = file.display().to_string();
    let model = register(&client, &json!({"id": "file", "path": path})).await;
    assert_eq!((&model["path"], &model["registration"]["path"]), (&json!(path), &json!(path)), "{model}");
    let answer = client.post("/v1/generate", &generate("file")).await.json();
    assert_eq!(answer["model"], "outside", "{answer}");
    // A file with the name of another model takes no id from it.
    let same = folder.path().join(format!("{}.gguf", home.model));
    fs::copy(tiny_chat(), &same).unwrap();
    register(&client, &json!({"id": "same", "path": same.display().to_string()})).await;
    let default = client.get(&format!("/v1/models/{}", home.model)).await.json();
    assert_ne!(default["path"], same.display().to_string(), "{default}");
    let answer = client.post("/v1/generate", &generate("same")).await.json();
    assert!(answer["model"].as_str().unwrap().ends_with(&format!("/{}", home.model)), "{answer}");
    client.delete("/v1/models/same").await;
    let text = folder.path().join("text.gguf");
    fs::write(&text, "no model").unwrap();
    let broken = json!({"id": "broken", "path": text.display().to_string()});
    let error = client.post("/v1/models", &broken).await.error(400, "invalid_request");
    assert_eq!(error["param"], "path");
    let home = home.restart().await;
    let client = home.client();
    assert_eq!(client.post("/v1/generate", &generate("file")).await.json()["model"], "outside");
    client.delete("/v1/models/file").await;
    client.get("/v1/models/file").await.error(404, "model_not_found");
    assert!(file.exists());
    home.stop().await;
}
