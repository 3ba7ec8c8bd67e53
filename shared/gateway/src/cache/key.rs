//! Cache keys: hashes of everything that an answer depends on.
//!
//! Requests that make the same [`Generation`] have the same cache key, whatever their dialect and the order of their fields.
//! Texts are compared as they are: another case or another space makes another key.

use std::{collections::BTreeMap, fmt, io};

use hearth_domain::{
    ClientDialect, CredentialId, EmbeddingTask, Extra, Generation, ImageTask, MeshTask, Message, ModelId,
    ModelLimits, OrganisationId, Rate, RawPrompt, ReasoningEffort, ResponseFormat, Route, Sampling,
    SchemaLabel, SelectionMode, StructuredOptions, Task, TextTask, ToolChoice, UserId,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::settings::AUTO;

/// Version of stored answers and of cache keys. It goes up when the meaning of either changes.
const VERSION: u32 = 3;

/// The cache key of a request, under which its answer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hearth_domain::hex(self.0))
    }
}

/// The parts of a request that its answer depends on.
#[derive(Serialize)]
struct KeyParts<'a> {
    version: u32,
    /// Digest of the settings of routing.
    routing: &'a str,
    organisation: OrganisationId,
    /// `None` if the organisation's members share their answers.
    user: Option<UserId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    own_keys: &'a [CredentialId],
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<&'a ModelLimits>,
    model: Option<&'a ModelId>,
    provider: Option<&'a str>,
    mode: SelectionMode,
    fallbacks: Option<&'a [String]>,
    preferred: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_price: Option<Rate>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prefers_home: bool,
    task: KeyTask<'a>,
    /// Fields that are passed on, and the dialect of the providers that get them.
    extra: Option<(ClientDialect, Vec<(&'a str, Canonical<'a>)>)>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    betas: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    hosted: Option<KeyHosted<'a>>,
}

#[derive(Serialize)]
enum KeyTask<'a> {
    Text {
        messages: &'a [Message],
        sampling: &'a Sampling,
        format: KeyFormat<'a>,
        tools: Vec<KeyTool<'a>>,
        #[serde(skip_serializing_if = "SchemaLabel::is_empty")]
        label: &'a SchemaLabel,
        /// The way its answers are validated, if they have a schema.
        #[serde(skip_serializing_if = "Option::is_none")]
        structured: Option<&'a StructuredOptions>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        tool_extra: &'a BTreeMap<String, Map<String, Value>>,
        tool_choice: &'a ToolChoice,
        parallel_tool_calls: bool,
        choices: u32,
        top_logprobs: Option<u32>,
        reasoning: Option<ReasoningEffort>,
        template_kwargs: Vec<(&'a str, Canonical<'a>)>,
        #[serde(skip_serializing_if = "Option::is_none")]
        raw: Option<&'a RawPrompt>,
    },
    Embedding(&'a EmbeddingTask),
    Image(&'a ImageTask),
    Mesh(&'a MeshTask),
}

#[derive(Serialize)]
enum KeyFormat<'a> {
    Text,
    JsonObject,
    JsonSchema(Canonical<'a>),
}

#[derive(Serialize)]
struct KeyTool<'a> {
    name: &'a str,
    description: Option<&'a str>,
    parameters: Canonical<'a>,
    strict: bool,
}

/// The tools that a provider runs itself. The one that is needed follows from them.
#[derive(Serialize)]
struct KeyHosted<'a> {
    definitions: Vec<Canonical<'a>>,
    choice: Option<Canonical<'a>>,
}

/// The callers who share their answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyCallers<'a> {
    pub(crate) organisation: OrganisationId,
    /// `None` if the organisation's members share their answers.
    pub(crate) user: Option<UserId>,
    /// The ids of the secrets that answer in the place of the operator's: other keys may be of other servers.
    pub(crate) own_keys: &'a [CredentialId],
    /// The models that the credential may use: with others another model may answer.
    pub(crate) models: Option<&'a ModelLimits>,
}

