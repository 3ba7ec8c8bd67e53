//! Jobs in the cloud: the function `models` submits them, and `worker` carries out what the queues' messages name.

use std::time::Duration;

use hearth_domain::{JobId, JobKind, JobState, OrganisationId, Owner, RunId, Timestamp};
use hearth_store::{
    Store,
    jobs::{JobAttempt, JobRecord, JobWork, NewWork, SubmittedWork},
};
use hearth_tests::{Cloud, JOB_QUEUES, WORKER, eventually};
use lambda_emulator::Emulator;
use serde_json::{Value, json};

use crate::{MODEL, Placeholders, invoke, of_operator};

const MODELS: &str = "hearth-fn-models";
const SWEEP: &str = "hearth-fn-sweep";

/// A cloud with the functions of jobs: `models` submits them, `worker` carries them out, and `sweep` finds those that are late.
pub(crate) struct JobWorld {
    pub(crate) cloud: Cloud,
    pub(crate) worker: Emulator,
    models: Emulator,
    sweep: Emulator,
    values: Placeholders,
}

impl JobWorld {
    pub(crate) async fn start() -> Self {
        let cloud = Cloud::start().await;
        let (models, worker, sweep) =
            tokio::join!(cloud.function(MODELS), cloud.function(WORKER), cloud.function(SWEEP));
        let values = of_operator(&cloud).await;
        Self { cloud, worker, models, sweep, values }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        ask(&self.models, &self.values, method, path, body).await
    }

    pub(crate) async fn submit(&self, body: Value) -> String {
        submit(&self.models, &self.values, body).await
    }

    pub(crate) async fn get(&self, id: &str) -> Value {
        self.ask("GET", &format!("/v1/jobs/{id}"), Value::Null).await.1
    }

    /// Has the worker carry out what the queues have; returns the number of messages.
    pub(crate) async fn work(&self) -> usize {
        self.cloud.work(&self.worker).await
    }

    /// Sends the event of the schedule to `sweep`.
    pub(crate) async fn sweep(&self) {
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
        self.sweep.trigger(&event).await.unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Has a job looked at by the next sweep.
    pub(crate) async fn make_due(&self, id: &str, change: impl Fn(&mut JobWork)) {
        let jobs = self.cloud.store().jobs();
        let mut record = jobs.get(id.parse().unwrap()).await.unwrap().unwrap();
        record.revision += 1;
        let work = record.work.as_mut().unwrap();
        work.look_at = Some(Timestamp::now());
        change(work);
        let written = match record.state.is_terminal() {
            true => jobs.amend(&record).await,
            false => jobs.replace(&record).await,
        };
        assert!(written.unwrap());
    }
}

/// Sends a sample of the function `models` with another path, method or body.
async fn ask(
    function: &Emulator,
    values: &Placeholders,
    method: &str,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let sample = if method == "POST" { "post_v1.jobs.json" } else { "get_v1.jobs.json" };
    let mut event = values.event(sample);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (event["httpMethod"], event["path"]) = (method.into(), path.into());
    let query: serde_json::Map<String, Value> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!([value])))
        .collect();
    event["multiValueQueryStringParameters"] = query.into();
    event["body"] = if body.is_null() { body } else { body.to_string().into() };
    let answer = invoke(function, &event).await;
    (answer.status.as_u16(), answer.json().unwrap_or_default())
}

pub(crate) fn job(prompt: &str) -> Value {
    let parameters = json!({"max_tokens": 8, "temperature": 0.0});
    json!({"kind": "generate", "input": {"model": MODEL, "input": {"prompt": prompt}, "parameters": parameters}})
}

