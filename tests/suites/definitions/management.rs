//! Definitions created, listed, changed, compared, labelled and deleted.

use hearth_tests::Home;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{create_schema, create_template, names, put, receipt, send, summary};

#[tokio::test]
async fn schema_has_versions_with_numbers_that_follow_from_the_change() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let created = create_schema(&client, "receipt", &json!({"message": "first"})).await;
    assert_eq!((&created["version"], &created["object"]), (&json!("1.0.0"), &json!("schema")));
    assert!(created["id"].as_str().unwrap().starts_with("sch_"), "{created}");
    let path = "/v1/schemas/receipt";
    let version = async |schema: &Value, more: Value| {
        let mut body = json!({"schema": schema});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        put(&client, path, &body).await
    };
    // The same again stores nothing.
    assert_eq!(version(&receipt(), json!({})).await.json()["version"], "1.0.0");
    let mut schema = receipt();
    schema["title"] = json!("Receipt");
    assert_eq!(version(&schema, json!({})).await.json()["version"], "1.0.1");
    schema["properties"]["note"] = json!({"type": "string"});
    assert_eq!(version(&schema, json!({"message": "a note"})).await.json()["version"], "1.1.0");
    schema["required"] = json!(["shop", "total", "note"]);
    let refused = version(&schema, json!({"change": "minor"})).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "change");
    assert!(refused["details"]["breaking"][0].as_str().unwrap().contains("note"), "{refused}");
    let conflict = version(&schema, json!({"expected_version": "1.0.0"})).await.error(409, "conflict");
    assert_eq!(conflict["details"]["latest_version"], "1.1.0");
    assert_eq!(version(&schema, json!({"expected_version": "1.1.0"})).await.json()["version"], "2.0.0");
    assert_eq!(
        version(&receipt(), json!({"version": "2.0.0"})).await.error(400, "invalid_request")["param"],
        "version"
    );
    assert_eq!(version(&receipt(), json!({"version": "3.0.0"})).await.json()["version"], "3.0.0");

    let got = async |reference: &str| {
        client.get(&format!("/v1/schemas/{reference}")).await.json()["version"].clone()
    };
    for (reference, expected) in [
        ("receipt", "3.0.0"),
        ("receipt@latest", "3.0.0"),
        ("receipt@1", "1.1.0"),
        ("receipt@1.0", "1.0.1"),
        ("receipt@1.0.0", "1.0.0"),
        ("receipt?version=2", "2.0.0"),
    ] {
        assert_eq!(got(reference).await, expected, "{reference}");
    }
    client.get("/v1/schemas/receipt@9").await.error(404, "not_found");
    client.get("/v1/schemas/receipt@production").await.error(404, "not_found");
    client.get("/v1/schemas/receipt@").await.error(400, "invalid_request");
    let page = client.get("/v1/schemas/receipt/versions?limit=3").await.json();
    let numbers: Vec<_> = page["data"].as_array().unwrap().iter().map(|one| one["version"].clone()).collect();
    assert_eq!(numbers, ["3.0.0", "2.0.0", "1.1.0"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = client.get(&format!("/v1/schemas/receipt/versions?limit=3&cursor={cursor}")).await.json();
    assert_eq!(
        (&rest["data"][1]["version"], &rest["data"][1]["message"]),
        (&json!("1.0.0"), &json!("first"))
    );
    assert_eq!(rest["next_cursor"], json!(null));
    home.stop().await;
}

#[tokio::test]
async fn versions_are_compared_and_checked_before_they_are_stored() {
    let home = Home::start_without_node().await;
    let client = home.client();
    create_schema(&client, "receipt", &json!({})).await;
    let no_earlier = client.get("/v1/schemas/receipt/diff").await.error(409, "conflict");
    assert_eq!(no_earlier["param"], "from");
    let mut changed = receipt();
    changed["properties"]["total"]["maximum"] = json!(50);
    let checked = client.post("/v1/schemas/receipt/check", &json!({"schema": changed})).await.json();
    assert_eq!(
        (&checked["compatible"], &checked["next_version"]),
        (&json!(false), &json!("2.0.0")),
        "{checked}"
    );
    assert_eq!(checked["breaking"][0]["path"], "/properties/total/maximum");
    assert_eq!(names(&client, "/v1/schemas?built_in=false").await, ["receipt"]);
    put(&client, "/v1/schemas/receipt", &json!({"schema": changed})).await;
    let diff = client.get("/v1/schemas/receipt/diff").await.json();
    assert_eq!((&diff["from"], &diff["to"]), (&json!("1.0.0"), &json!("2.0.0")));
    let difference = json!({"path": "/properties/total/maximum", "kind": "changed", "from": 99, "to": 50});
    assert_eq!(diff["differences"], json!([difference]));
    assert_eq!(diff["compatibility"]["compatible"], false);
    let back = client.get("/v1/schemas/receipt/diff?from=2.0.0&to=1.0.0").await.json();
    assert_eq!(back["compatibility"]["change"], "minor");
    // Of a template the variables are compared.
    create_template(&client, "summary", &json!({})).await;
    let mut template = summary();
    template["variables"]["required"] = json!(["text", "style"]);
    let checked = client.post("/v1/templates/summary/check", &json!({"template": template})).await.json();
    assert_eq!(
        (&checked["compatible"], &checked["breaking"][0]["path"]),
        (&json!(false), &json!("/variables/required"))
    );
    let mut template = summary();
    template["messages"][1]["content"] = json!("In a few words: {{ text }}");
    let checked = client.post("/v1/templates/summary/check", &json!({"template": template})).await.json();
    assert_eq!((&checked["change"], &checked["next_version"]), (&json!("patch"), &json!("1.0.1")));
    home.stop().await;
}

#[tokio::test]
async fn label_is_moved_by_compare_and_set_and_keeps_its_definition() {
    let home = Home::start_without_node().await;
    let client = home.client();
    create_schema(&client, "receipt", &json!({})).await;
    let mut schema = receipt();
    schema["properties"]["note"] = json!({});
    put(&client, "/v1/schemas/receipt", &json!({"schema": schema})).await;
    let label = "/v1/schemas/receipt/labels/production";
    let moved = put(&client, label, &json!({"version": "1.0.0", "expected": null})).await.json();
    assert_eq!(moved["labels"], json!({"production": "1.0.0"}));
    let lost =
        put(&client, label, &json!({"version": "1.1.0", "expected": null})).await.error(409, "conflict");
    assert_eq!((&lost["param"], &lost["details"]["current"]), (&json!("expected"), &json!("1.0.0")));
    assert_eq!(client.get("/v1/schemas/receipt@production").await.json()["version"], "1.0.0");
    let expected = json!({"version": "1.1.0", "expected": "1.0.0"});
    assert_eq!(put(&client, label, &expected).await.status, 200);
    assert_eq!(client.get("/v1/schemas/receipt@production").await.json()["version"], "1.1.0");
    assert_eq!(
        client.get("/v1/schemas/receipt/versions").await.json()["data"][0]["labels"],
        json!(["production"])
    );
    put(&client, label, &json!({"version": "7.0.0"})).await.error(404, "not_found");
    for bad in ["latest", "1prod", "Prod"] {
        let path = format!("/v1/schemas/receipt/labels/{bad}");
        assert_eq!(
            put(&client, &path, &json!({"version": "1.0.0"})).await.error(400, "invalid_request")["param"],
            "label"
        );
    }
    let used = client.delete("/v1/schemas/receipt").await.error(409, "conflict");
    assert_eq!(used["details"]["labels"], json!(["production"]));
    client.delete(&format!("{label}?expected=1.0.0")).await.error(409, "conflict");
    assert_eq!(client.delete(&format!("{label}?expected=1.1.0")).await.json()["labels"], json!({}));
    assert_eq!(client.delete("/v1/schemas/receipt").await.json()["deleted"], true);
    client.get("/v1/schemas/receipt").await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn many_callers_move_a_label_and_one_of_them_succeeds() {
    let home = Home::start_without_node().await;
    let client = home.client();
    create_schema(&client, "receipt", &json!({})).await;
    for number in 1..=5 {
        let mut schema = receipt();
        schema["properties"][format!("n{number}")] = json!({});
        let stored = put(&client, "/v1/schemas/receipt", &json!({"schema": schema, "force": true})).await;
        assert_eq!(stored.status, 200, "{stored:?}");
    }
    let versions = client.get("/v1/schemas/receipt/versions").await.json();
    let versions: Vec<_> =
        versions["data"].as_array().unwrap().iter().map(|one| one["version"].clone()).collect();
    let label = "/v1/schemas/receipt/labels/production";
    let moves = versions.iter().map(|version| {
        let (client, body) = (&client, json!({"version": version, "expected": null}));
        async move { put(client, label, &body).await.status.as_u16() }
    });
    let statuses = futures::future::join_all(moves).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 409)), "{statuses:?}");
    home.stop().await;
}

