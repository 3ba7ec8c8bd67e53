//! Subscriptions of a client's socket. Each subscription has a task, which waits while the client reads slowly.

use std::{collections::HashMap, time::Duration};

use futures::StreamExt as _;
use hearth_domain::{Action, RunId, RuntimeState};
use hearth_gateway::{Caller, Gateway, sockets::SocketId};
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    json_body::parse_message,
    native::{
        models::ModelQuery,
        render::Renderer,
        sockets::{SocketMessage, SocketRequest, Topic},
    },
    runtime_status::RuntimeStatus,
    stream::Render as _,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::error_message::error_message;

/// Limit of the number of subscriptions of a socket.
const SUBSCRIPTION_MAX_COUNT: usize = 32;
/// Messages of all subscriptions of a socket that wait to be sent.
const QUEUE_MAX_COUNT: usize = 16;
/// Interval at which the states of the models are compared.
const MODELS_INTERVAL: Duration = Duration::from_secs(1);

/// The subscriptions of a socket.
pub(crate) struct Subscriptions {
    feed: Feed,
    tasks: HashMap<Topic, AbortOnDropHandle<()>>,
    messages: mpsc::Receiver<String>,
}

/// Source and destination of a subscription's task.
#[derive(Clone)]
struct Feed {
    gateway: Gateway,
    caller: Caller,
    socket: SocketId,
    sender: mpsc::Sender<String>,
}

impl Subscriptions {
    pub(crate) fn new(gateway: Gateway, caller: Caller, socket: &SocketId) -> Self {
        let (sender, messages) = mpsc::channel(QUEUE_MAX_COUNT);
        let feed = Feed { gateway, caller, socket: socket.clone(), sender };
        Self { feed, tasks: HashMap::new(), messages }
    }

    /// The next message to send.
    pub(crate) async fn next(&mut self) -> String {
        match self.messages.recv().await {
            Some(message) => message,
            // The feed has a sender.
            None => std::future::pending().await,
        }
    }

    /// Handles a message of the client; returns the reply, unless the subscription's task sends it.
    pub(crate) fn handle(&mut self, text: &str) -> Option<String> {
        let request: SocketRequest = match parse_message(text) {
            Ok(request) => request,
            Err(error) => {
                let message =
                    format!("the message can't be read: {error}; docs/sockets.md lists the messages");
                return Some(self.refuse(ErrorCode::InvalidRequest, &message));
            }
        };
        match request {
            SocketRequest::Heartbeat => to_text(&SocketMessage::Heartbeat),
            SocketRequest::Unsubscribe { topic } => {
                self.tasks.remove(&topic);
                to_text(&SocketMessage::Unsubscribed { topic })
            }
            SocketRequest::Subscribe { topic, after } => {
                self.tasks.retain(|_, task| !task.is_finished());
                if self.tasks.len() >= SUBSCRIPTION_MAX_COUNT && !self.tasks.contains_key(&topic) {
                    let message = format!(
                        "a socket has {SUBSCRIPTION_MAX_COUNT} subscriptions at most; unsubscribe from others"
                    );
                    return Some(self.refuse(ErrorCode::QueueFull, &message));
                }
                let feed = self.feed.clone();
                let task = tokio::spawn(async move { feed.run(topic, after).await });
                // An earlier subscription to the same topic ends.
                self.tasks.insert(topic, AbortOnDropHandle::new(task));
                None
            }
        }
    }

    fn refuse(&self, code: ErrorCode, message: &str) -> String {
        error_message(&ApiError::new(code, message), &self.feed.socket)
    }
}

impl Feed {
    /// Sends what the topic has until it ends.
    async fn run(self, topic: Topic, after: u64) {
        let ended = match topic {
            Topic::Run { id } => self.follow(topic, id, after).await,
            Topic::Queue { id } => self.follow(topic, id, after).await,
            Topic::Models => self.watch_models().await,
        };
        if let Err(error) = ended {
            let error = error.with("topic", topic.to_string());
            let _ = self.sender.send(error_message(&error, &self.socket)).await;
        }
        self.send(&SocketMessage::Unsubscribed { topic }).await;
    }

    /// Sends the events of a run behind `after`.
    async fn follow(&self, topic: Topic, id: RunId, after: u64) -> Result<(), ApiError> {
        self.caller.require(Action::Generate)?;
        let mut events = Box::pin(self.gateway.events(&self.caller, id, None).await?);
        self.send(&SocketMessage::Subscribed { topic }).await;
        let mut renderer = Renderer::new(id);
        while let Some(event) = events.next().await {
            // Earlier events are rendered too: the last one has the whole text.
            let (frames, is_last) = (renderer.frames(&event), event.body.is_terminal());
            let is_wanted = match topic {
                Topic::Queue { .. } => is_before_answer(&event.body) || is_last,
                _ => true,
            };
            if is_wanted && (event.seq > after || is_last) {
                for frame in frames {
                    let seq = event.seq;
                    let event = serde_json::from_str(&frame.data).unwrap_or_default();
                    self.send(&SocketMessage::Event { topic, seq, event }).await;
                }
            }
        }
        Ok(())
    }

    /// Sends the states of the caller's local models, and their changes.
    async fn watch_models(&self) -> Result<(), ApiError> {
        self.caller.require(Action::ReadModels)?;
        let query = ModelQuery { provider: Some("local".to_owned()), ..ModelQuery::default() };
        let mut states: HashMap<String, Option<ShownState>> = HashMap::new();
        self.send(&SocketMessage::Subscribed { topic: Topic::Models }).await;
        loop {
            let models = self.gateway.every_model(&self.caller, &query).await?;
            let mut removed: Vec<String> = states.keys().cloned().collect();
            for model in models {
                removed.retain(|id| *id != model.id);
                let state = model.runtime_status.as_ref().map(ShownState::of);
                if states.get(&model.id) != Some(&state) {
                    states.insert(model.id.clone(), state);
                    let (model, runtime_status) = (model.id, model.runtime_status);
                    self.send(&SocketMessage::Model { model, runtime_status }).await;
                }
            }
            for model in removed {
                if states.insert(model.clone(), None) != Some(None) {
                    self.send(&SocketMessage::Model { model, runtime_status: None }).await;
                }
            }
            tokio::time::sleep(MODELS_INTERVAL).await;
        }
    }

    async fn send(&self, message: &SocketMessage) {
        if let Some(text) = to_text(message) {
            // The socket is closed if nobody receives it, and this task ends with it.
            let _ = self.sender.send(text).await;
        }
    }
}

/// The parts of a model's state whose changes are sent: its memory changes all the time.
#[derive(Debug, Clone, PartialEq)]
struct ShownState {
    state: RuntimeState,
    progress: Option<f32>,
    active: u32,
    queue_depth: u32,
    error: Option<String>,
}

impl ShownState {
    fn of(status: &RuntimeStatus) -> Self {
        let RuntimeStatus { state, progress, active, queue_depth, error, .. } = status;
        Self {
            state: *state,
            progress: *progress,
            active: *active,
            queue_depth: *queue_depth,
            error: error.clone(),
        }
    }
}

fn is_before_answer(event: &RunEventBody) -> bool {
    matches!(
        event,
        RunEventBody::Selected(_)
            | RunEventBody::Queued { .. }
            | RunEventBody::Loading { .. }
            | RunEventBody::Started { .. }
    )
}

fn to_text(message: &SocketMessage) -> Option<String> {
    serde_json::to_string(message).ok()
}
