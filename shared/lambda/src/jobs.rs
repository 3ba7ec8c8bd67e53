//! Jobs in the cloud: queues of SQS, one for each priority, and the function that gets their messages.
//!
//! A message names a job, which the table has: one that is lost, or that comes twice, does no harm. The queues are fair between
//! organisations, by the message group. Lambda wants the visibility timeout of a queue to be longer than its function's time, so
//! the function itself shortens it for each message, and extends it while it works: the message of a process that has died is
//! visible again after a minute.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_sqs::{Client, error::DisplayErrorContext};
use aws_smithy_http_client::{Builder, tls};
use futures::future::join_all;
use hearth_domain::{JobId, Priority, Timestamp};
use hearth_gateway::{Gateway, JobMessage, JobOutcome, JobQueue, JobQueueError};
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

/// The longest delay of a message of SQS.
const MESSAGE_MAX_DELAY: Duration = Duration::from_secs(15 * 60);
/// Time for which a message is invisible while its job is carried out, unless it is extended.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two extensions.
const VISIBILITY_INTERVAL: Duration = Duration::from_secs(20);
/// Time that a slice leaves for the end of the function: the last writes, and the response.
const FUNCTION_END_GRACE: Duration = Duration::from_secs(20);

/// Addresses of the queues.
#[derive(Debug, Clone)]
pub(crate) struct QueueUrls {
    pub(crate) high: String,
    pub(crate) normal: String,
    pub(crate) low: String,
}

/// The queues of SQS.
#[derive(Debug)]
pub(crate) struct SqsQueues {
    urls: QueueUrls,
    /// Created for the first message: most invocations send none.
    client: OnceCell<Client>,
}

/// The body of a message.
#[derive(Serialize, Deserialize)]
struct Body {
    job: JobId,
}

/// An event of Lambda's with messages of a queue.
#[derive(Debug, Deserialize)]
pub(crate) struct SqsEvent {
    #[serde(rename = "Records")]
    records: Vec<SqsMessage>,
}

/// A message of a queue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsMessage {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(rename = "eventSourceARN", default)]
    queue_arn: String,
}

/// The response: the messages that should come again.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl SqsQueues {
    /// The queues; none without their addresses: the stack has none.
    pub(crate) fn new(urls: QueueUrls) -> Option<Self> {
        (!urls.normal.is_empty()).then(|| Self { urls, client: OnceCell::new() })
    }

    async fn client(&self) -> &Client {
        self.client
            .get_or_init(async || {
                let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
                let http = Builder::new().tls_provider(tls).build_https();
                let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
                Client::new(&Box::pin(config.load()).await)
            })
            .await
    }

    fn url(&self, priority: Priority) -> &str {
        match priority {
            Priority::High => &self.urls.high,
            Priority::Normal => &self.urls.normal,
            Priority::Low => &self.urls.low,
        }
    }

    /// The address of a queue by its ARN, which ends with the queue's name as the address does.
    fn url_of_arn(&self, arn: &str) -> Option<&str> {
        let name = arn.rsplit(':').next().filter(|name| !name.is_empty())?;
        let urls = [&self.urls.high, &self.urls.normal, &self.urls.low];
        urls.into_iter().find(|url| url.rsplit('/').next() == Some(name)).map(String::as_str)
    }

    /// Has a message stay invisible as long as this runs.
    async fn hide(&self, message: &SqsMessage) {
        let Some(url) = self.url_of_arn(&message.queue_arn) else { return std::future::pending().await };
        let seconds = i32::try_from(VISIBILITY_TIMEOUT.as_secs()).unwrap_or(60);
        loop {
            let change = self.client().await.change_message_visibility().queue_url(url);
            let change = change.receipt_handle(&message.receipt_handle).visibility_timeout(seconds);
            if let Err(error) = Box::pin(change.send()).await {
                let error = DisplayErrorContext(&error).to_string();
                tracing::warn!(error, "a message can't be hidden any longer; it may come twice");
            }
            tokio::time::sleep(VISIBILITY_INTERVAL).await;
        }
    }
}

#[async_trait]
impl JobQueue for SqsQueues {
    async fn send(&self, message: JobMessage) -> Result<(), JobQueueError> {
        let failed = |error: String| JobQueueError(error);
        let body =
            serde_json::to_string(&Body { job: message.job }).map_err(|error| failed(error.to_string()))?;
        // Rounded up: a message that comes early is sent again.
        let delay = Timestamp::now().until(message.start_at).min(MESSAGE_MAX_DELAY);
        let delay = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        let request =
            self.client().await.send_message().queue_url(self.url(message.priority)).message_body(body);
        let request = request
            .message_group_id(message.owner.organisation.to_string())
            .delay_seconds(i32::try_from(delay).unwrap_or(0));
        let sent = Box::pin(request.send()).await;
        sent.map(drop).map_err(|error| failed(DisplayErrorContext(&error).to_string()))
    }

    fn delay_max(&self) -> Duration {
        MESSAGE_MAX_DELAY
    }
}

/// Carries out the jobs of an event's messages, all at a time. A message whose job can't be carried out because a store fails is
/// among the failures, and comes again; after five times it is a dead letter of the queue, and the function `sweep` sends another.
pub(crate) async fn answer(
    gateway: &Gateway,
    queues: Option<&SqsQueues>,
    event: LambdaEvent<SqsEvent>,
) -> BatchResponse {
    let until = Timestamp::from_unix_millis(event.context.deadline);
    let left = Timestamp::now().until(until).saturating_sub(FUNCTION_END_GRACE);
    let until = Timestamp::now().plus(left);
    let handled = event.payload.records.iter().map(async |message| {
        let work = carry_out(gateway, message, until);
        let hidden = async {
            match queues {
                Some(queues) => queues.hide(message).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            is_handled = work => is_handled,
            () = hidden => true,
        }
    });
    let handled = join_all(handled).await;
    let failed = event.payload.records.iter().zip(handled).filter(|(_, is_handled)| !is_handled);
    let failures = failed.map(|(message, _)| ItemFailure { item_identifier: message.message_id.clone() });
    BatchResponse { batch_item_failures: failures.collect() }
}

/// Carries out the job of a message. Returns false if the message should come again.
async fn carry_out(gateway: &Gateway, message: &SqsMessage, until: Timestamp) -> bool {
    let Ok(Body { job }) = serde_json::from_str(&message.body) else {
        // Dropped by mistake, it would be lost; as a dead letter it is seen.
        tracing::error!(message = message.message_id, "a message of the queue isn't one of Hearth's");
        return false;
    };
    match gateway.carry_out_job(job, Some(until)).await {
        Ok(JobOutcome::Later(at)) => {
            gateway.queue_job_later(job, at).await;
            true
        }
        Ok(JobOutcome::Done | JobOutcome::Held) => true,
        Err(error) => {
            tracing::warn!(%job, %error, "a job is carried out later");
            false
        }
    }
}
