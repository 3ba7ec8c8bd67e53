//! Costs of a request's records in the cloud: the write and read units of DynamoDB's requests, counted when they are sent.
//! A write unit is a kilobyte, a read unit four, rounded up for each request. An item in an index is written there too.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_emulator::AwsEmulator;
use aws_sdk_dynamodb::config::{
    ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    response::IntoResponse as _,
    routing::post,
};
use futures::StreamExt as _;
use hearth_domain::{Generation, Message, ModelId, Role, RunId, RunState, Sampling, TextTask};
use hearth_gateway::{Caller, Delivery, Gateway, HttpClients, Options, Routing};
use hearth_settings::{CacheSettings, GatewaySettings};
use hearth_store::{Clients, Names, Store};
use hearth_tests::within;
use hearth_wire::RunEventBody;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

const BUCKET: &str = "hearth-media";
/// Tokens of a streamed answer, at 100 tokens a second.
const TOKENS: u64 = 500;
const TOKEN_INTERVAL: Duration = Duration::from_millis(10);

/// Requests to DynamoDB and their units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Units {
    writes: usize,
    write_units: usize,
    reads: usize,
}

/// Counts the requests of one client.
#[derive(Debug, Clone, Default)]
struct Counter {
    units: Arc<Mutex<Units>>,
    indexed: Arc<Mutex<IndexEntries>>,
}

/// By an item's key: its entries in indexes, with their units.
type IndexEntries = HashMap<String, Vec<(String, usize)>>;

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "Counter"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        let request = context.request();
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        let operation = target.rsplit('.').next().unwrap_or_default();
        let mut units = self.units.lock().unwrap();
        match operation {
            "PutItem" => {
                units.writes += 1;
                units.write_units += self.put_units(&body["Item"]);
            }
            "UpdateItem" | "DeleteItem" => {
                units.writes += 1;
                units.write_units += 1;
            }
            "TransactWriteItems" => {
                for part in body["TransactItems"].as_array().into_iter().flatten() {
                    units.writes += 1;
                    units.write_units += 2 * self.put_units(&part["Put"]["Item"]).max(1);
                }
            }
            _ => units.reads += 1,
        }
        Ok(())
    }
}

impl Counter {
    /// The units of an item, in the table and in its indexes.
    fn put_units(&self, item: &Value) -> usize {
        let Some(attributes) = item.as_object() else { return 0 };
        let bytes: usize = attributes.iter().map(|(name, value)| name.len() + value_bytes(value)).sum();
        let units = bytes.div_ceil(1024);
        let key = format!("{}{}", item["pk"], item["sk"]);
        let keys = ["gsi1pk", "gsi2pk"].iter().filter_map(|name| item.get(name)).map(Value::to_string);
        let entries: Vec<(String, usize)> = keys.map(|key| (key, units)).collect();
        let before = self.indexed.lock().unwrap().insert(key, entries.clone()).unwrap_or_default();
        // A remaining or new entry is written; a removed one is deleted, at its size.
        let is_removed = |(key, _): &&(String, usize)| entries.iter().all(|(new, _)| new != key);
        let removed: usize = before.iter().filter(is_removed).map(|(_, units)| units).sum();
        units * (1 + entries.len()) + removed
    }

    fn take(&self) -> Units {
        std::mem::take(&mut self.units.lock().unwrap())
    }
}

/// The bytes of a value in DynamoDB's JSON, which has bytes (`B`) in base64.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Object(one) => one
            .iter()
            .map(|(kind, value)| match value {
                Value::String(base64) if kind == "B" => base64.trim_end_matches('=').len() * 3 / 4,
                value => value_bytes(value),
            })
            .sum(),
        Value::Array(many) => many.iter().map(value_bytes).sum(),
        Value::String(text) => text.len(),
        _ => 1,
    }
}

