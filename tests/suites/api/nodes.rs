//! Nodes: enrolled by codes, listed, shared, changed and revoked; and the signatures of their requests.

use std::time::Duration;

use hearth_auth::{CodeKind, NodeKey, OneTimeCode};
use hearth_domain::{OrganisationId, Timestamp};
use hearth_store::node_codes::NodeCodeRecord;
use hearth_tests::{
    Answer, Client, Home, Setup, Socket,
    relay::{ScriptedNode, enrolment_code},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::member;

/// Code of a socket that the gateway closes.
const AWAY: u16 = 1001;

async fn without_node() -> Home {
    Setup::new().arguments(&["--no-node"]).start().await
}

async fn enroll(home: &Home, owner: &Client, name: &str) -> ScriptedNode {
    let code = enrolment_code(owner).await;
    ScriptedNode::enroll(&home.url, &code, name).await
}

fn enrolment(code: &str) -> Value {
    json!({"code": code, "public_key": NodeKey::generate().public_key(), "name": "box", "version": "0.1.0"})
}

async fn change(client: &Client, node: &ScriptedNode, body: Value) -> Answer {
    client.send(client.request(Method::PATCH, &format!("/v1/nodes/{}", node.id)).json(&body)).await
}

/// The names of the nodes that a client sees.
async fn names(client: &Client) -> Vec<String> {
    let list = client.get("/v1/nodes").await.json();
    let nodes = list["nodes"].as_array().unwrap().clone();
    nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn node_is_enrolled_by_a_code_which_is_used_once() {
    let home = without_node().await;
    let owner = home.client();
    let created = owner.post("/v1/nodes/codes", &json!({"name": "cellar"})).await;
    assert_eq!(created.status, 201, "{created:?}");
    let (code, command) = (created.json()["code"].clone(), created.json()["command"].clone());
    let (code, command) = (code.as_str().unwrap(), command.as_str().unwrap());
    assert!(
        command.starts_with("hearth node enroll http://127.0.0.1:") && command.ends_with(code),
        "{command}"
    );

    let anonymous = owner.with_token(None);
    let enrolled = anonymous.post("/v1/node/enroll", &enrolment(code)).await;
    assert_eq!(enrolled.status, 201, "{enrolled:?}");
    // The name of the code's maker precedes the node's own.
    assert_eq!(enrolled.json()["name"], "cellar");
    assert!(enrolled.json()["gateway_key"].is_string());
    let again = anonymous.post("/v1/node/enroll", &enrolment(code)).await.error(403, "forbidden");
    assert_eq!(again["param"], "code");

    let id = enrolled.json()["node"].as_str().unwrap().to_owned();
    let node = owner.get(&format!("/v1/nodes/{id}")).await.json();
    assert_eq!((&node["name"], &node["status"]["alive"]), (&json!("cellar"), &json!(false)), "{node}");
    assert_eq!(node["sharing"], json!({"organisation": false, "teams": [], "users": []}));
    let entries = owner.get("/v1/audit").await.json();
    let entries = entries["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["action"] == "enroll_node" && entry["result"] == "done");
    assert_eq!(entry.unwrap()["resources"], json!([id]), "{entries:?}");
    home.stop().await;
}

#[tokio::test]
async fn malformed_enrolment_is_refused_and_leaves_the_code_valid() {
    let home = without_node().await;
    let anonymous = home.client().with_token(None);
    let code = enrolment_code(&home.client()).await;
    for (field, value) in [
        ("public_key", json!("AAAA")),
        ("url", json!("ftp://box")),
        ("certificate_key", json!("12")),
        ("name", json!("")),
        ("surprise", json!(1)),
    ] {
        let mut body = enrolment(&code);
        body[field] = value;
        let refused = anonymous.post("/v1/node/enroll", &body).await.error(400, "invalid_request");
        assert_eq!(refused["param"], field, "{refused}");
    }
    for wrong in ["", "hnode_", "hinv_0123456789", &code[..code.len() - 1]] {
        anonymous.post("/v1/node/enroll", &enrolment(wrong)).await.error(403, "forbidden");
    }
    assert_eq!(anonymous.post("/v1/node/enroll", &enrolment(&code)).await.status, 201);
    home.stop().await;
}

#[tokio::test]
async fn private_address_is_named_by_an_owner_of_the_operators_organisation_alone() {
    let home = without_node().await;
    let developer = member(&home, "dev@example.org", "developer").await;
    let anonymous = home.client().with_token(None);
    let enroll_at = async |owner: &Client, url: &str| {
        let mut body = enrolment(&enrolment_code(owner).await);
        body["url"] = json!(url);
        anonymous.post("/v1/node/enroll", &body).await
    };
    for private in ["http://127.0.0.1:22", "https://127.0.0.1:22", "http://192.168.1.1", "http://localhost:1"]
    {
        let refused = enroll_at(&developer.client, private).await.error(400, "invalid_request");
        assert_eq!(refused["param"], "url", "{refused}");
        assert!(refused["message"].as_str().unwrap().contains("relay"), "{refused}");
        assert_eq!(enroll_at(&home.client(), private).await.status, 201, "{private}");
    }
    for owner in [&developer.client, &home.client()] {
        let refused = enroll_at(owner, "http://203.0.113.7").await.error(400, "invalid_request");
        assert_eq!(refused["param"], "url", "{refused}");
    }
    assert_eq!(enroll_at(&developer.client, "https://box.example.org").await.status, 201);
    home.stop().await;
}

#[tokio::test]
async fn expired_code_is_refused() {
    let code = OneTimeCode::generate(CodeKind::NodeEnrollment);
    let home = without_node().await;
    let (home, ()) = home
        .restart_after(async |store| {
            let owner = store.operator().await.unwrap();
            let organisation = OrganisationId::of_operator(owner);
            let now = Timestamp::now();
            let expires_at = Timestamp::from_unix(now.unix() - 1);
            let hash = code.hash();
            let record =
                NodeCodeRecord { hash, owner, organisation, name: None, created_at: now, expires_at };
            store.node_codes().create(&record).await.unwrap();
        })
        .await;
    let anonymous = home.client().with_token(None);
    anonymous.post("/v1/node/enroll", &enrolment(code.expose())).await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn code_ends_with_its_makers_right_to_make_it() {
    let home = without_node().await;
    let maker = member(&home, "maker@example.org", "developer").await;
    let code = enrolment_code(&maker.client).await;
    let organisations = home.client().get("/v1/organisations").await.json();
    let organisation = organisations["organisations"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organisations/{organisation}/members/{}", maker.id);
    let client = home.client();
    let changed = client.send(client.request(Method::PATCH, &path).json(&json!({"role": "viewer"}))).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let anonymous = client.with_token(None);
    anonymous.post("/v1/node/enroll", &enrolment(&code)).await.error(403, "forbidden");
    let refused = maker.client.post("/v1/nodes/codes", &json!({})).await.error(403, "forbidden");
    assert_eq!(refused["details"]["action"], "manage_nodes");
    home.stop().await;
}

#[tokio::test]
async fn node_is_seen_by_its_owner_by_admins_and_by_those_it_is_shared_with() {
    let home = without_node().await;
    let owner = member(&home, "owner@example.org", "developer").await;
    let other = member(&home, "other@example.org", "developer").await;
    let node = enroll(&home, &owner.client, "cellar").await;
    let path = format!("/v1/nodes/{}", node.id);
    assert_eq!(names(&owner.client).await, ["cellar"]);
    // The operator is an owner of the organisation.
    assert_eq!(names(&home.client()).await, ["cellar"]);
    assert!(names(&other.client).await.is_empty());
    other.client.get(&path).await.error(404, "not_found");
    change(&other.client, &node, json!({"name": "mine"})).await.error(404, "not_found");
    other.client.delete(&path).await.error(404, "not_found");

    let shared = change(&owner.client, &node, json!({"sharing": {"users": [other.id]}})).await;
    assert_eq!(shared.status, 200, "{shared:?}");
    assert_eq!(names(&other.client).await, ["cellar"]);
    change(&other.client, &node, json!({"name": "mine"})).await.error(403, "forbidden");
    other.client.delete(&path).await.error(403, "forbidden");
    assert_eq!(change(&owner.client, &node, json!({"sharing": {}})).await.status, 200);
    assert!(names(&other.client).await.is_empty());
    assert_eq!(change(&home.client(), &node, json!({"sharing": {"organisation": true}})).await.status, 200);
    assert_eq!(names(&other.client).await, ["cellar"]);
    home.stop().await;
}

#[tokio::test]
async fn change_of_a_node_is_whole_or_refused() {
    let home = without_node().await;
    let (owner, client) = (home.client(), home.client());
    let node = enroll(&home, &owner, "cellar").await;
    let energy = json!({"idle_watts": 30.0, "busy_watts": 350.0, "price_per_kwh": 0.3});
    let body = json!({"name": "attic", "draining": true, "energy": energy});
    let changed = change(&client, &node, body).await.json();
    assert_eq!((&changed["name"], &changed["draining"]), (&json!("attic"), &json!(true)));
    assert_eq!(changed["energy"], energy);
    for (body, param) in [
        (json!({"name": " "}), "name"),
        (json!({"sharing": {"teams": ["team_01J9ZX5V2QH8N4T6W0C3M7K1RB"]}}), "sharing.teams"),
        (json!({"sharing": {"users": ["usr_01J9ZX5V2QH8N4T6W0C3M7K1RB"]}}), "sharing.users"),
        (json!({"energy": {"idle_watts": 3.0, "busy_watts": 2.0, "price_per_kwh": 0.3}}), "energy"),
        (json!({"nam": "x"}), "nam"),
    ] {
        let refused = change(&client, &node, body).await.error(400, "invalid_request");
        assert_eq!(refused["param"], param, "{refused}");
    }
    let zeros = json!({"idle_watts": 0.0, "busy_watts": 0.0, "price_per_kwh": 0.0});
    let changed = change(&client, &node, json!({"energy": zeros, "draining": false})).await.json();
    assert_eq!((&changed["energy"], &changed["name"]), (&Value::Null, &json!("attic")));
    // A restart of the gateway leaves it so.
    let home = home.restart().await;
    assert_eq!(names(&home.client()).await, ["attic"]);
    home.stop().await;
}

#[tokio::test]
async fn reporting_node_is_alive_and_the_next_request_of_a_revoked_one_is_refused() {
    let home = without_node().await;
    let client = home.client();
    let node = enroll(&home, &client, "cellar").await.with_models(&["borrowed"]);
    node.report().await;
    let path = format!("/v1/nodes/{}", node.id);
    let status = client.get(&path).await.json()["status"].clone();
    assert_eq!((&status["alive"], &status["transport"]), (&json!(true), &json!("relay")), "{status}");
    assert_eq!(status["models"][0]["id"], "borrowed");
    assert_eq!(status["version"], "scripted");
    assert!(status["seen_at"].is_string() && status["clock_skew_ms"].is_i64(), "{status}");
    assert!(status["transport_reason"].as_str().is_some_and(|reason| reason.contains("address")), "{status}");

    assert_eq!(client.delete(&path).await.status, 204);
    node.try_report().await.error(401, "unauthorized");
    client.get(&path).await.error(404, "not_found");
    client.delete(&path).await.error(404, "not_found");
    assert!(names(&client).await.is_empty());
    home.stop().await;
}

#[tokio::test]
async fn request_is_accepted_only_as_its_node_signed_it_and_by_a_right_clock() {
    let home = without_node().await;
    let node = enroll(&home, &home.client(), "cellar").await;
    let client = home.client().with_token(None);
    let body = json!({"version": "1", "now": Timestamp::now()});
    let report = |credential: &str, body: &Value| {
        client.request(Method::POST, "/v1/node/report").bearer_auth(credential).json(body)
    };
    let signed = node.credential("POST /v1/node/report", body.to_string().as_bytes());
    assert_eq!(client.send(report(&signed, &body)).await.status, 200);
    let other = json!({"version": "2", "now": Timestamp::now()});
    client.send(report(&signed, &other)).await.error(401, "unauthorized");
    let elsewhere = node.credential("POST /v1/node/orders", body.to_string().as_bytes());
    client.send(report(&elsewhere, &body)).await.error(401, "unauthorized");
    for stranger in ["", "x", &home.token] {
        client.send(report(stranger, &body)).await.error(401, "unauthorized");
    }
    let mut late = node.clone();
    late.clock_offset_seconds = -300;
    let refused = late.try_report().await.error(401, "unauthorized");
    let now: Timestamp = refused["details"]["now"].as_str().unwrap().parse().unwrap();
    assert!(now.until(Timestamp::now()) < Duration::from_secs(30), "{refused}");
    home.stop().await;
}

#[tokio::test]
async fn nodes_of_a_member_who_is_removed_are_revoked() {
    let home = without_node().await;
    let owner = member(&home, "owner@example.org", "developer").await;
    let node = enroll(&home, &owner.client, "cellar").await;
    // The gateway's process has seen the node, which has a socket.
    node.report().await;
    let credential = node.credential("GET /v1/socket", b"");
    let mut socket = Socket::open_as(&format!("{}/v1/socket", home.url), &credential).await;
    let client = home.client();
    let organisations = client.get("/v1/organisations").await.json();
    let organisation = organisations["organisations"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organisations/{organisation}/members/{}", owner.id);
    assert_eq!(client.delete(&path).await.status, 204);
    assert!(names(&client).await.is_empty());
    node.try_report().await.error(401, "unauthorized");
    assert_eq!(socket.close_code().await, AWAY);
    home.stop().await;
}

#[tokio::test]
async fn node_in_the_gateways_process_is_listed_and_keeps_its_changes_over_a_restart() {
    let home = Home::start().await;
    let client = home.client();
    let list = client.get("/v1/nodes").await.json();
    let node = &list["nodes"][0];
    assert_eq!(
        (&node["status"]["transport"], &node["status"]["alive"]),
        (&json!("in_process"), &json!(true))
    );
    assert_eq!(node["status"]["models"][0]["runtime"]["state"], "loaded");
    let path = format!("/v1/nodes/{}", node["id"].as_str().unwrap());
    client.delete(&path).await.error(409, "conflict");
    let renamed = client.send(client.request(Method::PATCH, &path).json(&json!({"name": "desk"}))).await;
    assert_eq!(renamed.status, 200, "{renamed:?}");
    let home = home.restart().await;
    assert_eq!(names(&home.client()).await, ["desk"]);
    home.stop().await;
}

#[tokio::test]
async fn name_that_a_node_of_the_owner_has_gets_a_number_and_no_second_one_by_a_change() {
    let home = without_node().await;
    let owner = home.client();
    for _ in 0..3 {
        enroll(&home, &owner, "cellar").await;
    }
    let attic = enroll(&home, &owner, "attic").await;
    assert_eq!(names(&owner).await, ["cellar", "cellar-2", "cellar-3", "attic"]);
    let refused = change(&owner, &attic, json!({"name": "cellar-2"})).await.error(409, "conflict");
    assert_eq!(refused["param"], "name");
    // Its own name again changes nothing.
    assert_eq!(change(&owner, &attic, json!({"name": "attic"})).await.status, 200);
    home.stop().await;
}
