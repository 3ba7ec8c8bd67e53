//! Jobs, over all databases.

use std::time::Duration;

use hearth_domain::{
    JobError, JobErrorCode, JobId, JobKind, JobState, NodeId, OrganisationId, Owner, RunId, Timestamp, UserId,
};
use hearth_store::{
    Store, StoreError,
    database::Key,
    jobs::{DEAD_LETTER_TTL, DueJobs, JobAttempt, JobPause, JobRecord, JobWork, NewWork, SubmittedWork},
    owned::{OwnedEntry, OwnedKind},
};
use hearth_wire::native::jobs::JobPauseScope;
use serde_json::{Value, json};

use crate::{on_all, world::World};

on_all! {
    job_is_read_as_written_with_its_input_and_result,
    of_two_writers_one_is_refused_and_an_end_is_final,
    submission_with_a_key_takes_place_once,
    due_jobs_are_read_in_order_of_their_times,
    dead_letters_are_listed_until_they_are_buried,
    paused_kinds_are_listed,
    held_jobs_are_apart_from_due_ones,
    input_of_a_dead_letter_is_stored_as_long_as_the_job,
    hidden_job_is_in_no_list_and_download_beside_it,
    erased_job_leaves_no_item_and_no_object,
}

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

fn work(look_at: Option<Timestamp>) -> JobWork {
    let now = Timestamp::now();
    let hour = Duration::from_secs(3600);
    JobWork { look_at, ..JobWork::new(3, now, now.plus(hour), hour) }
}

fn job(owner: Owner, work: JobWork) -> JobRecord {
    JobRecord::new_work(JobId::new(), owner, JobKind::Generate, work)
}

async fn submit(store: &Store, job: JobRecord, input: &Value, dedupe: Option<&str>) -> SubmittedWork {
    store.jobs().submit(NewWork { job, input, options: &Value::Null, dedupe }).await.unwrap()
}

async fn stored(store: &Store, job: JobRecord) -> JobRecord {
    match submit(store, job, &json!({"a": 1}), None).await {
        SubmittedWork::New(job) => *job,
        earlier @ SubmittedWork::Earlier(..) => panic!("{earlier:?}"),
    }
}

/// The next version of a record.
fn next(job: &JobRecord, state: JobState) -> JobRecord {
    let ended_at = state.is_terminal().then(Timestamp::now);
    JobRecord { state, revision: job.revision + 1, ended_at, ..job.clone() }
}

async fn job_is_read_as_written_with_its_input_and_result(world: World) {
    let (store, owner) = (&world.store(), owner());
    let mut long = work(None);
    long.attempts.push(JobAttempt {
        number: 1,
        run: RunId::new(),
        started_at: Timestamp::now(),
        ended_at: Some(Timestamp::now()),
        error: Some(JobError::new(JobErrorCode::RequestFailed, "no")),
    });
    for (input, is_long) in [(json!({"a": [1.5, null, "ü"]}), false), (json!("x".repeat(200_000)), true)] {
        let SubmittedWork::New(job) = submit(store, job(owner, long.clone()), &input, None).await else {
            panic!("new")
        };
        assert_eq!(job.work.as_ref().unwrap().objects.len(), usize::from(is_long));
        assert_eq!(store.jobs().get(job.id).await.unwrap().as_ref(), Some(&*job));
        assert_eq!(store.jobs().input(job.id).await.unwrap(), input);
        let place = store.jobs().put_result(&job, &input).await.unwrap();
        assert_eq!(place.result_key.is_some(), is_long);
        assert_eq!(store.jobs().result(job.id).await.unwrap(), input);
        let mut ended = next(&job, JobState::Completed);
        ended.work.as_mut().unwrap().result = Some(place);
        assert!(store.jobs().replace(&ended).await.unwrap());
        store.jobs().delete(&ended).await.unwrap();
        assert_eq!(store.jobs().get(job.id).await.unwrap(), None);
        assert!(matches!(store.jobs().input(job.id).await, Err(StoreError::Gone(_))));
        assert!(matches!(store.jobs().result(job.id).await, Err(StoreError::Gone(_))));
    }
}

