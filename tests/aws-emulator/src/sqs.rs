//! SQS' JSON protocol, for standard queues with message groups. A queue exists as soon as it is named; its messages are in
//! memory. A message that was received `RECEIVE_MAX_COUNT` times goes to the queue's dead letters.
//!
//! Fair queues: of the visible messages the one is received whose group has the fewest messages in flight, then the oldest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{ACCOUNT, REGION, dynamodb::Answer};

/// Receives of a message, after which it is a dead letter: `maxReceiveCount` of the template.
const RECEIVE_MAX_COUNT: u32 = 5;
/// Visibility timeout of a queue, as in the template.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(960);
/// The longest delay of a message.
const DELAY_MAX_SECONDS: u64 = 900;
/// The longest visibility timeout: 12 hours.
const VISIBILITY_MAX_SECONDS: u64 = 12 * 3600;

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The message's id.
    pub id: String,
    /// The handle of this receive.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// The message group.
    pub group: String,
    /// The number of receives.
    pub receives: u32,
}

/// The queues. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queues(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    queues: HashMap<String, Queue>,
    count: u64,
}

#[derive(Debug, Default)]
struct Queue {
    messages: Vec<Message>,
    dead: Vec<Message>,
}

#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: String,
    group: String,
    visible_at: Instant,
    receives: u32,
    receipt: Option<String>,
}

impl Message {
    fn is_in_flight(&self, now: Instant) -> bool {
        self.receipt.is_some() && self.visible_at > now
    }
}

/// The ARN of a queue, by its name or its address.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", name_of(name))
}

/// The address of a queue at the services' address.
pub(crate) fn url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/{ACCOUNT}/{name}")
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

