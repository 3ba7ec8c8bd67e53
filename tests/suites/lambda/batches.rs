//! Batches: what each function needs of the stores for them.

use std::time::Duration;

use hearth_domain::{
    BatchDialect, BatchEndpoint, BatchState, FileId, JobId, JobKind, MessageBatchId, Owner, Timestamp,
};
use hearth_store::{
    batches::BatchRecord,
    jobs::{JobRecord, JobWork, NewWork},
};
use hearth_tests::Cloud;
use lambda_emulator::Emulator;
use serde_json::{Value, json};

use crate::{Placeholders, invoke};

const DAY: Duration = Duration::from_secs(86_400);

async fn operator(cloud: &Cloud) -> Owner {
    Owner::of_record(cloud.store().operator().await.unwrap(), None)
}

async fn send(function: &Emulator, values: &Placeholders, sample: &str, path: &str) -> Value {
    let mut event = values.event(sample);
    event["path"] = path.into();
    let answer = invoke(function, &event).await;
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body()));
    answer.json().unwrap()
}

/// Deletes a batch of messages that has ended.
pub(crate) async fn use_batches(cloud: &Cloud, generate: &Emulator, values: &Placeholders) {
    let (dialect, endpoint) = (BatchDialect::Anthropic, BatchEndpoint::Messages);
    let batch = BatchRecord::new(operator(cloud).await, dialect, endpoint, (FileId::new(), 1), DAY);
    let batch = BatchRecord { state: BatchState::Completed, ended_at: Some(Timestamp::now()), ..batch };
    cloud.store().batches().create(&batch).await.unwrap();
    let path = format!("/v1/messages/batches/{}", MessageBatchId::from(batch.id));
    send(generate, values, "delete_v1.messages.batches.id.json", &path).await;
    assert_eq!(cloud.store().batches().get(batch.id).await.unwrap(), None);
}

/// Cancels a batch by its job.
pub(crate) async fn cancel_by_job(cloud: &Cloud, models: &Emulator, values: &Placeholders) {
    let owner = operator(cloud).await;
    let (dialect, endpoint) = (BatchDialect::OpenAi, BatchEndpoint::Responses);
    let batch = BatchRecord::new(owner, dialect, endpoint, (FileId::new(), 1), DAY);
    cloud.store().batches().create(&batch).await.unwrap();
    let now = Timestamp::now();
    let job =
        JobRecord::new_work(JobId::new(), owner, JobKind::Batch, JobWork::new(3, now, now.plus(DAY), DAY));
    let (id, input) = (job.id, json!({"batch": batch.id}));
    cloud
        .store()
        .jobs()
        .submit(NewWork { job, input: &input, options: &Value::Null, dedupe: None })
        .await
        .unwrap();
    send(models, values, "delete_v1.jobs.job.json", &format!("/v1/jobs/{id}")).await;
    let cancelled = cloud.store().batches().get(batch.id).await.unwrap().unwrap().record;
    assert_eq!(cancelled.state, BatchState::Cancelling);
}
