//! Requests: a task and the options of its run.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    AppliedDefinitions, CacheControl, DefinitionOptions, Intent, ModelId, Route, RunId, Task, Timestamp,
};

/// Behaviour of a run when its client disconnects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// The run is stopped.
    #[default]
    Cancel,
    /// The run continues, and its result can be read later.
    Continue,
    /// The run continues for this number of seconds, and is then stopped unless a client follows its events again.
    ContinueFor(u32),
}

impl OnDisconnect {
    /// Longest time of [`OnDisconnect::ContinueFor`], in seconds: a day.
    pub const CONTINUE_FOR_MAX_SECONDS: u32 = 24 * 3600;

    /// True if the run goes on without its client, at least for a while: its result is looked for later.
    #[must_use]
    pub fn outlives_client(self) -> bool {
        self != Self::Cancel
    }

    /// True for the default.
    #[must_use]
    pub fn is_cancel(&self) -> bool {
        *self == Self::Cancel
    }
}

impl<'de> Deserialize<'de> for OnDisconnect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let seconds = |fields: &Map<String, Value>| {
            let seconds = fields.get("continue_for").filter(|_| fields.len() == 1)?;
            seconds.as_u64().map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
        };
        let read = match &value {
            Value::String(name) if name == "cancel" => Some(Self::Cancel),
            Value::String(name) if name == "continue" => Some(Self::Continue),
            Value::Object(fields) => seconds(fields).map(Self::ContinueFor),
            _ => None,
        };
        let message = "expected \"cancel\", \"continue\" or {\"continue_for\": seconds}";
        read.ok_or_else(|| D::Error::custom(message))
    }
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
    /// The first of the request's fallbacks that is ready: a provider's model, or a node's in memory.
    Fallback,
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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

/// Request without its dialect. Stored as JSON where it is to be repeated later, without the fields that are of its own time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Requested model; for `None` and `auto` the gateway chooses.
    #[serde(default)]
    pub model: Option<ModelId>,
    /// Task to carry out.
    pub task: Task,
    /// State of the detection of the modality by the prompt's words.
    #[serde(default)]
    pub intent: Intent,
    /// Behaviour when the client disconnects.
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// Behaviour while the model is being loaded.
    #[serde(default)]
    pub while_loading: WhileLoading,
    /// Priority in a node's queue.
    #[serde(default)]
    pub priority: Priority,
    /// Constraints on the choice of a model.
    #[serde(default)]
    pub route: Route,
    /// Cache control.
    #[serde(default)]
    pub cache: CacheControl,
    /// Unknown parts, for a provider of the same dialect.
    #[serde(default)]
    pub extra: Extra,
    /// Time at which the gateway ends the run; `None` where its process has no time limit.
    #[serde(skip)]
    pub deadline: Option<Timestamp>,
    /// True to store the request with its run; `None` for the operator's setting.
    #[serde(default)]
    pub store: Option<bool>,
    /// Run whose request this one repeats.
    #[serde(skip)]
    pub replay_of: Option<RunId>,
    /// Schema and template that are to be applied to the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definitions: Option<Box<DefinitionOptions>>,
    /// Schema and template that were applied to the task.
    #[serde(skip)]
    pub applied: Option<Box<AppliedDefinitions>>,
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
            store: None,
            replay_of: None,
            definitions: None,
            applied: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn behaviour_on_disconnect_is_read_and_another_one_is_refused_with_the_possible_ones() {
        let read = |value: Value| serde_json::from_value::<OnDisconnect>(value);
        for behaviour in [OnDisconnect::Cancel, OnDisconnect::Continue, OnDisconnect::ContinueFor(60)] {
            assert_eq!(read(json!(behaviour)).unwrap(), behaviour);
        }
        let others = [
            json!("continue_for"),
            json!("stop"),
            json!({}),
            json!({"continue_for": "60"}),
            json!({"continue_for": -1}),
            json!({"continue_for": 60, "cancel": true}),
            json!(60),
            json!(null),
        ];
        for other in others {
            let error = read(other).unwrap_err().to_string();
            assert_eq!(error, r#"expected "cancel", "continue" or {"continue_for": seconds}"#);
        }
    }
}
