//! `/v1/models`: one body for the native and the OpenAI format.

mod lifecycle;

use std::collections::HashMap;

use hearth_domain::{
    Capability, Input, Modality, Model, ModelInfo, Price, RuntimeState, Tier, route::provider_and_model,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::{IntoParams, ToSchema};

use super::{hub::ModelCard, registry::ModelRegistration};
use crate::runtime_status::RuntimeStatus;

pub use lifecycle::{LoadedModels, ModelRemoved, ModelStatus, RemovalQuery};

/// Provider of an alias in its entry.
pub const ALIAS: &str = "alias";

/// Model and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelBody {
    /// Id, as written in `model`.
    pub id: String,
    /// Always `model`.
    #[schema(example = "model")]
    pub object: String,
    /// Creation time, in seconds since 1970.
    pub created: i64,
    /// Provider, under the name that OpenAI's clients read.
    pub owned_by: String,
    /// Display name, unique in the list: for a local model its id, for a provider's model its display name and the
    /// provider's.
    pub name: String,
    /// Version; for a local file its quantization.
    pub version: Option<String>,
    /// Modality of the output.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// Further capabilities.
    #[schema(value_type = Vec<String>)]
    pub capabilities: Vec<Capability>,
    /// Provider; `alias` for an alias.
    pub provider: String,
    /// Architecture of the weights.
    pub architecture: Option<String>,
    /// Maximum tokens of prompt and completion together.
    pub context_length: Option<u32>,
    /// Maximum tokens of a completion.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Accepted inputs: `text`, `image`, `mesh`, `audio`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub inputs: Vec<Input>,
    /// `free` or `commercial`.
    #[serde(default)]
    #[schema(value_type = String, example = "commercial")]
    pub tier: Tier,
    /// Price: `input`, `output` and `cached_input` in dollars for a million tokens, `image` in dollars for one image;
    /// null if it isn't known.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"input": 1.25, "output": 10.0}))]
    pub price: Option<Price>,
    /// Availability.
    #[serde(default)]
    pub availability: Availability,
    /// Size of the file in bytes.
    pub size_bytes: Option<u64>,
    /// Id of its node.
    pub node: Option<String>,
    /// State on its node; null while the node can't be reached.
    pub runtime_status: Option<RuntimeStatus>,
    /// Origin of the entry.
    #[serde(default)]
    pub source: ModelOrigin,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Place from which the model was obtained, such as `huggingface:Qwen/Qwen3-0.6B-GGUF`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// Path of the file, if it is on a node of the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Version of the edited schema of its parameters; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// Explicit entry, as it was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Box<ModelRegistration>>,
    /// Card at Hugging Face of a registered model with a `source_url` there; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<ModelCard>>,
}

/// Origin of an entry in the list of models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelOrigin {
    /// A file in the model folder of a node.
    #[default]
    Discovered,
    /// An explicit entry of the organisation.
    Registered,
    /// A provider's list, or the table of models.
    Provider,
    /// An alias of the settings.
    Alias,
}

/// Order of the list of models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ModelSort {
    /// By id; models of nodes before those of providers.
    #[default]
    #[serde(rename = "id")]
    Id,
    /// By display name.
    #[serde(rename = "name")]
    Name,
    /// The oldest first.
    #[serde(rename = "created")]
    Created,
    /// The newest first.
    #[serde(rename = "-created")]
    Newest,
    /// The smallest file first; models without a size count as 0.
    #[serde(rename = "size")]
    Size,
    /// The largest file first.
    #[serde(rename = "-size")]
    Largest,
    /// The shortest context first; an unknown one counts as 0.
    #[serde(rename = "context_length")]
    Context,
    /// The longest context first.
    #[serde(rename = "-context_length")]
    LongestContext,
}

impl ModelBody {
    /// Creates the body of a registry entry and its state.
    #[must_use]
    pub fn new(model: Model, runtime_status: Option<RuntimeStatus>) -> Self {
        let is_well = runtime_status.as_ref().is_some_and(|status| status.state != RuntimeState::Failed);
        let description = model.description;
        Self {
            id: model.id.to_string(),
            object: "model".to_owned(),
            created: model.created_at.unix(),
            owned_by: model.provider.clone(),
            // Copies and quantisations of one model all have the same name in their files.
            name: model.id.to_string(),
            version: description.version,
            modality: description.modality,
            capabilities: description.capabilities,
            provider: model.provider,
            architecture: description.architecture,
            context_length: description.context_length,
            max_output_tokens: None,
            inputs: vec![Input::Text],
            tier: Tier::Free,
            price: Some(Price::free()),
            availability: if is_well { Availability::Available } else { Availability::Unavailable },
            size_bytes: model.size_bytes,
            node: model.node.map(|id| id.to_string()),
            runtime_status,
            source: ModelOrigin::Discovered,
            description: None,
            source_url: None,
            path: None,
            schema_version: None,
            registration: None,
            card: None,
        }
    }

