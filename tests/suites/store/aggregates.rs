//! The aggregates, over all databases.

use hearth_auth::Keys;
use hearth_domain::{
    Artifact, ArtifactId, FinishReason, Message, Modality, Model, OrganisationId, Owner, Role, Run, RunId,
    RunState, Timestamp, ToolCall, Usage, UserId,
};
use hearth_store::{
    StoreError,
    artifacts::ArtifactRecord,
    cached_answers::CachedFacts,
    conversations::Conversation,
    database::{Condition, Item, Key, Write},
};
use hearth_wire::{RunEvent, RunEventBody};

use crate::{on_all, world::World};

on_all! {
    run_is_read_as_written_and_its_end_is_final,
    run_of_version_1_is_read_and_ended,
    long_text_is_stored_in_the_bucket,
    late_end_with_another_long_text_replaces_nothing,
    unreadable_record_hides_no_open_run,
    run_that_is_cancelled_from_elsewhere_has_a_mark,
    run_is_gone_after_thirty_days,
    events_are_read_in_order_from_a_seq,
    ended_run_is_written_together_with_its_events,
    forgotten_model_is_not_listed_until_stored_again,
    secret_operator_and_runs_survive_a_restart,
    conversation_of_any_size_is_read_and_deleted_by_its_owner_only,
    cached_answer_is_read_listed_deleted_and_expires,
    many_cached_answers_are_read_together,
    artifact_is_read_with_its_file_until_it_expires,
}

pub(crate) fn run(owner: UserId) -> Run {
    Run { queue_position: Some(2), ..Run::example(owner) }
}

async fn run_is_read_as_written_and_its_end_is_final(world: World) {
    let store = world.store();
    let mut run = run(UserId::new());
    store.runs().begin(&run).await.unwrap();
    assert!(matches!(store.runs().begin(&run).await, Err(StoreError::Conflict)));
    assert_eq!(store.runs().get(run.id).await.unwrap(), Some(run.clone()));
    assert_eq!(store.runs().open().await.unwrap().runs, vec![run.clone()]);

    run.state = RunState::Completed;
    run.finish_reason = Some(FinishReason::Stop);
    run.usage = Usage { prompt_tokens: 7, completion_tokens: 11, cached_tokens: 0, ..Usage::default() };
    run.text = "γειά".into();
    run.tool_calls = vec![ToolCall { id: "call_1".into(), name: "look".into(), arguments: "{}".into() }];
    run.finished_at = Some(Timestamp::now());
    store.runs().update(&run).await.unwrap();
    assert_eq!(store.runs().get(run.id).await.unwrap(), Some(run.clone()));
    assert!(store.runs().open().await.unwrap().runs.is_empty());

    let late = Run { state: RunState::Running, ..run.clone() };
    assert!(matches!(store.runs().update(&late).await, Err(StoreError::Conflict)));
    assert_eq!(store.runs().get(run.id).await.unwrap().unwrap().state, RunState::Completed);
    assert_eq!(store.runs().get(RunId::new()).await.unwrap(), None);
}

async fn run_of_version_1_is_read_and_ended(world: World) {
    let store = world.store();
    let old = Run { state: RunState::Running, ..run(UserId::new()) };
    let mut body = serde_json::to_value(&old).unwrap();
    body["text"] = "so far".into();
    let key = Key::new(format!("RUN#{}", old.id), "META");
    let item =
        Item { key, gsi1: None, gsi2: None, ttl: None, version: 1, body: body.to_string(), bytes: None };
    store.database().write(Write::Put(item, Condition::Always)).await.unwrap();

    let mut run = Run { text: "so far".into(), ..old };
    assert_eq!(store.runs().get(run.id).await.unwrap(), Some(run.clone()));
    run.state = RunState::Failed;
    store.runs().update(&run).await.unwrap();
    assert_eq!(store.runs().get(run.id).await.unwrap(), Some(run));
}

async fn long_text_is_stored_in_the_bucket(world: World) {
    let store = world.store();
    let mut run = run(UserId::new());
    store.runs().begin(&run).await.unwrap();
    run.state = RunState::Completed;
    run.text = "ä long text ".repeat(100_000);
    store.runs().update(&run).await.unwrap();
    assert_eq!(store.runs().get(run.id).await.unwrap().unwrap().text, run.text);
    assert_eq!(world.count_objects().await, 1);
}

