//! Each function uses every permission of its role. That the role allows every call of every other test is checked by
//! [`Cloud`] itself.

use hearth_auth::NodeKey;
use hearth_domain::{
    DeliveryState, MemberRole, ModelId, NodeId, NodeTransport, OrganisationId, Owner, Secret, Session,
    SessionStatus, Timestamp, TokenId, WebhookState, WebhookVisibility,
};
use hearth_store::{
    configuration::ConfigurationVersion,
    database::{Condition, Created, Key, Update, Write},
    nodes::NodeRecord,
    registry::SchemaVersion,
    relay::AssignmentState,
    sockets::{SocketOwner, SocketRecord},
};
use hearth_tests::{Cloud, Person, Reply, Upstream};
use lambda_emulator::{Emulator, Invocation};
use serde_json::{Value, json};

use crate::{
    MODEL, Placeholders, batches, definitions, files, invoke, jobs, limits, of_operator, owned_work, people,
    provider_keys, relay, replay, sign_in, webhooks, with_job, with_node, with_session,
};

/// The smallest PNG there is: one pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

fn values(cloud: &Cloud) -> Placeholders {
    Placeholders { token: cloud.token.clone(), ..Placeholders::default() }
}

/// Sends a sample with another path or body, and expects this status.
async fn send(
    function: &Emulator,
    values: &Placeholders,
    sample: &str,
    path: &str,
    body: Value,
    status: u16,
) -> Invocation {
    let mut event = values.event(sample);
    event["path"] = path.into();
    (event["queryStringParameters"], event["multiValueQueryStringParameters"]) = (Value::Null, Value::Null);
    event["body"] = if body.is_null() { body } else { body.to_string().into() };
    let answer = invoke(function, &event).await;
    assert_eq!(answer.status.as_u16(), status, "{path}: {}", String::from_utf8_lossy(&answer.body()));
    answer
}

fn version(number: u64, settings: &Value) -> ConfigurationVersion {
    ConfigurationVersion {
        number,
        settings: settings.to_string(),
        author: TokenId::new().to_string(),
        created_at: Timestamp::now(),
        message: None,
        restores: None,
    }
}

/// Configures the vendor as the provider `rig`. The current version can't be followed, so that a process looks for the one
/// before it.
pub(crate) async fn configure(cloud: &Cloud, first: u64, vendor: &Upstream) {
    let mut rig = json!({"kind": "openai_compatible", "base_url": format!("{}/v1", vendor.url), "models": ["big", "dall-e-3"]});
    let versions =
        [version(first, &json!({"providers": {"rig": rig}})), version(first + 1, &json!({"from": "later"}))];
    for version in &versions {
        cloud.store().configurations().push(version).await.unwrap();
    }
    rig["api_key"] = json!("sk-rig");
    cloud.store().put_provider_keys(&Secret::new(json!({"rig": rig}).to_string())).await.unwrap();
    vendor.page("/v1/models", Reply::json(200, &json!({"data": [{"id": "big"}]})));
}

