//! What a client asks for, and how it wants to be served.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{CacheControl, Intent, ModelId, Route, Task};

/// What happens to a run when its client goes away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// It is stopped.
    #[default]
    Cancel,
    /// It goes on, and its result can be read later.
    Continue,
}

/// Which model serves a run while the one asked for is being loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhileLoading {
    /// None: the run waits.
    #[default]
    Wait,
    /// The default model, if it is loaded.
    Default,
}

/// How soon a run gets its turn among those that wait for the same node. A run that has waited long
/// rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After the others.
    Low,
    /// By age.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// The dialect that a client speaks.
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

/// What a request has beyond what the gateway knows: a provider of the same dialect is given it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// The request's dialect.
    pub dialect: ClientDialect,
    /// Its further fields.
    pub fields: Map<String, Value>,
    /// What its header `anthropic-beta` names.
    pub betas: Vec<String>,
    /// The tools that a provider runs itself.
    pub hosted: HostedTools,
}

/// Tools that a provider of the request's dialect runs itself, such as a web search. Other providers don't have them:
/// there they are left out, unless the request can't be served without.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostedTools {
    /// Their definitions, in the client's words.
    pub definitions: Vec<Value>,
    /// The type of one that the request can't be served without.
    pub needed: Option<String>,
    /// What says that one of them has to be called, in the client's words.
    pub choice: Option<Value>,
}

impl HostedTools {
    /// One of them has to be called, as `choice` says in the client's words; that of the type `kind`, if one is named.
    pub fn need(&mut self, kind: Option<&str>, choice: Value) {
        let first = self.definitions.first().and_then(|definition| definition["type"].as_str());
        self.needed = Some(kind.or(first).unwrap_or_default().to_owned());
        self.choice = Some(choice);
    }
}

impl Extra {
    /// The further fields of a request in this dialect.
    #[must_use]
    pub fn new(dialect: ClientDialect, fields: Map<String, Value>) -> Self {
        Self { dialect, fields, ..Self::default() }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The model asked for; `None` and `auto` leave the choice to the gateway.
    pub model: Option<ModelId>,
    /// What to make.
    pub task: Task,
    /// Whether its prompt may say that something else is to be made.
    pub intent: Intent,
    /// What happens when the client goes away.
    pub on_disconnect: OnDisconnect,
    /// What happens while the model is being loaded.
    pub while_loading: WhileLoading,
    /// How soon it gets its turn.
    pub priority: Priority,
    /// Whom it may be served by.
    pub route: Route,
    /// Whether its answer may come from the cache, and be kept there.
    pub cache: CacheControl,
    /// Its client is given the answer in one piece, and so knows no event's place.
    pub whole: bool,
    /// What the gateway doesn't know.
    pub extra: Extra,
}

impl Generation {
    /// A request for `task` with the usual service.
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
            whole: false,
            extra: Extra::default(),
        }
    }
}