async fn late_end_with_another_long_text_replaces_nothing(world: World) {
    let store = world.store();
    let open = run(UserId::new());
    store.runs().begin(&open).await.unwrap();
    let ended = |state, text: &str| Run { state, text: text.repeat(10_000), ..open.clone() };
    let whole = ended(RunState::Completed, "the whole text ");
    store.runs().update(&whole).await.unwrap();
    let partial = ended(RunState::Failed, "a part ");
    assert!(matches!(store.runs().update(&partial).await, Err(StoreError::Conflict)));
    assert_eq!(store.runs().get(open.id).await.unwrap(), Some(whole));
}

async fn unreadable_record_hides_no_open_run(world: World) {
    let store = world.store();
    let open = run(UserId::new());
    store.runs().begin(&open).await.unwrap();
    let id = RunId::new();
    let item = Item {
        key: Key::new(format!("RUN#{id}"), "META"),
        gsi1: None,
        gsi2: Some(Key::new("Q#running#0", id.to_string())),
        ttl: None,
        version: 2,
        body: r#"{"record": "{}", "state": "running"}"#.to_owned(),
        bytes: None,
    };
    store.database().write(Write::Put(item, Condition::Always)).await.unwrap();
    let listed = store.runs().open().await.unwrap();
    assert_eq!((listed.runs, listed.unreadable), (vec![open], vec![id.to_string()]));
}

async fn run_that_is_cancelled_from_elsewhere_has_a_mark(world: World) {
    let store = world.store();
    let run = run(UserId::new());
    store.runs().begin(&run).await.unwrap();
    assert!(!store.runs().is_cancel_marked(run.id).await.unwrap());
    for _ in 0..2 {
        store.runs().mark_cancelled(run.id).await.unwrap();
        assert!(store.runs().is_cancel_marked(run.id).await.unwrap());
    }
    assert_eq!(store.runs().get(run.id).await.unwrap(), Some(run.clone()));
    assert!(store.runs().events_after(run.id, 0).await.unwrap().is_empty());
    assert!(!store.runs().is_cancel_marked(RunId::new()).await.unwrap());
    assert_eq!(store.runs().followed_until(run.id).await.unwrap(), None);
    for seconds in [60, 30] {
        let until = Timestamp::from_unix(Timestamp::now().unix() + seconds);
        store.runs().mark_followed(run.id, until).await.unwrap();
        assert_eq!(store.runs().followed_until(run.id).await.unwrap(), Some(until));
    }
    assert_eq!(store.runs().get(run.id).await.unwrap(), Some(run.clone()));
}

async fn run_is_gone_after_thirty_days(world: World) {
    const DAY: i64 = 24 * 3600;
    let store = world.store();
    let days_ago = |days| Timestamp::from_unix(Timestamp::now().unix() - days * DAY);
    let created = |created_at| Run { created_at, state: RunState::Completed, ..run(UserId::new()) };
    for (run, is_there) in [(created(days_ago(29)), true), (created(days_ago(31)), false)] {
        store.runs().record_ended(&run, &[]).await.unwrap();
        assert_eq!(store.runs().get(run.id).await.unwrap().is_some(), is_there);
    }
}

async fn events_are_read_in_order_from_a_seq(world: World) {
    let store = world.store();
    let id = RunId::new();
    let delta = |seq| RunEvent { seq, body: RunEventBody::text(format!("{seq} ")) };
    store.runs().append(id, &[delta(1), delta(2)]).await.unwrap();
    store.runs().append(id, &[delta(3)]).await.unwrap();
    assert!(matches!(store.runs().append(id, &[delta(3)]).await, Err(StoreError::Conflict)));
    let seqs = |after| {
        let store = store.clone();
        async move {
            store.runs().events_after(id, after).await.unwrap().iter().map(|e| e.seq).collect::<Vec<_>>()
        }
    };
    assert_eq!(seqs(0).await, [1, 2, 3]);
    assert_eq!(seqs(2).await, [3]);
    assert!(seqs(3).await.is_empty());
}