/// Gateway processes over one table, as on Lambda.
struct World {
    embedded: AwsEmulator,
    url: String,
    caller: Caller,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/chat/completions", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = TempDir::new().unwrap();
        let embedded = AwsEmulator::open(folder.path(), BUCKET).unwrap();
        let caller = Caller::example();
        let world = Self { embedded, url, caller, _folder: folder };
        world.store(&Counter::default()).migrate().await.unwrap();
        world
    }

    fn store(&self, counter: &Counter) -> Store {
        let dynamodb = self.embedded.dynamodb();
        let config = dynamodb.config().to_builder().interceptor(counter.clone()).build();
        let clients = Clients {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(config),
            kms: self.embedded.kms(),
            s3: self.embedded.s3("http://s3.test"),
            secrets: self.embedded.secrets(),
        };
        let names = Names {
            table: "hearth".into(),
            bucket: BUCKET.into(),
            secret: "hearth/gateway".into(),
            provider_keys: "hearth/provider-keys".into(),
            kms_key: String::new(),
        };
        Store::new(clients, names)
    }

    /// Starts a process that caches answers, with a counter of its requests.
    fn process(&self) -> (Gateway, Counter) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let counter = Counter::default();
        let rig = json!({"kind": "openai_compatible", "base_url": format!("{}/v1", self.url)});
        let providers = BTreeMap::from([("rig".to_owned(), serde_json::from_value(rig).unwrap())]);
        let routing = Routing { providers, ..Routing::default() };
        let cache = CacheSettings { enabled: true, ..CacheSettings::default() };
        let options = Options {
            private_nodes: true,
            settings: GatewaySettings { cache, ..GatewaySettings::default() },
            ..Options::default()
        };
        let gateway = Gateway::new(self.store(&counter), HttpClients::new().unwrap(), options, routing);
        (gateway, counter)
    }
}

async fn answer(Json(body): Json<Value>) -> axum::response::Response {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": TOKENS});
    if body["stream"] != true {
        let message = json!({"role": "assistant", "content": "word ".repeat(40)});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        return Json(json!({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}))
            .into_response();
    }
    let chunk = |delta: Value, finish: Value| json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let bytes = async_stream::stream! {
        for token in 0..TOKENS {
            tokio::time::sleep(TOKEN_INTERVAL).await;
            let frame = chunk(json!({"content": format!("w{} ", token % 100)}), Value::Null);
            yield Ok::<_, std::io::Error>(Bytes::from(format!("data: {frame}\n\n")));
        }
        for frame in [chunk(json!({}), json!("stop")), json!({"choices": [], "usage": usage})] {
            yield Ok(Bytes::from(format!("data: {frame}\n\n")));
        }
        yield Ok(Bytes::from_static(b"data: [DONE]\n\n"));
    };
    ([("content-type", "text/event-stream")], Body::from_stream(bytes)).into_response()
}

