//! Settings of a provider's model.

use hearth_domain::{Capability, Input, Modality, Price, Tier};
use serde::{Deserialize, Serialize};

/// A table `models."PROVIDER:MODEL"` of the settings: facts that replace those of the catalog. The crate
/// `hearth-providers` checks it, since it has the catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelOverride {
    /// Another vendor's model of the catalog that has the same facts, as `KIND:MODEL`: for a deployment with a name of
    /// its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// The maker's name for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Modality of its answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// Inputs that it accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<Input>>,
    /// Further capabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Capability>>,
    /// Tokens of prompt and completion together, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// Tokens of a completion, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// The price, in place of the catalog's whole price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Free, or paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The temperature of texts whose requests set none, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// The length in tokens of texts whose requests set none, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Instructions for conversations that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
}
