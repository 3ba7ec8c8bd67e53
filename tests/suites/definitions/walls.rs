//! Access to definitions: reading, using and changing them.

use hearth_domain::{MemberRole, OrganisationId};
use hearth_store::{Store, organisations::TeamRecord};
use hearth_tests::{Client, Home, Person, operators_organisation};
use reqwest::Method;
use serde_json::json;

use crate::{create_schema, create_template, names, put, receipt, send, summary};

/// People of two organisations.
struct People {
    author: Person,
    mate: Person,
    member: Person,
    admin: Person,
    viewer: Person,
    stranger: Person,
    team: String,
}

async fn people(store: &Store) -> People {
    let organisation: OrganisationId = operators_organisation(store).await;
    let join = async |role| Person::in_organisation(store, organisation, role).await;
    let (author, mate) = (join(MemberRole::Developer).await, join(MemberRole::Developer).await);
    let (member, admin) = (join(MemberRole::Developer).await, join(MemberRole::Admin).await);
    let viewer = join(MemberRole::Viewer).await;
    let team = TeamRecord::new(organisation, "Readers");
    store.organisations().create_team(&team).await.unwrap();
    for person in [&author, &mate] {
        let record = store.organisations().get(organisation).await.unwrap().unwrap();
        let member = store.organisations().member(organisation, person.user).await.unwrap().unwrap();
        let mut after = member.clone();
        after.teams.push(team.id);
        store.organisations().change_member(&record, &member, after).await.unwrap();
    }
    let stranger = Person::with_organisation(store).await;
    People { author, mate, member, admin, viewer, stranger, team: team.id.to_string() }
}

async fn start() -> (Home, People) {
    Home::start_without_node().await.restart_after(async |store| people(store).await).await
}

fn of(home: &Home, person: &Person) -> Client {
    home.client().with_token(Some(&person.token))
}

#[tokio::test]
async fn definition_is_seen_by_those_of_its_visibility_and_by_nobody_else() {
    let (home, people) = start().await;
    let author = of(&home, &people.author);
    let created = create_schema(&author, "receipt", &json!({})).await;
    let id = created["id"].as_str().unwrap();
    let callers = [
        ("author", of(&home, &people.author)),
        ("mate", of(&home, &people.mate)),
        ("member", of(&home, &people.member)),
        ("admin", of(&home, &people.admin)),
        ("viewer", of(&home, &people.viewer)),
        ("stranger", of(&home, &people.stranger)),
    ];
    let admin = of(&home, &people.admin);
    for (change, seeing) in [
        (json!({}), vec!["author"]),
        (json!({"visibility": "team", "team": people.team}), vec!["author", "mate", "admin"]),
        (json!({"visibility": "organisation"}), vec!["author", "mate", "member", "admin", "viewer"]),
        (json!({"visibility": "public"}), vec!["author", "mate", "member", "admin", "viewer", "stranger"]),
    ] {
        if change != json!({}) {
            let by = if change["visibility"] == "public" { &admin } else { &author };
            let changed = send(by, Method::PATCH, &format!("/v1/schemas/{id}"), &change).await;
            assert_eq!(changed.status, 200, "{change}: {changed:?}");
        }
        for (name, client) in &callers {
            let sees = seeing.contains(name);
            let got = client.get(&format!("/v1/schemas/{id}")).await;
            assert_eq!(got.status.as_u16(), if sees { 200 } else { 404 }, "{name} {change}: {got:?}");
            // An administrator manages the definitions of teams, and lists those of one's own.
            let lists = sees && !(*name == "admin" && change["visibility"] == "team");
            let listed = names(client, "/v1/schemas?built_in=false").await;
            assert_eq!(listed, if lists { vec!["receipt"] } else { Vec::new() }, "{name} {change}");
        }
    }
    // Another organisation sees no people, and finds it by its id alone.
    let foreign = of(&home, &people.stranger).get(&format!("/v1/schemas/{id}")).await.json();
    assert_eq!((&foreign["owner"], &foreign["may_change"]), (&json!(null), &json!(false)));
    of(&home, &people.stranger).get("/v1/schemas/receipt").await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn only_its_author_and_administrators_change_a_shared_definition() {
    let (home, people) = start().await;
    let (author, member) = (of(&home, &people.author), of(&home, &people.member));
    create_schema(&author, "receipt", &json!({"visibility": "organisation"})).await;
    let mut schema = receipt();
    schema["title"] = json!("Receipt");
    let body = json!({"schema": schema});
    put(&member, "/v1/schemas/receipt", &body).await.error(403, "forbidden");
    member.delete("/v1/schemas/receipt").await.error(403, "forbidden");
    put(&member, "/v1/schemas/receipt/labels/x", &json!({"version": "1.0.0"})).await.error(403, "forbidden");
    let viewer = of(&home, &people.viewer);
    assert_eq!(viewer.get("/v1/schemas/receipt").await.status, 200);
    viewer.post("/v1/schemas", &json!({"name": "x", "schema": receipt()})).await.error(403, "forbidden");
    let admin = of(&home, &people.admin);
    assert_eq!(put(&admin, "/v1/schemas/receipt", &body).await.json()["version"], "1.0.1");
    let private = json!({"visibility": "private"});
    send(&admin, Method::PATCH, "/v1/schemas/receipt", &private).await.error(403, "forbidden");
    let public = json!({"visibility": "public"});
    let refused = send(&author, Method::PATCH, "/v1/schemas/receipt", &public).await.error(403, "forbidden");
    assert_eq!(refused["param"], "visibility");
    home.stop().await;
}

#[tokio::test]
async fn own_definition_comes_before_that_of_the_organisation() {
    let (home, people) = start().await;
    let (author, member) = (of(&home, &people.author), of(&home, &people.member));
    let shared = create_schema(&author, "receipt", &json!({"visibility": "organisation"})).await;
    assert_eq!(member.get("/v1/schemas/receipt").await.json()["id"], shared["id"]);
    let own = create_schema(&member, "receipt", &json!({})).await;
    assert_eq!(member.get("/v1/schemas/receipt").await.json()["id"], own["id"]);
    assert_eq!(author.get("/v1/schemas/receipt").await.json()["id"], shared["id"]);
    home.stop().await;
}

#[tokio::test]
async fn template_is_not_shared_further_than_its_schema() {
    let (home, people) = start().await;
    let author = of(&home, &people.author);
    create_schema(&author, "receipt", &json!({})).await;
    let mut template = summary();
    template["schema_id"] = json!("receipt");
    let body = json!({"name": "summary", "template": template, "visibility": "organisation"});
    let refused = author.post("/v1/templates", &body).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "template.schema_id");
    create_template(&author, "summary", &json!({"template": template})).await;
    let share = json!({"visibility": "organisation"});
    let refused = send(&author, Method::PATCH, "/v1/templates/summary", &share).await;
    assert_eq!(refused.error(400, "invalid_request")["param"], "visibility");
    assert_eq!(send(&author, Method::PATCH, "/v1/schemas/receipt", &share).await.status, 200);
    assert_eq!(send(&author, Method::PATCH, "/v1/templates/summary", &share).await.status, 200);
    let variables = json!({"variables": {"text": "x"}});
    let rendered = of(&home, &people.member).post("/v1/templates/summary/render", &variables).await.json();
    assert_eq!(rendered["schema_id"], "receipt@1.0.0");
    home.stop().await;
}
