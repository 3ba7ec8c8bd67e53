//! The event source mapping between the queues of jobs and the function `worker`: Lambda's part.

use std::time::Duration;

use aws_emulator::ReceivedMessage;
use lambda_emulator::{Emulator, Failure};
use serde_json::{Value, json};

use crate::Cloud;

/// The queues of the template, the highest priority first.
pub const JOB_QUEUES: [&str; 3] = ["JobsHigh", "JobsNormal", "JobsLow"];
/// The function that carries out jobs.
pub const WORKER: &str = "hearth-fn-worker";
/// `BatchSize` of the template.
const BATCH_SIZE: usize = 5;

impl Cloud {
    /// Invokes the worker with the messages of each queue, until all queues are empty of visible ones; returns the number of messages
    /// that were handled. Messages among the failures stay, and are visible again.
    ///
    /// # Panics
    /// If the worker fails, or its role doesn't allow Lambda what it does.
    pub async fn work(&self, worker: &Emulator) -> usize {
        let mut count = 0;
        loop {
            let before = count;
            for queue in JOB_QUEUES {
                let messages = self.receive_jobs(queue);
                if !messages.is_empty() {
                    let handled = self.deliver(worker, queue, &messages).await;
                    count += handled.unwrap_or_else(|failure| panic!("{failure}"));
                }
            }
            if count == before {
                return count;
            }
        }
    }

    /// Receives a batch of a queue's messages, as Lambda does.
    ///
    /// # Panics
    /// If the worker's role doesn't allow it.
    #[must_use]
    pub fn receive_jobs(&self, queue: &str) -> Vec<ReceivedMessage> {
        let received = self.aws().receive_messages(WORKER, queue, BATCH_SIZE);
        received.unwrap_or_else(|refusal| panic!("{queue}: {refusal}"))
    }

    /// Invokes the worker with messages, and deletes those that it has handled; returns their number. The others are visible again at
    /// once.
    ///
    /// # Errors
    /// The worker's failure: all messages stay invisible.
    ///
    /// # Panics
    /// If the worker's role doesn't allow a message to be deleted.
    pub async fn deliver(
        &self,
        worker: &Emulator,
        queue: &str,
        messages: &[ReceivedMessage],
    ) -> Result<usize, Failure> {
        let answer = worker.answer(&event(queue, messages)).await?;
        let failures = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
        let mut count = 0;
        for message in messages {
            if failures.iter().any(|failure| failure["itemIdentifier"] == message.id.as_str()) {
                self.aws().hide_message(queue, &message.receipt, Duration::ZERO);
                continue;
            }
            let deleted = self.aws().delete_message(WORKER, queue, &message.receipt);
            deleted.unwrap_or_else(|refusal| panic!("{queue}: {refusal}"));
            count += 1;
        }
        Ok(count)
    }
}

/// The event of a batch of messages.
fn event(queue: &str, messages: &[ReceivedMessage]) -> Value {
    let arn = aws_emulator::AwsEmulator::queue_arn(queue);
    let records = messages.iter().map(|message| {
        json!({
            "messageId": message.id, "receiptHandle": message.receipt, "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": message.receives.to_string(), "MessageGroupId": message.group,
            },
            "messageAttributes": {}, "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": "us-east-1",
        })
    });
    json!({"Records": records.collect::<Vec<_>>()})
}