/// An answer of the vendor with this text.
pub(crate) fn answer(text: &str) -> Reply {
    let chunk = |delta: Value, finish: Option<&str>| {
        json!({"id": "x", "object": "chat.completion.chunk",
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": text}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ])
}

/// Stores a model that its node doesn't have any more, as it stores `tiny-chat`.
async fn store_stale_model(cloud: &Cloud, organisation: Option<OrganisationId>) {
    let models = cloud.store().models(organisation);
    let mut model = models.list(None).await.unwrap().remove(0);
    model.id = ModelId::new("gone");
    models.put_discovered(&model).await.unwrap();
}

/// Lists the models of another organisation, which has a node with a model of the same id, twice.
async fn list_models_elsewhere(cloud: &Cloud, function: &Emulator, sample: &str, path: &str) {
    let (person, _node) = cloud.organisation_with_a_node().await;
    let values = Placeholders { token: person.token, ..Placeholders::default() };
    send(function, &values, sample, path, Value::Null, 200).await;
    store_stale_model(cloud, Some(person.organisation)).await;
    let listed = send(function, &values, sample, path, Value::Null, 200).await;
    let text = String::from_utf8_lossy(&listed.body()).into_owned();
    assert!(text.contains(MODEL) && !text.contains("gone"), "{text}");
}

/// Adds an owner to another organisation, disables its first one, and deletes it.
async fn administer(cloud: &Cloud, function: &Emulator, values: &Placeholders) {
    let person = Person::with_organisation(cloud.store()).await;
    let organisation = format!("/v1/admin/organisations/{}", person.organisation);
    let member = format!("{organisation}/members/{}", values.user);
    let sample = "put_v1.admin.organisations.id.members.user.json";
    send(function, values, sample, &member, json!({"role": "owner"}), 200).await;
    let user = format!("/v1/admin/users/{}", person.user);
    for disabled in [true, false] {
        let body = json!({"disabled": disabled});
        send(function, values, "patch_v1.admin.users.id.json", &user, body, 200).await;
    }
    let registry = cloud.store().registry(person.organisation);
    registry.push_schema(&first_schema("left")).await.unwrap();
    let owner = Owner { user: person.user, organisation: person.organisation };
    let definition = definitions::store(cloud, owner, "left").await;
    let sample = "delete_v1.admin.organisations.id.json";
    send(function, values, sample, &organisation, Value::Null, 204).await;
    assert_eq!(registry.schema_version("left", 1).await.unwrap(), None);
    assert_eq!(registry.current_schema("left").await.unwrap(), None);
    assert_eq!(cloud.store().definitions().get(definition).await.unwrap(), None);
}

/// The first version of a model's schema.
fn first_schema(model: &str) -> SchemaVersion {
    SchemaVersion {
        model: model.to_owned(),
        number: "1".to_owned(),
        schema: Some(json!({})),
        guidance: Vec::new(),
        author: "someone".to_owned(),
        message: None,
        created_at: Timestamp::now(),
    }
}

/// Sends a sample with a wrong token: the refusal is an entry of the audit log.
async fn refuse(function: &Emulator, sample: &str) {
    let stranger = Placeholders { token: "hth_wrong".to_owned(), ..Placeholders::default() };
    assert_eq!(invoke(function, &stranger.event(sample)).await.status, 401, "{sample}");
}

/// Lists the audit logs of all organisations.
async fn audit(function: &Emulator, values: &Placeholders) {
    let mut event = values.event("get_v1.audit.json");
    event["queryStringParameters"] = json!({"organisation": "all"});
    event["multiValueQueryStringParameters"] = json!({"organisation": ["all"]});
    let listed = invoke(function, &event).await;
    assert_eq!(listed.status, 200, "{}", String::from_utf8_lossy(&listed.body()));
    assert!(listed.json().unwrap()["entries"][0].is_object());
}

/// Checks a stored key, and refreshes an access token.
async fn use_stored_keys(cloud: &Cloud) {
    let (vendor, values) = (Upstream::start().await, of_operator(cloud).await);
    let keys = provider_keys::store(cloud, &vendor, &values).await;
    provider_keys::store_token(cloud, &vendor, &values).await;
    let function = cloud.function_with("hearth-fn-generate", &provider_keys::PRIVATE).await;
    vendor.page("/v1/models", Reply::json(200, &json!({"data": [{"id": "big"}]})));
    for key in &keys {
        assert_eq!(provider_keys::verify(&function, &values, key).await["valid"], true);
    }
    vendor.reply(Reply::json(200, &json!({"access_token": "at-new", "expires_in": 3600})));
    vendor.reply(provider_keys::answer());
    assert_eq!(provider_keys::chat(&function, &values, "token:big").await.status, 200);
}

#[track_caller]
pub(crate) fn assert_all_used(cloud: &Cloud, function: &str) {
    let unused = cloud.unused_permissions(function);
    assert!(unused.is_empty(), "no call needs these permissions of infra/template.yaml: {unused:#?}");
}

#[tokio::test]
async fn generate_uses_every_permission() {
    const NAME: &str = "hearth-fn-generate";
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    let values = with_job(&cloud, values(&cloud)).await;
    let mut values = with_session(&cloud, values).await;
    let function = cloud.function(NAME).await;
    let first = invoke(&function, &values.event("post_v1.generate.json")).await;
    values.run = first.headers["x-request-id"].to_str().unwrap().to_owned();
    replay(NAME, &function, &values).await;

    relay::ask(&cloud, &function).await;
    configure(&cloud, 1, &vendor).await;
    let function = cloud.function_with(NAME, &[("HEARTH_CACHE__ENABLED", "true")]).await;
    store_stale_model(&cloud, None).await;
    send(&function, &values, "get_v1beta.models.json", "/v1beta/models", Value::Null, 200).await;
    list_models_elsewhere(&cloud, &function, "get_v1beta.models.json", "/v1beta/models").await;

    // A long text is an object.
    let text = "word ".repeat(8 << 10);
    let chat = json!({"model": "rig:big", "temperature": 0, "messages": [{"role": "user", "content": "Hi"}]});
    vendor.reply(answer(&text));
    let run =
        send(&function, &values, "post_v1.chat.completions.json", "/v1/chat/completions", chat, 200).await;
    let path = format!("/v1/requests/{}", run.headers["x-request-id"].to_str().unwrap());
    let stored = send(&function, &values, "get_v1.requests.id.json", &path, Value::Null, 200).await;
    assert_eq!(stored.json().unwrap()["output"]["text"], text);
    let deleted = send(&function, &values, "delete_v1.cache.json", "/v1/cache", Value::Null, 200).await;
    assert_eq!(deleted.json().unwrap()["deleted"], 1);

    // The answers to the items of a batch are looked up together.
    (0..2).for_each(|_| vendor.reply(answer("{}")));
    let batch =
        json!({"prompts": ["one", "two"], "options": {"model": "rig:big", "bypass_validation": true}});
    let answered =
        send(&function, &values, "post_v1.analyze.batch.json", "/v1/analyze/batch", batch, 200).await;
    assert_eq!(answered.json().unwrap()["summary"]["ok"], 2);

    // A long conversation is an object too.
    vendor.reply(answer("short"));
    let request = json!({"model": "rig:big", "input": "word ".repeat(25 << 10)});
    let response = send(&function, &values, "post_v1.responses.json", "/v1/responses", request, 200).await;
    let path = format!("/v1/responses/{}", response.json().unwrap()["id"].as_str().unwrap());
    send(&function, &values, "delete_v1.responses.id.json", &path, Value::Null, 200).await;

    // So is a long message of a session.
    let (path, items) = ("/v1/conversations", json!([{"role": "user", "content": "word ".repeat(25 << 10)}]));
    let sample = "post_v1.conversations.json";
    let created = send(&function, &values, sample, path, json!({"items": items}), 200).await;
    let path = format!("{path}/{}", created.json().unwrap()["id"].as_str().unwrap());
    let list = format!("{path}/items");
    send(&function, &values, "get_v1.conversations.id.items.json", &list, Value::Null, 200).await;
    send(&function, &values, "delete_v1.conversations.id.json", &path, Value::Null, 200).await;

    // A full quota of stored requests is checked against those that have ended.
    let owner = cloud.store().operator().await.unwrap();
    let sums = format!("REQUESTSUM#{}#{owner}", OrganisationId::of_operator(owner));
    let bytes = |bytes| {
        let add = vec![("bytes", bytes)];
        let update = Update { create: Some(Created { version: 1, ttl: None }), add, ..Update::default() };
        Write::Update(Key::new(sums.clone(), "META"), update, Condition::Always)
    };
    cloud.store().database().write(bytes(1 << 50)).await.unwrap();
    let request = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "store": true});
    send(&function, &values, "post_v1.generate.json", "/v1/generate", request, 429).await;
    cloud.store().database().write(bytes(-(1 << 50))).await.unwrap();

    // One with room is counted until it is deleted.
    vendor.reply(answer("kept"));
    let request = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "store": true});
    let kept = send(&function, &values, "post_v1.generate.json", "/v1/generate", request, 200).await;
    let path = format!("/v1/requests/{}/record", kept.headers["x-request-id"].to_str().unwrap());
    send(&function, &values, "delete_v1.requests.id.record.json", &path, Value::Null, 200).await;

    // And a picture, which may be gone before its record.
    vendor.reply(Reply::json(200, &json!({"created": 1, "data": [{"b64_json": PNG}]})));
    let request = json!({"model": "rig:dall-e-3", "prompt": "a fox"});
    let sample = "post_v1.images.generations.json";
    let picture = send(&function, &values, sample, "/v1/images/generations", request, 200).await;
    let picture = picture.json().unwrap();
    let (_, path) = picture["data"][0]["url"].as_str().unwrap().split_once("/v1/artifacts/").unwrap();
    let id = path.split('?').next().unwrap();
    let path = format!("/v1/artifacts/{id}");
    send(&function, &values, "get_v1.artifacts.id.json", &path, Value::Null, 200).await;
    cloud.delete_object(&format!("artifacts/{id}")).await;
    send(&function, &values, "get_v1.artifacts.id.json", &path, Value::Null, 404).await;
    send(&function, &values, "delete_v1.artifacts.id.json", &path, Value::Null, 200).await;
    files::use_files(&cloud, &function, &values).await;
    owned_work::export(&cloud, &function, &values).await;
    batches::use_batches(&cloud, &function, &values).await;
    definitions::use_definitions(&cloud, &function, &values).await;
    use_stored_keys(&cloud).await;
    refuse(&function, "get_v1.route.json").await;

    // A process that hasn't read the limits before, nor the webhooks.
    webhooks::subscribe(&cloud).await;
    let function = cloud.function(NAME).await;
    limits::use_up(&cloud, &function, &vendor).await;
    sign_in::use_access_token(&cloud, &function, "get_v1.cache.stats.json").await;
    assert_all_used(&cloud, NAME);
}

