//! Messages of clients over a socket, and of the gateway to them.

use std::fmt;

use hearth_domain::RunId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{error::ErrorBody, runtime_status::RuntimeStatus};

/// Subprotocol that a client asks for beside the one with its token.
pub const SUBPROTOCOL: &str = "hearth.v1";
/// Prefix of the subprotocol by which a browser sends its token, since it can't set headers.
pub const TOKEN_SUBPROTOCOL_PREFIX: &str = "hearth.token.";

/// Subject of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "topic", rename_all = "snake_case")]
pub enum Topic {
    /// The events of a run.
    Run {
        /// The run.
        id: RunId,
    },
    /// The events of a run until its first token: its position in the queue, and the progress of loading.
    Queue {
        /// The run.
        id: RunId,
    },
    /// The states of the models of nodes.
    Models,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { id } => write!(f, "run {id}"),
            Self::Queue { id } => write!(f, "queue {id}"),
            Self::Models => f.write_str("models"),
        }
    }
}

/// Message of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RequestFields")]
pub enum SocketRequest {
    /// Begins to send the messages of a topic.
    Subscribe {
        /// The topic.
        topic: Topic,
        /// Of a run: the seq of the last event that the client has.
        after: u64,
    },
    /// Ends a subscription.
    Unsubscribe {
        /// The topic.
        topic: Topic,
    },
    /// Keeps the socket open. Answered by [`SocketMessage::Heartbeat`].
    Heartbeat,
}

/// The fields of a client's message. An enum with a topic inside couldn't refuse unknown ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFields {
    #[serde(rename = "type")]
    kind: RequestKind,
    topic: Option<TopicKind>,
    id: Option<RunId>,
    after: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequestKind {
    Subscribe,
    Unsubscribe,
    Heartbeat,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TopicKind {
    Run,
    Queue,
    Models,
}

impl TryFrom<RequestFields> for SocketRequest {
    type Error = &'static str;

    fn try_from(fields: RequestFields) -> Result<Self, &'static str> {
        let RequestFields { kind, topic, id, after } = fields;
        let topic = match (topic, id) {
            (Some(TopicKind::Run), Some(id)) => Some(Topic::Run { id }),
            (Some(TopicKind::Queue), Some(id)) => Some(Topic::Queue { id }),
            (Some(TopicKind::Models), None) => Some(Topic::Models),
            (None, None) => None,
            (Some(TopicKind::Run | TopicKind::Queue), None) => {
                return Err("`id` is missing: the id of a run");
            }
            (Some(TopicKind::Models) | None, Some(_)) => {
                return Err("`id` is for the topics `run` and `queue`");
            }
        };
        if after.is_some() && (kind != RequestKind::Subscribe || topic == Some(Topic::Models)) {
            return Err("`after` is for subscriptions to `run` and `queue`");
        }
        match (kind, topic) {
            (RequestKind::Subscribe, Some(topic)) => Ok(Self::Subscribe { topic, after: after.unwrap_or(0) }),
            (RequestKind::Unsubscribe, Some(topic)) => Ok(Self::Unsubscribe { topic }),
            (RequestKind::Heartbeat, None) => Ok(Self::Heartbeat),
            (_, None) => Err("`topic` is missing: `run`, `queue` or `models`"),
            (RequestKind::Heartbeat, Some(_)) => Err("a heartbeat has no topic"),
        }
    }
}

/// Message of the gateway to a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SocketMessage {
    /// A subscription has begun.
    Subscribed {
        /// The topic.
        #[serde(flatten)]
        topic: Topic,
    },
    /// A subscription has ended: the client ended it, or the run has.
    Unsubscribed {
        /// The topic.
        #[serde(flatten)]
        topic: Topic,
    },
    /// An event of a run.
    Event {
        /// The topic.
        #[serde(flatten)]
        topic: Topic,
        /// The event's number: a client that connects again resumes after it.
        seq: u64,
        /// The event, as in `GET /v1/requests/{id}/events`.
        event: Value,
    },
    /// A model of a node, and its state: for each model at first, and then for each that changes.
    Model {
        /// Id of the model.
        model: String,
        /// State on its node; null while the node can't be reached, and of a model that is removed.
        runtime_status: Option<RuntimeStatus>,
    },
    /// An answer to a heartbeat.
    Heartbeat,
    /// A message that wasn't followed, or a subscription that has failed.
    Error {
        /// The error.
        error: ErrorBody,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_its_topic_beside_its_type() {
        let id = RunId::new();
        let text = format!(r#"{{"type": "subscribe", "topic": "run", "id": "{id}", "after": 7}}"#);
        let request: SocketRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(request, SocketRequest::Subscribe { topic: Topic::Run { id }, after: 7 });
        let request: SocketRequest =
            serde_json::from_str(r#"{"type": "unsubscribe", "topic": "models"}"#).unwrap();
        assert_eq!(request, SocketRequest::Unsubscribe { topic: Topic::Models });
        for bad in
            [r#"{"type": "subscribe"}"#, r#"{"type": "subscribe", "topic": "run"}"#, r#"{"type": "x"}"#, "[]"]
        {
            assert!(serde_json::from_str::<SocketRequest>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn message_with_missing_or_unknown_fields_is_refused() {
        for (bad, problem) in [
            (r#"{"type": "x"}"#, "unknown variant `x`"),
            (r#"{"type": "subscribe"}"#, "`topic` is missing"),
            (r#"{"type": "subscribe", "topic": "run"}"#, "`id` is missing"),
            (r#"{"type": "subscribe", "topic": "models", "after": 1}"#, "`after` is for"),
            (r#"{"type": "heartbeat", "topic": "models"}"#, "a heartbeat has no topic"),
            (r#"{"type": "heartbeat", "token": "x"}"#, "unknown field `token`"),
        ] {
            let error = serde_json::from_str::<SocketRequest>(bad).unwrap_err().to_string();
            assert!(error.contains(problem), "{bad}: {error}");
        }
    }

    #[test]
    fn message_has_its_topic_beside_its_type() {
        let message = SocketMessage::Subscribed { topic: Topic::Models };
        assert_eq!(serde_json::to_string(&message).unwrap(), r#"{"type":"subscribed","topic":"models"}"#);
    }
}