async fn of_two_writers_one_is_refused_and_an_end_is_final(world: World) {
    let store = &world.store();
    let job = stored(store, job(owner(), work(None))).await;
    let (running, paused) = (next(&job, JobState::Running), next(&job, JobState::Paused));
    let (one, other) = (running.clone(), paused.clone());
    let jobs = store.jobs();
    let (one, other) = tokio::join!(jobs.replace(&one), jobs.replace(&other));
    assert_ne!(one.unwrap(), other.unwrap());
    let current = store.jobs().get(job.id).await.unwrap().unwrap();
    assert!(current == running || current == paused);
    let ended = next(&current, JobState::Cancelled);
    assert!(store.jobs().replace(&ended).await.unwrap());
    assert!(!store.jobs().replace(&next(&ended, JobState::Completed)).await.unwrap());
    assert!(!store.jobs().amend(&next(&ended, JobState::Completed)).await.unwrap());
    // A change of another field.
    let mut amended = next(&ended, JobState::Cancelled);
    amended.work.as_mut().unwrap().replayed_by = Some(JobId::new());
    assert!(store.jobs().amend(&amended).await.unwrap());
    assert_eq!(store.jobs().get(job.id).await.unwrap(), Some(amended.clone()));
    assert!(!store.jobs().amend(&amended).await.unwrap());
    let missing = JobRecord { id: JobId::new(), ..next(&job, JobState::Running) };
    assert!(!store.jobs().replace(&missing).await.unwrap());
}

async fn submission_with_a_key_takes_place_once(world: World) {
    let (store, owner) = (&world.store(), owner());
    let (one, two) = (json!({"n": 1}), json!({"n": 2}));
    let submit = async |input: &Value, of: Owner| submit(store, job(of, work(None)), input, Some("k")).await;
    let (first, second) = tokio::join!(submit(&one, owner), submit(&one, owner));
    let (new, earlier): (Vec<_>, Vec<_>) =
        [first, second].into_iter().partition(|one| matches!(one, SubmittedWork::New(_)));
    let ([SubmittedWork::New(new)], [SubmittedWork::Earlier(first, true)]) = (&new[..], &earlier[..]) else {
        panic!("{new:?} {earlier:?}")
    };
    assert_eq!(first, new);
    let submitted = async |input| store.jobs().submitted(owner, "k", input, &Value::Null).await.unwrap();
    assert_eq!(submitted(&one).await, Some((*new.clone(), true)));
    assert_eq!(submitted(&two).await, Some((*new.clone(), false)));
    let with_options = store.jobs().submitted(owner, "k", &one, &json!(["low"])).await.unwrap();
    assert_eq!(with_options, Some((*new.clone(), false)));
    assert!(matches!(submit(&two, owner).await, SubmittedWork::Earlier(job, false) if job.id == new.id));
    let other = Owner { organisation: OrganisationId::new(), ..owner };
    assert!(matches!(submit(&two, other).await, SubmittedWork::New(_)));
    assert_eq!(store.jobs().page(owner, None, 10).await.unwrap().0.len(), 1);
    // With its job the key is free again.
    store.jobs().delete(new).await.unwrap();
    assert_eq!(submitted(&one).await, None);
    let SubmittedWork::New(later) = submit(&two, owner).await else { panic!("the key isn't free") };
    assert!(matches!(submit(&two, owner).await, SubmittedWork::Earlier(job, true) if job.id == later.id));
}

async fn ids_of(mut jobs: DueJobs<'_>) -> Vec<JobId> {
    let mut ids = Vec::new();
    while let Some(job) = jobs.next_job().await.unwrap() {
        ids.push(job.id);
    }
    ids
}

async fn due_jobs_are_read_in_order_of_their_times(world: World) {
    let (store, now) = (&world.store(), Timestamp::now());
    let mut ids = Vec::new();
    for seconds in [30, 10, 20, 90] {
        let look_at = Some(now.plus(Duration::from_secs(seconds)));
        ids.push(stored(store, job(owner(), work(look_at))).await.id);
    }
    let due = async |seconds: u64| {
        let due = ids_of(store.jobs().due(now.plus(Duration::from_secs(seconds)))).await;
        due.into_iter().filter(|id| ids.contains(id)).collect::<Vec<_>>()
    };
    assert_eq!(due(5).await, []);
    assert_eq!(due(40).await, [ids[1], ids[2], ids[0]]);
    let first = store.jobs().get(ids[1]).await.unwrap().unwrap();
    let mut ended = next(&first, JobState::Completed);
    ended.work.as_mut().unwrap().look_at = None;
    assert!(store.jobs().replace(&ended).await.unwrap());
    assert_eq!(due(40).await, [ids[2], ids[0]]);
}

