//! The list, the requests and the deletion of runs, over all databases.

use std::time::Duration;

use hearth_domain::{
    Artifact, ArtifactId, Generation, Message, OrganisationId, Owner, Role, Route, Run, RunId, RunState,
    Sampling, SelectionMode, TextTask, Timestamp, UserId,
};
use hearth_store::{
    Store, StoreError,
    artifacts::ArtifactRecord,
    conversations::Conversation,
    database::{Condition, Created, Key, Query, Sort, Update, Write},
    owned::OwnedEntry,
    quota::{Quota, Quotas, StoreQuotas},
};
use hearth_wire::{RunEvent, RunEventBody};

use crate::{on_all, world::World};

on_all! {
    runs_of_an_owner_are_listed_newest_first_within_a_range,
    records_are_read_in_the_order_of_their_ids_and_missing_ones_left_out,
    request_of_any_size_is_read_as_written_by_its_owner_only,
    deleted_run_leaves_nothing_and_files_of_others_stay,
    requests_of_one_organisation_at_the_same_time_are_all_counted,
    ended_days_are_subtracted_when_a_quota_is_reached,
    record_without_its_text_says_so,
    record_is_gone_after_the_time_of_the_store,
}

fn every_run() -> (RunId, RunId) {
    (RunId::first_of(Timestamp::from_unix(0)), RunId::MAX)
}

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

/// A run of the `second` after a moment of 2096.
fn run_at(owner: Owner, second: i64) -> Run {
    let created_at = Timestamp::from_unix(4_000_000_000 + second);
    Run {
        id: RunId::first_of(created_at),
        state: RunState::Completed,
        organisation: Some(owner.organisation),
        created_at,
        ..Run::example(owner.user)
    }
}

async fn record(store: &Store, run: &Run) {
    store.runs().record_ended(run, &[]).await.unwrap();
}

async fn runs_of_an_owner_are_listed_newest_first_within_a_range(world: World) {
    let (store, owner) = (world.store(), owner());
    let mut runs: Vec<Run> = (0..5).map(|second| run_at(owner, second)).collect();
    for run in &runs {
        record(&store, run).await;
    }
    // An artifact of the same owner, and a run of another one.
    let artifact = artifact(owner, runs[0].id);
    store.artifacts().put(&artifact, vec![1]).await.unwrap();
    record(&store, &Run { id: RunId::new(), ..run_at(self::owner(), 0) }).await;

    runs.reverse();
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let page = async |range, after, limit| {
        store.owned().runs_newest_first(owner.user, range, after, limit).await.unwrap()
    };
    let (first, has_more) = page(every_run(), None, 2).await;
    assert_eq!((&first[..], has_more), (&ids[..2], true));
    let (second, has_more) = page(every_run(), Some(ids[1]), 2).await;
    assert_eq!((&second[..], has_more), (&ids[2..4], true));
    assert_eq!(page(every_run(), Some(ids[3]), 2).await, (ids[4..].to_vec(), false));
    let range = (RunId::first_of(runs[3].created_at), RunId::last_of(runs[1].created_at));
    assert_eq!(page(range, None, 100).await, (ids[1..4].to_vec(), false));
    assert_eq!(page(range, Some(ids[1]), 100).await, (ids[2..4].to_vec(), false));
    let summaries = store.runs().summaries(&ids).await.unwrap();
    assert_eq!(summaries, runs);
}

async fn records_are_read_in_the_order_of_their_ids_and_missing_ones_left_out(world: World) {
    let (store, owner) = (world.store(), owner());
    let runs: Vec<Run> = (0..40).map(|second| run_at(owner, second)).collect();
    for run in &runs {
        record(&store, run).await;
    }
    let mut ids: Vec<RunId> = runs.iter().rev().map(|run| run.id).collect();
    ids.insert(7, RunId::new());
    let read: Vec<RunId> =
        store.runs().summaries(&ids).await.unwrap().into_iter().map(|run| run.id).collect();
    ids.remove(7);
    assert_eq!(read, ids);
}

