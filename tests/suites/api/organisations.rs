//! `/v1/organisations` and `/v1/admin`: organisations, members, teams and the gateway's administration.

use std::collections::BTreeSet;

use hearth_domain::{MemberRole, OrganisationId};
use hearth_store::{
    Store,
    database::{Condition, Key, Write},
};
use hearth_tests::{Answer, Client, Home, Person, operators_organisation};
use reqwest::Method;
use serde_json::{Value, json};

/// A home with an organisation beside the operator's.
struct World {
    home: Home,
    /// The operator, who owns the operator's organisation.
    operator: Client,
    operators: OrganisationId,
    /// A developer of the operator's organisation.
    developer: Person,
    /// An admin of the operator's organisation.
    admin: Person,
    /// The owner of another organisation.
    stranger: Person,
}

impl World {
    async fn start() -> Self {
        let add = async |store: &Store| {
            let operators = operators_organisation(store).await;
            let developer = Person::in_organisation(store, operators, MemberRole::Developer).await;
            let admin = Person::in_organisation(store, operators, MemberRole::Admin).await;
            (operators, developer, admin, Person::with_organisation(store).await)
        };
        let (home, (operators, developer, admin, stranger)) = Home::start().await.restart_after(add).await;
        let operator = home.client();
        Self { home, operator, operators, developer, admin, stranger }
    }

    fn client(&self, person: &Person) -> Client {
        self.operator.with_token(Some(&person.token))
    }
}

async fn patch(client: &Client, path: &str, body: &Value) -> Answer {
    client.send(client.request(Method::PATCH, path).json(body)).await
}

async fn put(client: &Client, path: &str, body: &Value) -> Answer {
    client.send(client.request(Method::PUT, path).json(body)).await
}

