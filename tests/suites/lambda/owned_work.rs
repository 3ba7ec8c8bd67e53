//! Work of a user in the stores: a definition, a batch with a part, a job with a long input, and the request of a run; its export.

use std::time::Duration;

use hearth_domain::{
    BatchDialect, BatchEndpoint, DefinitionKind, DeliveryState, FileId, Generation, JobId, JobKind, Message,
    OrganisationId, Owner, Role, RunId, Sampling, TextTask, Timestamp, WebhookState, WebhookVisibility,
};
use hearth_store::{
    Store,
    batches::BatchRecord,
    definitions::{DefinitionRecord, DefinitionVersion},
    jobs::{JobRecord, JobWork, NewWork},
};
use hearth_tests::{Cloud, definition_record, first_version};
use lambda_emulator::Emulator;
use serde_json::{Value, json};

use crate::{Placeholders, invoke, webhooks};

const WORK_TTL: Duration = Duration::from_secs(3600);

/// Stores them for an owner; `run` is a run of the owner's, and `text` is in all of them.
pub(crate) async fn plant(store: &Store, owner: Owner, run: RunId, text: &str) {
    let now = Timestamp::now();
    let definition = DefinitionRecord {
        description: Some(text.to_owned()),
        ..definition_record(owner, DefinitionKind::Schema, "receipt")
    };
    let version = DefinitionVersion { message: Some(text.to_owned()), ..first_version(owner) };
    store.definitions().create(&definition, &version, "{}").await.unwrap();

    let mut batch =
        BatchRecord::new(owner, BatchDialect::OpenAi, BatchEndpoint::Messages, (FileId::new(), 7), WORK_TTL);
    batch.output.tail = Some("output-00000-a".to_owned());
    store.batches().put_part(batch.id, "output-00000-a", text.as_bytes().to_vec()).await.unwrap();
    store.batches().create(&batch).await.unwrap();

    // A long input is an object.
    let input = json!({ "prompt": text.repeat(16 << 10) });
    let work = JobWork::new(3, now, now.plus(WORK_TTL), WORK_TTL);
    let job = JobRecord::new_work(JobId::new(), owner, JobKind::Generate, work);
    store
        .jobs()
        .submit(NewWork { job, input: &input, options: &Value::Null, dedupe: Some("planted") })
        .await
        .unwrap();

    let task = TextTask::new(vec![Message::new(Role::User, text)], Sampling::default());
    store.run_requests().put(run, owner, &Generation::new(None, task)).await.unwrap();
}

/// Exports such work of the operator's, with the log of a webhook.
pub(crate) async fn export(cloud: &Cloud, generate: &Emulator, values: &Placeholders) {
    let (store, user) = (cloud.store(), cloud.store().operator().await.unwrap());
    let owner = Owner { user, organisation: OrganisationId::of_operator(user) };
    plant(store, owner, values.run.parse().unwrap(), "exported").await;
    let (own_events, active) = (WebhookVisibility::User, WebhookState::Active);
    let webhook = webhooks::store_webhook(store, owner, own_events, active).await;
    let event = webhooks::store_delivery(store, &webhook, DeliveryState::Delivered).await;
    let export = invoke(generate, &values.event("get_v1.users.me.export.json")).await;
    assert_eq!(export.status, 200);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(export.body().to_vec())).unwrap();
    assert!(zip.by_name("INCOMPLETE.txt").is_err(), "{:?}", read(&mut zip, "INCOMPLETE.txt"));
    let jobs = lines(&read(&mut zip, "jobs.jsonl"));
    let has_input =
        |job: &Value| job["input"]["prompt"].as_str().is_some_and(|prompt| prompt.len() > 100_000);
    assert!(jobs.iter().any(has_input), "no job has its input");
    let deliveries = lines(&read(&mut zip, "deliveries.jsonl"));
    assert!(deliveries.iter().any(|one| one["event"] == event.to_string()), "{deliveries:?}");
    let definitions = lines(&read(&mut zip, "definitions.jsonl"));
    assert!(definitions.iter().any(|one| one["description"] == "exported"), "{definitions:?}");
    let batches = lines(&read(&mut zip, "batches.jsonl"));
    assert!(batches.iter().any(|batch| batch["endpoint"] == "/v1/messages"), "{batches:?}");
}

fn read(zip: &mut zip::ZipArchive<std::io::Cursor<Vec<u8>>>, name: &str) -> String {
    std::io::read_to_string(zip.by_name(name).unwrap()).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
