//! Jobs of paused kinds in the cloud, which are apart from due ones; and the inputs of dead letters.

use hearth_domain::{JobKind, Timestamp};
use hearth_store::{
    database::{Key, Query, Sort},
    jobs::DEAD_LETTER_TTL,
};
use hearth_tests::{Cloud, WORKER, eventually};
use hearth_wire::native::jobs::JobPauseScope;
use serde_json::{Value, json};

use crate::{
    jobs::{MODELS, SWEEP, ask, get, job, make_due, submit, sweep},
    of_operator,
};

#[tokio::test]
async fn held_jobs_leave_the_index_of_due_ones_until_their_kind_is_resumed() {
    let cloud = Cloud::start().await;
    let (models, worker, sweeper) =
        tokio::join!(cloud.function(MODELS), cloud.function(WORKER), cloud.function(SWEEP));
    let values = of_operator(&cloud).await;
    let pauses = "/v1/job-pauses/generate";
    assert_eq!(ask(&models, &values, "PUT", pauses, Value::Null).await.0, 200);
    let (received, lost) =
        (submit(&models, &values, job("received")).await, submit(&models, &values, job("lost")).await);
    let record = async |id: &str| cloud.store().jobs().get(id.parse().unwrap()).await.unwrap().unwrap();
    // The worker holds one whose message it gets, the sweep one whose message is lost.
    let message = cloud.receive_jobs("JobsNormal");
    cloud.deliver(&worker, "JobsNormal", &message[..1]).await.unwrap();
    cloud.aws().lose_messages("JobsNormal");
    for id in [&received, &lost] {
        if record(id).await.work.unwrap().held_by.is_none() {
            make_due(&cloud, id, |_| {}).await;
        }
    }
    sweep(&sweeper).await;
    let held = async || {
        let mut ids = Vec::new();
        for pause in cloud.store().jobs().pauses_with_ended().await.unwrap() {
            let mut jobs = cloud.store().jobs().held(&pause, None);
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
    assert!(cloud.store().jobs().due(far).next_job().await.unwrap().is_none());
    // One whose time is over ends, though its kind is paused.
    make_due(&cloud, &lost, |work| work.expires_at = Timestamp::now()).await;
    sweep(&sweeper).await;
    assert_eq!(get(&models, &values, &lost).await["state"], "expired");
    assert_eq!(held().await, std::slice::from_ref(&received));

    assert_eq!(ask(&models, &values, "DELETE", pauses, Value::Null).await.0, 200);
    assert_eq!(ask(&models, &values, "GET", "/v1/job-pauses", Value::Null).await.1["pauses"], json!([]));
    // The list of pauses is read again after seconds.
    eventually("the job is carried out", async || {
        sweep(&sweeper).await;
        cloud.work(&worker).await;
        (get(&models, &values, &received).await["state"] == "completed").then_some(())
    })
    .await;
    assert_eq!(held().await, Vec::<String>::new());
    // The pause is deleted when no process can hold a job by it any longer.
    let pause = async || cloud.store().jobs().pauses_with_ended().await.unwrap();
    assert_eq!(pause().await.len(), 1);
    let mut ended = pause().await.remove(0);
    ended.resumed_at = Some(Timestamp::from_unix(Timestamp::now().unix() - 3600));
    cloud.store().jobs().pause_kind(&ended).await.unwrap();
    sweep(&sweeper).await;
    assert_eq!(pause().await, []);
}

#[tokio::test]
async fn input_of_a_dead_letter_is_stored_as_long_as_it_can_be_retried() {
    let cloud = Cloud::start().await;
    let (models, worker) = tokio::join!(cloud.function(MODELS), cloud.function(WORKER));
    let values = of_operator(&cloud).await;
    let mut body = job("bad");
    body["input"]["model"] = "no-such-model".into();
    let id = submit(&models, &values, body).await;
    let items = async || {
        let query = Query::partition(format!("JOB#{id}"), Sort::All);
        cloud.store().database().query(&query).await.unwrap().items
    };
    let ttls = |items: Vec<hearth_store::database::Item>| {
        items.into_iter().map(|item| item.ttl.unwrap()).collect::<Vec<_>>()
    };
    let two_weeks = Timestamp::now().plus(DEAD_LETTER_TTL).unix();
    assert!(ttls(items().await).iter().all(|ttl| *ttl < two_weeks));
    cloud.work(&worker).await;
    assert_eq!(get(&models, &values, &id).await["state"], "failed");
    let after = ttls(items().await);
    assert!(after.len() == 2 && after.iter().all(|ttl| *ttl > two_weeks), "{after:?}");
    let key = Key::new(format!("JOB#{id}"), "INPUT");
    assert!(cloud.store().database().get(&key).await.unwrap().is_some());
    assert_eq!(ask(&models, &values, "POST", &format!("/v1/jobs/{id}/retry"), json!({})).await.0, 202);
}
