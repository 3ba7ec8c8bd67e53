//! A batch of analyses.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{AnalyzeOptions, AnalyzeRequest, AnalyzeResponse};
use crate::{
    ApiError,
    error::ErrorBody,
    native::generate::{CostBody, UsageBody},
};

/// Request for several analyses in one response. `prompts` and `items` exclude each other; schema, template, variables and options
/// are those of each item that has none of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyzeBatchRequest {
    /// Texts to analyze, at most 100 unless the operator has set another limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Vec<String>>,
    /// The same with options for each text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<AnalyzeItem>>,
    /// JSON Schema of items without a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Stored schema of items without a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<String>,
    /// Stored template of items without a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Values of the template's variables. An item's variables are added to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Map<String, Value>>,
    /// Options of all items. An item's own option replaces that of the same name.
    #[serde(default)]
    pub options: AnalyzeOptions,
}

/// One text of a batch.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyzeItem {
    /// The client's own name of the item, which its result repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Text to analyze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// JSON Schema of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Stored schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<String>,
    /// Stored template.
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

impl AnalyzeBatchRequest {
    /// Returns the items, each as a request of its own with its name.
    ///
    /// # Errors
    /// `invalid_request` unless there is one of `prompts` and `items`.
    pub fn into_requests(self) -> Result<Vec<(Option<String>, AnalyzeRequest)>, ApiError> {
        let Self { prompts, items, schema, schema_id, template_id, variables, options } = self;
        let items = match (prompts, items) {
            (Some(_), Some(_)) => {
                let message = "items and prompts exclude each other: send one of them";
                return Err(ApiError::invalid("items", message));
            }
            (None, None) => {
                let message = "send the texts: prompts, a list of texts, or items, a list of objects";
                return Err(ApiError::invalid("items", message));
            }
            (None, Some(items)) => items,
            (Some(prompts), None) => prompts
                .into_iter()
                .map(|prompt| AnalyzeItem { prompt: Some(prompt), ..AnalyzeItem::default() })
                .collect(),
        };
        let request = |item: AnalyzeItem| {
            let has_schema = item.schema.is_some() || item.schema_id.is_some();
            let common = |value: &Option<String>| value.clone().filter(|_| !has_schema);
            let request = AnalyzeRequest {
                prompt: item.prompt,
                schema: item.schema.or_else(|| schema.clone().filter(|_| !has_schema)),
                schema_id: item.schema_id.or_else(|| common(&schema_id)),
                template_id: item.template_id.or_else(|| template_id.clone()),
                variables: merged(variables.as_ref(), item.variables),
                options: item.options.or(&options),
            };
            (item.id, request)
        };
        Ok(items.into_iter().map(request).collect())
    }
}

fn merged(
    common: Option<&Map<String, Value>>,
    own: Option<Map<String, Value>>,
) -> Option<Map<String, Value>> {
    let Some(common) = common else { return own };
    let mut variables = common.clone();
    variables.extend(own.into_iter().flatten());
    Some(variables)
}

/// Results of a batch, in the order of its items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnalyzeBatchResponse {
    /// Id of the request.
    pub request_id: String,
    /// `analysis.batch`.
    pub object: String,
    /// Results.
    pub results: Vec<AnalyzeBatchResult>,
    /// Sums of all results.
    pub summary: AnalyzeBatchSummary,
}

/// Result of an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnalyzeBatchResult {
    /// Index of the item, from 0.
    pub index: usize,
    /// The client's name of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Outcome.
    pub status: AnalyzeBatchStatus,
    /// Index of the equal item whose analysis this one repeats. It costs nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<usize>,
    /// The analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalyzeResponse>,
    /// The error, as that of a request for this item alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// Outcome of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnalyzeBatchStatus {
    /// It has an analysis.
    Ok,
    /// It has an error.
    Failed,
}

/// Sums of a batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnalyzeBatchSummary {
    /// Items.
    pub total: usize,
    /// Items with an analysis.
    pub ok: usize,
    /// Items with an error.
    pub failed: usize,
    /// Items whose answer was cached.
    pub cached: usize,
    /// Items that repeat an equal one's analysis.
    pub duplicates: usize,
    /// Items whose confidence is below their threshold.
    pub low_confidence: usize,
    /// Tokens used.
    pub usage: UsageBody,
    /// Cost of the analyses; null if one of them isn't known.
    pub cost: Option<CostBody>,
    /// Milliseconds from the request to this response.
    pub time_ms: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requests(body: Value) -> Result<Vec<(Option<String>, AnalyzeRequest)>, ApiError> {
        serde_json::from_value::<AnalyzeBatchRequest>(body).unwrap().into_requests()
    }

    #[test]
    fn item_without_its_own_has_the_schema_and_the_options_of_the_batch() {
        let body = json!({
            "schema": {"type": "object"}, "variables": {"a": 1, "b": 1}, "options": {"model": "m", "language": "de"},
            "items": [
                {"id": "x", "prompt": "one"},
                {"prompt": "two", "schema_id": "support", "variables": {"b": 2}, "options": {"language": "fr"}},
            ],
        });
        let requests = requests(body).unwrap();
        let (id, first) = &requests[0];
        assert_eq!((id.as_deref(), first.prompt.as_deref()), (Some("x"), Some("one")));
        assert_eq!(first.schema, Some(json!({"type": "object"})));
        assert_eq!(first.options.language.as_deref(), Some("de"));
        let (_, second) = &requests[1];
        assert_eq!((&second.schema, second.schema_id.as_deref()), (&None, Some("support")));
        assert_eq!(
            (second.options.model.as_deref(), second.options.language.as_deref()),
            (Some("m"), Some("fr"))
        );
        assert_eq!(json!(second.variables), json!({"a": 1, "b": 2}));
    }

    #[test]
    fn batch_has_either_prompts_or_items() {
        assert_eq!(requests(json!({"prompts": ["a", "b"]})).unwrap().len(), 2);
        for body in [json!({}), json!({"prompts": [], "items": []})] {
            assert_eq!(requests(body).unwrap_err().param.as_deref(), Some("items"));
        }
    }
}