async fn request_of_any_size_is_read_as_written_by_its_owner_only(world: World) {
    let (store, owner) = (world.store(), owner());
    // Stored in the item, and in the bucket.
    for size in [10, 200_000] {
        let messages = vec![Message::new(Role::User, "é".repeat(size))];
        let request = Generation {
            route: Route { mode: SelectionMode::FreeOnly, provider: Some("rig".into()), ..Route::default() },
            store: Some(true),
            ..Generation::new(Some("big".into()), TextTask::new(messages, Sampling::default()))
        };
        let id = RunId::new();
        store.run_requests().put(id, owner, &request).await.unwrap();
        assert_eq!(store.run_requests().get(id, owner).await.unwrap(), Some(request.clone()));
        let stranger = self::owner();
        for other in
            [Owner { user: stranger.user, ..owner }, Owner { organisation: stranger.organisation, ..owner }]
        {
            assert_eq!(store.run_requests().get(id, other).await.unwrap(), None);
        }
        assert!(store.run_requests().of_user(id, owner.user, None).await.unwrap().is_some());
        assert_eq!(store.run_requests().of_user(id, stranger.user, None).await.unwrap(), None);
    }
    assert_eq!(store.run_requests().get(RunId::new(), owner).await.unwrap(), None);
}

fn request() -> Generation {
    Generation::new(None, TextTask::new(Vec::new(), Sampling::default()))
}

/// A store whose users may have this number of requests.
fn limited(store: Store, max_count: u64) -> Store {
    let user = Quota { max_bytes: u64::MAX, max_count };
    store
        .with_quotas(StoreQuotas { requests: Quotas { user, ..Quotas::default() }, ..StoreQuotas::default() })
}

/// The sum of the field `count` of the items of a partition.
async fn sum(store: &Store, pk: &str, prefix: &str) -> (i64, usize) {
    let query = Query::partition(pk, Sort::Prefix(prefix.to_owned()));
    let items = store.database().query(&query).await.unwrap().items;
    let count = |body: &str| {
        serde_json::from_str::<serde_json::Value>(body).unwrap()["count"].as_i64().unwrap_or_default()
    };
    (items.iter().map(|item| count(&item.body)).sum(), items.len())
}

async fn requests_of_one_organisation_at_the_same_time_are_all_counted(world: World) {
    let (store, owner) = (limited(world.store(), 40), owner());
    let ids: Vec<RunId> = (0..40).map(|_| RunId::new()).collect();
    let request = &request();
    let puts = ids.iter().map(|id| {
        let store = store.clone();
        async move { store.run_requests().put(*id, owner, request).await }
    });
    for stored in world.concurrently(puts).await {
        stored.unwrap();
    }
    let organisation = format!("REQUESTSUM#{}", owner.organisation);
    let user = format!("{organisation}#{}", owner.user);
    for pk in [&organisation, &user] {
        for prefix in ["META", "D#"] {
            let (count, shards) = sum(&store, pk, prefix).await;
            assert_eq!(count, 40, "{pk} {prefix}");
            assert!(shards > 3, "{pk} {prefix}: {shards} items");
        }
    }
    let refused = store.run_requests().put(RunId::new(), owner, request).await;
    assert!(matches!(refused, Err(StoreError::OverQuota(_))), "{refused:?}");
    // A deletion makes room, and the sums of a user who has nothing are gone.
    for (at, id) in ids.iter().enumerate() {
        store.delete_run(&Run { id: *id, ..run_at(owner, 0) }).await.unwrap();
        assert_eq!(sum(&store, &user, "META").await.0, 39 - i64::try_from(at).unwrap());
    }
    assert_eq!((sum(&store, &user, "META").await, sum(&store, &user, "D#").await), ((0, 0), (0, 0)));
    store.run_requests().put(RunId::new(), owner, request).await.unwrap();
}

async fn ended_days_are_subtracted_when_a_quota_is_reached(world: World) {
    let (store, owner) = (limited(world.store(), 5), owner());
    let organisation = format!("REQUESTSUM#{}", owner.organisation);
    let user = format!("{organisation}#{}", owner.user);
    // Of an earlier version, without shards, and of two shards.
    for shard in ["", "#03", "#11"] {
        for pk in [&organisation, &user] {
            for sk in [format!("META{shard}"), format!("D#2020-01-01{shard}")] {
                let create = Some(Created { version: 1, ttl: None });
                let update = Update { create, add: vec![("bytes", 20), ("count", 2)], ..Update::default() };
                let write = Write::Update(Key::new(pk, sk), update, Condition::Always);
                store.database().write(write).await.unwrap();
            }
        }
    }
    store.run_requests().put(RunId::new(), owner, &request()).await.unwrap();
    for pk in [&organisation, &user] {
        assert_eq!(sum(&store, pk, "META").await.0, 1);
        assert_eq!(sum(&store, pk, "D#").await, (1, 1));
    }
}