async fn ended_run_is_written_together_with_its_events(world: World) {
    let store = world.store();
    let owner = UserId::new();
    let done = |text: &str| Run { state: RunState::Completed, text: text.into(), ..run(owner) };
    let (first, second) = (done("one"), done(""));
    let events = [RunEvent { seq: 1, body: RunEventBody::text("one") }];
    store.runs().record_ended(&first, &events).await.unwrap();
    store.runs().record_ended(&second, &[]).await.unwrap();
    assert!(matches!(store.runs().record_ended(&first, &events).await, Err(StoreError::Conflict)));
    assert_eq!(store.runs().get(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.runs().get(second.id).await.unwrap(), Some(second.clone()));
    assert_eq!(store.runs().events_after(first.id, 0).await.unwrap(), events);
    assert!(store.runs().events_after(second.id, 0).await.unwrap().is_empty());
    assert!(store.runs().open().await.unwrap().runs.is_empty());
    assert!(matches!(store.runs().update(&first).await, Err(StoreError::Conflict)));
}

async fn forgotten_model_is_not_listed_until_stored_again(world: World) {
    let store = world.store();
    let model = Model { size_bytes: Some(1), ..Model::example("owner/model") };
    store.models(None).put_discovered(&model).await.unwrap();
    assert_eq!(store.models(None).list(None).await.unwrap(), vec![model.clone()]);
    assert_eq!(store.models(None).list(Some(Modality::Text)).await.unwrap(), vec![model.clone()]);
    assert!(store.models(None).list(Some(Modality::Image)).await.unwrap().is_empty());
    store.models(None).forget_discovered(&model).await.unwrap();
    assert!(store.models(None).list(None).await.unwrap().is_empty());
    store.models(None).put_discovered(&model).await.unwrap();
    assert_eq!(store.models(None).list(None).await.unwrap(), [model]);
}

async fn secret_operator_and_runs_survive_a_restart(world: World) {
    let store = world.store();
    let secret = store.secret(Some(Keys::generate_secret)).await.unwrap();
    let operator = store.operator().await.unwrap();
    let run = run(operator);
    store.runs().begin(&run).await.unwrap();
    drop(store);
    let world = world.restart().await;
    let store = world.store();
    assert_eq!(store.secret(None).await.unwrap(), secret);
    assert_eq!(store.operator().await.unwrap(), operator);
    assert_eq!(store.runs().get(run.id).await.unwrap(), Some(run));
    for writes in [false, true] {
        assert!(store.check(writes).await.iter().all(|check| check.problem.is_none()));
    }
}

async fn conversation_of_any_size_is_read_and_deleted_by_its_owner_only(world: World) {
    let store = world.store();
    let owner = Owner { user: UserId::new(), organisation: OrganisationId::new() };
    let others =
        [Owner { user: UserId::new(), ..owner }, Owner { organisation: OrganisationId::new(), ..owner }];
    // Stored in the item, and in the bucket.
    for size in [10, 200_000] {
        let id = RunId::new();
        let messages = vec![Message::new(Role::User, "é".repeat(size))];
        let conversation = Conversation {
            messages,
            request_echo: serde_json::json!({"z": 1, "a": null}),
            ..Conversation::default()
        };
        let conversations = store.conversations();
        conversations.put(id, owner, &conversation).await.unwrap();
        assert_eq!(conversations.get(id, owner).await.unwrap(), Some(conversation));
        for other in others {
            assert_eq!(conversations.get(id, other).await.unwrap(), None);
            assert!(!conversations.delete(id, other).await.unwrap());
        }
        assert!(conversations.delete(id, owner).await.unwrap());
        assert_eq!(conversations.get(id, owner).await.unwrap(), None);
        assert!(!conversations.delete(id, owner).await.unwrap());
    }
}

async fn many_cached_answers_are_read_together(world: World) {
    let store = world.store();
    let answers = store.cached_answers();
    let facts = |seconds: i64| CachedFacts {
        owner: UserId::new(),
        requested_model: "m".into(),
        model: "m".into(),
        provider: "p".into(),
        expires: Timestamp::from_unix(Timestamp::now().unix() + seconds),
    };
    // More than one request of DynamoDB's takes.
    let keys: Vec<String> = (0..130).map(|number| format!("k{number}")).collect();
    for (number, key) in keys.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        answers.put(key, &facts(60), &format!("answer {number}")).await.unwrap();
    }
    answers.put("k1", &facts(-60), "expired").await.unwrap();
    let mut read = answers.get_many(&keys).await.unwrap();
    assert_eq!(read.len(), 65);
    read.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!((read[0].0.as_str(), read[0].2.as_str()), ("k0", "answer 0"));
    assert!(read.iter().all(|(key, _, body)| *body == format!("answer {}", &key[1..])));
    assert_eq!(answers.get_many(&[]).await.unwrap(), []);
}