impl Queues {
    /// Answers `SendMessage`, `ReceiveMessage`, `DeleteMessage`, `ChangeMessageVisibility` and `GetQueueAttributes`.
    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        match self.call(operation, &request) {
            Ok(answer) => (200, answer.to_string().into_bytes()),
            Err(problem) => {
                let kind = format!("com.amazonaws.sqs#{problem}");
                (400, json!({"__type": kind, "message": "refused"}).to_string().into_bytes())
            }
        }
    }

    fn call(&self, operation: &str, request: &Value) -> Result<Value, &'static str> {
        let queue = request["QueueUrl"].as_str().map(name_of).filter(|name| !name.is_empty());
        let queue = queue.ok_or("QueueDoesNotExist")?;
        let receipt = || request["ReceiptHandle"].as_str().ok_or("ReceiptHandleIsInvalid");
        match operation {
            "SendMessage" => {
                let body = request["MessageBody"].as_str().ok_or("MissingParameter")?;
                let group = request["MessageGroupId"].as_str().unwrap_or_default();
                let delay = request["DelaySeconds"].as_u64().unwrap_or(0);
                if delay > DELAY_MAX_SECONDS || body.is_empty() {
                    return Err("InvalidParameterValue");
                }
                Ok(json!({"MessageId": self.send(queue, body, group, Duration::from_secs(delay))}))
            }
            "ReceiveMessage" => {
                let limit = request["MaxNumberOfMessages"].as_u64().unwrap_or(1);
                let received = self.receive(queue, usize::try_from(limit).unwrap_or(1).min(10));
                let messages = received.iter().map(|message| {
                    json!({
                        "MessageId": message.id, "ReceiptHandle": message.receipt, "Body": message.body,
                        "Attributes": {
                            "MessageGroupId": message.group, "ApproximateReceiveCount": message.receives.to_string(),
                        },
                    })
                });
                Ok(json!({"Messages": messages.collect::<Vec<_>>()}))
            }
            "DeleteMessage" => {
                self.delete(queue, receipt()?);
                Ok(json!({}))
            }
            "ChangeMessageVisibility" => {
                let seconds = request["VisibilityTimeout"]
                    .as_u64()
                    .filter(|seconds| *seconds <= VISIBILITY_MAX_SECONDS);
                let timeout = Duration::from_secs(seconds.ok_or("InvalidParameterValue")?);
                self.hide(queue, receipt()?, timeout)?;
                Ok(json!({}))
            }
            "GetQueueAttributes" => {
                let (visible, in_flight) = self.depth(queue);
                Ok(json!({"Attributes": {
                    "ApproximateNumberOfMessages": visible.to_string(),
                    "ApproximateNumberOfMessagesNotVisible": in_flight.to_string(),
                }}))
            }
            _ => Err("UnsupportedOperation"),
        }
    }

    /// Sends a message; returns its id.
    pub(crate) fn send(&self, queue: &str, body: &str, group: &str, delay: Duration) -> String {
        let mut state = self.lock();
        state.count += 1;
        let id = format!("00000000-0000-4000-9000-{:012}", state.count);
        let (body, group, visible_at) = (body.to_owned(), group.to_owned(), Instant::now() + delay);
        let message = Message { id: id.clone(), body, group, visible_at, receives: 0, receipt: None };
        state.queues.entry(queue.to_owned()).or_default().messages.push(message);
        id
    }

    /// Receives up to `limit` messages.
    pub(crate) fn receive(&self, queue: &str, limit: usize) -> Vec<ReceivedMessage> {
        let mut state = self.lock();
        let State { queues, count } = &mut *state;
        let Some(queue) = queues.get_mut(queue) else { return Vec::new() };
        let now = Instant::now();
        let (dead, live) = std::mem::take(&mut queue.messages)
            .into_iter()
            .partition(|message| message.visible_at <= now && message.receives >= RECEIVE_MAX_COUNT);
        queue.messages = live;
        queue.dead.extend::<Vec<_>>(dead);
        let mut received = Vec::new();
        while received.len() < limit {
            let mut in_flight: HashMap<&str, usize> = HashMap::new();
            for message in queue.messages.iter().filter(|message| message.is_in_flight(now)) {
                *in_flight.entry(&message.group).or_default() += 1;
            }
            let visible = queue.messages.iter().enumerate().filter(|(_, message)| message.visible_at <= now);
            // The first of equal ones, which is the oldest.
            let next = visible
                .min_by_key(|(_, message)| in_flight.get(message.group.as_str()).copied().unwrap_or(0));
            let Some(index) = next.map(|(index, _)| index) else { break };
            let message = &mut queue.messages[index];
            *count += 1;
            message.visible_at = now + VISIBILITY_TIMEOUT;
            message.receives += 1;
            let receipt = format!("receipt-{count}");
            message.receipt = Some(receipt.clone());
            received.push(ReceivedMessage {
                id: message.id.clone(),
                receipt,
                body: message.body.clone(),
                group: message.group.clone(),
                receives: message.receives,
            });
        }
        received
    }

    /// Deletes a message that was received. A receipt that was followed by another one deletes nothing.
    pub(crate) fn delete(&self, queue: &str, receipt: &str) {
        if let Some(queue) = self.lock().queues.get_mut(queue) {
            queue.messages.retain(|message| message.receipt.as_deref() != Some(receipt));
        }
    }

    /// Makes a message that was received visible after `timeout`.
    pub(crate) fn hide(&self, queue: &str, receipt: &str, timeout: Duration) -> Result<(), &'static str> {
        let mut state = self.lock();
        let queue = state.queues.get_mut(queue).ok_or("QueueDoesNotExist")?;
        let message = queue.messages.iter_mut().find(|message| message.receipt.as_deref() == Some(receipt));
        message.ok_or("MessageNotInflight")?.visible_at = Instant::now() + timeout;
        Ok(())
    }

    /// The number of messages that are visible or delayed, and of those in flight.
    pub(crate) fn depth(&self, queue: &str) -> (usize, usize) {
        let (state, now) = (self.lock(), Instant::now());
        let Some(queue) = state.queues.get(queue) else { return (0, 0) };
        let in_flight = queue.messages.iter().filter(|message| message.is_in_flight(now)).count();
        (queue.messages.len() - in_flight, in_flight)
    }

    /// The bodies of a queue's dead letters.
    pub(crate) fn dead(&self, queue: &str) -> Vec<String> {
        let state = self.lock();
        let dead = state.queues.get(queue).map(|queue| &queue.dead);
        dead.into_iter().flatten().map(|message| message.body.clone()).collect()
    }

    /// Loses every message of a queue.
    pub(crate) fn clear(&self, queue: &str) {
        if let Some(queue) = self.lock().queues.get_mut(queue) {
            queue.messages.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(queues: &Queues, body: &str, group: &str) {
        queues.send("q", body, group, Duration::ZERO);
    }

    fn bodies(queues: &Queues, limit: usize) -> Vec<String> {
        queues.receive("q", limit).into_iter().map(|message| message.body).collect()
    }

    #[test]
    fn group_with_many_messages_does_not_hold_up_another_one() {
        let queues = Queues::default();
        for body in ["a1", "a2", "a3"] {
            send(&queues, body, "a");
        }
        send(&queues, "b1", "b");
        assert_eq!(bodies(&queues, 2), ["a1", "b1"]);
        assert_eq!(bodies(&queues, 10), ["a2", "a3"]);
        assert_eq!(queues.depth("q"), (0, 4));
    }

    #[test]
    fn message_comes_again_until_it_is_deleted_or_a_dead_letter() {
        let queues = Queues::default();
        send(&queues, "x", "a");
        for receives in 1..=RECEIVE_MAX_COUNT {
            let received = queues.receive("q", 1);
            assert_eq!(received[0].receives, receives);
            assert!(queues.receive("q", 1).is_empty());
            queues.hide("q", &received[0].receipt, Duration::ZERO).unwrap();
        }
        assert!(queues.receive("q", 1).is_empty());
        assert_eq!(queues.dead("q"), ["x"]);
        send(&queues, "y", "a");
        let receipt = queues.receive("q", 1).remove(0).receipt;
        queues.delete("q", &receipt);
        assert_eq!(
            (queues.depth("q"), queues.hide("q", &receipt, Duration::ZERO)),
            ((0, 0), Err("MessageNotInflight"))
        );
    }

    #[test]
    fn requests_of_the_json_protocol_are_answered() {
        let queues = Queues::default();
        let url = url("http://127.0.0.1:1", "q");
        let ask = |operation: &str, mut request: Value| {
            request["QueueUrl"] = url.clone().into();
            let (status, body) = queues.answer(operation, request.to_string().as_bytes());
            (status, serde_json::from_slice::<Value>(&body).unwrap())
        };
        let late = json!({"MessageBody": "x", "DelaySeconds": 901});
        assert_eq!(ask("SendMessage", late).1["__type"], "com.amazonaws.sqs#InvalidParameterValue");
        assert_eq!(ask("SendMessage", json!({"MessageBody": "x", "MessageGroupId": "g"})).0, 200);
        let received = ask("ReceiveMessage", json!({"MaxNumberOfMessages": 10})).1;
        let message = &received["Messages"][0];
        assert_eq!((&message["Body"], &message["Attributes"]["MessageGroupId"]), (&json!("x"), &json!("g")));
        let receipt = &message["ReceiptHandle"];
        let change = json!({"ReceiptHandle": receipt, "VisibilityTimeout": 60});
        assert_eq!(ask("ChangeMessageVisibility", change).0, 200);
        assert_eq!(ask("DeleteMessage", json!({"ReceiptHandle": receipt})).0, 200);
        let attributes = ask("GetQueueAttributes", json!({})).1;
        assert_eq!(attributes["Attributes"]["ApproximateNumberOfMessages"], "0");
        assert_eq!(arn(&url), "arn:aws:sqs:us-east-1:123456789012:q");
    }
}
