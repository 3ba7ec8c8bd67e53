//! The life of a run that a provider serves: cancelled and followed from other processes, ended before its invocation is, and
//! swept after its process has died.

use std::time::Duration;

use hearth_domain::{AuditOwner, Run, RunId, RunState, Timestamp, UserId, run::Failure};
use hearth_store::database::{Condition, Item, Key, Write};
use hearth_tests::{Cloud, Reply, Upstream, eventually, within};
use lambda_emulator::{Emulator, InFlight};
use serde_json::{Value, json};

use crate::{Placeholders, invoke};

const GENERATE: &str = "hearth-fn-generate";
const SWEEP: &str = "hearth-fn-sweep";
/// The event of a schedule.
const TICK: &str = r#"{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}"#;

/// A cloud with a provider `rig`, whose model `big` the test plays.
struct World {
    cloud: Cloud,
    upstream: Upstream,
    routing: String,
    values: Placeholders,
}

impl World {
    async fn start() -> Self {
        let (cloud, upstream) = (Cloud::start().await, Upstream::start().await);
        let rig = json!({"kind": "openai_compatible", "base_url": format!("{}/v1", upstream.url), "models": ["big"]});
        let routing = json!({"providers": {"rig": rig}}).to_string();
        let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
        Self { cloud, upstream, routing, values }
    }

    /// A process of the function that serves runs.
    async fn process(&self) -> Emulator {
        self.cloud.function_with(GENERATE, &[("HEARTH_ROUTING", &self.routing)]).await
    }

    /// The event of a request for a run of the provider.
    fn request(&self, stream: bool) -> Value {
        let mut event = self.values.event("post_v1.generate.json");
        let body = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "stream": stream});
        event["body"] = body.to_string().into();
        event
    }

    /// The event of a request for that run.
    fn request_for(&self, run: RunId, file: &str) -> Value {
        let values = Placeholders { run: run.to_string(), ..self.values.clone() };
        values.event(file)
    }

    /// Has the provider send this text, and then nothing more.
    fn reply_without_end(&self, text: &str) {
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
        self.upstream.reply(Reply::begun(&[chunk]).then_silence());
    }

    async fn record(&self, run: RunId) -> Run {
        self.cloud.store().runs().get(run).await.unwrap().unwrap()
    }
}

fn id_of(stream: &InFlight<'_>) -> RunId {
    stream.headers["x-request-id"].to_str().unwrap().parse().unwrap()
}

/// Reads up to the first piece of the answer.
async fn read_to_first_delta(stream: &mut InFlight<'_>) {
    let mut begun = String::new();
    while !begun.contains(r#""event":"delta""#) {
        let chunk = stream.chunk().await.unwrap().unwrap();
        begun.push_str(&String::from_utf8_lossy(&chunk));
    }
}

async fn rest(stream: InFlight<'_>) -> String {
    String::from_utf8_lossy(&stream.collect().await.unwrap().body()).into_owned()
}