/// The texts at a field of each entry of a list.
fn texts(answer: &Answer, list: &str, field: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let entries = body[list].as_array().unwrap();
    entries.iter().map(|entry| entry[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn operators_organisation_is_there_from_the_start_and_can_be_renamed() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let own = client.get("/v1/organisations").await.json();
    let one = &own["organisations"][0];
    assert_eq!(
        (&one["role"], &one["current"], &one["is_operator"]),
        (&json!("owner"), &json!(true), &json!(true))
    );
    let path = format!("/v1/organisations/{}", one["id"].as_str().unwrap());
    let changed =
        patch(&client, &path, &json!({"name": " Home ", "regions": ["eu-west-1", "eu-west-1"]})).await;
    let changed = changed.json();
    assert_eq!((&changed["name"], &changed["regions"]), (&json!("Home"), &json!(["eu-west-1"])));
    for (body, param) in [
        (json!({"name": ""}), "name"),
        (json!({"regions": ["the EU"]}), "regions"),
        (json!({"regiuns": []}), "regiuns"),
    ] {
        let error = patch(&client, &path, &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{body}");
    }
    client.delete(&path).await.error(409, "conflict");
    client.post(&format!("{path}/leave"), &json!({})).await.error(409, "conflict");
    home.stop().await;
}

#[tokio::test]
async fn owner_of_a_new_organisation_manages_it_and_its_last_owner_stays() {
    let world = World::start().await;
    // Only operators create organisations.
    let name = json!({"name": "Foundry"});
    world.client(&world.stranger).post("/v1/organisations", &name).await.error(403, "forbidden");
    world.client(&world.developer).post("/v1/organisations", &name).await.error(403, "forbidden");
    let created = world.operator.post("/v1/organisations", &name).await;
    assert_eq!((created.status.as_u16(), &created.json()["owners"]), (201, &json!(1)));
    assert_eq!(texts(&world.operator.get("/v1/organisations").await, "organisations", "name").len(), 2);

    let (owner, id) = (world.client(&world.stranger), world.stranger.organisation);
    let members = format!("/v1/organisations/{id}/members");
    let own = format!("{members}/{}", world.stranger.user);
    patch(&owner, &own, &json!({"role": "admin"})).await.error(409, "conflict");
    owner.delete(&own).await.error(409, "conflict");
    owner.post(&format!("/v1/organisations/{id}/leave"), &json!({})).await.error(409, "conflict");

    // The operator adds a second owner, with whom the first may leave.
    let second = format!("/v1/admin/organisations/{id}/members/{}", world.developer.user);
    assert_eq!(put(&world.operator, &second, &json!({"role": "owner"})).await.status, 200);
    assert_eq!(texts(&owner.get(&members).await, "members", "role"), ["owner", "owner"]);
    assert_eq!(owner.post(&format!("/v1/organisations/{id}/leave"), &json!({})).await.status, 204);
    owner.get(&members).await.error(401, "unauthorized");
    world.home.stop().await;
}

#[tokio::test]
async fn role_names_others_only_to_what_it_covers() {
    let world = World::start().await;
    let (admin, operators) = (world.client(&world.admin), world.operators);
    let member = |person: &Person| format!("/v1/organisations/{operators}/members/{}", person.user);
    for role in ["owner", "auditor"] {
        patch(&admin, &member(&world.developer), &json!({"role": role})).await.error(403, "forbidden");
        patch(&admin, &member(&world.admin), &json!({"role": role})).await.error(403, "forbidden");
    }
    let operator = world.operator.get(&format!("/v1/organisations/{operators}/members")).await;
    let body = operator.json();
    let owner = body["members"].as_array().unwrap().iter().find(|member| member["role"] == "owner").unwrap();
    let owner = format!("/v1/organisations/{operators}/members/{}", owner["user"].as_str().unwrap());
    patch(&admin, &owner, &json!({"role": "viewer"})).await.error(403, "forbidden");
    admin.delete(&owner).await.error(403, "forbidden");
    put(&admin, &owner.replace("/v1/", "/v1/admin/"), &json!({"role": "viewer"}))
        .await
        .error(403, "forbidden");

    let changed = patch(&admin, &member(&world.developer), &json!({"role": "viewer"})).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["role"]), (200, &json!("viewer")));
    // The change has effect at once.
    let viewer = world.client(&world.developer);
    viewer.post("/v1/generate", &crate::capital_of_france()).await.error(403, "forbidden");
    patch(&viewer, &member(&world.developer), &json!({"role": "developer"})).await.error(403, "forbidden");
    world.home.stop().await;
}

#[tokio::test]
async fn removed_member_has_no_access_from_then_on() {
    let world = World::start().await;
    let developer = world.client(&world.developer);
    assert_eq!(developer.get("/v1/models").await.status, 200);
    let path = format!("/v1/organisations/{}/members/{}", world.operators, world.developer.user);
    assert_eq!(world.operator.delete(&path).await.status, 204);
    developer.get("/v1/models").await.error(401, "unauthorized");
    world.operator.get(&path).await.error(404, "not_found");
    // Nor does a later membership revive the token.
    let again = format!("/v1/admin/organisations/{}/members/{}", world.operators, world.developer.user);
    assert_eq!(put(&world.operator, &again, &json!({"role": "developer"})).await.status, 200);
    developer.get("/v1/models").await.error(401, "unauthorized");
    world.home.stop().await;
}

#[tokio::test]
async fn teams_have_members_of_their_organisation_only() {
    let world = World::start().await;
    let teams = format!("/v1/organisations/{}/teams", world.operators);
    let team = world.operator.post(&teams, &json!({"name": "platform"})).await.json();
    let team = format!("{teams}/{}", team["id"].as_str().unwrap());
    let developer = format!("{team}/members/{}", world.developer.user);
    assert_eq!(put(&world.operator, &developer, &json!({})).await.status, 204);
    let member = format!("/v1/organisations/{}/members/{}", world.operators, world.developer.user);
    let of_member = world.operator.get(&member).await.json()["teams"].clone();
    assert_eq!(of_member, json!([team.rsplit('/').next().unwrap()]));
    let stranger = format!("{team}/members/{}", world.stranger.user);
    put(&world.operator, &stranger, &json!({})).await.error(404, "not_found");
    put(&world.client(&world.developer), &developer, &json!({})).await.error(403, "forbidden");
    assert_eq!(patch(&world.operator, &team, &json!({"name": "research"})).await.json()["name"], "research");

    // The other organisation has no such team, by its own path neither.
    let other = world.client(&world.stranger);
    other.get(&team).await.error(404, "not_found");
    other.get(&teams).await.error(404, "not_found");
    let moved = team.replace(&world.operators.to_string(), &world.stranger.organisation.to_string());
    other.get(&moved).await.error(404, "not_found");
    let own = format!("/v1/organisations/{0}/members/{1}", world.stranger.organisation, world.stranger.user);
    let foreign = json!({"teams": of_member});
    assert_eq!(patch(&other, &own, &foreign).await.error(400, "invalid_request")["param"], "teams");

    assert_eq!(world.operator.delete(&team).await.status, 204);
    assert_eq!(world.operator.get(&member).await.json()["teams"], json!([]));
    world.operator.get(&team).await.error(404, "not_found");
    world.home.stop().await;
}

#[tokio::test]
async fn operators_list_disable_and_enable_everything_and_others_nothing() {
    let world = World::start().await;
    for person in [&world.stranger, &world.developer] {
        let client = world.client(person);
        for path in ["/v1/admin/organisations", "/v1/admin/users", "/v1/admin/tokens"] {
            client.get(path).await.error(403, "forbidden");
        }
    }
    let operator = &world.operator;
    let mut users = BTreeSet::new();
    let mut path = "/v1/admin/users?limit=2".to_owned();
    loop {
        let page = operator.get(&path).await;
        users.extend(texts(&page, "users", "id"));
        let Some(cursor) = page.json()["next_cursor"].as_str().map(str::to_owned) else { break };
        // A cursor is valid for its list and its caller only.
        let foreign = format!("/v1/admin/organisations?cursor={cursor}");
        assert_eq!(operator.get(&foreign).await.error(400, "invalid_request")["param"], "cursor");
        world
            .client(&world.admin)
            .get(&format!("/v1/admin/users?cursor={cursor}"))
            .await
            .error(400, "invalid_request");
        path = format!("/v1/admin/users?limit=2&cursor={cursor}");
    }
    assert_eq!(users.len(), 4);
    assert!(users.contains(&world.stranger.user.to_string()));
    let all = texts(&operator.get("/v1/admin/organisations").await, "organisations", "id");
    assert_eq!(all.len(), 2);
    let tokens = operator.get(&format!("/v1/admin/tokens?user={}", world.stranger.user)).await;
    assert_eq!(texts(&tokens, "tokens", "organisation"), [world.stranger.organisation.to_string()]);
    assert!(!String::from_utf8_lossy(&tokens.body).contains(&world.stranger.token));
    assert!(texts(&operator.get("/v1/admin/tokens").await, "tokens", "id").len() >= 4);

    let stranger = world.client(&world.stranger);
    for path in [
        format!("/v1/admin/users/{}", world.stranger.user),
        format!("/v1/admin/organisations/{}", world.stranger.organisation),
    ] {
        assert_eq!(stranger.get("/v1/models").await.status, 200);
        assert_eq!(patch(operator, &path, &json!({"disabled": true})).await.status, 200);
        stranger.get("/v1/models").await.error(401, "unauthorized");
        assert_eq!(patch(operator, &path, &json!({"disabled": false})).await.status, 200);
    }
    let token = tokens.json()["tokens"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(stranger.get("/v1/models").await.status, 200);
    let path = format!("/v1/admin/users/{}/tokens/{token}", world.stranger.user);
    assert_eq!(operator.delete(&path).await.status, 204);
    stranger.get("/v1/models").await.error(401, "unauthorized");
    let path = format!("/v1/admin/organisations/{}", world.stranger.organisation);
    assert_eq!(operator.delete(&path).await.status, 204);
    operator.get(&path).await.error(404, "not_found");
    patch(operator, &format!("/v1/admin/organisations/{}", world.operators), &json!({"disabled": true}))
        .await
        .error(409, "conflict");
    world.home.stop().await;
}

/// Each route with an id of another organisation, user or team, or a list of theirs.
#[tokio::test]
async fn things_of_another_organisation_or_user_are_not_there() {
    let world = World::start().await;
    let model = &world.home.model;
    let run =
        world.operator.post("/v1/generate", &crate::capital_of_france()).await.json()["request_id"].clone();
    let run = run.as_str().unwrap();
    let response = json!({"model": model, "input": "Hi", "temperature": 0, "max_output_tokens": 4});
    let response = world.operator.post("/v1/responses", &response).await.json()["id"].clone();
    let response = response.as_str().unwrap();

    let of_users = [
        (Method::GET, format!("/v1/requests/{run}")),
        (Method::GET, format!("/v1/requests/{run}/status")),
        (Method::GET, format!("/v1/requests/{run}/events")),
        (Method::POST, format!("/v1/requests/{run}/cancel")),
        (Method::DELETE, format!("/v1/requests/{run}")),
        (Method::GET, format!("/v1/responses/{response}")),
        (Method::DELETE, format!("/v1/responses/{response}")),
    ];
    let of_organisations = [
        (Method::GET, format!("/v1/models/{model}")),
        (Method::GET, format!("/v1/models/{model}/status")),
        (Method::POST, format!("/v1/models/{model}/load")),
        (Method::POST, format!("/v1/models/{model}/unload")),
        (Method::DELETE, format!("/v1/models/{model}")),
        (Method::GET, format!("/v1/organisations/{}", world.operators)),
        (Method::PATCH, format!("/v1/organisations/{}", world.operators)),
        (Method::DELETE, format!("/v1/organisations/{}", world.operators)),
        (Method::POST, format!("/v1/organisations/{}/leave", world.operators)),
        (Method::GET, format!("/v1/organisations/{}/members", world.operators)),
        (Method::GET, format!("/v1/organisations/{}/members/{}", world.operators, world.admin.user)),
        (Method::PATCH, format!("/v1/organisations/{}/members/{}", world.operators, world.admin.user)),
        (Method::DELETE, format!("/v1/organisations/{}/members/{}", world.operators, world.admin.user)),
        (Method::GET, format!("/v1/organisations/{}/teams", world.operators)),
        // A user of another organisation, below the caller's own.
        (
            Method::GET,
            format!("/v1/organisations/{}/members/{}", world.stranger.organisation, world.admin.user),
        ),
    ];
    let (colleague, stranger) = (world.client(&world.developer), world.client(&world.stranger));
    for (client, routes) in
        [(&colleague, &of_users[..]), (&stranger, &of_users), (&stranger, &of_organisations)]
    {
        for (method, path) in routes {
            let request = client.request(method.clone(), path);
            let request = if *method == Method::GET { request } else { request.json(&json!({})) };
            let answer = client.send(request).await;
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("Paris"), "{path}");
        }
    }
    // The member of the organisation uses its models, which the other one doesn't even see.
    assert!(colleague.ask("What is the capital of France?").await.contains("Paris"));
    for path in ["/v1/models", "/v1/models/loaded", "/api/tags", "/api/ps", "/v1beta/models"] {
        let (own, theirs) = (colleague.get(path).await, stranger.get(path).await);
        assert_eq!((own.status.as_u16(), theirs.status.as_u16()), (200, 200), "{path}");
        let names = |answer: &Answer| String::from_utf8_lossy(&answer.body).contains(model.as_str());
        assert!(names(&own) && !names(&theirs), "{path}: {theirs:?}");
    }
    let of_anthropic = stranger.request(Method::GET, "/v1/models").header("anthropic-version", "2023-06-01");
    assert_eq!(stranger.send(of_anthropic).await.json()["data"], json!([]));
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
    stranger.post("/v1/chat/completions", &body).await.error(404, "model_not_found");
    stranger.post("/v1/generate", &crate::capital_of_france()).await.error(503, "no_model_available");
    let own = format!("/v1/organisations/{}/members", world.stranger.organisation);
    assert_eq!(texts(&stranger.get(&own).await, "members", "user"), [world.stranger.user.to_string()]);
    assert_eq!(texts(&stranger.get("/v1/organisations").await, "organisations", "id").len(), 1);
    stranger.get("/metrics").await.error(403, "forbidden");
    world.home.stop().await;
}

#[tokio::test]
async fn user_of_two_organisations_has_other_things_in_each() {
    let home = Home::start().await;
    let run =
        home.client().post("/v1/generate", &crate::capital_of_france()).await.json()["request_id"].clone();
    let run = format!("/v1/requests/{}", run.as_str().unwrap());
    let join = async |store: &Store| {
        let elsewhere = Person::with_organisation(store).await.organisation;
        let operator = store.operator().await.unwrap();
        Person::join(store, operator, elsewhere, MemberRole::Developer).await
    };
    let (home, there) = home.restart_after(join).await;
    let there = home.client().with_token(Some(&there.token));
    assert_eq!(home.client().get(&run).await.status, 200);
    there.get(&run).await.error(404, "not_found");
    let body = there.get("/v1/organisations").await.json();
    let current: Vec<&Value> =
        body["organisations"].as_array().unwrap().iter().map(|one| &one["current"]).collect();
    assert_eq!(current, [&json!(false), &json!(true)]);
    // Operators have their rights in their own organisation only.
    there.get("/v1/admin/users").await.error(403, "forbidden");
    home.stop().await;
}

#[tokio::test]
async fn data_from_before_organisations_is_the_operators() {
    let home = Home::start().await;
    let client = home.client();
    let run = client.post("/v1/generate", &crate::capital_of_france()).await.json()["request_id"].clone();
    let run = format!("/v1/requests/{}", run.as_str().unwrap());
    // The records that a version of before hasn't written.
    let forget = async |store: &Store| {
        let operator = store.operator().await.unwrap();
        let id = OrganisationId::of_operator(operator);
        for (pk, sk) in [
            (format!("ORG#{id}"), "META".to_owned()),
            (format!("ORG#{id}"), format!("MEMBER#{operator}")),
            (format!("USER#{operator}"), "PROFILE".to_owned()),
        ] {
            let key = Key::new(pk, sk);
            store.database().write(Write::Delete(key, Condition::Exists)).await.unwrap();
        }
    };
    let (home, ()) = home.restart_after(forget).await;
    let client = home.client();
    assert_eq!(client.get(&run).await.status, 200);
    assert_eq!(texts(&client.get("/v1/models").await, "data", "id"), ["auto".to_owned(), home.model.clone()]);
    let own = client.get("/v1/organisations").await;
    assert_eq!(texts(&own, "organisations", "role"), ["owner"]);
    assert_eq!(texts(&client.get("/v1/admin/users").await, "users", "name"), ["Operator"]);
    home.stop().await;
}
