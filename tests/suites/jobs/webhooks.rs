//! The webhook of one job: it gets the job's end, signed, until it accepts it; and no address of the gateway's own network is called.

use hearth_tests::{Home, WebhookReceiver, WebhookReply, eventually};
use serde_json::{Value, json};

use crate::{get, in_state, job, job_with, submit, vendor::Vendor};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Lets a webhook of the test be named, and tries follow each other quickly.
pub(crate) const SETTINGS: &str = "[webhooks]\nprivate_addresses = true\nretry_seconds = 0\n";

fn job_for(prompt: &str, webhook: &Value) -> Value {
    job_with(prompt, &json!({"max_attempts": 1, "webhook": webhook}))
}

#[tokio::test]
async fn end_of_a_job_is_posted_signed_to_its_webhook_until_it_is_accepted() {
    let (vendor, receiver) = (Vendor::start().await, WebhookReceiver::start().await);
    let home = vendor.home(SETTINGS).await;
    let client = home.client();
    receiver.reply(&[WebhookReply::Status(500), WebhookReply::Status(503)]);
    let webhook = json!({"url": receiver.url, "secret": SECRET, "headers": {"Authorization": "Bearer of-the-receiver"}});
    let id = submit(&client, &job_for("Hello", &webhook)).await;
    let received = receiver.wait_for(3).await;
    let event = received[0].json();
    for one in &received {
        assert!(one.is_signed_by(SECRET), "{one:?}");
        assert!(!one.is_signed_by("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "{one:?}");
        assert_eq!((one.header("webhook-id"), &one.body), (event["id"].as_str().unwrap(), &received[0].body));
        assert_eq!(one.header("content-type"), "application/cloudevents+json");
        assert_eq!(one.header("authorization"), "Bearer of-the-receiver");
    }
    assert_eq!((&event["type"], &event["subject"]), (&json!("job.completed"), &json!(id)), "{event}");
    // Its data is the job, with the result, as its owner reads it.
    let job = in_state(&client, &id, "completed").await;
    assert_eq!(event["data"], job);
    assert_eq!(job["work"]["result"]["output"]["text"], "Hello");
    delivered(&home, 1).await;
    assert_eq!(receiver.received().len(), 3);
    home.stop().await;
}

#[tokio::test]
async fn webhook_of_a_job_gets_the_ends_that_it_names_with_the_messages_of_errors() {
    let (vendor, receiver) = (Vendor::start().await, WebhookReceiver::start().await);
    let home = vendor.home(SETTINGS).await;
    let client = home.client();
    let webhook = json!({"url": receiver.url, "events": ["job.failed", "job.cancelled"]});
    let completed = submit(&client, &job_for("Hello", &webhook)).await;
    in_state(&client, &completed, "completed").await;
    let failed = submit(&client, &job_for("bad", &webhook)).await;
    let event = receiver.wait_for(1).await.remove(0);
    // Without a secret it isn't signed.
    assert_eq!(event.header("webhook-signature"), "");
    let (event, job) = (event.json(), get(&client, &failed).await);
    assert_eq!((&event["type"], &event["data"]), (&json!("job.failed"), &job));
    assert!(job["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{job}");
    let cancelled = submit(&client, &job_for("wait", &webhook)).await;
    client.delete(&format!("/v1/jobs/{cancelled}")).await;
    let event = receiver.wait_for(2).await.remove(1).json();
    assert_eq!((&event["type"], &event["subject"]), (&json!("job.cancelled"), &json!(cancelled)));
    delivered(&home, 2).await;
    assert_eq!(receiver.received().len(), 2);
    home.stop().await;
}

#[tokio::test]
async fn job_whose_webhook_is_at_a_private_address_is_refused() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    for url in [
        "http://203.0.113.7/hook",
        "https://127.0.0.1/",
        "https://10.0.0.1/hook",
        "https://192.168.1.10:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:169.254.169.254]/",
        "https://2852039166/",
        "https://localhost/",
        "https://metadata.google.internal/",
    ] {
        let answer = client.post("/v1/jobs", &job_for("Hello", &json!({"url": url}))).await;
        assert_eq!(answer.error(400, "invalid_request")["param"], "webhook.url", "{url}");
    }
    let named = json!({"url": "https://example.org/hook", "secret": "short"});
    let answer = client.post("/v1/jobs", &job_for("Hello", &named)).await;
    assert_eq!(answer.error(400, "invalid_request")["param"], "webhook.secret");
    assert_eq!(client.get("/v1/jobs").await.json()["jobs"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn private_address_that_the_operator_no_longer_allows_is_not_called() {
    let (vendor, receiver) = (Vendor::start().await, WebhookReceiver::start().await);
    let home = vendor.home(&format!("{SETTINGS}attempts = 1\n")).await;
    let id = submit(&home.client(), &job_for("wait", &json!({"url": receiver.url}))).await;
    vendor.has_received(1).await;
    let settings = home.folder().join("hearth.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("private_addresses = true", "private_addresses = false")).unwrap();
    let home = home.restart().await;
    vendor.open();
    in_state(&home.client(), &id, "completed").await;
    ended(&home, "failed", 1).await;
    assert_eq!(receiver.received().len(), 0);
    // Only the address was refused: the job and its result stay.
    assert_eq!(home.client().get(&format!("/v1/jobs/{id}/result")).await.status, 200);
    // A new one isn't accepted.
    let answer = home.client().post("/v1/jobs", &job_for("Hello", &json!({"url": receiver.url}))).await;
    assert_eq!(answer.error(400, "invalid_request")["param"], "webhook.url");
    home.stop().await;
}

#[tokio::test]
async fn job_without_a_webhook_calls_nothing() {
    let (vendor, receiver) = (Vendor::start().await, WebhookReceiver::start().await);
    let home = vendor.home(SETTINGS).await;
    let client = home.client();
    let without = submit(&client, &job("Hello")).await;
    in_state(&client, &without, "completed").await;
    let with = submit(&client, &job_for("Hello again", &json!({"url": receiver.url}))).await;
    delivered(&home, 1).await;
    let received = receiver.received();
    assert_eq!((received.len(), &received[0].json()["subject"]), (1, &json!(with)));
    home.stop().await;
}

/// Waits until this number of deliveries was accepted.
pub(crate) async fn delivered(home: &Home, count: u64) {
    ended(home, "delivered", count).await;
}

/// Waits until this number of deliveries has ended so. The webhook of a job has no log that its owner reads, so the metrics count.
async fn ended(home: &Home, result: &str, count: u64) {
    let name = "hearth_webhook_deliveries_total{";
    let label = format!("result=\"{result}\"");
    eventually(&format!("{count} deliveries: {result}"), async || {
        let answer = home.client().get("/metrics").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(&label));
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let expected = count as f64;
        (counts.sum::<f64>() >= expected).then_some(())
    })
    .await;
}
