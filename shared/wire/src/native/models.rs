//! `/v1/models`: one body that serves the native and the OpenAI shape.

use std::collections::HashMap;

use hearth_domain::{
    Capability, Facts, Input, Modality, Model, Price, RuntimeState, Tier, route::provider_and_model,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Who serves an alias, in its entry.
pub const ALIAS: &str = "alias";

/// A model and what it is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelBody {
    /// What to write in `model`.
    pub id: String,
    /// Always `model`.
    #[schema(example = "model")]
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Who serves it, under the name that OpenAI's clients read.
    pub owned_by: String,
    /// A name to show, which no other model of the list has: of a local model its id, of a provider's its makers' name
    /// for it with the provider's.
    pub name: String,
    /// Its version; for a local file its quantisation.
    pub version: Option<String>,
    /// What it makes.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// What else it can do.
    #[schema(value_type = Vec<String>)]
    pub capabilities: Vec<Capability>,
    /// Who serves it; `alias` of a name that stands for models.
    pub provider: String,
    /// The architecture of its weights.
    pub architecture: Option<String>,
    /// The tokens that prompt and completion may have together.
    pub context_length: Option<u32>,
    /// The tokens that a completion may have.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// What it takes: `text`, `image`, `mesh`, `audio`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub inputs: Vec<Input>,
    /// `free` or `commercial`.
    #[serde(default)]
    #[schema(value_type = String, example = "commercial")]
    pub tier: Tier,
    /// What it costs: `input`, `output` and `cached_input` in dollars for a million tokens, `image` in dollars for
    /// one; null where that isn't known.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"input": 1.25, "output": 10.0}))]
    pub price: Option<Price>,
    /// Whether it can be had.
    #[serde(default)]
    pub availability: Availability,
    /// The file's size in bytes.
    pub size_bytes: Option<u64>,
    /// The node that has it.
    pub node: Option<String>,
    /// What it is doing; null while its node can't be asked.
    pub runtime_status: Option<RuntimeStatus>,
}

impl ModelBody {
    /// A registry entry with what its node says of it.
    #[must_use]
    pub fn new(model: Model, runtime_status: Option<RuntimeStatus>) -> Self {
        let is_well = runtime_status.as_ref().is_some_and(|status| status.state != RuntimeState::Failed);
        Self {
            id: model.id.to_string(),
            object: "model".to_owned(),
            created: model.created_at.unix(),
            owned_by: model.provider.clone(),
            // Copies and quantisations of one model all have the same name in their files.
            name: model.id.to_string(),
            version: model.version,
            modality: model.modality,
            capabilities: model.capabilities,
            provider: model.provider,
            architecture: model.architecture,
            context_length: model.context_length,
            max_output_tokens: None,
            inputs: vec![Input::Text],
            tier: Tier::Free,
            price: Some(Price::free()),
            availability: if is_well { Availability::Available } else { Availability::Unavailable },
            size_bytes: model.size_bytes,
            node: model.node.map(|id| id.to_string()),
            runtime_status,
        }
    }

    /// A provider's model. `created`: when the provider had it first, in seconds since 1970.
    #[must_use]
    pub fn offered(
        provider: &str,
        model: &str,
        facts: Facts,
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
        }
    }
}

impl ModelBody {
    /// The entry of the alias `name`. What it can do is what the model does that it stands for.
    #[must_use]
    pub fn alias(name: &str, target: Option<&Self>) -> Self {
        let target = target
            .cloned()
            .unwrap_or_else(|| Self::offered(ALIAS, name, Facts::default(), Availability::Unknown, None));
        Self {
            id: name.to_owned(),
            owned_by: ALIAS.to_owned(),
            name: name.to_owned(),
            version: None,
            provider: ALIAS.to_owned(),
            // They are the target's own.
            size_bytes: None,
            node: None,
            runtime_status: None,
            ..target
        }
    }
}

/// Gives models of one provider that share a name their ids as names.
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

