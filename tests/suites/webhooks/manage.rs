//! Webhooks as their owners manage them, by the API and by commands.

use hearth_tests::{Client, eventually, hearth, run};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{create, create_at, gateway_with, id, patch, post, receiver::Receiver, send_test};

#[tokio::test]
async fn webhooks_are_listed_changed_and_deleted() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    let webhook = create_at(&client, &receiver.url).await;
    let path = format!("/v1/webhooks/{}", id(&webhook));
    let changed = patch(&client, &webhook, json!({"name": "alerts", "events": ["run.failed"]})).await.json();
    assert_eq!((&changed["name"], &changed["events"]), (&json!("alerts"), &json!(["run.failed"])));
    assert!(changed.get("secret").is_none(), "{changed}");
    assert_eq!(client.get("/v1/webhooks").await.json()["webhooks"], json!([changed]));
    assert_eq!(client.get(&path).await.json(), changed);
    assert_eq!(client.delete(&path).await.status, 204);
    client.get(&path).await.error(404, "not_found");
    client.delete(&path).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn bad_webhooks_are_refused_with_the_name_of_the_field() {
    let home = gateway_with("user_max_count = 2\n").await;
    let client = home.client();
    let url = "http://127.0.0.1:9/";
    for (body, param) in [
        (json!({"events": [], "url": url}), "events"),
        (json!({"events": ["runs.*"], "url": url}), "events"),
        (json!({"events": ["*"]}), "url"),
        (json!({"events": ["*"], "url": "nowhere"}), "url"),
        (json!({"events": ["*"], "url": "https://user:word@example.org/"}), "url"),
        (json!({"events": ["*"], "url": url, "secret": "short"}), "secret"),
        (json!({"events": ["*"], "url": url, "headers": {"host": "x"}}), "headers"),
        (json!({"events": ["*"], "url": url, "batch": {"max_events": 26}}), "batch.max_events"),
        (json!({"events": ["*"], "target": "pagerduty"}), "secret"),
        (json!({"events": ["*"], "target": "slack", "url": url, "batch": {"max_events": 2}}), "batch"),
    ] {
        let answer = client.post("/v1/webhooks", &body).await;
        assert_eq!(answer.error(400, "invalid_request")["param"], param, "{body}");
    }
    let webhook = create_at(&client, url).await;
    create_at(&client, url).await;
    let third = client.post("/v1/webhooks", &json!({"events": ["*"], "url": url})).await;
    assert!(third.error(409, "conflict")["message"].as_str().unwrap().contains("2 webhooks"));
    let rotated = post(&client, &webhook, "rotate", json!({"overlap_seconds": 700_000})).await;
    assert_eq!(rotated.error(400, "invalid_request")["param"], "overlap_seconds");
    let unknown =
        post(&client, &webhook, "deliveries/evt_01J9ZX5V2QH8N4T6W0C3M7K1RB/replay", json!({})).await;
    unknown.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn export_has_the_webhooks_without_secrets_and_changes_are_audited() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let client = home.client();
    let webhook = create(&client, json!({"events": ["*"], "url": receiver.url, "name": "alerts"})).await;
    let export = client.get("/v1/users/me/export").await;
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(export.body.to_vec())).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut archive.by_name("webhooks.json").unwrap(), &mut text).unwrap();
    let exported: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(exported[0]["id"], webhook["id"]);
    assert!(!text.contains("whsec_") && !text.contains("sealed"), "{text}");
    let is_audited = async |client: &Client| {
        let log = client.get("/v1/audit?limit=200").await;
        let log = String::from_utf8(log.body.to_vec()).unwrap();
        (log.contains("create_webhook") && log.contains(id(&webhook))).then_some(())
    };
    eventually("an audit entry", async || is_audited(&client).await).await;
    home.stop().await;
}