#[tokio::test]
async fn providers_run_is_cancelled_and_followed_from_other_processes() {
    let world = World::start().await;
    let (one, other, third) = tokio::join!(world.process(), world.process(), world.process());
    world.reply_without_end("Once upon");
    let mut stream = one.begin(&world.request(true)).await.unwrap();
    read_to_first_delta(&mut stream).await;
    let id = id_of(&stream);
    let mut follower = other.begin(&world.request_for(id, "get_v1.requests.id.events.json")).await.unwrap();
    read_to_first_delta(&mut follower).await;

    let cancel = invoke(&third, &world.request_for(id, "post_v1.requests.id.cancel.json")).await;
    let answer = cancel.json().unwrap();
    assert_eq!((cancel.status.as_u16(), &answer["cancelled"]), (200, &json!(true)), "{answer}");
    assert_eq!(answer["status"], "cancelled", "{answer}");
    within("the end of the call to the provider", world.upstream.left()).await;
    for stream in [rest(stream).await, rest(follower).await] {
        assert!(stream.contains(r#""finish_reason":"cancelled""#), "{stream}");
        assert!(stream.trim_end().ends_with("data: [DONE]"), "{stream}");
    }
    let record = world.record(id).await;
    assert_eq!((record.state, record.text.as_str()), (RunState::Cancelled, "Once upon"));
    // The same again changes nothing, also as DELETE.
    let again = invoke(&third, &world.request_for(id, "delete_v1.requests.id.json")).await.json().unwrap();
    assert_eq!((&again["cancelled"], &again["status"]), (&json!(false), &json!("cancelled")));
}

#[tokio::test]
async fn token_that_another_process_revokes_is_refused_and_its_run_cancelled_within_ten_seconds() {
    let mut world = World::start().await;
    let store = world.cloud.store().clone();
    world.values.token = hearth_tests::create_token(&store, store.operator().await.unwrap()).await;
    let (one, other) = tokio::join!(world.process(), world.process());
    world.reply_without_end("Once upon");
    let mut stream = one.begin(&world.request(true)).await.unwrap();
    read_to_first_delta(&mut stream).await;
    let id = id_of(&stream);
    let read = world.request_for(id, "get_v1.requests.id.json");
    assert_eq!(invoke(&other, &read).await.status, 200);

    let hash = hearth_auth::sha256_hex(world.values.token.as_bytes());
    let token = store.tokens().by_hash(&hash).await.unwrap().unwrap();
    store.tokens().revoke(&token, Timestamp::now()).await.unwrap();
    let revoked = std::time::Instant::now();
    let stream = rest(stream).await;
    assert!(stream.contains(r#""finish_reason":"cancelled""#), "{stream}");
    // The run's end is a second of its own.
    assert!(revoked.elapsed() < Duration::from_secs(12), "{:?}", revoked.elapsed());
    assert_eq!(world.record(id).await.state, RunState::Cancelled);
    eventually("a refusal", async || (invoke(&other, &read).await.status == 401).then_some(())).await;
    assert!(revoked.elapsed() < Duration::from_secs(14), "{:?}", revoked.elapsed());
}

#[tokio::test]
async fn run_ends_with_its_record_before_its_invocation_does() {
    let world = World::start().await;
    // Ten seconds of an invocation are for the end of a run.
    let function = world.process().await.with_time_limit(Duration::from_secs(13));
    world.reply_without_end("Once upon");
    let mut stream = function.begin(&world.request(true)).await.unwrap();
    read_to_first_delta(&mut stream).await;
    let id = id_of(&stream);
    let end = rest(stream).await;
    assert!(end.contains(r#""code":"run_timeout""#), "{end}");
    assert!(end.trim_end().ends_with("data: [DONE]"), "{end}");
    let record = world.record(id).await;
    assert_eq!((record.state, record.text.as_str()), (RunState::Failed, "Once upon"));
    assert_eq!(record.failure.map(|Failure { code, .. }| code).as_deref(), Some("run_timeout"));
    within("the end of the call to the provider", world.upstream.left()).await;

    world.reply_without_end("A whole answer");
    let whole = invoke(&function, &world.request(false)).await;
    let error = whole.json().unwrap();
    assert_eq!((whole.status.as_u16(), &error["error"]["code"]), (504, &json!("run_timeout")), "{error}");
    assert_eq!(whole.headers["x-should-retry"], "false");
}

#[tokio::test]
async fn client_that_leaves_is_not_noticed_and_a_cut_connection_is() {
    let world = World::start().await;
    let (one, two) = tokio::join!(world.process(), world.process());
    world.reply_without_end("Once upon");
    let mut stream = one.begin(&world.request(true)).await.unwrap();
    read_to_first_delta(&mut stream).await;
    let left = id_of(&stream);
    drop(stream);

    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "again "}, "finish_reason": null}]});
    world.upstream.reply(Reply::begun(&[chunk]).then_repeat());
    let mut stream = two.begin(&world.request(true)).await.unwrap();
    read_to_first_delta(&mut stream).await;
    let cut = id_of(&stream);
    stream.cut();
    within("the end of the call to the provider", world.upstream.left()).await;
    eventually("the end of the run", async || {
        let runs = world.cloud.store().runs();
        (runs.get(cut).await.unwrap()?.state == RunState::Cancelled).then_some(())
    })
    .await;
    assert_eq!(world.record(left).await.state, RunState::Running);
}

#[tokio::test]
async fn cut_stream_with_continue_for_goes_on_while_another_process_follows() {
    let world = World::start().await;
    let (one, two, other) = tokio::join!(world.process(), world.process(), world.process());
    let request = |continue_for: u32| {
        let mut event = world.request(true);
        let mut body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        body["on_disconnect"] = json!({"continue_for": continue_for});
        event["body"] = body.to_string().into();
        event
    };
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "again "}, "finish_reason": null}]});
    world.upstream.reply(Reply::begun(std::slice::from_ref(&chunk)).then_silence());
    let mut followed = one.begin(&request(1)).await.unwrap();
    read_to_first_delta(&mut followed).await;
    let id = id_of(&followed);
    let mut follower = other.begin(&world.request_for(id, "get_v1.requests.id.events.json")).await.unwrap();
    read_to_first_delta(&mut follower).await;
    followed.cut();

    world.upstream.reply(Reply::begun(std::slice::from_ref(&chunk)).then_silence());
    let mut alone = two.begin(&request(1)).await.unwrap();
    read_to_first_delta(&mut alone).await;
    let left = id_of(&alone);
    alone.cut();
    eventually("the end of the run that nobody follows", async || {
        (world.record(left).await.state == RunState::Cancelled).then_some(())
    })
    .await;
    // It was cut before that one.
    assert_eq!(world.record(id).await.state, RunState::Running);
    let cancel = invoke(&two, &world.request_for(id, "post_v1.requests.id.cancel.json")).await;
    assert!(cancel.status.is_success(), "{cancel:?}");
    assert!(rest(follower).await.contains(r#""finish_reason":"cancelled""#));
}

#[tokio::test]
async fn follower_ends_without_done_before_its_invocation_does() {
    let world = World::start().await;
    let (one, other) = tokio::join!(world.process(), world.process());
    let other = other.with_time_limit(Duration::from_secs(12));
    world.reply_without_end("Once upon");
    let mut stream = one.begin(&world.request(true)).await.unwrap();
    read_to_first_delta(&mut stream).await;
    let events = world.request_for(id_of(&stream), "get_v1.requests.id.events.json");
    let mut follower = other.begin(&events).await.unwrap();
    read_to_first_delta(&mut follower).await;
    let end = rest(follower).await;
    assert!(!end.contains("[DONE]") && !end.contains("error"), "{end}");
    // It goes on.
    let id = id_of(&stream);
    assert_eq!(world.record(id).await.state, RunState::Running);
    invoke(&other, &world.request_for(id, "post_v1.requests.id.cancel.json")).await;
}

#[tokio::test]
async fn sweep_ends_the_run_of_a_killed_process() {
    let world = World::start().await;
    let (one, other) = tokio::join!(world.process(), world.process());
    let sweep = world.cloud.function(SWEEP).await;
    let tick: Value = serde_json::from_str(TICK).unwrap();
    // So long that it goes to the bucket.
    let text = "Once upon a time. ".repeat(3000);
    world.reply_without_end(&text);
    let mut stream = one.begin(&world.request(true)).await.unwrap();
    read_to_first_delta(&mut stream).await;
    let id = id_of(&stream);
    let store = world.cloud.store();
    eventually("the text in the stored events", async || {
        let events = store.runs().events_after(id, 0).await.unwrap();
        serde_json::to_string(&events).unwrap().contains(&text).then_some(())
    })
    .await;
    drop(stream);
    // Kills it.
    drop(one);

    // An entry of the audit log that isn't sealed.
    let stranger = Placeholders { token: "hth_wrong".to_owned(), ..Placeholders::default() };
    assert_eq!(invoke(&other, &stranger.event("get_v1.route.json")).await.status, 401);
    sweep.trigger(&tick).await.unwrap_or_else(|failure| panic!("{failure}"));
    let seal = store.audit().last_seal(AuditOwner::Gateway).await.unwrap();
    assert_eq!(seal.map(|seal| seal.number), Some(1));
    let record = world.record(id).await;
    assert_eq!(record.state, RunState::Running, "a process may still be alive until its deadline");
    // As if the time had passed.
    let deadline = record.deadline.unwrap();
    let past = Run { deadline: Some(Timestamp::from_unix(deadline.unix() - 3600)), ..record };
    store.runs().update(&past).await.unwrap();

    sweep.trigger(&tick).await.unwrap_or_else(|failure| panic!("{failure}"));
    let swept = invoke(&other, &world.request_for(id, "get_v1.requests.id.json")).await.json().unwrap();
    assert_eq!(
        (&swept["status"], &swept["error"]["code"]),
        (&json!("failed"), &json!("gateway_stopped")),
        "{swept}"
    );
    assert_eq!(swept["output"]["text"], text);
    assert!(store.runs().open().await.unwrap().runs.is_empty());
    // The other permissions are for erasures: `people.rs` tests them.
    let of_runs = [
        "OpenRunsAndChains: ",
        "Runs: dynamodb:Query ",
        "Runs: dynamodb:PutItem ",
        "Texts: s3:PutObject ",
        "Audit: ",
        "AuditSeals: ",
        "Secret: ",
    ];
    let mut unused = world.cloud.unused_permissions(SWEEP);
    unused.retain(|unused| of_runs.iter().any(|prefix| unused.starts_with(&format!("{SWEEP}: {prefix}"))));
    assert!(unused.is_empty(), "{unused:?}");
}

#[tokio::test]
async fn lost_run_is_ended_by_a_cancel_without_the_sweep() {
    let world = World::start().await;
    let function = world.process().await;
    let hour_ago = Timestamp::from_unix(Timestamp::now().unix() - 3600);
    // The stored token of the owner has its user.
    world.upstream.reply(Reply::chunks(&[json!({"choices": [
        {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]})]));
    let first = function.begin(&world.request(true)).await.unwrap();
    let first_id = id_of(&first);
    rest(first).await;
    let owner = world.record(first_id).await.owner;
    let lost = Run { state: RunState::Running, deadline: Some(hour_ago), ..Run::example(owner) };
    world.cloud.store().runs().begin(&lost).await.unwrap();
    let cancel = invoke(&function, &world.request_for(lost.id, "post_v1.requests.id.cancel.json")).await;
    let answer = cancel.json().unwrap();
    assert_eq!((&answer["cancelled"], &answer["status"]), (&json!(false), &json!("failed")), "{answer}");
}

#[tokio::test]
async fn output_that_the_bucket_has_deleted_has_expired() {
    let world = World::start().await;
    let function = world.process().await;
    let text = "Once upon a time. ".repeat(3000);
    world.upstream.reply(Reply::chunks(&[json!({"choices": [
        {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]})]));
    let stream = function.begin(&world.request(true)).await.unwrap();
    let id = id_of(&stream);
    rest(stream).await;
    let request = world.request_for(id, "get_v1.requests.id.json");
    assert_eq!(invoke(&function, &request).await.json().unwrap()["output"]["text"], text);
    let key = Key::new(format!("RUN#{id}"), "META");
    let item = world.cloud.store().database().get(&key).await.unwrap().unwrap();
    let body: Value = serde_json::from_str(&item.body).unwrap();
    world.cloud.delete_object(body["text_key"].as_str().unwrap()).await;
    let answer = invoke(&function, &request).await;
    let run = answer.json().unwrap();
    assert_eq!((answer.status.as_u16(), &run["output_expired"]), (200, &json!(true)), "{run}");
    assert_eq!((&run["status"], &run["output"]["text"]), (&json!("completed"), &json!("")), "{run}");
}

#[tokio::test]
async fn sweep_without_open_runs_reads_only() {
    let cloud = Cloud::start().await;
    let sweep = cloud.function(SWEEP).await;
    let ended = Run { state: RunState::Completed, ..Run::example(UserId::new()) };
    cloud.store().runs().begin(&ended).await.unwrap();
    sweep.trigger(&serde_json::from_str(TICK).unwrap()).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(cloud.store().runs().get(ended.id).await.unwrap(), Some(ended));
}

/// The item of a record in the index of open runs, with this `record` and the `state` for conditions.
fn open_item(id: RunId, record: &str, state: &str) -> Item {
    Item {
        key: Key::new(format!("RUN#{id}"), "META"),
        gsi1: None,
        gsi2: Some(Key::new("Q#running#0", id.to_string())),
        ttl: None,
        version: 2,
        body: json!({"record": record, "state": state, "text": "The end."}).to_string(),
        bytes: None,
    }
}

#[tokio::test]
async fn unreadable_record_fails_the_sweep_after_the_other_runs_are_ended() {
    let cloud = Cloud::start().await;
    let sweep = cloud.function(SWEEP).await;
    let store = cloud.store();
    let hour_ago = Timestamp::from_unix(Timestamp::now().unix() - 3600);
    let lost = Run { state: RunState::Running, deadline: Some(hour_ago), ..Run::example(UserId::new()) };
    store.runs().begin(&lost).await.unwrap();
    let unreadable = RunId::new();
    let item = open_item(unreadable, "{}", "running");
    store.database().write(Write::Put(item, Condition::Always)).await.unwrap();
    sweep.trigger(&serde_json::from_str(TICK).unwrap()).await.unwrap_err();
    assert_eq!(store.runs().get(lost.id).await.unwrap().unwrap().state, RunState::Failed);
    let id = unreadable.to_string();
    eventually("its id in the log", async || sweep.last_lines().contains(&id).then_some(())).await;
}

#[tokio::test]
async fn run_that_another_process_has_ended_is_not_counted_by_the_sweep() {
    let cloud = Cloud::start().await;
    let sweep = cloud.function(SWEEP).await;
    let store = cloud.store();
    let hour_ago = Timestamp::from_unix(Timestamp::now().unix() - 3600);
    let lost = Run { state: RunState::Running, deadline: Some(hour_ago), ..Run::example(UserId::new()) };
    // As the index is while it is behind: it has the run as open, and the item has ended.
    let item = open_item(lost.id, &serde_json::to_string(&lost).unwrap(), "completed");
    store.database().write(Write::Put(item, Condition::Always)).await.unwrap();
    let ended = Run { text: "The end.".to_owned(), ..lost };
    assert_eq!(store.runs().get(ended.id).await.unwrap().as_ref(), Some(&ended));
    sweep.trigger(&serde_json::from_str(TICK).unwrap()).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(store.runs().get(ended.id).await.unwrap(), Some(ended));
    assert!(!sweep.last_lines().contains("had died"), "{}", sweep.last_lines());
}
