//! What an answer is kept under: a hash of everything that it depends on.
//!
//! Requests that make the same [`Generation`] have the same key, whatever dialect they came in and however their
//! fields were ordered. Texts are taken as they are: another case or another space is another question.

use std::{collections::BTreeMap, fmt, io};

use hearth_domain::{
    ClientDialect, EmbeddingTask, Extra, Generation, ImageTask, MeshTask, Message, ModelId, RawPrompt,
    ReasoningEffort, ResponseFormat, Route, Sampling, SchemaLabel, SelectionMode, Task, TextTask, ToolChoice,
    UserId,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::resolve::AUTO;

/// Goes up when what is kept, or what the key is made of, changes its meaning.
const VERSION: u32 = 1;

/// What an answer is kept under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a request's answer depends on.
#[derive(Serialize)]
struct Asked<'a> {
    version: u32,
    /// What the operator has set up, hashed.
    routing: &'a str,
    /// `None` if users share their answers.
    owner: Option<UserId>,
    model: Option<&'a ModelId>,
    provider: Option<&'a str>,
    mode: SelectionMode,
    fallbacks: Option<&'a [String]>,
    preferred: Option<&'a str>,
    task: AskedTask<'a>,
    /// What is passed on, and to providers of which dialect.
    extra: Option<(ClientDialect, Vec<(&'a str, Canonical<'a>)>)>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    betas: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    hosted: Option<AskedHosted<'a>>,
}

#[derive(Serialize)]
enum AskedTask<'a> {
    Text {
        messages: &'a [Message],
        sampling: &'a Sampling,
        format: AskedFormat<'a>,
        tools: Vec<AskedTool<'a>>,
        #[serde(skip_serializing_if = "SchemaLabel::is_empty")]
        label: &'a SchemaLabel,
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
enum AskedFormat<'a> {
    Text,
    JsonObject,
    JsonSchema(Canonical<'a>),
}

#[derive(Serialize)]
struct AskedTool<'a> {
    name: &'a str,
    description: Option<&'a str>,
    parameters: Canonical<'a>,
    strict: bool,
}

/// The tools that a provider runs itself; which one is needed follows from them.
#[derive(Serialize)]
struct AskedHosted<'a> {
    definitions: Vec<Canonical<'a>>,
    choice: Option<Canonical<'a>>,
}

/// The key of a request of `owner`'s, or, without one, of anybody's. `routing` stands for what the operator has
/// set up. None if it can't be told, which no request is known to bring about.
pub(crate) fn key_of(generation: &Generation, owner: Option<UserId>, routing: &str) -> Option<Key> {
    // Field by field: what a request gets new has to be looked at here.
    let Generation {
        model,
        task,
        route: Route { provider, mode, fallbacks, preferred, resume: _ },
        extra: Extra { dialect, fields, betas, hosted },
        // What the prompt asks for has become the task.
        intent: _,
        // None of these changes what the model says. An answer of a stand-in, or of two models, isn't kept.
        on_disconnect: _,
        while_loading: _,
        priority: _,
        cache: _,
        whole: _,
    } = generation;
    let asked = Asked {
        version: VERSION,
        routing,
        owner,
        model: model.as_ref().filter(|model| model.as_str() != AUTO),
        provider: provider.as_deref(),
        mode: *mode,
        fallbacks: fallbacks.as_deref(),
        preferred: preferred.as_deref(),
        task: task_of(task),
        extra: (!fields.is_empty() || has_words_of_its_dialect(task)).then(|| {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| (name.as_str(), Canonical::new(value))).collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            (*dialect, fields)
        }),
        betas,
        hosted: (!hosted.definitions.is_empty()).then(|| AskedHosted {
            definitions: hosted.definitions.iter().map(Canonical::new).collect(),
            choice: hosted.choice.as_ref().map(Canonical::new),
        }),
    };
    let mut hasher = Hasher(Sha256::new());
    serde_json::to_writer(&mut hasher, &asked).ok()?;
    Some(Key(hasher.0.finalize().into()))
}

/// Whether a task has pieces that mean something in the client's dialect alone.
fn has_words_of_its_dialect(task: &Task) -> bool {
    let Task::Text(task) = task else { return false };
    let in_message = |message: &Message| !message.extra.is_empty() || message.opaque_parts().next().is_some();
    !task.tool_extra.is_empty() || task.messages.iter().any(in_message)
}

/// A short text that stands for settings.
pub(crate) fn digest_of(settings: &impl fmt::Debug) -> String {
    Key(Sha256::digest(format!("{settings:?}")).into()).to_string()
}

fn task_of(task: &Task) -> AskedTask<'_> {
    let task = match task {
        Task::Embedding(task) => return AskedTask::Embedding(task),
        Task::Image(task) => return AskedTask::Image(task),
        Task::Mesh(task) => return AskedTask::Mesh(task),
        Task::Text(task) => task,
    };
    let TextTask {
        messages,
        sampling,
        response_format,
        schema_label,
        tools,
        tool_extra,
        tool_choice,
        parallel_tool_calls,
        choices,
        top_logprobs,
        reasoning,
        template_kwargs,
        raw,
    } = task;
    let mut template_kwargs: Vec<_> =
        template_kwargs.iter().map(|(name, value)| (name.as_str(), Canonical::new(value))).collect();
    template_kwargs.sort_unstable_by_key(|(name, _)| *name);
    let tools = tools.iter().map(|tool| AskedTool {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters: Canonical::new(&tool.parameters),
        strict: tool.strict,
    });
    AskedTask::Text {
        messages,
        sampling,
        format: match response_format {
            ResponseFormat::Text => AskedFormat::Text,
            ResponseFormat::JsonObject => AskedFormat::JsonObject,
            ResponseFormat::JsonSchema(schema) => AskedFormat::JsonSchema(Canonical::new(schema)),
        },
        tools: tools.collect(),
        label: schema_label,
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

/// JSON whose fields are in the order of their names. Those of a schema's `properties` stay as they are: it is
/// the order in which a model writes them.
struct Canonical<'a> {
    value: &'a Value,
    in_order: bool,
}

impl<'a> Canonical<'a> {
    fn new(value: &'a Value) -> Self {
        Self { value, in_order: false }
    }
}

impl Serialize for Canonical<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(map) => {
                let mut fields: Vec<_> = map.iter().collect();
                if !self.in_order {
                    fields.sort_unstable_by_key(|(name, _)| *name);
                }
                serializer.collect_map(fields.into_iter().map(|(name, value)| {
                    (name, Canonical { value, in_order: !self.in_order && name == "properties" })
                }))
            }
            Value::Array(values) => serializer.collect_seq(values.iter().map(Canonical::new)),
            plain => plain.serialize(serializer),
        }
    }
}

/// A hash that is written to.
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
