//! Several nodes with the same model: which of them serves, and whom they serve.

use hearth_auth::Keys;
use hearth_domain::{MemberRole, NodeId, NodeSharing, Owner};
use hearth_store::{
    Store,
    nodes::NodeRecord,
    organisations::{MemberRecord, TeamRecord},
};
use hearth_tests::{
    Answer, Client, Events, Home, Person, Process, Setup, endless_run_of, eventually, hearth,
    operators_organisation,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{LONG_CONTEXT_TOKENS, LONG_MODEL, LONG_RUN_TOKENS, ask};

/// A node in a process of its own, which the gateway calls at its address.
struct DirectNode {
    id: NodeId,
    process: Process,
    _setup: Setup,
}

impl DirectNode {
    /// Starts a node with the model for endless runs, and registers it as `change` has it.
    async fn start(store: &Store, name: &str, change: impl FnOnce(&mut NodeRecord)) -> Self {
        let secret = store.secret(None).await.unwrap();
        let key = Keys::derive(&secret).unwrap().link().public_key();
        let owner = Owner::of_record(store.operator().await.unwrap(), None);
        let tokens = LONG_CONTEXT_TOKENS.to_string();
        let setup = Setup::new().model_with_context(LONG_MODEL, tokens.parse().unwrap());
        let id = NodeId::new();
        let file = setup.model_file(LONG_MODEL);
        let data = file.ancestors().nth(2).unwrap();
        let mut command = hearth(data.parent().unwrap(), &["node", "run", "--json", "--port", "0"]);
        command.args(["--id", &id.to_string(), "--gateway-key", &key, "--model", LONG_MODEL, "--data"]);
        command.arg(data).env("HEARTH_NODE__CONTEXT_LENGTH", tokens);
        let mut process = Process::spawn(command, data.with_file_name("node.log"));
        let ready = process.ready().await;
        let url = ready["url"].as_str().unwrap().to_owned();
        let mut record = NodeRecord { url: Some(url), ..NodeRecord::new(id, owner, name) };
        change(&mut record);
        store.nodes().put(&record).await.unwrap();
        Self { id, process, _setup: setup }
    }
}

/// A gateway without a node of its own, and two nodes with the same model.
struct Boxes {
    home: Home,
    nodes: [DirectNode; 2],
}

impl Boxes {
    async fn start() -> Self {
        let home = Home::start_with(&["--no-node"]).await;
        let (home, nodes) = home
            .restart_after(async |store| {
                [
                    DirectNode::start(store, "attic", |_| ()).await,
                    DirectNode::start(store, "cellar", |_| ()).await,
                ]
            })
            .await;
        let boxes = Self { home, nodes };
        eventually("both nodes are candidates", async || {
            let route = boxes.route().await;
            (route["candidates"].as_array().map(Vec::len) == Some(2)).then_some(())
        })
        .await;
        boxes
    }

    fn client(&self) -> Client {
        self.home.client()
    }

    async fn route(&self) -> Value {
        self.client().get(&format!("/v1/route?model={LONG_MODEL}")).await.json()
    }

    /// The nodes with the one first that serves next.
    fn split(self, first: &str) -> (Home, DirectNode, DirectNode) {
        let [a, b] = self.nodes;
        if a.id.to_string() == first { (self.home, a, b) } else { (self.home, b, a) }
    }
}

/// Begins a run without an end, and reads up to its first piece of text; the node that serves it is `selection.node`.
async fn begin(client: &Client, resume: bool) -> (Events, String) {
    let mut body = endless_run_of(LONG_MODEL, LONG_RUN_TOKENS);
    body["resume"] = json!(resume);
    let mut events = client.stream("/v1/generate", &body).await;
    let selected = events.next_named("model_selected").await;
    events.next_named("delta").await;
    (events, selected.data["node"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_dies_before_its_first_token_is_replaced_by_the_other() {
    let boxes = Boxes::start().await;
    let (events, serving) = begin(&boxes.client(), false).await;
    // The next run would go to the other node, which is idle: it dies, and the gateway doesn't know it yet.
    let (home, serving, idle) = boxes.split(&serving);
    idle.process.kill().await;
    let answer = ask_briefly(&home.client()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["selection"]["selected_node"], serving.id.to_string(), "{answer:?}");
    drop(events);
    home.stop().await;
    serving.process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_that_dies_after_its_first_token_ends_the_run_unless_it_may_be_resumed() {
    for resume in [false, true] {
        let boxes = Boxes::start().await;
        let (mut events, serving) = begin(&boxes.client(), resume).await;
        let (home, serving, idle) = boxes.split(&serving);
        serving.process.kill().await;
        if resume {
            let selected = events.next_named("model_selected").await;
            assert_eq!(
                (&selected.data["node"], &selected.data["resumed"]),
                (&json!(idle.id.to_string()), &json!(true))
            );
            events.next_named("delta").await;
        } else {
            let error = events.next_named("error").await;
            assert_eq!(error.data["error"]["code"], "node_lost", "{error:?}");
        }
        drop(events);
        home.stop().await;
        idle.process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_node_gets_no_further_runs_and_ends_those_that_it_has() {
    let boxes = Boxes::start().await;
    let client = boxes.client();
    let (mut events, serving) = begin(&client, false).await;
    let changed = patch(&client, &serving, &json!({"draining": true})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let route = boxes.route().await;
    assert_eq!(route["candidates"].as_array().map(Vec::len), Some(1), "{route}");
    let why = route["passed_over"][0]["why"].as_str().unwrap();
    assert!(why.contains("is draining"), "{route}");
    // The run that it has goes on.
    events.next_named("delta").await;
    let (home, serving, other) = boxes.split(&serving);
    let answer = ask_briefly(&client).await;
    assert_eq!(answer.json()["selection"]["selected_node"], other.id.to_string(), "{answer:?}");
    // With both of them drained nothing serves, and the error says why.
    patch(&client, &other.id.to_string(), &json!({"draining": true})).await;
    let refused = ask_briefly(&client).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.json()["error"]["message"].as_str().unwrap().contains("attic is draining"),
        "{refused:?}"
    );
    let ready = client.get("/ready").await.json();
    assert_eq!(ready["nodes"]["attic"]["state"], "draining", "{ready}");
    drop(events);
    home.stop().await;
    serving.process.stop().await;
    other.process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_serves_its_owner_and_whom_it_is_shared_with() {
    let home = Home::start_with(&["--no-node"]).await;
    let (home, (node, owner, friend, stranger, team)) = home
        .restart_after(async |store| {
            let organisation = operators_organisation(store).await;
            let mut people = Vec::new();
            for _ in 0..3 {
                people.push(Person::in_organisation(store, organisation, MemberRole::Developer).await);
            }
            let [owner, friend, stranger] = people.try_into().unwrap();
            let team = TeamRecord::new(organisation, "friends");
            store.organisations().create_team(&team).await.unwrap();
            let record = store.organisations().get(organisation).await.unwrap().unwrap();
            let before = store.organisations().member(organisation, friend.user).await.unwrap().unwrap();
            let member = MemberRecord { teams: vec![team.id], ..before.clone() };
            store.organisations().change_member(&record, &before, member).await.unwrap();
            let node = DirectNode::start(store, "private", |record| {
                (record.owner, record.sharing) = (owner.user, NodeSharing::default());
            })
            .await;
            (node, owner, friend, stranger, team.id)
        })
        .await;
    let client = |person: &Person| Client::new(&home.url, Some(&person.token));
    eventually("the owner's model", async || lists_model(&client(&owner)).await.then_some(())).await;
    ask(&client(&owner), LONG_MODEL).await;
    for other in [&friend, &stranger] {
        assert!(!lists_model(&client(other)).await);
        assert_eq!(ask_briefly(&client(other)).await.status, 404);
        let load = client(other).post(&format!("/v1/models/{LONG_MODEL}/load"), &json!({})).await;
        assert_eq!(load.status, 404, "{load:?}");
    }
    let sharing = json!({"sharing": {"organisation": false, "teams": [team], "users": []}});
    let changed = patch(&client(&owner), &node.id.to_string(), &sharing).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    ask(&client(&friend), LONG_MODEL).await;
    assert!(lists_model(&client(&friend)).await && !lists_model(&client(&stranger)).await);
    let load = client(&friend).post(&format!("/v1/models/{LONG_MODEL}/load"), &json!({})).await;
    assert!(load.status.is_success(), "{load:?}");
    // Its files are its owner's.
    let removal = client(&friend).delete(&format!("/v1/models/{LONG_MODEL}")).await;
    assert_eq!(removal.status, 403, "{removal:?}");
    // The operator manages it, and isn't served by it.
    assert!(!lists_model(&home.client()).await);
    let route = home.client().get("/v1/route").await;
    assert_ne!(route.status, 500, "{route:?}");
    home.stop().await;
    node.process.stop().await;
}

async fn lists_model(client: &Client) -> bool {
    let models = client.get("/v1/models").await.json();
    models["data"].as_array().unwrap().iter().any(|model| model["id"] == LONG_MODEL)
}

/// Changes a node.
async fn patch(client: &Client, node: &str, change: &Value) -> Answer {
    client.send(client.request(Method::PATCH, &format!("/v1/nodes/{node}")).json(change)).await
}

/// Asks for an answer of a few tokens.
async fn ask_briefly(client: &Client) -> Answer {
    let body = json!({"model": LONG_MODEL, "input": {"prompt": "Hi"}, "parameters": {"max_tokens": 4}});
    client.post("/v1/generate", &body).await
}
