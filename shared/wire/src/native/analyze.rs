//! `POST /v1/analyze` and `POST /v1/analyze/batch`: requests and responses.

mod batch;
mod response;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use batch::{
    AnalyzeBatchRequest, AnalyzeBatchResponse, AnalyzeBatchResult, AnalyzeBatchStatus, AnalyzeBatchSummary,
    AnalyzeItem,
};
pub use response::{
    AnalyzeResponse, ConfidenceBody, ConfidencePart, LanguageBody, SchemaUsed, SuspicionBody, TemplateUsed,
    ValidationStatus,
};

/// Request to extract data from a text. An unknown field is an error that names it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyzeRequest {
    /// Text to analyze: at most 10,000 characters, unless the operator has set another limit. With a template, a
    /// further message of the user's after those of the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Order 4711 arrived broken. Please send me a new kettle to Lyon.")]
    pub prompt: Option<String>,
    /// JSON Schema of the data, in place of the default one. It excludes `schema_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Id or name of a stored schema, with a version or a label: `support`, `support@1.2.0` or `support@production`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<String>,
    /// Id or name of a stored template, which writes the messages in place of the gateway's own instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Values of the template's variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Map<String, Value>>,
    /// Options.
    #[serde(default)]
    pub options: AnalyzeOptions,
}

/// Options of an analysis.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyzeOptions {
    /// Model id, or `auto`. Absent: the default model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "tiny-chat")]
    pub model: Option<String>,
    /// Provider that must serve the request. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "local")]
    pub provider: Option<String>,
    /// Format of `data`: `json` (the default), or a text of `xml` or `yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "json")]
    pub format: Option<DataFormat>,
    /// Confidence below which the response has `low_confidence: true`, 0 to 1. Absent: the operator's setting, by default 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.5)]
    pub confidence_threshold: Option<f64>,
    /// True to ask the model even if the answer is cached. The new answer replaces the cached one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass_cache: Option<bool>,
    /// True to return the answer without validating it: `validation_status` is then `bypassed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass_validation: Option<bool>,
    /// Language of the values, as a code (`de`, `deu`, `de-AT`) or an English name; `original` for that of the text. Absent: the
    /// model's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "en")]
    pub language: Option<String>,
    /// Largest number of answers that are generated until one fits the schema, 1 to 5. Absent: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 2)]
    pub max_attempts: Option<u32>,
    /// True to accept an answer that fits the schema without its bounds, patterns and required fields, if none fits the whole
    /// schema: `validation_status` is then `relaxed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_relaxed: Option<bool>,
    /// Number of independent answers whose agreement is a part of the confidence, 1 (the default) to 5. Each one costs. The
    /// first is the response's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pub samples: Option<u32>,
    /// Temperature, 0 to 2. Absent: 0, which always chooses the likeliest token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Maximum number of tokens to generate, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

/// Format of an analysis' data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataFormat {
    /// JSON.
    #[default]
    Json,
    /// A text of XML.
    Xml,
    /// A text of YAML.
    Yaml,
}

impl AnalyzeOptions {
    /// Returns these options, with those of `defaults` where one is absent.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        Self {
            model: self.model.or(defaults.model),
            provider: self.provider.or(defaults.provider),
            format: self.format.or(defaults.format),
            confidence_threshold: self.confidence_threshold.or(defaults.confidence_threshold),
            bypass_cache: self.bypass_cache.or(defaults.bypass_cache),
            bypass_validation: self.bypass_validation.or(defaults.bypass_validation),
            language: self.language.or(defaults.language),
            max_attempts: self.max_attempts.or(defaults.max_attempts),
            allow_relaxed: self.allow_relaxed.or(defaults.allow_relaxed),
            samples: self.samples.or(defaults.samples),
            temperature: self.temperature.or(defaults.temperature),
            max_tokens: self.max_tokens.or(defaults.max_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_field_is_refused_with_its_name() {
        for (body, field) in [
            (json!({"prompt": "x", "shema": {}}), "shema"),
            (json!({"prompt": "x", "options": {"modle": "m"}}), "modle"),
        ] {
            let error = serde_json::from_value::<AnalyzeRequest>(body).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn options_of_an_item_replace_those_of_its_batch() {
        let options = |body: Value| serde_json::from_value::<AnalyzeOptions>(body).unwrap();
        let defaults =
            options(json!({"model": "m", "language": "de", "max_tokens": 5, "bypass_cache": true}));
        let merged = options(json!({"language": "fr", "bypass_cache": false})).or(&defaults);
        let expected = json!({"model": "m", "language": "fr", "max_tokens": 5, "bypass_cache": false});
        assert_eq!(serde_json::to_value(merged).unwrap(), expected);
    }
}