#[tokio::test]
async fn models_uses_every_permission() {
    const NAME: &str = "hearth-fn-models";
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    let values = with_job(&cloud, values(&cloud)).await;
    let function = cloud.function(NAME).await;
    replay(NAME, &function, &values).await;

    let current = cloud.store().configurations().current().await.unwrap().map_or(0, |current| current.number);
    configure(&cloud, current + 1, &vendor).await;
    let function = cloud.function(NAME).await;
    store_stale_model(&cloud, None).await;
    send(&function, &values, "get_v1.models.json", "/v1/models", Value::Null, 200).await;
    list_models_elsewhere(&cloud, &function, "get_v1.models.json", "/v1/models").await;
    let values = of_operator(&cloud).await;
    provider_keys::store(&cloud, &vendor, &values).await;
    webhooks::subscribe(&cloud).await;
    let function = cloud.function_with(NAME, &provider_keys::PRIVATE).await;
    send(&function, &values, "get_v1.models.json", "/v1/models", Value::Null, 200).await;
    sign_in::use_access_token(&cloud, &function, "get_v1.models.json").await;
    relay::load(&cloud, &function).await;
    jobs::use_jobs(&cloud, &function, &values).await;
    batches::cancel_by_job(&cloud, &function, &values).await;
    cancel_job_with_a_webhook(&function, &values).await;
    assert_all_used(&cloud, NAME);
}