/// The cache key of a request. `routing`: the digest of the settings of routing. None if the request can't be serialized, which
/// no request is known to cause.
pub(crate) fn cache_key_of(
    generation: &Generation,
    callers: KeyCallers<'_>,
    routing: &str,
) -> Option<CacheKey> {
    let KeyCallers { organisation, user, own_keys, models } = callers;
    // Destructured, so that a new field of a request doesn't compile before it is considered here.
    let Generation {
        model,
        task,
        route: Route { provider, mode, fallbacks, preferred, max_price, home, resume: _ },
        extra: Extra { dialect, fields, betas, hosted },
        // An inferred intent has become the task.
        intent: _,
        // None of these changes the answer. An answer of a fallback, or of two models, isn't stored.
        on_disconnect: _,
        while_loading: _,
        priority: _,
        cache: _,
        deadline: _,
        store: _,
        replay_of: _,
        // What they say is in the task.
        definitions: _,
        applied: _,
    } = generation;
    let parts = KeyParts {
        version: VERSION,
        routing,
        organisation,
        user,
        own_keys,
        models,
        model: model.as_ref().filter(|model| model.as_str() != AUTO),
        provider: provider.as_deref(),
        mode: *mode,
        fallbacks: fallbacks.as_deref(),
        preferred: preferred.as_deref(),
        max_price: *max_price,
        prefers_home: home.is_some(),
        task: task_of(task),
        extra: (!fields.is_empty() || has_parts_of_its_dialect(task)).then(|| {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| (name.as_str(), Canonical::new(value))).collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            (*dialect, fields)
        }),
        betas,
        hosted: (!hosted.definitions.is_empty()).then(|| KeyHosted {
            definitions: hosted.definitions.iter().map(Canonical::new).collect(),
            choice: hosted.choice.as_ref().map(Canonical::new),
        }),
    };
    let mut hasher = Hasher(Sha256::new());
    serde_json::to_writer(&mut hasher, &parts).ok()?;
    Some(CacheKey(hasher.0.finalize().into()))
}

/// True if a task has parts that have a meaning in the client's dialect only.
fn has_parts_of_its_dialect(task: &Task) -> bool {
    let Task::Text(task) = task else { return false };
    let in_message = |message: &Message| !message.extra.is_empty() || message.opaque_parts().next().is_some();
    !task.tool_extra.is_empty() || task.messages.iter().any(in_message)
}

fn task_of(task: &Task) -> KeyTask<'_> {
    let task = match task {
        Task::Embedding(task) => return KeyTask::Embedding(task),
        Task::Image(task) => return KeyTask::Image(task),
        Task::Mesh(task) => return KeyTask::Mesh(task),
        Task::Text(task) => task,
    };
    let TextTask {
        messages,
        sampling,
        response_format,
        schema_label,
        structured,
        tools,
        tool_extra,
        tool_choice,
        parallel_tool_calls,
        choices,
        top_logprobs,
        // The key of an answer with log-probabilities is that of a request for them: the model decides.
        logprobs_if_available: _,
        reasoning,
        template_kwargs,
        raw,
    } = task;
    let mut template_kwargs: Vec<_> =
        template_kwargs.iter().map(|(name, value)| (name.as_str(), Canonical::new(value))).collect();
    template_kwargs.sort_unstable_by_key(|(name, _)| *name);
    let tools = tools.iter().map(|tool| KeyTool {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters: Canonical::new(&tool.parameters),
        strict: tool.strict,
    });
    KeyTask::Text {
        messages,
        sampling,
        format: match response_format {
            ResponseFormat::Text => KeyFormat::Text,
            ResponseFormat::JsonObject => KeyFormat::JsonObject,
            ResponseFormat::JsonSchema(schema) => KeyFormat::JsonSchema(Canonical::new(schema)),
        },
        tools: tools.collect(),
        label: schema_label,
        structured: Some(structured).filter(|options| response_format.has_schema() && !options.is_default()),
        tool_extra,
        tool_choice,
        parallel_tool_calls: *parallel_tool_calls,
        choices: *choices,
        top_logprobs: *top_logprobs,
        reasoning: *reasoning,
        template_kwargs,
        raw: raw.as_ref(),
    }
}

/// JSON with its fields sorted by name. Those of a schema's `properties` keep their order: it is the order in which a model
/// writes them.
struct Canonical<'a> {
    value: &'a Value,
    keeps_order: bool,
}

impl<'a> Canonical<'a> {
    fn new(value: &'a Value) -> Self {
        Self { value, keeps_order: false }
    }
}

impl Serialize for Canonical<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(map) => {
                let mut fields: Vec<_> = map.iter().collect();
                if !self.keeps_order {
                    fields.sort_unstable_by_key(|(name, _)| *name);
                }
                serializer.collect_map(fields.into_iter().map(|(name, value)| {
                    (name, Canonical { value, keeps_order: !self.keeps_order && name == "properties" })
                }))
            }
            Value::Array(values) => serializer.collect_seq(values.iter().map(Canonical::new)),
            plain => plain.serialize(serializer),
        }
    }
}

/// Writes into a hash.
struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
