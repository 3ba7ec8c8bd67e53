//! Events that a process has left in the outbox, and a store that fails while a change is written.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_emulator::AwsEmulator;
use aws_sdk_dynamodb::config::{
    ConfigBag, Intercept, RuntimeComponents,
    interceptors::{BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef},
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use hearth_domain::{EventId, EventKind, JobKind, OrganisationId, Run, Timestamp, UserId};
use hearth_gateway::{Caller, Gateway, HttpClients, JobChange, Options, Routing};
use hearth_store::{
    Clients, Names, Store,
    event_outbox::OutboxEntry,
    jobs::JobRecord,
    webhooks::{DeliveryRecord, JOB_WEBHOOK_TTL},
};
use hearth_tests::operators_organisation;
use serde_json::json;
use tempfile::TempDir;

use crate::{create_at, deliveries, gateway, receiver::Receiver, run};

const BUCKET: &str = "hearth-media";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A gateway in this process, over a table whose answers can be lost.
struct World {
    gateway: Gateway,
    store: Store,
    faults: Faults,
    caller: Caller,
    _folder: TempDir,
}

/// Loses answers of the table: the requests are carried out.
#[derive(Debug, Clone, Default)]
struct Faults(Arc<Mutex<Option<Fault>>>);

/// The answers that are lost: those of an operation whose request has a text.
#[derive(Debug, Clone)]
struct Fault {
    operation: &'static str,
    text: String,
}

/// Marks a request whose answer is lost.
#[derive(Debug)]
struct LostAnswer;

impl Storable for LostAnswer {
    type Storer = StoreReplace<Self>;
}

impl Faults {
    fn set(&self, operation: &'static str, text: impl Into<String>) {
        *self.0.lock().unwrap() = Some(Fault { operation, text: text.into() });
    }

    fn clear(&self) {
        *self.0.lock().unwrap() = None;
    }
}

impl Intercept for Faults {
    fn name(&self) -> &'static str {
        "Faults"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        let Some(fault) = self.0.lock().unwrap().clone() else { return Ok(()) };
        let request = context.request();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        if target.ends_with(fault.operation) && body.contains(&fault.text) {
            cfg.interceptor_state().store_put(LostAnswer);
        }
        Ok(())
    }

    fn read_after_transmit(
        &self,
        _: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        match cfg.load::<LostAnswer>() {
            Some(_) => Err("the answer was lost".into()),
            None => Ok(()),
        }
    }
}

impl World {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let aws = AwsEmulator::open(folder.path(), BUCKET).unwrap();
        let store = |dynamodb| {
            let (kms, s3, secrets) = (aws.kms(), aws.s3("http://s3.test"), aws.secrets());
            let names = Names { kms_key: AwsEmulator::kms_key_arn("hearth"), ..Names::at_home() };
            Store::new(Clients { dynamodb, kms, s3, secrets }, names)
        };
        let faults = Faults::default();
        let config = aws.dynamodb().config().to_builder().interceptor(faults.clone()).build();
        let gateway = Gateway::new(
            store(aws_sdk_dynamodb::Client::from_conf(config)),
            HttpClients::new().unwrap(),
            Options::default(),
            Routing::default(),
        );
        let store = store(aws.dynamodb());
        store.migrate().await.unwrap();
        let world = Self { gateway, store, faults, caller: Caller::example(), _folder: folder };
        let subscription = json!({"events": ["job.*"], "url": "https://receiver.example/hook"});
        let subscription = serde_json::from_value(subscription).unwrap();
        world.gateway.webhooks().create(&world.caller, subscription).await.unwrap();
        world
    }

    /// Submits a job that isn't carried out before a number of days.
    async fn submit(&self, days: u32, more: serde_json::Value) -> JobRecord {
        let not_before = Timestamp::now().plus(DAY * days);
        let mut request =
            json!({"kind": "generate", "input": {"input": {"prompt": "Hello"}}, "not_before": not_before});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = serde_json::from_value(request).unwrap();
        let job = self.gateway.submit_job(&self.caller, request, None).await.unwrap();
        self.store.jobs().get(job.id).await.unwrap().unwrap()
    }

    /// The deliveries to the subscription, the newest event first.
    async fn deliveries(&self) -> Vec<DeliveryRecord> {
        let webhook = self.store.webhooks().of(self.caller.organisation).await.unwrap().remove(0);
        let range =
            (EventId::first_of(Timestamp::from_unix(0)), EventId::last_of(Timestamp::now().plus(DAY)));
        self.store.deliveries().page(webhook.id, range, None, 10).await.unwrap().0
    }
}