/// Cancels a job that has a webhook of its own.
async fn cancel_job_with_a_webhook(function: &Emulator, values: &Placeholders) {
    let input = json!({"model": MODEL, "input": {"prompt": "Hello"}});
    let job = json!({"kind": "generate", "input": input, "webhook": {"url": "https://receiver.example/"}});
    let job = send(function, values, "post_v1.jobs.json", "/v1/jobs", job, 202).await.json().unwrap();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    send(function, values, "delete_v1.jobs.job.json", &path, Value::Null, 200).await;
}

/// Enrols a node by a code.
async fn enroll(function: &Emulator, values: &Placeholders) {
    let sample = "post_v1.nodes.codes.json";
    let code = send(function, values, sample, "/v1/nodes/codes", json!({}), 201).await.json().unwrap();
    let public_key = NodeKey::generate().public_key();
    let body = json!({"code": code["code"], "public_key": public_key, "name": "box", "version": "1"});
    send(function, values, "post_v1.node.enroll.json", "/v1/node/enroll", body, 201).await;
}

/// Removes a member of the operator's organisation, who has a node.
async fn remove_member_with_a_node(cloud: &Cloud, function: &Emulator, values: &Placeholders) {
    let organisation: OrganisationId = values.organisation.parse().unwrap();
    let person = Person::in_organisation(cloud.store(), organisation, MemberRole::Developer).await;
    let owner = Owner { user: person.user, organisation };
    let node = NodeRecord::new(NodeId::new(), owner, "left");
    cloud.store().nodes().put(&node).await.unwrap();
    cloud.store().relay().set_transport(node.id, NodeTransport::Relay, "it is a test").await.unwrap();
    // It has a socket, and a run with a long prompt, which is an object.
    let run = relay::node_run(&"a long prompt ".repeat(20_000));
    cloud.store().relay().assign(node.id, &run).await.unwrap();
    let (id, connected_at) = ("gone=".to_owned(), Timestamp::now());
    let socket = SocketRecord { id, owner: SocketOwner::Node(node.id), connected_at };
    cloud.store().sockets().put(&socket).await.unwrap();
    let (own, active) = (WebhookVisibility::User, WebhookState::Active);
    let webhook = webhooks::store_webhook(cloud.store(), owner, own, active).await;
    webhooks::store_delivery(cloud.store(), &webhook, DeliveryState::Pending).await;
    let mut session = Session::new(owner);
    cloud.store().sessions().create(&mut session).await.unwrap();
    let path = format!("/v1/organisations/{organisation}/members/{}", person.user);
    let sample = "delete_v1.organisations.id.members.user.json";
    send(function, values, sample, &path, Value::Null, 204).await;
    let session = cloud.store().sessions().read(session.id).await.unwrap().unwrap();
    assert_eq!((session.status, session.expires_at.is_some()), (SessionStatus::Closed, true));
    assert_eq!(cloud.store().nodes().get(node.id).await.unwrap(), None);
    let ended = cloud.store().relay().assignment(node.id, run.run).await.unwrap().unwrap();
    assert_eq!(ended.state, AssignmentState::Ended);
}

