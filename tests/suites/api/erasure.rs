//! The export and the erasure of a user.

use std::{fs, io::Read as _, time::Duration};

use hearth_store::{Store, database::Durability};
use hearth_tests::{
    Answer, Client, Home, Socket, endless_run, eventually,
    relay::{ScriptedNode, enrolment_code},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{PASSWORD, SignedIn, invite, member};

/// Words that only the erased user's data has.
const PLANTED: [&str; 4] = ["ada.planted@example.org", "Plantedname", "planted-consent", "plantedprompt"];

pub(crate) async fn erase(client: &Client, body: &Value) -> Answer {
    client.send(client.request(Method::DELETE, "/v1/users/me").json(body)).await
}

/// A user with runs, a conversation, tokens, consents and a name.
async fn planted_user(home: &Home, number: usize) -> SignedIn {
    let user = member(home, &format!("{number}.{}", PLANTED[0]), "developer").await;
    let rename = json!({"name": PLANTED[1]});
    let renamed = user.client.send(user.client.request(Method::PATCH, "/v1/users/me").json(&rename)).await;
    assert_eq!(renamed.status, 200, "{renamed:?}");
    let consent = json!({"document": PLANTED[2], "version": "1"});
    assert_eq!(user.client.post("/v1/users/me/consents", &consent).await.status, 201);
    assert_eq!(user.client.post("/v1/users/tokens", &json!({"name": PLANTED[1]})).await.status, 201);
    let short = json!({"input": {"prompt": PLANTED[3]}, "parameters": {"max_tokens": 4}, "store": true});
    assert_eq!(user.client.post("/v1/generate", &short).await.status, 200);
    let response = json!({"model": home.model, "input": PLANTED[3], "max_output_tokens": 16});
    let response = user.client.post("/v1/responses", &response).await;
    assert_eq!(response.status, 200, "{response:?}");
    let schema = json!({"name": PLANTED[3], "schema": {"type": "object", "title": PLANTED[3]}});
    assert_eq!(user.client.post("/v1/schemas", &schema).await.status, 201);
    user
}

pub(crate) async fn completed(home: &Home, id: &str) -> Value {
    let path = format!("/v1/users/erasures/{id}");
    eventually("the end of the erasure", async || {
        let report = home.client().with_token(None).get(&path).await.json();
        (report["status"] == "completed").then_some(report)
    })
    .await
}

/// Every item of the table, and every object of the bucket, as text.
pub(crate) async fn everything(store: &Store, data: &std::path::Path) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.database().scan(after.as_ref()).await.unwrap();
        all.extend(page.items.iter().map(|item| format!("{item:?}")));
        match page.next {
            Some(next) => after = Some(next.key),
            None => break,
        }
    }
    for folder in ["objects", "objects/jobs", "objects/lasting"] {
        for file in fs::read_dir(data.join(folder)).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.is_file() {
                all.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
            }
        }
    }
    all
}

/// Stops the gateway, and checks that its stores have none of the words.
async fn nothing_is_left(home: Home, words: &[&str]) {
    let data = home.data();
    let _folder = home.stop().await;
    let store = hearth_store::home::open(&data, Durability::Os).unwrap();
    for text in everything(&store, &data).await {
        for word in words {
            assert!(!text.contains(word), "{word} is left: {text}");
        }
    }
}