#[tokio::test]
async fn event_of_an_end_whose_write_has_no_answer_is_sent() {
    let world = World::start().await;
    let job = world.submit(1, json!({})).await;
    world.faults.set("PutItem", format!("JOB#{}", job.id));
    let cancelled = world.gateway.change_job(&world.caller, job.id, JobChange::Cancel).await;
    cancelled.unwrap_err();
    world.faults.clear();
    let stored = world.store.jobs().get(job.id).await.unwrap().unwrap();
    let sent = world.deliveries().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!((sent[0].kind, &sent[0].subject), (EventKind::JobCancelled, &job.id.to_string()));
    assert!(sent[0].payload.contains(&stored.ended_at.unwrap().to_string()), "{}", sent[0].payload);
    assert!(world.store.event_outbox().older_than(Duration::ZERO).await.unwrap().is_empty());
    // A second cancellation finds the end, and announces nothing.
    world.gateway.change_job(&world.caller, job.id, JobChange::Cancel).await.unwrap();
    assert_eq!(world.deliveries().await.len(), 1);
}

#[tokio::test]
async fn delivery_costs_no_attempt_while_the_store_fails() {
    let world = World::start().await;
    let job = world.submit(1, json!({})).await;
    world.gateway.change_job(&world.caller, job.id, JobChange::Cancel).await.unwrap();
    let mut open = world.store.jobs().due(Timestamp::now().plus(DAY));
    let delivery = loop {
        let job = open.next_job().await.unwrap().unwrap();
        if job.kind == JobKind::Delivery {
            break job;
        }
    };
    world.faults.set("GetItem", "HOOKS#");
    world.gateway.carry_out_job(delivery.id, None).await.unwrap();
    let waiting = world.store.jobs().get(delivery.id).await.unwrap().unwrap();
    let work = waiting.work.as_deref().unwrap();
    assert!(waiting.open_attempt().is_some() && work.attempts.len() == 1, "{waiting:?}");
    assert!(work.start_at > Timestamp::now().plus(Duration::from_secs(2)), "{waiting:?}");
}

#[tokio::test]
async fn webhook_of_a_job_outlives_the_job_and_serves_its_retry() {
    let world = World::start().await;
    let webhook = json!({"webhook": {"url": "https://receiver.example/job"}});
    let job = world.submit(29, webhook).await;
    let expiry = async || {
        let (user, organisation) = (world.caller.user, world.caller.organisation);
        let stored = world.store.webhooks().of_jobs(user, organisation).await.unwrap();
        assert_eq!(stored.len(), 1, "{stored:?}");
        stored[0].expires_at.unwrap()
    };
    let work = job.work.as_deref().unwrap();
    let first = expiry().await;
    assert!(first.plus(DAY) > work.expires_at.plus(JOB_WEBHOOK_TTL), "{first} {}", work.expires_at);
    world.gateway.change_job(&world.caller, job.id, JobChange::Cancel).await.unwrap();
    let retried = world.gateway.retry_job(&world.caller, job.id).await.unwrap();
    let retried = world.store.jobs().get(retried.id).await.unwrap().unwrap();
    assert_eq!(retried.work.as_deref().unwrap().webhook, work.webhook);
    // That one ends earlier.
    assert_eq!(expiry().await, first);
}

#[tokio::test]
async fn only_the_stored_end_of_a_run_is_an_event_after_a_kill() {
    let (home, receiver) = (gateway().await, Receiver::start().await);
    let webhook = create_at(&home.client(), &receiver.url).await;
    let run = run(&home.client()).await;
    receiver.wait_for(1).await;
    let (home, (replaced, lost)) = home
        .restart_after(async |store| {
            let organisation = operators_organisation(store).await;
            let record: Run = store.runs().get(run.parse().unwrap()).await.unwrap().unwrap();
            // A process announced the end, and died before it was stored. The next one stored another end, and died too.
            let lost = entry(organisation, record.owner, &run, record.finished_at);
            let earlier = record.finished_at.unwrap().unix_millis() - 1;
            let replaced =
                entry(organisation, record.owner, &run, Some(Timestamp::from_unix_millis(earlier)));
            for entry in [&replaced, &lost] {
                store.event_outbox().put(entry).await.unwrap();
            }
            (replaced.id.to_string(), lost.id.to_string())
        })
        .await;
    assert_eq!(receiver.wait_for(2).await[1].header("webhook-id"), lost);
    let stored = deliveries(&home.client(), &webhook).await;
    assert!(stored.len() == 2 && stored.iter().all(|one| one["event"] != json!(replaced)), "{stored:?}");
    home.stop().await;
}

fn entry(
    organisation: OrganisationId,
    user: UserId,
    run: &str,
    changed_at: Option<Timestamp>,
) -> OutboxEntry {
    OutboxEntry {
        id: EventId::new(),
        kind: EventKind::RunCompleted,
        subject: run.to_owned(),
        organisation,
        user: Some(user),
        data: json!({"id": run}),
        webhook: None,
        is_announced: true,
        changed_at,
    }
}