async fn submit(models: &Emulator, values: &Placeholders, body: Value) -> String {
    let (status, job) = ask(models, values, "POST", "/v1/jobs", body).await;
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// Stores that a process had taken a job, had begun the run as its first attempt, and died.
pub(crate) async fn interrupt(store: &Store, id: &str, run: RunId) {
    let jobs = store.jobs();
    let mut record = jobs.get(id.parse().unwrap()).await.unwrap().unwrap();
    (record.state, record.revision) = (JobState::Running, record.revision + 1);
    let work = record.work.as_mut().unwrap();
    (work.fence, work.leased_until, work.look_at) = (1, Some(Timestamp::now()), Some(Timestamp::now()));
    work.attempts.push(attempt(run));
    assert!(jobs.replace(&record).await.unwrap());
}

/// A first attempt in progress.
fn attempt(run: RunId) -> JobAttempt {
    JobAttempt { number: 1, run, started_at: Timestamp::now(), ended_at: None, error: None }
}

#[tokio::test]
async fn submitted_job_is_carried_out_by_the_worker_in_its_queue() {
    let world = JobWorld::start().await;
    let mut ids = Vec::new();
    for (priority, queue) in ["high", "normal", "low"].into_iter().zip(JOB_QUEUES) {
        let mut body = job(priority);
        body["priority"] = priority.into();
        ids.push(world.submit(body).await);
        assert_eq!(world.cloud.aws().queue_depth(queue), (1, 0), "{queue}");
    }
    assert_eq!(world.work().await, 3);
    for id in &ids {
        let ended = world.get(id).await;
        assert_eq!(ended["state"], "completed", "{ended}");
        assert!(!ended["work"]["result"]["output"]["text"].as_str().unwrap().is_empty(), "{ended}");
    }
    for queue in JOB_QUEUES {
        assert_eq!(
            (world.cloud.aws().queue_depth(queue), world.cloud.aws().dead_messages(queue).len()),
            ((0, 0), 0)
        );
    }
}

#[tokio::test]
async fn message_that_comes_twice_does_no_harm() {
    let world = JobWorld::start().await;
    let other = world.cloud.function(WORKER).await;
    let id = world.submit(job("twice")).await;
    let messages = world.cloud.receive_jobs("JobsNormal");
    let (first, second) = tokio::join!(
        world.cloud.deliver(&world.worker, "JobsNormal", &messages),
        world.cloud.deliver(&other, "JobsNormal", &messages)
    );
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    // The second may have put a message for the end of the first one's lease; it finds the job at its end.
    let ended = world.get(&id).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(ended["work"]["attempts"].as_array().map(Vec::len), Some(1), "{ended}");
    assert_eq!(world.cloud.deliver(&world.worker, "JobsNormal", &messages).await.unwrap(), 1);
    assert_eq!(world.get(&id).await, ended);
}

#[tokio::test]
async fn lost_message_and_dead_process_are_found_by_the_sweep() {
    let world = JobWorld::start().await;
    let (lost, taken) = (world.submit(job("lost")).await, world.submit(job("taken")).await);
    world.cloud.aws().lose_messages("JobsNormal");
    // Not before its time: the message may be in the queue.
    world.sweep().await;
    assert_eq!(world.work().await, 0);
    world.make_due(&lost, |_| {}).await;
    // A process took the second, and died.
    interrupt(world.cloud.store(), &taken, RunId::new()).await;
    world.sweep().await;
    assert_eq!(world.work().await, 2);
    for id in [&lost, &taken] {
        let ended = world.get(id).await;
        assert_eq!(ended["state"], "completed", "{ended}");
        assert_eq!(ended["work"]["attempts"].as_array().map(Vec::len), Some(1), "{ended}");
    }
}

#[tokio::test]
async fn paused_kind_waits_for_the_sweep_after_it_is_resumed() {
    let world = JobWorld::start().await;
    let pauses = "/v1/job-pauses/generate";
    assert_eq!(world.ask("PUT", pauses, Value::Null).await.0, 200);
    let id = world.submit(job("held")).await;
    assert_eq!(world.work().await, 1);
    world.sweep().await;
    assert_eq!((world.work().await, &world.get(&id).await["state"]), (0, &json!("queued")));
    assert_eq!(world.ask("DELETE", pauses, Value::Null).await.0, 200);
    // The list of pauses is read again after seconds.
    eventually("the job is carried out", async || {
        world.sweep().await;
        world.work().await;
        (world.get(&id).await["state"] == "completed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn job_is_expired_and_its_objects_are_deleted_by_the_sweep() {
    let world = JobWorld::start().await;
    let late = world.submit(job("late")).await;
    world.make_due(&late, |work| work.expires_at = Timestamp::now()).await;
    world.sweep().await;
    assert_eq!(world.get(&late).await["state"], "expired");

    let mut body = job("a");
    body["input"]["input"]["prompt"] = "a ".repeat(60_000).into();
    let long = world.submit(body).await;
    // The model has no room for it.
    world.work().await;
    assert_eq!(world.get(&long).await["state"], "failed");
    assert_eq!(world.ask("POST", &format!("/v1/jobs/{long}/drop"), json!({})).await.0, 200);
    world.make_due(&long, |work| work.retention_seconds = 3_600).await;
    world.sweep().await;
    assert_eq!(world.ask("GET", &format!("/v1/jobs/{long}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn foreign_message_is_a_dead_letter_of_the_queue() {
    let cloud = Cloud::start().await;
    let worker = cloud.function(WORKER).await;
    cloud.aws().send_message("JobsLow", "what?", "someone");
    for _ in 0..5 {
        let messages = cloud.receive_jobs("JobsLow");
        assert_eq!(cloud.deliver(&worker, "JobsLow", &messages).await.unwrap(), 0);
    }
    assert!(cloud.receive_jobs("JobsLow").is_empty());
    assert_eq!(cloud.aws().dead_messages("JobsLow"), ["what?"]);
}

/// Uses the permissions of the function `models` for jobs that no sample uses.
pub(crate) async fn use_jobs(cloud: &Cloud, models: &Emulator, values: &Placeholders) {
    let mut body = job("long");
    body["input"]["input"]["prompt"] = "a ".repeat(60_000).into();
    submit(models, values, body).await;
    for priority in ["high", "low"] {
        let mut body = job("first");
        body["priority"] = priority.into();
        submit(models, values, body).await;
    }
    let mut event = values.event("post_v1.jobs.json");
    event["headers"]["Idempotency-Key"] = "key".into();
    event["multiValueHeaders"]["Idempotency-Key"] = json!(["key"]);
    let (first, second) = (invoke(models, &event).await, invoke(models, &event).await);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 202));
    assert_eq!(first.json().unwrap()["id"], second.json().unwrap()["id"]);
    assert_eq!(ask(models, values, "GET", "/v1/jobs?dead=true", Value::Null).await.0, 200);
    let user = cloud.store().operator().await.unwrap();
    let owner = Owner { user, organisation: OrganisationId::of_operator(user) };
    // One in progress in another process, which is marked, and one with a long result.
    let (running, completed) = (stored(cloud, owner).await, stored(cloud, owner).await);
    let mut record = running;
    (record.state, record.revision) = (JobState::Running, 1);
    record.work.as_mut().unwrap().attempts.push(attempt(RunId::new()));
    assert!(cloud.store().jobs().replace(&record).await.unwrap());
    let (status, job) = ask(models, values, "DELETE", &format!("/v1/jobs/{}", record.id), Value::Null).await;
    assert_eq!((status, &job["state"]), (200, &json!("cancelled")));
    let mut record = completed;
    let place = cloud.store().jobs().put_result(&record, &json!("x".repeat(40_000))).await.unwrap();
    (record.state, record.revision, record.ended_at) = (JobState::Completed, 1, Some(Timestamp::now()));
    record.work.as_mut().unwrap().result = Some(place);
    assert!(cloud.store().jobs().replace(&record).await.unwrap());
    let path = format!("/v1/jobs/{}/result", record.id);
    assert_eq!(ask(models, values, "GET", &path, Value::Null).await.0, 200);
}

/// Stores a job that no message names.
async fn stored(cloud: &Cloud, owner: Owner) -> JobRecord {
    let now = Timestamp::now();
    let work = JobWork::new(3, now, now.plus(Duration::from_secs(3600)), Duration::from_secs(3600));
    let job = JobRecord::new_work(JobId::new(), owner, JobKind::Generate, work);
    match cloud
        .store()
        .jobs()
        .submit(NewWork { job, input: &json!({}), options: &Value::Null, dedupe: None })
        .await
        .unwrap()
    {
        SubmittedWork::New(job) => *job,
        earlier @ SubmittedWork::Earlier(..) => panic!("{earlier:?}"),
    }
}
