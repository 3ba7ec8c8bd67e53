//! The function `worker` delivers the events of all functions to webhooks.

use hearth_tests::{Client, Cloud, WORKER, WebhookReceiver, WebhookReply};
use lambda_emulator::{ApiGateway, Emulator, Placement};
use serde_json::{Value, json};

use crate::MODEL;

/// Lets receivers and vendors of the test be named, has tries follow each other at once, and sets a mail server that nobody is.
const VARIABLES: [(&str, &str); 8] = [
    ("HEARTH_WEBHOOKS__PRIVATE_ADDRESSES", "true"),
    ("HEARTH_WEBHOOKS__RETRY_SECONDS", "0"),
    ("HEARTH_KEYS__PRIVATE_ADDRESSES", "true"),
    ("HEARTH_CACHE__ENABLED", "true"),
    ("HEARTH_NOTIFICATIONS__SMTP__HOST", "127.0.0.1"),
    ("HEARTH_NOTIFICATIONS__SMTP__PORT", "9"),
    ("HEARTH_NOTIFICATIONS__SMTP__FROM", "hearth@mail.example"),
    ("HEARTH_NOTIFICATIONS__SMTP__ENCRYPTION", "none"),
];

/// A cloud with its API, and a process of the worker.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) client: Client,
    worker: Emulator,
    _api: ApiGateway,
}

impl World {
    pub(crate) async fn start(cloud: Cloud) -> Self {
        let api = cloud.api_with(Placement::Stage("dev".to_owned()), &VARIABLES).await;
        let client = Client::new(&api.url(), Some(&cloud.token));
        let worker = cloud.function_with(WORKER, &VARIABLES).await;
        Self { cloud, client, worker, _api: api }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.client.post(path, body).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        answer.json()
    }

    pub(crate) async fn work(&self) -> usize {
        self.cloud.work(&self.worker).await
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        self.client.get(&format!("/v1/jobs/{id}")).await.json()
    }

    pub(crate) async fn submit(&self, body: &Value) -> String {
        self.post("/v1/jobs", body, 202).await["id"].as_str().unwrap().to_owned()
    }

    /// Submits a job, and has it carried out in one attempt; returns it.
    pub(crate) async fn carry_out(&self, kind: &str, input: Value) -> Value {
        let id = self.submit(&json!({"kind": kind, "input": input, "max_attempts": 1})).await;
        self.work().await;
        self.job(&id).await
    }

    /// The same for a generation that completes.
    pub(crate) async fn generate(&self, input: Value) -> Value {
        let job = self.carry_out("generate", input).await;
        assert_eq!(job["state"], "completed", "{job}");
        job
    }

    /// Creates a webhook; returns it with its secret.
    pub(crate) async fn webhook(&self, body: Value) -> Value {
        self.post("/v1/webhooks", &body, 201).await
    }

    /// Has a test event sent to a webhook.
    pub(crate) async fn test(&self, webhook: &Value) {
        self.post(&format!("/v1/webhooks/{}/test", webhook["id"].as_str().unwrap()), &json!({}), 202).await;
    }
}

/// The input of a short generation, whose answer may be cached.
pub(crate) fn prompt(model: &str, text: &str) -> Value {
    json!({"model": model, "input": {"prompt": text}, "parameters": {"max_tokens": 8, "temperature": 0}})
}

#[tokio::test]
async fn event_of_a_function_is_delivered_by_the_worker_under_its_own_role() {
    let world = World::start(Cloud::start().await).await;
    let receiver = WebhookReceiver::start().await;
    let webhook = world.webhook(json!({"events": ["run.completed"], "url": receiver.url})).await;
    let secret = webhook["secret"].as_str().unwrap();
    receiver.reply(&[WebhookReply::Status(500)]);
    let run = world.post("/v1/generate", &prompt(MODEL, "Hello"), 200).await;
    // The function that answers has stored the delivery, and no more.
    assert_eq!((receiver.received().len(), world.cloud.aws().queue_depth("JobsNormal")), (0, (1, 0)));
    world.work().await;
    let received = receiver.received();
    assert_eq!(received.len(), 2, "{received:?}");
    let event = received[1].json();
    assert_eq!((&event["type"], &event["subject"]), (&json!("run.completed"), &run["request_id"]));
    for one in &received {
        assert!(one.is_signed_by(secret) && one.body == received[0].body, "{one:?}");
        assert_eq!(one.header("webhook-id"), event["id"].as_str().unwrap());
    }
    let path = format!("/v1/webhooks/{}/deliveries", webhook["id"].as_str().unwrap());
    let deliveries = world.client.get(&path).await.json();
    let delivery = &deliveries["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(2)), "{deliveries}");
    // Nothing is left to do.
    assert_eq!((world.work().await, receiver.received().len()), (0, 2));
}

#[tokio::test]
async fn end_of_a_job_is_delivered_to_its_own_webhook_by_the_worker() {
    let world = World::start(Cloud::start().await).await;
    let receiver = WebhookReceiver::start().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let webhook = json!({"url": receiver.url, "secret": secret});
    let job = json!({"kind": "generate", "input": prompt(MODEL, "Hello"), "webhook": webhook});
    let id = world.submit(&job).await;
    world.work().await;
    let received = receiver.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(received[0].is_signed_by(secret), "{received:?}");
    let event = received[0].json();
    assert_eq!((&event["type"], &event["subject"]), (&json!("job.completed"), &json!(id)));
    assert_eq!(event["data"], world.job(&id).await);
    // A cancelled one, whose event the function `models` has published.
    let id = world.submit(&job).await;
    assert_eq!(world.client.delete(&format!("/v1/jobs/{id}")).await.status, 200);
    world.work().await;
    let received = receiver.received();
    let event = received[1].json();
    assert_eq!(received.len(), 2, "{received:?}");
    assert_eq!((&event["type"], &event["subject"]), (&json!("job.cancelled"), &json!(id)));
}
