//! `/v1/audit`: entries of changes and refusals, who may read them, and that they have no secret.

use std::collections::BTreeSet;

use hearth_domain::{Action, MemberRole};
use hearth_tests::{Client, Home, Person, Setup, eventually, operators_organisation};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Entries that a query selects.
async fn entries(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/v1/audit?limit=1000&{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["entries"].as_array().unwrap().clone()
}

/// The entry of the request with this id, once it is written.
async fn entry_of(client: &Client, query: &str, request: &str) -> Value {
    eventually(&format!("the entry of {request}"), async || {
        let found: Vec<Value> =
            entries(client, query).await.into_iter().filter(|entry| entry["request_id"] == request).collect();
        assert!(found.len() <= 1, "{found:?}");
        found.into_iter().next()
    })
    .await
}

async fn verification(client: &Client, query: &str) -> Value {
    let answer = client.get(&format!("/v1/audit/verify?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn without_node() -> Home {
    Setup::new().arguments(&["--no-node"]).start().await
}

#[tokio::test]
async fn change_has_its_caller_resource_and_address() {
    let home = without_node().await;
    let client = home.client();
    let created =
        client.post("/v1/users/tokens", &json!({"name": "laptop", "scopes": ["models:read"]})).await;
    assert_eq!(created.status, 201, "{created:?}");
    let entry = entry_of(&client, "", created.header("x-request-id")).await;
    assert_eq!(
        (&entry["action"], &entry["operation"], &entry["result"], &entry["status"], &entry["count"]),
        (&json!("manage_tokens"), &json!("create_token"), &json!("done"), &json!(201), &json!(1)),
        "{entry}"
    );
    assert_eq!(entry["address"], "127.0.0.1");
    assert_eq!(entry["resources"], json!([created.json()["id"]]), "{entry}");
    for field in ["organisation", "user", "credential"] {
        assert!(entry[field].is_string(), "no {field}: {entry}");
    }
    // Ids of the path are resources too, and filters select by them.
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(client.delete(&format!("/v1/users/tokens/{id}")).await.status, 204);
    let about = entries(&client, &format!("resource={id}")).await;
    let operations: Vec<&str> = about.iter().filter_map(|entry| entry["operation"].as_str()).collect();
    assert_eq!(operations, ["create_token", "revoke_token"]);
    for (filter, count) in [
        ("operation=revoke_token", 1),
        ("result=failed", 0),
        ("action=manage_keys", 0),
        ("user=usr_01J9ZX5V2QH8N4T6W0C3M7K1RB", 0),
        ("to=2026-01-01&from=2026-01-01", 0),
    ] {
        assert_eq!(entries(&client, &format!("{filter}&resource={id}")).await.len(), count, "{filter}");
    }
    home.stop().await;
}

#[tokio::test]
async fn pages_have_every_entry_once() {
    let home = without_node().await;
    let client = home.client();
    for index in 0..7 {
        let created = client.post("/v1/users/tokens", &json!({"name": format!("token {index}")})).await;
        assert_eq!(created.status, 201, "{created:?}");
    }
    let all = entries(&client, "").await;
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/audit?limit=2{cursor}")).await.json();
        paged.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // A cursor is of one filter.
        client.get(&format!("/v1/audit?action=login{cursor}")).await.error(400, "invalid_request");
    }
    assert_eq!(paged, all);
    assert!(all.len() >= 7, "{all:?}");
    for (bad, param) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("from=yesterday", "from"),
        ("result=good", "result"),
        ("organisation=x", "organisation"),
        ("cursor=x", "cursor"),
    ] {
        let error = client.get(&format!("/v1/audit?{bad}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{bad}");
    }
    home.stop().await;
}

#[tokio::test]
async fn refusals_of_strangers_and_of_users_are_entries() {
    let home = without_node().await;
    let client = home.client();
    let stranger = client.with_token(Some("hth_wrong"));
    let mut refused = Vec::new();
    for _ in 0..30 {
        refused.push(stranger.get("/v1/models").await);
    }
    // The first is an entry at once, and the others are counted.
    let entry = entry_of(&client, "organisation=gateway", refused[0].header("x-request-id")).await;
    assert_eq!(
        (&entry["operation"], &entry["result"], &entry["code"], &entry["status"], &entry["user"]),
        (&json!("list_models"), &json!("refused"), &json!("unauthorized"), &json!(401), &Value::Null),
        "{entry}"
    );
    assert_eq!(entries(&client, "organisation=gateway&operation=list_models").await.len(), 1);

    let narrow = json!({"name": "narrow", "scopes": ["models:read"]});
    let narrow = client.post("/v1/users/tokens", &narrow).await.json();
    let narrow = client.with_token(narrow["token"].as_str());
    let forbidden = narrow.get("/v1/config").await;
    forbidden.error(403, "forbidden");
    let entry = entry_of(&client, "result=refused", forbidden.header("x-request-id")).await;
    assert_eq!(
        (&entry["operation"], &entry["action"]),
        (&json!("get_config"), &json!("manage_gateway")),
        "{entry}"
    );

    // The counts are written at the end.
    let home = home.restart().await;
    let counted = entries(&home.client(), "organisation=gateway&operation=list_models").await;
    assert_eq!(counted.iter().map(|entry| entry["count"].as_u64().unwrap()).sum::<u64>(), 30, "{counted:?}");
    for query in ["", "organisation=gateway"] {
        let verification = verification(&home.client(), query).await;
        assert_eq!(
            (&verification["intact"], verification["seals"].as_u64() > Some(0)),
            (&json!(true), true),
            "{verification}"
        );
    }
    home.stop().await;
}

/// Every operation of the API that changes something is audited: the list is generated from the OpenAPI document.
#[tokio::test]
async fn each_change_of_the_api_is_one_entry() {
    let home = without_node().await;
    let client = home.client();
    let document = client.get("/openapi.json").await.json();
    let changes: BTreeSet<&str> =
        Action::ALL.iter().filter(|action| action.is_change()).map(|action| action.as_str()).collect();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let action = operation["x-hearth-action"].as_str().unwrap_or_default();
            if method != "get" && changes.contains(action) {
                operations.push((
                    method.to_uppercase(),
                    path.clone(),
                    operation["operationId"].clone(),
                    action.to_owned(),
                ));
            }
        }
    }
    // The last ones end the owner's own access.
    operations.sort_by_key(|(method, path, ..)| method == "DELETE" && path == "/v1/users/me");
    assert!(operations.len() > 5, "{operations:?}");
    let mut checked = 0;
    for (method, path, id, action) in operations {
        // Ids that nothing has, so that most of the changes fail.
        let example = path
            .replace("{name}", "openai")
            .replace("{version}", "7")
            .replace("{kind}", "user")
            .replace("{provider}", "openai");
        let example =
            example.split('{').enumerate().map(|(index, part)| match (index, part.split_once('}')) {
                (0, _) | (_, None) => part.to_owned(),
                (_, Some((_, rest))) => format!("tok_01J9ZX5V2QH8N4T6W0C3M7K1RB{rest}"),
            });
        let example: String = example.collect();
        let request = client.request(method.parse::<Method>().unwrap(), &example).json(&json!({}));
        let answer = client.send(request).await;
        let entry = entry_of(&client, "", answer.header("x-request-id")).await;
        let expected = if answer.status.is_success() { "done" } else { "failed" };
        let expected = if answer.status == 403 || answer.status == 429 { "refused" } else { expected };
        assert_eq!(
            (&entry["operation"], &entry["action"], &entry["result"]),
            (&id, &json!(action), &json!(expected)),
            "{method} {path}: {entry}, {answer:?}"
        );
        checked += 1;
        if method == "DELETE" && path == "/v1/users/me" && answer.status.is_success() {
            break;
        }
    }
    assert!(checked > 5);
    home.stop().await;
}