/// A request whose answer can be cached.
fn question(text: &str) -> Generation {
    let sampling = Sampling { temperature: Some(0.0), max_tokens: Some(600), ..Sampling::default() };
    let task = TextTask::new(vec![Message::new(Role::User, text)], sampling);
    Generation::new(Some(ModelId::new("rig:big")), task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streamed_run_of_500_tokens_takes_15_write_units_at_most() {
    let world = World::new().await;
    let (gateway, counter) = world.process();
    // The first request isn't counted, since it causes reads that are cached.
    let _ = Box::pin(gateway.generate(&world.caller, RunId::new(), question("first"), Delivery::Whole))
        .await
        .unwrap()
        .collect()
        .await;
    counter.take();
    let question = Generation { cache: hearth_domain::CacheControl::NoStore, ..question("stream") };
    let run =
        Box::pin(gateway.generate(&world.caller, RunId::new(), question, Delivery::Stream)).await.unwrap();
    let id = run.id;
    let events = within("the answer", run.collect()).await;
    assert!(matches!(events.last().unwrap().body, RunEventBody::Done { .. }), "{:?}", events.last());
    let units = counter.take();
    println!("a streamed run of {TOKENS} tokens in 5 s: {units:?}");
    assert!(units.write_units <= 15, "{units:?}");
    let stored = world.store(&Counter::default()).runs().get(id).await.unwrap().unwrap();
    assert_eq!(stored.state, RunState::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_answer_and_cache_hit_take_three_write_units() {
    let world = World::new().await;
    let (gateway, counter) = world.process();
    let ask = async |text: &str, delivery: Delivery| {
        let run =
            Box::pin(gateway.generate(&world.caller, RunId::new(), question(text), delivery)).await.unwrap();
        let id = run.id;
        let _ = within("the answer", run.collect()).await;
        id
    };
    ask("first", Delivery::Whole).await;
    counter.take();
    ask("second", Delivery::Whole).await;
    let miss = counter.take();
    println!("a whole answer that is cached: {miss:?}");
    // A streamed one has its events besides: their numbers are known to its client, which may come back with one.
    for (delivery, expected) in [(Delivery::Whole, 3), (Delivery::Stream, 4)] {
        let id = ask("second", delivery).await;
        let hit = counter.take();
        println!("a cache hit, {delivery:?}: {hit:?}");
        assert_eq!((hit.writes, hit.write_units), (expected, expected), "{delivery:?}: {hit:?}");
        let stored = world.store(&Counter::default()).runs().get(id).await.unwrap().unwrap();
        assert_eq!(stored.state, RunState::Completed);
    }
    let uncached = Generation { cache: hearth_domain::CacheControl::NoStore, ..question("third") };
    let run =
        Box::pin(gateway.generate(&world.caller, RunId::new(), uncached, Delivery::Whole)).await.unwrap();
    let _ = within("the answer", run.collect()).await;
    let whole = counter.take();
    println!("a whole answer: {whole:?}");
    // Its entry in the owner's index, its record, and the usage of the day.
    assert_eq!((whole.writes, whole.write_units), (3, 3), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_in_another_process_lags_a_second_once_its_mark_is_read() {
    // The interval of the reads of a run's marks, and some time to write what has waited.
    const MARK_READ_INTERVAL: Duration = Duration::from_millis(3500);
    let world = World::new().await;
    let (gateway, _) = world.process();
    let (other, counter) = world.process();
    let question = Generation { cache: hearth_domain::CacheControl::NoStore, ..question("follow") };
    let mut run =
        Box::pin(gateway.generate(&world.caller, RunId::new(), question, Delivery::Stream)).await.unwrap();
    let mut followed = Box::pin(other.events(&world.caller, run.id, None).await.unwrap());
    let sent: Arc<Mutex<HashMap<u64, Instant>>> = Arc::default();
    let times = Arc::clone(&sent);
    let client = tokio::spawn(async move {
        while let Some(event) = run.next().await {
            times.lock().unwrap().insert(event.seq, Instant::now());
        }
    });
    let (mut worst, mut worst_before) = (Duration::ZERO, Duration::ZERO);
    let marked_at = Instant::now();
    while let Some(event) = within("an event", followed.next()).await {
        let Some(sent_at) = sent.lock().unwrap().get(&event.seq).copied() else { continue };
        let is_before = sent_at < marked_at + MARK_READ_INTERVAL;
        let of_its_time = if is_before { &mut worst_before } else { &mut worst };
        *of_its_time = sent_at.elapsed().max(*of_its_time);
    }
    client.await.unwrap();
    let units = counter.take();
    println!("the follower was {worst_before:?} behind at most, then {worst:?}, with {units:?}");
    assert!(worst < Duration::from_millis(1500) && worst > Duration::ZERO, "{worst:?}");
    assert!(worst_before < MARK_READ_INTERVAL, "{worst_before:?}");
    assert_eq!(units.writes, 1, "the mark");
}