#[tokio::test]
async fn path_of_an_address_is_never_shown() {
    let home = gateway_with("").await;
    let client = home.client();
    let url = "http://127.0.0.1:9/api/webhooks/1/MYSECRET?token=MYSECRET";
    let created = create(&client, json!({"events": ["*"], "url": url})).await;
    let shown = json!("http://127.0.0.1:9/...");
    assert_eq!(created["url"], shown);
    let changed = patch(&client, &created, json!({"url": url, "name": "other"})).await.json();
    let webhook = client.get(&format!("/v1/webhooks/{}", id(&created))).await.json();
    let listed = client.get("/v1/webhooks").await.json()["webhooks"][0].clone();
    for one in [changed, webhook, listed] {
        assert!(one["url"] == shown && !one.to_string().contains("MYSECRET"), "{one}");
    }
    let (home, stored) = home
        .restart_after(async |store| {
            let organisation = hearth_tests::operators_organisation(store).await;
            store.webhooks().of(organisation).await.unwrap().remove(0)
        })
        .await;
    assert_eq!(json!(stored.address), shown);
    home.stop().await;
}

#[tokio::test]
async fn commands_manage_webhooks() {
    let (home, receiver) = (gateway_with("").await, Receiver::start().await);
    let folder = TempDir::new().unwrap();
    let command = async |arguments: &[&str]| {
        let mut command = hearth(folder.path(), &["webhook"]);
        command.args(arguments).args(["--url", &home.url]).env("HEARTH_TOKEN", &home.token);
        let ended = run(command, "").await;
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        ended.stdout
    };
    let secret = command(&["create", &receiver.url, "--event", "run.*", "--where", "model=tiny-*"]).await;
    assert!(secret.starts_with("whsec_"), "{secret}");
    let list: Value = serde_json::from_str(&command(&["list", "--json"]).await).unwrap();
    let id = list["webhooks"][0]["id"].as_str().unwrap().to_owned();
    assert!(command(&["show", &id]).await.contains("model=tiny-*"));
    assert!(command(&["update", &id, "--name", "alerts"]).await.contains("alerts"));
    assert!(command(&["test", &id]).await.contains("was delivered"));
    assert!(receiver.wait_for(1).await[0].is_signed_by(secret.trim()));
    assert!(command(&["deliveries", &id]).await.contains("webhook.test"));
    let mut none = hearth(folder.path(), &["webhook", "deliveries", &id, "--state", "failed"]);
    none.args(["--url", &home.url]).env("HEARTH_TOKEN", &home.token);
    let none = run(none, "").await.stderr;
    assert!(none.contains("no delivery is failed") && !none.contains("test"), "{none}");
    assert!(command(&["replay", &id, "--state", "delivered"]).await.contains("1 events"));
    assert!(command(&["rotate", &id, "--overlap", "60"]).await.starts_with("whsec_"));
    assert!(command(&["pause", &id]).await.contains("paused"));
    assert!(command(&["resume", &id]).await.contains("active"));
    assert!(command(&["delete", &id, "--yes"]).await.contains("deleted"));
    home.stop().await;
}

#[tokio::test]
async fn removed_model_is_an_event() {
    let receiver = Receiver::start().await;
    let home = hearth_tests::Setup::new().settings(crate::SETTINGS).models(&["spare"]).start().await;
    let client = home.client();
    let webhook = create(&client, json!({"events": ["model.*"], "url": receiver.url})).await;
    let registered = client.post("/v1/models", &json!({"id": "my-model", "target": home.model})).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    let event = receiver.wait_for(1).await.remove(0).json();
    assert_eq!((&event["type"], &event["subject"]), (&json!("model.registered"), &json!("my-model")));
    assert_eq!(client.delete("/v1/models/my-model").await.status, 200);
    let event = receiver.wait_for(2).await.remove(1).json();
    assert_eq!((&event["type"], &event["data"]["registration"]), (&json!("model.removed"), &json!(true)));
    send_test(&client, &webhook).await;
    home.stop().await;
}
