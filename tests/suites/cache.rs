//! The gateway's cache of answers: owners, several processes, and slow stores.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{collections::BTreeMap, time::Instant};

use aws_credential_types::Credentials;
use aws_emulator::AwsEmulator;
use hearth_domain::{CacheControl, Generation, Message, ModelId, Role, RunId, RunState, Sampling, TextTask};
use hearth_gateway::{CacheOutcome, Caller, Delivery, Gateway, HttpClients, Options, Routing, RunStream};
use hearth_settings::{CacheSettings, GatewaySettings};
use hearth_store::{Clients, Names, Store};
use hearth_tests::{Reply, Upstream, within};
use hearth_wire::{ErrorCode, RunEventBody};
use serde_json::json;
use tempfile::TempDir;
use tokio::{net::TcpListener, time::Duration};

const BUCKET: &str = "hearth-media";

/// A vendor, the stores, and who asks.
struct World {
    upstream: Upstream,
    embedded: AwsEmulator,
    ada: Caller,
    bob: Caller,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let embedded = AwsEmulator::open(folder.path(), BUCKET).unwrap();
        let world = Self {
            upstream: Upstream::start().await,
            embedded,
            ada: caller(),
            bob: caller(),
            _folder: folder,
        };
        world.store(world.embedded.dynamodb()).migrate().await.unwrap();
        world
    }

    fn store(&self, dynamodb: aws_sdk_dynamodb::Client) -> Store {
        let (s3, secrets) = (self.embedded.s3("http://s3.test"), self.embedded.secrets());
        let clients = Clients { dynamodb, kms: self.embedded.kms(), s3, secrets };
        let names = Names {
            table: "hearth".into(),
            bucket: BUCKET.into(),
            secret: "hearth/gateway".into(),
            provider_keys: "hearth/provider-keys".into(),
            kms_key: String::new(),
        };
        Store::new(clients, names)
    }

    /// A process of the gateway.
    fn gateway(&self, settings: CacheSettings, long_lived: bool) -> Gateway {
        self.gateway_over(self.embedded.dynamodb(), settings, long_lived)
    }

    fn gateway_over(
        &self,
        dynamodb: aws_sdk_dynamodb::Client,
        cache: CacheSettings,
        long_lived: bool,
    ) -> Gateway {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rig = json!({"kind": "openai_compatible", "base_url": format!("{}/v1", self.upstream.url)});
        let providers = BTreeMap::from([("rig".to_owned(), serde_json::from_value(rig).unwrap())]);
        let routing = Routing { providers, ..Routing::default() };
        let options = Options {
            private_nodes: true,
            long_lived,
            new_secret: None,
            sockets: None,
            jobs: None,
            settings: GatewaySettings { cache, ..GatewaySettings::default() },
        };
        Gateway::new(self.store(dynamodb), HttpClients::new().unwrap(), options, routing)
    }

    fn says(&self, text: &str) {
        let chunk = |delta, finish: Option<&str>| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
        let answer = chunk(json!({"role": "assistant", "content": text}), None);
        self.upstream.reply(Reply::chunks(&[answer, chunk(json!({}), Some("stop")), usage]));
    }
}

fn caller() -> Caller {
    Caller::example()
}

fn on() -> CacheSettings {
    CacheSettings { enabled: true, ..CacheSettings::default() }
}

/// Returns a request that the cache stores.
fn question(cache: CacheControl) -> Generation {
    let sampling = Sampling { temperature: Some(0.0), ..Sampling::default() };
    let task = TextTask::new(vec![Message::new(Role::User, "Hi")], sampling);
    Generation { cache, ..Generation::new(Some(ModelId::new("rig:big")), task) }
}

async fn begin(gateway: &Gateway, caller: &Caller) -> RunStream {
    let run = gateway.generate(caller, RunId::new(), question(CacheControl::Auto), Delivery::Stream);
    within("the run's beginning", Box::pin(run)).await.unwrap()
}

/// Returns the cache's outcome and the text of the answer, when it is complete.
async fn ask(gateway: &Gateway, caller: &Caller) -> (Option<CacheOutcome>, String) {
    let mut run = begin(gateway, caller).await;
    let mut answer = String::new();
    while let Some(event) = within("an event", run.next()).await {
        match event.body {
            RunEventBody::Delta { text, .. } => answer.push_str(&text),
            RunEventBody::Done { .. } => break,
            _ => {}
        }
    }
    (run.cache, answer)
}

/// Returns the cache's outcome and the run's id, after the run's end.
async fn ask_to_the_end(gateway: &Gateway, caller: &Caller) -> (Option<CacheOutcome>, RunId) {
    let run = begin(gateway, caller).await;
    let outcome = (run.cache, run.id);
    within("the run's end", run.collect()).await;
    outcome
}

const HIT: Option<CacheOutcome> = Some(CacheOutcome::Hit);
const MISS: Option<CacheOutcome> = Some(CacheOutcome::Miss);