#[tokio::test]
async fn definitions_are_listed_searched_and_changed() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let built_in = ["classification", "form", "invoice", "support", "translation"];
    for plural in ["schemas", "templates"] {
        assert_eq!(names(&client, &format!("/v1/{plural}")).await, built_in);
    }
    for name in ["delta", "alpha", "charlie", "bravo"] {
        create_schema(
            &client,
            name,
            &json!({"description": format!("The {name} thing"), "tags": ["greek", name]}),
        )
        .await;
    }
    let all = ["alpha", "bravo", "charlie", "delta"].into_iter().chain(built_in);
    assert_eq!(names(&client, "/v1/schemas").await, all.collect::<Vec<_>>());
    let (mut paged, mut path) = (Vec::new(), "/v1/schemas?limit=2".to_owned());
    loop {
        let page = client.get(&path).await.json();
        let entries = page["data"].as_array().unwrap();
        assert!(entries.len() <= 2);
        paged.extend(entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/schemas?limit=2&cursor={cursor}");
    }
    assert_eq!(paged.len(), 9, "{paged:?}");
    assert_eq!(names(&client, "/v1/schemas?q=ALPH").await, ["alpha"]);
    assert_eq!(names(&client, "/v1/schemas?q=thing&tag=bravo").await, ["bravo"]);
    assert_eq!(names(&client, "/v1/schemas?tag=greek,delta").await, ["delta"]);
    assert_eq!(names(&client, "/v1/schemas?built_in=true").await, built_in);
    assert_eq!(names(&client, "/v1/schemas?visibility=public").await, built_in);
    client.get("/v1/schemas?limit=0").await.error(400, "invalid_request");
    client.get("/v1/schemas?cursor=abc").await.error(400, "invalid_request");
    client.get("/v1/schemas?colour=red").await.error(400, "invalid_request");
    let change = json!({"description": "Other", "tags": ["x"], "visibility": "organisation"});
    let changed = send(&client, Method::PATCH, "/v1/schemas/alpha", &change).await.json();
    assert_eq!((&changed["description"], &changed["visibility"]), (&json!("Other"), &json!("organisation")));
    assert_eq!(names(&client, "/v1/schemas?visibility=organisation").await, ["alpha"]);
    home.stop().await;
}

