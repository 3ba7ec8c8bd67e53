//! `/v1/models`: one body for the native and the OpenAI format.

use std::collections::HashMap;

use hearth_domain::{
    Capability, Input, Modality, Model, ModelInfo, Price, RuntimeState, Tier, route::provider_and_model,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::runtime_status::RuntimeStatus;

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
    /// Maximum number of models, 1 to 200; absent: 50.
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Models in memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoadedModels {
    /// Models with their states.
    pub models: Vec<ModelBody>,
}

/// State of a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelStatus {
    /// Id of the model.
    pub model: String,
    /// State on its node; null while the node can't be reached.
    pub runtime_status: Option<RuntimeStatus>,
}

/// Result of removing a model's file.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelRemoved {
    /// Id of the model.
    pub model: String,
    /// Always true.
    #[schema(example = true)]
    pub removed: bool,
    /// Freed bytes on the node's disk.
    pub freed_bytes: u64,
    /// True if it was a link in the model folder; its target remains.
    pub link: bool,
}