    /// Creates the body of a provider's model. `created`: creation time in seconds since 1970, if the provider lists
    /// it.
    #[must_use]
    pub fn offered(
        provider: &str,
        model: &str,
        facts: ModelInfo,
        availability: Availability,
        created: Option<i64>,
    ) -> Self {
        Self {
            id: format!("{provider}:{model}"),
            object: "model".to_owned(),
            created: created.unwrap_or_default(),
            owned_by: provider.to_owned(),
            name: format!("{} ({provider})", facts.name.as_deref().unwrap_or(model)),
            version: None,
            modality: facts.modality,
            capabilities: facts.capabilities,
            provider: provider.to_owned(),
            architecture: None,
            context_length: facts.context_length,
            max_output_tokens: facts.max_output_tokens,
            inputs: facts.inputs,
            tier: facts.tier,
            price: facts.price,
            availability,
            size_bytes: None,
            node: None,
            runtime_status: None,
            source: ModelOrigin::Provider,
            description: None,
            source_url: None,
            path: None,
            schema_version: None,
            registration: None,
            card: None,
        }
    }
}

impl ModelBody {
    /// Creates the body of an alias, with the capabilities of its target.
    #[must_use]
    pub fn alias(name: &str, target: Option<&Self>) -> Self {
        let target = target
            .cloned()
            .unwrap_or_else(|| Self::offered(ALIAS, name, ModelInfo::default(), Availability::Unknown, None));
        Self {
            id: name.to_owned(),
            owned_by: ALIAS.to_owned(),
            name: name.to_owned(),
            version: None,
            provider: ALIAS.to_owned(),
            source: ModelOrigin::Alias,
            path: None,
            schema_version: None,
            registration: None,
            card: None,
            // They are the target's own.
            size_bytes: None,
            node: None,
            runtime_status: None,
            ..target
        }
    }
}

/// Replaces the display names that models of one provider share by their ids.
pub fn tell_names_apart(models: &mut [ModelBody]) {
    let mut count: HashMap<String, usize> = HashMap::new();
    for model in &*models {
        *count.entry(model.name.clone()).or_default() += 1;
    }
    for model in models {
        if count.get(&model.name).is_some_and(|count| *count > 1) {
            model.name.clone_from(&model.id);
        }
    }
}

/// Availability of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Available.
    Available,
    /// The provider has no credit left.
    OutOfCredit,
    /// The provider limits requests at present.
    RateLimited,
    /// The provider has no key, or an invalid one.
    NoKey,
    /// The node can't be reached, or the model failed recently.
    Unavailable,
    /// Not yet known.
    #[default]
    Unknown,
}

impl Availability {
    /// Returns the name in JSON and queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::OutOfCredit => "out_of_credit",
            Self::RateLimited => "rate_limited",
            Self::NoKey => "no_key",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns the sort key of a model id: models of nodes come before those of providers, whose ids begin with the
/// provider and a colon; then by id.
#[must_use]
pub fn place(id: &str) -> (bool, &str) {
    (provider_and_model(id).is_some(), id)
}

/// Filter of models by `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "status is available, out_of_credit, rate_limited, no_key, unavailable, unknown, unloaded, loading, loaded, busy or failed"
)]
pub enum StatusFilter {
    /// Models with this availability.
    Availability(Availability),
    /// Models in this state on their node.
    Runtime(RuntimeState),
}

impl StatusFilter {
    /// Returns whether a model matches.
    #[must_use]
    pub fn fits(self, model: &ModelBody) -> bool {
        match self {
            Self::Availability(availability) => model.availability == availability,
            // The model of a node that can't be reached counts as unloaded.
            Self::Runtime(RuntimeState::Unloaded) if model.runtime_status.is_none() => model.node.is_some(),
            Self::Runtime(state) => model.runtime_status.as_ref().is_some_and(|status| status.state == state),
        }
    }
}

/// Page of models, in both formats.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// Models, for OpenAI's clients.
    pub data: Vec<ModelBody>,
    /// The same models, for native clients.
    pub models: Vec<ModelBody>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Filter and page of the models.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ModelQuery {
    /// Modality: `text`, `image`, `3d` or `embedding`.
    #[param(inline)]
    pub modality: Option<Modality>,
    /// Provider.
    pub provider: Option<String>,
    /// Availability (`available`, `out_of_credit`, `rate_limited`, `no_key`, `unavailable`, `unknown`), or state on
    /// the node (`unloaded`, `loading`, `loaded`, `busy`, `failed`).
    #[param(value_type = Option<String>)]
    pub status: Option<StatusFilter>,
    /// Text that the id, the name or the description contains; case doesn't matter.
    #[param(max_length = 200)]
    pub search: Option<String>,
    /// Capability: `chat`, `tools`, `vision`, `json_schema` or `reasoning`.
    #[param(value_type = Option<String>)]
    pub capability: Option<Capability>,
    /// Origin: `discovered`, `registered`, `provider` or `alias`.
    #[param(inline)]
    pub source: Option<ModelOrigin>,
    /// Order: `id` (the default), `name`, `created`, `size` or `context_length`; with `-` before it, except before `id` and
    /// `name`, the largest first.
    #[param(inline)]
    pub sort: Option<ModelSort>,
    /// Maximum number of models, 1 to 200; absent: 50.
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Of Anthropic's clients, which have a page of their own.
    #[param(ignore)]
    #[serde(default)]
    pub after_id: Option<IgnoredAny>,
    /// Of Anthropic's clients.
    #[param(ignore)]
    #[serde(default)]
    pub before_id: Option<IgnoredAny>,
    /// Of Anthropic's clients, which send it with requests to beta routes.
    #[param(ignore)]
    #[serde(default)]
    pub beta: Option<IgnoredAny>,
}
