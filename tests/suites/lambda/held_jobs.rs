//! Jobs of paused kinds in the cloud, which are apart from due ones; and the inputs of dead letters.

use hearth_domain::{JobKind, Timestamp};
use hearth_store::{
    database::{Key, Query, Sort},
    jobs::DEAD_LETTER_TTL,
};
use hearth_tests::eventually;
use hearth_wire::native::jobs::JobPauseScope;
use serde_json::{Value, json};

use crate::jobs::{JobWorld, job};

#[tokio::test]
async fn held_jobs_leave_the_index_of_due_ones_until_their_kind_is_resumed() {
    let world = JobWorld::start().await;
    let pauses = "/v1/job-pauses/generate";
    assert_eq!(world.ask("PUT", pauses, Value::Null).await.0, 200);
    let (received, lost) = (world.submit(job("received")).await, world.submit(job("lost")).await);
    let record = async |id: &str| world.cloud.store().jobs().get(id.parse().unwrap()).await.unwrap().unwrap();
    // The worker holds one whose message it gets, the sweep one whose message is lost.
    let message = world.cloud.receive_jobs("JobsNormal");
    world.cloud.deliver(&world.worker, "JobsNormal", &message[..1]).await.unwrap();
    world.cloud.aws().lose_messages("JobsNormal");
    for id in [&received, &lost] {
        if record(id).await.work.unwrap().held_by.is_none() {
            world.make_due(id, |_| {}).await;
        }
    }
    world.sweep().await;
    let held = async || {
        let mut ids = Vec::new();
        for pause in world.cloud.store().jobs().pauses_with_ended().await.unwrap() {
            let mut jobs = world.cloud.store().jobs().held(&pause, None);
            while let Some(job) = jobs.next_job().await.unwrap() {
                assert_eq!(job.kind, JobKind::Generate);
                ids.push(job.id.to_string());
            }
        }
        ids.sort_unstable();
        ids
    };
    let mut both = vec![received.clone(), lost.clone()];
    both.sort_unstable();
    assert_eq!(held().await, both);
    for id in &both {
        let work = record(id).await.work.unwrap();
        assert_eq!((work.held_by, work.look_at), (Some(JobPauseScope::Organisation), Some(work.expires_at)));
    }
    let far = Timestamp::now().plus(DEAD_LETTER_TTL);
    assert!(world.cloud.store().jobs().due(far).next_job().await.unwrap().is_none());
    // One whose time is over ends, though its kind is paused.
    world.make_due(&lost, |work| work.expires_at = Timestamp::now()).await;
    world.sweep().await;
    assert_eq!(world.get(&lost).await["state"], "expired");
    assert_eq!(held().await, std::slice::from_ref(&received));

    assert_eq!(world.ask("DELETE", pauses, Value::Null).await.0, 200);
    assert_eq!(world.ask("GET", "/v1/job-pauses", Value::Null).await.1["pauses"], json!([]));
    // The list of pauses is read again after seconds.
    eventually("the job is carried out", async || {
        world.sweep().await;
        world.work().await;
        (world.get(&received).await["state"] == "completed").then_some(())
    })
    .await;
    assert_eq!(held().await, Vec::<String>::new());
    // The pause is deleted when no process can hold a job by it any longer.
    let pause = async || world.cloud.store().jobs().pauses_with_ended().await.unwrap();
    assert_eq!(pause().await.len(), 1);
    let mut ended = pause().await.remove(0);
    ended.resumed_at = Some(Timestamp::from_unix(Timestamp::now().unix() - 3600));
    world.cloud.store().jobs().pause_kind(&ended).await.unwrap();
    world.sweep().await;
    assert_eq!(pause().await, []);
}

#[tokio::test]
async fn input_of_a_dead_letter_is_stored_as_long_as_it_can_be_retried() {
    let world = JobWorld::start().await;
    let mut body = job("bad");
    body["input"]["model"] = "no-such-model".into();
    let id = world.submit(body).await;
    let items = async || {
        let query = Query::partition(format!("JOB#{id}"), Sort::All);
        world.cloud.store().database().query(&query).await.unwrap().items
    };
    let ttls = |items: Vec<hearth_store::database::Item>| {
        items.into_iter().map(|item| item.ttl.unwrap()).collect::<Vec<_>>()
    };
    let two_weeks = Timestamp::now().plus(DEAD_LETTER_TTL).unix();
    assert!(ttls(items().await).iter().all(|ttl| *ttl < two_weeks));
    world.work().await;
    assert_eq!(world.get(&id).await["state"], "failed");
    let after = ttls(items().await);
    assert!(after.len() == 2 && after.iter().all(|ttl| *ttl > two_weeks), "{after:?}");
    let key = Key::new(format!("JOB#{id}"), "INPUT");
    assert!(world.cloud.store().database().get(&key).await.unwrap().is_some());
    assert_eq!(world.ask("POST", &format!("/v1/jobs/{id}/retry"), json!({})).await.0, 202);
}