#[tokio::test]
async fn nodes_uses_every_permission() {
    const NAME: &str = "hearth-fn-nodes";
    let cloud = Cloud::start().await;
    webhooks::subscribe(&cloud).await;
    let function = cloud.function(NAME).await;
    let values = with_node(&cloud, of_operator(&cloud).await).await;
    replay(NAME, &function, &values).await;
    enroll(&function, &values).await;
    relay::serve(&cloud, &function).await;
    refuse(&function, "get_v1.nodes.json").await;
    sign_in::use_access_token(&cloud, &function, "get_v1.nodes.json").await;
    assert_all_used(&cloud, NAME);
}

#[tokio::test]
async fn accounts_uses_every_permission() {
    const NAME: &str = "hearth-fn-accounts";
    let cloud = Cloud::start().await;
    let function = cloud.function(NAME).await;
    sign_in::set_password(&cloud).await;
    let mut values = sign_in::with_logins(&function, of_operator(&cloud).await).await;
    let created = invoke(&function, &values.event("post_v1.users.tokens.json")).await.json().unwrap();
    values.other_token = created["id"].as_str().unwrap().to_owned();
    replay(NAME, &function, &values).await;
    administer(&cloud, &function, &values).await;
    audit(&function, &values).await;
    configure(&cloud, 1, &Upstream::start().await).await;
    provider_keys::change_and_delete(&cloud, &function, &values).await;
    people::live_through(&function, &values).await;
    remove_member_with_a_node(&cloud, &function, &values).await;
    webhooks::live_through(&cloud, &function, &values).await;
    assert_all_used(&cloud, NAME);
}

#[tokio::test]
async fn ops_uses_every_permission() {
    const NAME: &str = "hearth-fn-ops";
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    configure(&cloud, 1, &vendor).await;
    let function = cloud.function(NAME).await;
    replay(NAME, &function, &values(&cloud)).await;
    refuse(&function, "get_metrics.json").await;
    sign_in::use_access_token(&cloud, &function, "get_metrics.json").await;
    assert_all_used(&cloud, NAME);
}