#[tokio::test]
async fn built_in_definitions_can_be_read_and_not_be_changed() {
    let home = Home::start_without_node().await;
    let client = home.client();
    for plural in ["schemas", "templates"] {
        let got = client.get(&format!("/v1/{plural}/invoice@1")).await.json();
        assert_eq!(
            (&got["id"], &got["built_in"], &got["may_change"]),
            (&json!("invoice"), &json!(true), &json!(false))
        );
        let versions = client.get(&format!("/v1/{plural}/invoice/versions")).await.json();
        assert_eq!(versions["data"][0]["version"], got["version"]);
        client.get(&format!("/v1/{plural}/invoice@2")).await.error(404, "not_found");
        client.delete(&format!("/v1/{plural}/invoice")).await.error(403, "forbidden");
        let label = format!("/v1/{plural}/invoice/labels/production");
        put(&client, &label, &json!({"version": "1.0.0"})).await.error(403, "forbidden");
    }
    put(&client, "/v1/schemas/invoice", &json!({"schema": receipt()})).await.error(403, "forbidden");
    let taken = client.post("/v1/schemas", &json!({"name": "invoice", "schema": receipt()})).await;
    assert_eq!(taken.error(409, "conflict")["param"], "name");
    home.stop().await;
}

#[tokio::test]
async fn schema_of_a_template_is_not_deleted_before_the_template() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let schema = create_schema(&client, "receipt", &json!({})).await;
    let mut template = summary();
    template["schema_id"] = json!("receipt@1");
    let created = create_template(&client, "summary", &json!({"template": template})).await;
    assert_eq!(created["template"]["schema_id"], format!("{}@1", schema["id"].as_str().unwrap()));
    let used = client.delete("/v1/schemas/receipt").await.error(409, "conflict");
    assert_eq!(used["details"]["templates"], json!(["summary"]));
    assert_eq!(client.delete("/v1/templates/summary").await.status, 200);
    assert_eq!(client.delete("/v1/schemas/receipt").await.status, 200);
    template["schema_id"] = json!("receipt");
    let missing = client.post("/v1/templates", &json!({"name": "other", "template": template})).await;
    assert_eq!(missing.error(404, "not_found")["param"], "template.schema_id");
    home.stop().await;
}

#[tokio::test]
async fn bad_definitions_are_refused_with_the_field() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let schema = |fields: Value| {
        let mut body = json!({"name": "receipt", "schema": receipt()});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    for (fields, param) in [
        (json!({"name": "No Name"}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"schema": {"type": "hot"}}), "schema"),
        (json!({"schema": []}), "schema"),
        (json!({"tags": vec!["x"; 17]}), "tags"),
        (json!({"tags": ["a,b"]}), "tags[0]"),
        (json!({"description": "x".repeat(1001)}), "description"),
        (json!({"visibility": "team"}), "team"),
        (json!({"visibility": "secret"}), "visibility"),
        (json!({"version": "1.0"}), "version"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let refused = client.post("/v1/schemas", &schema(fields.clone())).await.error(400, "invalid_request");
        assert_eq!(refused["param"], param, "{fields}: {refused}");
    }
    create_schema(&client, "receipt", &json!({})).await;
    let taken = client.post("/v1/schemas", &schema(json!({}))).await.error(409, "conflict");
    assert_eq!(taken["param"], "name");
    home.stop().await;
}

#[tokio::test]
async fn definitions_survive_a_kill() {
    let home = Home::start_without_node().await;
    let created = create_schema(&home.client(), "receipt", &json!({})).await;
    let label = "/v1/schemas/receipt/labels/production";
    assert_eq!(put(&home.client(), label, &json!({"version": "1.0.0"})).await.status, 200);
    let home = home.crash_and_restart().await;
    let got = home.client().get("/v1/schemas/receipt@production").await.json();
    assert_eq!((&got["id"], &got["schema"]), (&created["id"], &receipt()));
    home.stop().await;
}