#[tokio::test]
async fn auditor_reads_the_log_of_the_organisation_alone() {
    let home = without_node().await;
    let (home, (auditor, elsewhere)) = home
        .restart_after(async |store| {
            let organisation = operators_organisation(store).await;
            let auditor = Person::in_organisation(store, organisation, MemberRole::Auditor).await;
            (auditor, Person::with_organisation(store).await)
        })
        .await;
    let (owner, auditor) = (home.client(), home.client().with_token(Some(&auditor.token)));
    assert_eq!(owner.post("/v1/users/tokens", &json!({"name": "x"})).await.status, 201);
    assert!(!entries(&auditor, "operation=create_token").await.is_empty());
    assert_eq!(verification(&auditor, "").await["intact"], true);
    for (method, path) in [
        ("POST", "/v1/generate"),
        ("GET", "/v1/models"),
        ("GET", "/v1/config"),
        ("PUT", "/v1/config"),
        ("GET", "/metrics"),
        ("GET", "/v1/audit?organisation=gateway"),
        ("GET", "/v1/audit?organisation=all"),
        ("GET", "/v1/audit/verify?organisation=gateway"),
    ] {
        let request = auditor.request(method.parse().unwrap(), path).json(&json!({}));
        auditor.send(request).await.error(403, "forbidden");
    }
    // Another organisation's owner sees their own log, and the operators see all.
    let other = home.client().with_token(Some(&elsewhere.token));
    assert!(entries(&other, "operation=create_token").await.is_empty());
    let own = owner.get("/v1/audit?limit=1").await.json()["entries"][0]["organisation"].clone();
    let path = format!("/v1/audit?organisation={}", own.as_str().unwrap());
    other.get(&path).await.error(403, "forbidden");
    assert_eq!(other.post("/v1/users/tokens", &json!({"name": "y"})).await.status, 201);
    let organisations: BTreeSet<String> = entries(&owner, "organisation=all&operation=create_token")
        .await
        .iter()
        .map(|entry| entry["organisation"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        organisations.contains(&elsewhere.organisation.to_string()) && organisations.len() == 2,
        "{organisations:?}"
    );
    home.stop().await;
}

#[tokio::test]
async fn log_has_no_secret_and_no_body() {
    const PLANTED: &str = "planted-0b5e1d";
    let home = without_node().await;
    let client = home.client();
    let key = json!({"api_key": format!("sk-{PLANTED}")});
    client.send(client.request(Method::PUT, "/v1/providers/openai/key").json(&key)).await;
    let token = client.post("/v1/users/tokens", &json!({"name": format!("name {PLANTED}")})).await.json();
    let secret = token["token"].as_str().unwrap().to_owned();
    client.post("/v1/users/tokens", &json!({"name": "x", "unknown": PLANTED})).await;
    client.with_token(Some(&format!("hth_{PLANTED}"))).get("/v1/models").await;
    client.delete(&format!("/v1/users/tokens/hth_{PLANTED}")).await;
    client.delete(&format!("/v1/providers/sk-{PLANTED}/key")).await;
    client.get(&format!("/v1/config?token={PLANTED}")).await;
    client.post("/v1/users/login", &json!({"email": "a@b.example", "password": PLANTED})).await;
    let home = home.restart().await;
    let mut count = 0;
    for query in ["", "organisation=gateway"] {
        for entry in entries(&home.client(), query).await {
            let text = entry.to_string();
            assert!(
                !text.contains(PLANTED) && !text.contains(&secret) && !text.contains("a@b.example"),
                "{text}"
            );
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
    home.stop().await;
}

#[tokio::test]
async fn log_is_intact_after_each_kill() {
    const ROUNDS: usize = 20;
    let mut home = without_node().await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let (acknowledge, mut next) = mpsc::unbounded_channel();
        for writer in 0..4 {
            let (client, acknowledge) = (home.client(), acknowledge.clone());
            tokio::spawn(async move {
                for index in 0.. {
                    let body = json!({"name": format!("{round} {writer} {index}")});
                    let request = client.request(Method::POST, "/v1/users/tokens").json(&body);
                    match client.try_send(request).await {
                        Ok(answer) if answer.status == 201 => {
                            acknowledge.send(answer.json()["id"].clone()).unwrap()
                        }
                        _ => break,
                    }
                }
            });
        }
        drop(acknowledge);
        // The writers go on while the process is killed.
        for _ in 0..=round {
            acknowledged.insert(next.recv().await.unwrap().to_string());
        }
        home = home.crash_and_restart().await;
        while let Some(id) = next.recv().await {
            acknowledged.insert(id.to_string());
        }
        let verification = verification(&home.client(), "").await;
        assert_eq!(verification["intact"], true, "round {round}: {verification}");
    }
    assert!(acknowledged.len() > ROUNDS, "{}", acknowledged.len());
    // Every change that was acknowledged has its entry.
    let mut cursor = String::new();
    loop {
        let page =
            home.client().get(&format!("/v1/audit?limit=1000&operation=create_token{cursor}")).await.json();
        for entry in page["entries"].as_array().unwrap() {
            acknowledged.remove(&entry["resources"][0].to_string());
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(acknowledged.is_empty(), "{acknowledged:?}");
    home.stop().await;
}
