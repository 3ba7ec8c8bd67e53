//! Requests: a task and the options of its run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{CacheControl, Intent, ModelId, Route, Task, Timestamp};

/// Behaviour of a run when its client disconnects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// The run is stopped.
    #[default]
    Cancel,
    /// The run continues, and its result can be read later.
    Continue,
}

/// Model that serves a run while the requested one is being loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhileLoading {
    /// None; the run waits.
    #[default]
    Wait,
    /// The default model, if it is loaded.
    Default,
}

/// Priority of a run among those that wait for the same node. It rises with the waiting time.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Served after the others.
    Low,
    /// Served by age.
    #[default]
    Normal,
    /// Served before the others.
    High,
}

/// API dialect of a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientDialect {
    /// Hearth's own.
    #[default]
    Native,
    /// OpenAI's chat completions.
    OpenAiChat,
    /// OpenAI's older completions.
    OpenAiCompletions,
    /// OpenAI's responses.
    OpenAiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// OpenAI's embeddings.
    OpenAiEmbeddings,
    /// OpenAI's images.
    OpenAiImages,
    /// Gemini's `generateContent` and `embedContent`.
    Gemini,
    /// Ollama's chat, generate and embed.
    Ollama,
}

/// Parts of a request that the gateway doesn't understand. A provider of the same dialect gets them unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// The request's dialect.
    pub dialect: ClientDialect,
    /// Unknown fields.
    pub fields: Map<String, Value>,
    /// Values of the header `anthropic-beta`.
    pub betas: Vec<String>,
    /// Hosted tools.
    pub hosted: HostedTools,
}

/// Hosted tools, which a provider of the request's dialect runs itself, such as a web search. For other providers
/// they are left out, unless the request needs them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostedTools {
    /// Definitions in the client's dialect.
    pub definitions: Vec<Value>,
    /// Type of a hosted tool that the request needs.
    pub needed: Option<String>,
    /// Tool choice that requires a hosted tool, in the client's dialect.
    pub choice: Option<Value>,
}

impl HostedTools {
    /// Requires a hosted tool. `choice` is the client's tool choice; `kind` is the tool's type, if the choice names
    /// one.
    pub fn need(&mut self, kind: Option<&str>, choice: Value) {
        let first = self.definitions.first().and_then(|definition| definition["type"].as_str());
        self.needed = Some(kind.or(first).unwrap_or_default().to_owned());
        self.choice = Some(choice);
    }
}

impl Extra {
    /// Wraps the unknown fields of a request in this dialect.
    #[must_use]
    pub fn new(dialect: ClientDialect, fields: Map<String, Value>) -> Self {
        Self { dialect, fields, ..Self::default() }
    }
}

/// Request without its dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// Requested model; for `None` and `auto` the gateway chooses.
    pub model: Option<ModelId>,
    /// Task to carry out.
    pub task: Task,
    /// State of the detection of the modality by the prompt's words.
    pub intent: Intent,
    /// Behaviour when the client disconnects.
    pub on_disconnect: OnDisconnect,
    /// Behaviour while the model is being loaded.
    pub while_loading: WhileLoading,
    /// Priority in a node's queue.
    pub priority: Priority,
    /// Constraints on the choice of a model.
    pub route: Route,
    /// Cache control.
    pub cache: CacheControl,
    /// Unknown parts, for a provider of the same dialect.
    pub extra: Extra,
    /// Time at which the gateway ends the run; `None` where its process has no time limit.
    pub deadline: Option<Timestamp>,
}

impl Generation {
    /// Creates a request for `task` with default options.
    pub fn new(model: Option<ModelId>, task: impl Into<Task>) -> Self {
        Self {
            model,
            task: task.into(),
            intent: Intent::default(),
            on_disconnect: OnDisconnect::default(),
            while_loading: WhileLoading::default(),
            priority: Priority::default(),
            route: Route::default(),
            cache: CacheControl::default(),
            extra: Extra::default(),
            deadline: None,
        }
    }
}