async fn cached_answer_is_read_listed_deleted_and_expires(world: World) {
    let store = world.store();
    let (ada, bob) = (UserId::new(), UserId::new());
    let expires = Timestamp::from_unix(Timestamp::now().unix() + 60);
    let facts = |owner| CachedFacts {
        owner,
        requested_model: "fast".into(),
        model: "tiny-chat".into(),
        provider: "local".into(),
        expires,
    };
    let answers = store.cached_answers();
    // Short ones are stored as they are, long ones compressed.
    for (key, body) in [("k1", "{}".to_owned()), ("k2", "a long täxt ".repeat(10_000))] {
        assert!(answers.put(key, &facts(ada), &body).await.unwrap());
        assert_eq!(answers.get(key).await.unwrap(), Some((facts(ada), body)));
    }
    // An answer that stays too large when compressed is not stored.
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + u8::try_from(state >> 57).unwrap() % 90)
    };
    let noise: String = (0..600_000).map(|_| noise()).collect();
    assert!(!answers.put("k3", &facts(ada), &noise).await.unwrap());
    assert_eq!(answers.get("k3").await.unwrap(), None);

    let old = CachedFacts { expires: Timestamp::from_unix(Timestamp::now().unix() - 1), ..facts(bob) };
    answers.put("k4", &old, "{}").await.unwrap();
    assert_eq!(answers.get("k4").await.unwrap(), None);
    assert!(answers.of(bob).await.unwrap().is_empty());
    let keys = async || {
        let entries = answers.of(ada).await.unwrap();
        assert!(entries.iter().all(|entry| entry.facts == facts(ada)));
        entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>()
    };
    assert_eq!(keys().await, ["k1", "k2"]);
    answers.delete(ada, "k1").await.unwrap();
    answers.delete(ada, "k1").await.unwrap();
    assert_eq!(answers.get("k1").await.unwrap(), None);
    assert_eq!(keys().await, ["k2"]);
}

async fn artifact_is_read_with_its_file_until_it_expires(world: World) {
    let store = world.store();
    let record = |seconds: i64| {
        let artifact = Artifact {
            id: ArtifactId::new(),
            media_type: "image/png".into(),
            size_bytes: 300_000,
            sha256: "00".into(),
            revised_prompt: Some("a red fox".into()),
            expires_at: Timestamp::from_unix(Timestamp::now().unix() + seconds),
            link: String::new(),
        };
        ArtifactRecord {
            artifact,
            owner: UserId::new(),
            organisation: Some(OrganisationId::new()),
            run: RunId::new(),
            created_at: Timestamp::now(),
        }
    };
    let (artifacts, bytes) = (store.artifacts(), vec![7; 300_000]);
    let valid = record(60);
    artifacts.put(&valid, bytes.clone()).await.unwrap();
    assert_eq!(artifacts.get(valid.artifact.id).await.unwrap(), Some(valid.clone()));
    let read = artifacts.read(valid.artifact.id).await.unwrap().unwrap();
    assert_eq!(read.collect().await.unwrap().to_vec(), bytes);

    // The link is not stored.
    let linked = Artifact { link: "/v1/artifacts/x?signature=s".into(), ..valid.artifact.clone() };
    artifacts.put(&ArtifactRecord { artifact: linked, ..valid.clone() }, bytes.clone()).await.unwrap();
    assert_eq!(artifacts.get(valid.artifact.id).await.unwrap(), Some(valid));

    let old = record(-1);
    artifacts.put(&old, bytes).await.unwrap();
    assert_eq!(artifacts.get(old.artifact.id).await.unwrap(), None);
    assert!(artifacts.read(ArtifactId::new()).await.unwrap().is_none());
}