#[tokio::test]
async fn node_of_an_erased_user_ends_and_its_socket_is_closed() {
    let home = Home::start().await;
    let user = member(&home, "ada@example.org", "developer").await;
    let node = ScriptedNode::enroll(&home.url, &enrolment_code(&user.client).await, "cellar").await;
    // The gateway's process has seen the node.
    node.report().await;
    let credential = node.credential("GET /v1/socket", b"");
    let mut socket = Socket::open_as(&format!("{}/v1/socket", home.url), &credential).await;
    let answer = erase(&user.client, &json!({"password": PASSWORD})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let report = completed(&home, answer.json()["id"].as_str().unwrap()).await;
    assert_eq!(report["deleted"]["nodes"], 1, "{report}");
    // 1001: the gateway has gone away from it.
    assert_eq!(socket.close_code().await, 1001);
    node.try_report().await.error(401, "unauthorized");
    nothing_is_left(home, &[&format!("NODE#{}", node.id)]).await;
}

#[tokio::test]
async fn erased_user_leaves_nothing_behind() {
    let home = Home::start().await;
    let user = planted_user(&home, 0).await;
    let wrong = json!({"password": "not my password"});
    erase(&user.client, &wrong).await.error(403, "forbidden");
    erase(&user.client, &json!({})).await.error(400, "invalid_request");
    let mut endless = user.client.stream("/v1/generate", &endless_run()).await;
    endless.next_named("delta").await;

    let answer = erase(&user.client, &json!({"password": PASSWORD})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    user.client.get("/v1/users/me").await.error(401, "unauthorized");
    let report = completed(&home, answer.json()["id"].as_str().unwrap()).await;
    let deleted = &report["deleted"];
    assert_eq!((&deleted["runs"], &deleted["tokens"]), (&json!(3), &json!(1)), "{report}");
    assert_eq!(deleted["definitions"], 1, "{report}");
    assert_eq!((&deleted["memberships"], &deleted["profile_items"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(report["kept"], json!(["usage", "audit"]));
    let events = endless.rest().await;
    assert!(!events.is_empty(), "the stream of a stopped run has no end");
    // The address can be used again, by a user who has nothing of the erased one.
    let again = member(&home, &format!("0.{}", PLANTED[0]), "viewer").await;
    assert_ne!(again.id, user.id);
    let answer = erase(&again.client, &json!({"password": PASSWORD})).await;
    completed(&home, answer.json()["id"].as_str().unwrap()).await;
    nothing_is_left(home, &PLANTED).await;
}

#[tokio::test]
async fn erasure_that_is_killed_goes_on_with_the_next_start() {
    let mut home = Home::start().await;
    for round in 0..20u64 {
        let user = planted_user(&home, usize::try_from(round).unwrap()).await;
        let answer = erase(&user.client, &json!({"password": PASSWORD})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        // The first pass comes at once, the last one two seconds later: the kill falls into each of their steps.
        let moment = if round < 14 { round * 2 } else { 1950 + (round - 14) * 30 };
        tokio::time::sleep(Duration::from_millis(moment)).await;
        home = home.crash_and_restart().await;
        let report = completed(&home, answer.json()["id"].as_str().unwrap()).await;
        let deleted = &report["deleted"];
        assert_eq!((&deleted["runs"], &deleted["tokens"]), (&json!(2), &json!(1)), "{round}: {report}");
        // The gateway has another address now.
        let theirs = home.client().with_token(Some(&user.token));
        theirs.get("/v1/users/me").await.error(401, "unauthorized");
    }
    nothing_is_left(home, &PLANTED).await;
}

#[tokio::test]
async fn operator_and_last_owner_of_others_are_not_erased() {
    let home = Home::start().await;
    let error = erase(&home.client(), &json!({})).await.error(409, "conflict");
    assert!(error["message"].as_str().unwrap().contains("operator"), "{error}");

    let (home, stranger) = home.restart_with_a_stranger().await;
    let stranger = home.client().with_token(Some(&stranger));
    let ada = member(&home, "ada@example.org", "developer").await;
    let code = invite(&stranger, &json!({"role": "owner"})).await["code"].clone();
    let id = stranger.get("/v1/users/me").await.json()["id"].as_str().unwrap().to_owned();
    let viewer = invite(&stranger, &json!({"role": "viewer"})).await["code"].clone();
    let bob = member(&home, "bob@example.org", "developer").await;
    assert_eq!(bob.client.post("/v1/users/me/invites/accept", &json!({"code": viewer})).await.status, 200);
    let path = format!("/v1/users/{id}");
    let error = home.client().delete(&path).await.error(409, "conflict");
    assert!(error["details"]["organisation"].is_string(), "{error}");
    assert_eq!(ada.client.post("/v1/users/me/invites/accept", &json!({"code": code})).await.status, 200);
    stranger.delete(&path).await.error(403, "forbidden");
    let answer = home.client().delete(&path).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    completed(&home, answer.json()["id"].as_str().unwrap()).await;
    home.client().delete(&path).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn export_has_everything_that_was_made() {
    let home = Home::start().await;
    let user = planted_user(&home, 0).await;
    let answer = user.client.get("/v1/users/me/export").await;
    assert_eq!(answer.headers["content-type"], "application/zip");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.body.to_vec())).unwrap();
    let mut file = |name: &str| {
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(&file("profile.json"))["name"], PLANTED[1]);
    assert_eq!(json(&file("consents.json"))[0]["document"], PLANTED[2]);
    let tokens = file("tokens.json");
    assert_eq!(json(&tokens)[0]["name"], PLANTED[1]);
    assert!(!tokens.contains("hash"), "{tokens}");
    assert_eq!(json(&file("logins.json")).as_array().unwrap().len(), 1);
    let runs = file("runs.jsonl");
    let runs: Vec<Value> = runs.lines().map(json).collect();
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs.iter().all(|run| run["output"]["text"].is_string()), "{runs:?}");
    let conversations = file("conversations.jsonl");
    assert!(conversations.contains(PLANTED[3]), "{conversations}");
    let requests = file("requests.jsonl");
    assert!(requests.lines().count() == 1 && requests.contains(PLANTED[3]), "{requests}");
    let definition = json(&file("definitions.jsonl"));
    assert_eq!(
        (&definition["version"], &definition["content"]["title"]),
        (&json!("1.0.0"), &json!(PLANTED[3]))
    );
    assert!(file("README.txt").contains("runs.jsonl"));

    // Another user's export has nothing of it.
    let other = member(&home, "bob@example.org", "developer").await;
    let answer = other.client.get("/v1/users/me/export").await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.body.to_vec())).unwrap();
    for index in 0..zip.len() {
        let mut text = String::new();
        zip.by_index(index).unwrap().read_to_string(&mut text).unwrap();
        assert!(PLANTED.iter().all(|word| !text.contains(word)), "{text}");
    }
    home.stop().await;
}

#[tokio::test]
async fn export_of_a_token_stays_in_its_organisation_and_scopes() {
    let home = Home::start().await;
    let user = planted_user(&home, 0).await;
    let store_runs = async |client: &Client| {
        let answer = client.get("/v1/users/me/export").await;
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.body.to_vec())).unwrap();
        let mut runs = String::new();
        zip.by_name("runs.jsonl").unwrap().read_to_string(&mut runs).unwrap();
        (runs.lines().count(), zip.by_name("INCOMPLETE.txt").is_ok())
    };
    let token = async |client: &Client, scopes: Value| {
        let created = client.post("/v1/users/tokens", &json!({"name": "export", "scopes": scopes})).await;
        home.client().with_token(created.json()["token"].as_str())
    };
    assert_eq!(store_runs(&user.client).await, (2, false));
    assert_eq!(
        store_runs(&token(&user.client, json!(["account", "generate", "usage"])).await).await,
        (2, false)
    );
    assert_eq!(store_runs(&token(&user.client, json!(["account"])).await).await, (0, true));

    // By a token of another organisation the runs of the first one aren't seen; by a login there they are.
    let organisation = home.client().post("/v1/organisations", &json!({"name": "Foundry"})).await.json();
    let path =
        format!("/v1/admin/organisations/{}/members/{}", organisation["id"].as_str().unwrap(), user.id);
    let owner = home.client();
    let put = owner.request(Method::PUT, &path).json(&json!({"role": "developer"}));
    assert_eq!(owner.send(put).await.status, 200);
    let body = json!({"email": format!("0.{}", PLANTED[0]), "password": PASSWORD, "organisation": organisation["id"]});
    let login = home.client().with_token(None).post("/v1/users/login", &body).await;
    assert_eq!(login.status, 200, "{login:?}");
    let login = home.client().with_token(login.json()["access_token"].as_str());
    assert_eq!(store_runs(&login).await, (2, false));
    assert_eq!(store_runs(&token(&login, json!(["account", "generate", "usage"])).await).await, (0, false));
    home.stop().await;
}