fn artifact(owner: Owner, run: RunId) -> ArtifactRecord {
    ArtifactRecord {
        artifact: Artifact {
            id: ArtifactId::new(),
            media_type: "image/png".to_owned(),
            size_bytes: 1,
            sha256: String::new(),
            revised_prompt: None,
            expires_at: Timestamp::now().plus(Duration::from_secs(3600)),
            link: String::new(),
        },
        owner: owner.user,
        organisation: Some(owner.organisation),
        run,
        created_at: Timestamp::now(),
    }
}

async fn deleted_run_leaves_nothing_and_files_of_others_stay(world: World) {
    let (store, owner) = (world.store(), owner());
    let id = RunId::new();
    let (own, foreign) = (artifact(owner, id), artifact(owner, RunId::new()));
    for record in [&own, &foreign] {
        store.artifacts().put(record, vec![1]).await.unwrap();
    }
    let run = Run {
        id,
        state: RunState::Completed,
        organisation: Some(owner.organisation),
        text: "x".repeat(40 << 10),
        artifacts: vec![own.artifact.clone(), foreign.artifact.clone()],
        ..Run::example(owner.user)
    };
    let messages = vec![Message::new(Role::User, "x".repeat(200_000))];
    let request = Generation::new(None, TextTask::new(messages.clone(), Sampling::default()));
    store.run_requests().put(id, owner, &request).await.unwrap();
    let conversation = Conversation { messages, ..Conversation::default() };
    store.conversations().put(id, owner, &conversation).await.unwrap();
    let events = [RunEvent { seq: 1, body: RunEventBody::text("x") }];
    store.runs().record_ended(&run, &events).await.unwrap();

    // Twice: a deletion that was interrupted is repeated.
    for _ in 0..2 {
        store.delete_run(&run).await.unwrap();
        assert_eq!(store.runs().get(id).await.unwrap(), None);
        assert!(store.runs().events_after(id, 0).await.unwrap().is_empty());
        assert_eq!(store.run_requests().get(id, owner).await.unwrap(), None);
        assert_eq!(store.conversations().get(id, owner).await.unwrap(), None);
        assert_eq!(store.artifacts().get(own.artifact.id).await.unwrap(), None);
        assert!(store.artifacts().read(own.artifact.id).await.unwrap().is_none());
        assert!(store.artifacts().read(foreign.artifact.id).await.unwrap().is_some());
        let (entries, _) = store.owned().page(owner.user, None, 100).await.unwrap();
        assert_eq!(entries, [OwnedEntry::Artifact(foreign.artifact.id)]);
    }
    // A late write of its end brings nothing back.
    store.runs().update(&run).await.unwrap_err();
    assert_eq!(store.runs().get(id).await.unwrap(), None);
}

async fn record_without_its_text_says_so(world: World) {
    let store = world.store();
    let run = Run { state: RunState::Completed, text: "x".repeat(40 << 10), ..Run::example(UserId::new()) };
    record(&store, &run).await;
    assert!(!store.runs().get(run.id).await.unwrap().unwrap().has_expired_text);
    if !world.delete_objects().await {
        return;
    }
    let read = store.runs().get(run.id).await.unwrap().unwrap();
    assert_eq!(read, Run { text: String::new(), has_expired_text: true, ..run });
}

async fn record_is_gone_after_the_time_of_the_store(world: World) {
    let store = world.store();
    let owner = UserId::new();
    let hours_old = |hours: i64| {
        let created_at = Timestamp::from_unix(Timestamp::now().unix() - hours * 3600);
        let id = RunId::first_of(created_at);
        Run { id, state: RunState::Completed, created_at, ..Run::example(owner) }
    };
    let (young, old) = (hours_old(1), hours_old(30));
    for run in [&young, &old] {
        record(&store, run).await;
    }
    let old_owner = Owner::of_record(owner, None);
    let request = Generation::new(None, TextTask::new(Vec::new(), Sampling::default()));
    store.run_requests().put(old.id, old_owner, &request).await.unwrap();
    store.conversations().put(old.id, old_owner, &Conversation::default()).await.unwrap();
    // Those of before have a later ttl.
    let store = store.with_record_ttl(Duration::from_secs(24 * 3600));
    assert_eq!(store.runs().get(young.id).await.unwrap(), Some(young.clone()));
    assert_eq!(store.runs().get(old.id).await.unwrap(), None);
    assert_eq!(store.runs().summaries(&[young.id, old.id]).await.unwrap(), [young]);
    assert_eq!(store.run_requests().get(old.id, old_owner).await.unwrap(), None);
    assert_eq!(store.conversations().get(old.id, old_owner).await.unwrap(), None);
}
