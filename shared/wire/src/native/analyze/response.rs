//! Response of an analysis.

use hearth_domain::StructuredHow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::DataFormat;
use crate::{
    native::generate::{CostBody, UsageBody},
    structured::ViolationBody,
};

/// Data of an analysis, with its validation, confidence and cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnalyzeResponse {
    /// Id of the request, and of its run. The runs of further samples have ids of their own.
    pub request_id: String,
    /// `analysis`.
    pub object: String,
    /// Data: any JSON, or a text of the requested format. Null if the validation is bypassed and the answer isn't JSON.
    pub data: Value,
    /// Format of `data`.
    pub format: DataFormat,
    /// The answer as the model wrote it, if the validation is bypassed and it isn't JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Schema that the data has.
    pub schema: SchemaUsed,
    /// Template that wrote the messages, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateUsed>,
    /// Result of the validation. An answer that fails is an error, `invalid_answer`, unless the validation is bypassed.
    pub validation_status: ValidationStatus,
    /// Places that don't fit the schema, if the status isn't `passed`.
    pub validation_errors: Vec<ViolationBody>,
    /// Confidence, 0 to 1.
    #[schema(example = 0.93)]
    pub confidence: f64,
    /// Parts of the confidence.
    pub confidence_parts: ConfidenceBody,
    /// True if the confidence is below the threshold.
    pub low_confidence: bool,
    /// Means of enforcing the schema: `grammar` of a node, `strict` outputs of a provider, a `tool` that the model had to call, or
    /// `asked`. Null if it isn't known.
    #[schema(value_type = Option<String>, example = "grammar")]
    pub how: Option<StructuredHow>,
    /// True if the model's text was not JSON, and was repaired.
    pub repaired: bool,
    /// Number of answers that were generated until this one.
    pub attempts: u32,
    /// Provider.
    #[schema(example = "local")]
    pub provider: String,
    /// Model.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// Tokens used, of all samples.
    pub usage: UsageBody,
    /// Cost of all samples; null if it isn't known.
    pub cost: Option<CostBody>,
    /// True if the answer, and each sample, comes from the cache.
    pub cached: bool,
    /// Milliseconds from the request to this response.
    pub time_ms: u64,
    /// Patterns of attacks in the text. They are reported, and refused only if the operator says so.
    pub suspicious: Vec<SuspicionBody>,
    /// Languages of the text and of the data.
    pub language: LanguageBody,
}

/// Result of an answer's validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValidationStatus {
    /// The answer fits the schema.
    Passed,
    /// It fits the relaxed schema only, which the request allows.
    Relaxed,
    /// It doesn't fit.
    Failed,
    /// It was not validated, since the request bypasses the validation.
    Bypassed,
}

impl ValidationStatus {
    /// Returns the status as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Relaxed => "relaxed",
            Self::Failed => "failed",
            Self::Bypassed => "bypassed",
        }
    }
}

/// Schema of an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchemaUsed {
    /// `default`, `inline` or `stored`.
    #[schema(example = "default")]
    pub source: String,
    /// Id of a stored schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Template of an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplateUsed {
    /// Id.
    pub id: String,
    /// Version.
    pub version: String,
}

/// Parts of a confidence, which is their mean by weight. An answer that fails its schema has 0.3 at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfidenceBody {
    /// Geometric mean of the probabilities that the model gave to the tokens of the values. Null if it gives none.
    pub log_probability: Option<ConfidencePart>,
    /// 1 for an answer that fits the schema, 0.5 for the relaxed schema, 0 otherwise. Null if the validation is bypassed.
    pub validity: Option<ConfidencePart>,
    /// Share of the schema's fields that have a value.
    pub completeness: Option<ConfidencePart>,
    /// Share of the values on which the samples agree, and the language with the text's. Null if there is nothing to compare.
    pub agreement: Option<ConfidencePart>,
}

/// A part of a confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfidencePart {
    /// Value, 0 to 1.
    pub value: f64,
    /// Weight; the weights of all parts are 1 together.
    pub weight: f64,
}

/// A pattern of an attack in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuspicionBody {
    /// `prompt_injection`, `sql`, `script` or `hidden_text`.
    #[schema(example = "prompt_injection")]
    pub kind: String,
    /// Name of the pattern.
    #[schema(example = "ignore_instructions")]
    pub pattern: String,
    /// Field of the request.
    #[schema(example = "prompt")]
    pub field: String,
    /// First character of the match in the field, from 0.
    pub start: usize,
    /// Character behind the match.
    pub end: usize,
}

/// Languages of a text and of its data, as codes of ISO 639: of two letters where there is one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LanguageBody {
    /// Language of the text; null if it is too short to say.
    #[schema(example = "en")]
    pub detected: Option<String>,
    /// Confidence of the detection, 0 to 1.
    pub confidence: Option<f64>,
    /// Requested language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// Language of the data's texts, if one was requested and they are long enough to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<String>,
    /// With the default schema: true if `original_language` is the detected one. Null if one of them isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_language_agrees: Option<bool>,
}