/// Whether a model can be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// It can.
    Available,
    /// Its provider's credit is used up.
    OutOfCredit,
    /// Its provider limits requests for a while.
    RateLimited,
    /// Its provider has no key, or one that it doesn't take.
    NoKey,
    /// Its node can't be reached, or it failed lately.
    Unavailable,
    /// Its provider hasn't said.
    #[default]
    Unknown,
}

impl Availability {
    /// The name used in JSON and queries.
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

/// The place in a list of the model of this id: nodes' models come before providers', whose ids name the provider
/// before a colon, and each sort is by id.
#[must_use]
pub fn place(id: &str) -> (bool, &str) {
    (provider_and_model(id).is_some(), id)
}

/// Which models are meant by a `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "status is available, out_of_credit, rate_limited, no_key, unavailable, unknown, unloaded, loading, loaded, busy or failed"
)]
pub enum StatusFilter {
    /// Those that can be had, or can't for this reason.
    Availability(Availability),
    /// Those that are in this state on their node.
    Runtime(RuntimeState),
}

impl StatusFilter {
    /// Whether a model is meant.
    #[must_use]
    pub fn fits(self, model: &ModelBody) -> bool {
        match self {
            Self::Availability(availability) => model.availability == availability,
            // A node's that can't be asked is on disk, for all that is known.
            Self::Runtime(RuntimeState::Unloaded) if model.runtime_status.is_none() => model.node.is_some(),
            Self::Runtime(state) => model.runtime_status.as_ref().is_some_and(|status| status.state == state),
        }
    }
}

/// What a model is doing on its node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeStatus {
    /// `unloaded`, `loading`, `loaded`, `busy` or `failed`.
    #[schema(value_type = String)]
    pub state: RuntimeState,
    /// From 0 to 1 while it loads.
    pub progress: Option<f32>,
    /// Whether it serves requests that name no model.
    pub default: bool,
    /// Requests with a slot.
    pub active: u32,
    /// Requests that wait.
    pub queue_depth: u32,
    /// How many requests it serves at once.
    pub slots: u32,
    /// Its process' resident memory in bytes.
    pub memory_bytes: Option<u64>,
    /// What it is expected to take, in bytes, judged by its file.
    #[serde(default)]
    pub memory_predicted_bytes: Option<u64>,
    /// Its process' id on the node.
    pub pid: Option<u32>,
    /// When it was loaded, ISO 8601.
    pub loaded_at: Option<String>,
    /// When it last finished a request, ISO 8601.
    pub last_used_at: Option<String>,
    /// Why its last load failed.
    pub error: Option<String>,
    /// The backends that compute it, such as `cuda, cpu-haswell`; null while it is not in memory.
    #[serde(default)]
    pub backends: Option<String>,
}

/// A page of models, in both shapes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// The models, where OpenAI's clients look.
    pub data: Vec<ModelBody>,
    /// The same models, where native clients look.
    pub models: Vec<ModelBody>,
    /// Give it as `cursor` to get the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Which models.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ModelQuery {
    /// Only those that make this: `text`, `image`, `3d` or `embedding`.
    #[param(value_type = Option<String>)]
    pub modality: Option<Modality>,
    /// Only those of this provider.
    pub provider: Option<String>,
    /// Only those that can be had (`available`), that can't (`out_of_credit`, `rate_limited`, `no_key`,
    /// `unavailable`), of which that isn't known (`unknown`), or those in this state on their node (`unloaded`,
    /// `loading`, `loaded`, `busy`, `failed`).
    #[param(value_type = Option<String>)]
    pub status: Option<StatusFilter>,
    /// How many at most, 1 to 200; 50 when absent.
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// The models in memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoadedModels {
    /// Each with its runtime status.
    pub models: Vec<ModelBody>,
}

/// A model's runtime status.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelStatus {
    /// The model's id.
    pub model: String,
    /// What it is doing; null while its node can't be asked.
    pub runtime_status: Option<RuntimeStatus>,
}

/// A model's file was removed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelRemoved {
    /// The model's id.
    pub model: String,
    /// Always true.
    #[schema(example = true)]
    pub removed: bool,
    /// What became free on the node's disk, in bytes.
    pub freed_bytes: u64,
    /// Whether it was a link in the model folder, whose file remains elsewhere.
    pub link: bool,
}