#[tokio::test]
async fn answers_are_shared_among_members_only_if_configured_and_never_with_others() {
    let world = World::new().await;
    let gateway = world.gateway(on(), true);
    world.says("ada's");
    world.says("bob's");
    assert_eq!(ask(&gateway, &world.ada).await, (MISS, "ada's".to_owned()));
    assert_eq!(ask(&gateway, &world.bob).await, (MISS, "bob's".to_owned()));
    assert_eq!(ask(&gateway, &world.ada).await, (HIT, "ada's".to_owned()));
    // Nor deleted.
    assert_eq!(gateway.delete_cached(&world.bob, None).await.unwrap(), 1);
    assert_eq!(ask(&gateway, &world.ada).await, (HIT, "ada's".to_owned()));

    let shared = world.gateway(CacheSettings { shared: true, ..on() }, true);
    world.says("everybody's");
    assert_eq!(ask(&shared, &world.ada).await, (MISS, "everybody's".to_owned()));
    let colleague = Caller { organisation: world.ada.organisation, ..world.bob.clone() };
    assert_eq!(ask(&shared, &colleague).await, (HIT, "everybody's".to_owned()));
    assert_eq!(shared.delete_cached(&colleague, None).await.unwrap(), 0);
    assert_eq!(ask(&shared, &colleague).await, (HIT, "everybody's".to_owned()));
    // Another organisation has its own, even the same user's.
    let elsewhere = Caller { organisation: world.bob.organisation, ..world.ada.clone() };
    world.says("theirs");
    assert_eq!(ask(&shared, &elsewhere).await, (MISS, "theirs".to_owned()));
    assert_eq!(ask(&shared, &world.bob).await, (HIT, "theirs".to_owned()));
}

#[tokio::test]
async fn answer_of_another_process_is_read_from_the_table_and_the_hit_recorded() {
    let world = World::new().await;
    let (one, other) = (world.gateway(on(), false), world.gateway(on(), false));
    world.says("Hello.");
    // To the end: on Lambda nothing goes on after it.
    assert_eq!(ask_to_the_end(&one, &world.ada).await.0, MISS);
    // The first call of a client takes longest; the cache has no patience for it.
    let _ = other.request(&world.ada, RunId::new()).await;
    let (outcome, id) = ask_to_the_end(&other, &world.ada).await;
    assert_eq!(outcome, HIT);
    let run = world.store(world.embedded.dynamodb()).runs().get(id).await.unwrap().unwrap();
    assert_eq!((run.state, &*run.text, run.usage.prompt_tokens), (RunState::Completed, "Hello.", 3));
    assert!(run.selection.reason.contains("cache"), "{}", run.selection.reason);
    assert!(world.store(world.embedded.dynamodb()).runs().open().await.unwrap().runs.is_empty());
    assert_eq!(other.delete_cached(&world.ada, Some("rig:*")).await.unwrap(), 1);
    world.says("Fresh.");
    assert_eq!(ask(&other, &world.ada).await, (MISS, "Fresh.".to_owned()));
}

#[tokio::test]
async fn too_large_answer_is_not_cached() {
    let world = World::new().await;
    let gateway = world.gateway(CacheSettings { max_entry_kb: 1, ..on() }, true);
    let long = "long ".repeat(1000);
    for _ in 0..2 {
        world.says(&long);
        assert_eq!(ask(&gateway, &world.ada).await, (MISS, long.clone()));
    }
    assert_eq!(gateway.cache_stats().entries, 0);
}

#[tokio::test]
async fn table_serves_hits_without_memory() {
    let world = World::new().await;
    let gateway = world.gateway(CacheSettings { memory_mb: 0, ..on() }, true);
    world.says("Hello.");
    ask_to_the_end(&gateway, &world.ada).await;
    let found = hearth_tests::eventually("the answer in the table", async || {
        let run = gateway.generate(
            &world.ada,
            RunId::new(),
            question(CacheControl::OnlyIfCached),
            Delivery::Stream,
        );
        let run = Box::pin(run).await;
        run.ok().and_then(|run| run.cache)
    });
    assert_eq!(Some(found.await), HIT);
    assert_eq!(gateway.cache_stats().entries, 0);
}

/// Starts a table that accepts every call and responds to none.
async fn silent_table() -> (aws_sdk_dynamodb::Client, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.push(connection);
        }
    });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .credentials_provider(Credentials::new("a", "b", None, None, "test"))
        .endpoint_url(url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    (aws_sdk_dynamodb::Client::from_conf(config), server)
}

#[tokio::test]
async fn unresponsive_table_delays_requests_only_until_it_is_suspended() {
    let world = World::new().await;
    let (dynamodb, server) = silent_table().await;
    let gateway = world.gateway_over(dynamodb, on(), true);
    world.says("Hello.");
    // Reads of the configuration, the limits and the registry end after a few seconds each, and answers wait for their records
    // until a write has waited for five; then the table is taken for down.
    let began = Instant::now();
    assert_eq!(ask(&gateway, &world.ada).await, (MISS, "Hello.".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(16), "a miss took {:?}", began.elapsed());
    let mut took = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        assert_eq!(ask_to_the_end(&gateway, &world.ada).await.0, HIT);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    println!("a hit while the table is silent: p50 {:?}, p99 {:?}", took[50], took[98]);
    assert!(took[98] < Duration::from_millis(100), "{took:?}");
    let refused = gateway
        .generate(&world.bob, RunId::new(), question(CacheControl::OnlyIfCached), Delivery::Stream)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::NotCached);
    server.abort();
}