async fn dead_letters_are_listed_until_they_are_buried(world: World) {
    let (store, owner) = (&world.store(), owner());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let failed = stored(store, job(owner, work(Some(Timestamp::now())))).await;
        let mut ended = next(&failed, JobState::Failed);
        let work = ended.work.as_mut().unwrap();
        (work.look_at, work.is_dead) = (None, true);
        assert!(store.jobs().replace(&ended).await.unwrap());
        ids.push(ended.id);
    }
    ids.reverse();
    let (page, more) = store.jobs().dead_page(owner, None, 2).await.unwrap();
    assert_eq!((page.iter().map(|job| job.id).collect::<Vec<_>>(), more), (ids[..2].to_vec(), Some(ids[1])));
    let (rest, more) = store.jobs().dead_page(owner, more, 2).await.unwrap();
    assert_eq!((rest.len(), rest[0].id, more), (1, ids[2], None));
    let mut buried = next(&rest[0], JobState::Failed);
    buried.work.as_mut().unwrap().is_dead = false;
    assert!(store.jobs().amend(&buried).await.unwrap());
    assert_eq!(store.jobs().dead_page(owner, None, 10).await.unwrap().0.len(), 2);
    assert_eq!(store.jobs().page(owner, None, 10).await.unwrap().0.len(), 3);
}

async fn paused_kinds_are_listed(world: World) {
    let (store, owner) = (&world.store(), owner());
    let pause = |organisation, kind| JobPause {
        organisation,
        kind,
        user: owner.user,
        paused_at: Timestamp::now(),
        resumed_at: None,
    };
    let pauses = [pause(None, JobKind::Batch), pause(Some(owner.organisation), JobKind::Generate)];
    for pause in &pauses {
        store.jobs().pause_kind(pause).await.unwrap();
        store.jobs().pause_kind(pause).await.unwrap();
    }
    let own = async || {
        let all = store.jobs().pauses().await.unwrap();
        all.into_iter().filter(|pause| pause.user == owner.user).collect::<Vec<_>>()
    };
    assert_eq!(own().await, pauses);
    store.jobs().resume_kind(None, JobKind::Batch).await.unwrap();
    store.jobs().resume_kind(None, JobKind::Batch).await.unwrap();
    assert_eq!(own().await, pauses[1..]);
    store.jobs().resume_kind(Some(owner.organisation), JobKind::Generate).await.unwrap();
    assert_eq!(own().await, []);
    // An ended one stays until it is deleted, and isn't deleted if its kind is paused again.
    let ended = async || {
        let all = store.jobs().pauses_with_ended().await.unwrap();
        all.into_iter().filter(|pause| pause.user == owner.user).collect::<Vec<_>>()
    };
    let [batches, generations] = &ended().await[..] else { panic!("{:?}", ended().await) };
    store.jobs().delete_pause(batches).await.unwrap();
    store.jobs().pause_kind(&pauses[1]).await.unwrap();
    store.jobs().delete_pause(generations).await.unwrap();
    assert_eq!((ended().await, own().await), (pauses[1..].to_vec(), pauses[1..].to_vec()));
    store.jobs().resume_kind(Some(owner.organisation), JobKind::Generate).await.unwrap();
    store.jobs().delete_pause(&ended().await[0]).await.unwrap();
    assert_eq!(ended().await, []);
}

async fn held_jobs_are_apart_from_due_ones(world: World) {
    let (store, now) = (&world.store(), Timestamp::now());
    let owner = owner();
    let soon = now.plus(Duration::from_secs(10));
    let hold = |scope| JobWork { held_by: Some(scope), ..work(Some(soon)) };
    let own = stored(store, job(owner, hold(JobPauseScope::Organisation))).await.id;
    let of_all = stored(store, job(owner, hold(JobPauseScope::Gateway))).await;
    let due = stored(store, job(owner, work(Some(soon)))).await.id;
    let later = now.plus(Duration::from_secs(20));
    let is_own = |id: &JobId| [own, of_all.id, due].contains(id);
    let due_ids = async || {
        let ids = ids_of(store.jobs().due(later)).await;
        ids.into_iter().filter(is_own).collect::<Vec<_>>()
    };
    assert_eq!(due_ids().await, [due]);
    let pause = JobPause {
        organisation: Some(owner.organisation),
        kind: JobKind::Generate,
        user: owner.user,
        paused_at: now,
        resumed_at: None,
    };
    assert_eq!(ids_of(store.jobs().held(&pause, None)).await, [own]);
    assert_eq!(ids_of(store.jobs().held(&pause, Some(later))).await, [own]);
    assert_eq!(ids_of(store.jobs().held(&pause, Some(now))).await, []);
    let of_gateway = JobPause { organisation: None, ..pause };
    assert!(ids_of(store.jobs().held(&of_gateway, None)).await.contains(&of_all.id));
    let mut queued = next(&of_all, JobState::Queued);
    queued.work.as_mut().unwrap().set_look_at(Some(soon));
    assert!(store.jobs().replace(&queued).await.unwrap());
    let mut ids = due_ids().await;
    ids.sort();
    assert_eq!(ids, [of_all.id, due]);
}

async fn input_of_a_dead_letter_is_stored_as_long_as_the_job(world: World) {
    let (store, owner) = (&world.store(), owner());
    let queued = stored(store, job(owner, work(None))).await;
    let mut failed = next(&queued, JobState::Failed);
    failed.work.as_mut().unwrap().retention_seconds = DEAD_LETTER_TTL.as_secs();
    store.jobs().extend_input(&failed).await.unwrap();
    assert!(store.jobs().replace(&failed).await.unwrap());
    let item = async |sk: &str| {
        let key = Key::new(format!("JOB#{}", queued.id), sk);
        store.database().get(&key).await.unwrap().unwrap().ttl.unwrap()
    };
    assert_eq!(item("INPUT").await, item("META").await);
    let days = (item("INPUT").await - Timestamp::now().unix()) / (24 * 3600);
    assert!((14..=15).contains(&days), "{days} days");
    assert_eq!(store.jobs().input(queued.id).await.unwrap(), json!({"a": 1}));
    // One that was deleted doesn't come back.
    store.jobs().delete(&failed).await.unwrap();
    store.jobs().extend_input(&failed).await.unwrap();
    assert!(matches!(store.jobs().input(queued.id).await, Err(StoreError::Gone(_))));
}

async fn hidden_job_is_in_no_list_and_download_beside_it(world: World) {
    let (store, owner) = (&world.store(), owner());
    let hidden = JobWork { is_hidden: true, ..work(None) };
    let hidden = stored(store, job(owner, hidden)).await;
    let shown = stored(store, job(owner, work(None))).await;
    let download = JobRecord::new_download(JobId::new(), owner, NodeId::new(), "hf:owner/repo");
    store.jobs().create(&download).await.unwrap();
    let (page, _) = store.jobs().page(owner, None, 10).await.unwrap();
    let mut ids: Vec<_> = page.iter().map(|job| job.id).collect();
    ids.sort();
    assert_eq!(ids, [shown.id, download.id]);
    assert_eq!(store.jobs().get(download.id).await.unwrap(), Some(download.clone()));
    assert_eq!(store.jobs().get(hidden.id).await.unwrap(), Some(hidden));
    let mut later = next(&download, JobState::Running);
    later.download.as_mut().unwrap().done_bytes = 5;
    assert!(store.jobs().advance(&later).await.unwrap());
    assert!(!store.jobs().advance(&later).await.unwrap());
    assert_eq!(store.jobs().get(download.id).await.unwrap(), Some(later));
}

async fn erased_job_leaves_no_item_and_no_object(world: World) {
    let (store, owner) = (&world.store(), owner());
    let before = world.count_objects().await;
    let long = json!("x".repeat(200_000));
    let SubmittedWork::New(submitted) = submit(store, job(owner, work(None)), &long, Some("one")).await
    else {
        panic!("new")
    };
    let erase = async |id| {
        // A deletion that was interrupted is repeated.
        store.erasures().erase_entry(OwnedEntry::Job(id)).await.unwrap();
        store.erasures().erase_entry(OwnedEntry::Job(id)).await.unwrap();
    };
    // The process that carries it out has died between the writes of the result and of the record.
    store.jobs().put_result(&submitted, &long).await.unwrap();
    assert_eq!(world.count_objects().await, before + 2);
    erase(submitted.id).await;
    assert_eq!(world.count_objects().await, before);
    for left in [store.jobs().input(submitted.id).await, store.jobs().result(submitted.id).await] {
        assert!(matches!(left, Err(StoreError::Gone(_))), "{left:?}");
    }
    // So has another one behind the erasure.
    store.jobs().put_result(&submitted, &long).await.unwrap();
    let page = store.owned().page_of(owner.user, OwnedKind::Jobs, None, 10).await.unwrap();
    assert_eq!(page, (vec![OwnedEntry::Job(submitted.id)], false));
    assert_eq!(store.owned().page_of(owner.user, OwnedKind::Runs, None, 10).await.unwrap(), (vec![], false));
    erase(submitted.id).await;
    assert_eq!(world.count_objects().await, before);
    // The text is free again.
    let again = submit(store, job(owner, work(None)), &json!(1), Some("one")).await;
    assert!(matches!(again, SubmittedWork::New(_)), "{again:?}");
}
