//! The fields `tools` and `tool_choice`.

use hearth_domain::{Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    ApiError,
    offered_tools::OfferedTools,
    required::{missing, required},
};

/// A tool.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesTool {
    /// `custom`, which may be left out; or the type and version of a tool of Anthropic's own, such as
    /// `web_search_20250305`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "custom")]
    pub kind: Option<String>,
    /// The name: 1 to 256 letters, digits, underscores, dots and dashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = true, example = "get_weather")]
    pub name: Option<String>,
    /// Description for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = true)]
    pub input_schema: Option<Value>,
    /// If true, the arguments must fit the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Asks a provider of this dialect to cache the prompt up to this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cache_control: Option<Value>,
    /// Other fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

/// Prefixes of the types of hosted tools that a model can answer without. A version follows each.
const OPTIONAL_HOSTED: [&str; 4] = ["web_search_", "web_fetch_", "code_execution_", "tool_search_tool_"];

impl MessagesTool {
    /// The type of a tool of Anthropic's own; `None` for the client's tool.
    fn hosted_kind(&self) -> Option<&str> {
        self.kind.as_deref().filter(|kind| *kind != "custom")
    }

    /// The fields for a provider of this dialect: the unknown ones and `cache_control`.
    fn vendor_fields(&self) -> Map<String, Value> {
        let mut fields = self.settings.clone();
        fields.extend(self.cache_control.clone().map(|control| ("cache_control".to_owned(), control)));
        fields.retain(|_, value| !value.is_null());
        fields
    }

    /// Converts the client's tool. `param` is its field, for the error.
    ///
    /// # Errors
    /// `invalid_request`, naming the field that is missing.
    fn into_domain(self, param: &str) -> Result<Tool, ApiError> {
        let name = required(self.name, param, "name")?;
        let Some(parameters) = self.input_schema else {
            let param = format!("{param}.input_schema");
            let message = format!("{param} is missing; send the JSON Schema of the tool's arguments");
            return Err(ApiError::invalid(param, message));
        };
        let strict = self.strict.unwrap_or(false);
        Ok(Tool { name, description: self.description, parameters, strict })
    }
}

/// Converts the tools of a request.
///
/// # Errors
/// `invalid_request`, naming the field.
pub(super) fn offered_tools(tools: Option<Vec<MessagesTool>>) -> Result<OfferedTools, ApiError> {
    let mut offered = OfferedTools::default();
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let Some(kind) = tool.hosted_kind() else {
            let (param, extra) = (format!("tools[{index}]"), tool.vendor_fields());
            offered.add_function(tool.into_domain(&param)?, param, extra);
            continue;
        };
        if !OPTIONAL_HOSTED.iter().any(|prefix| kind.starts_with(prefix)) {
            offered.hosted.needed = Some(kind.to_owned());
        }
        offered.hosted.definitions.push(json!(tool));
    }
    Ok(offered)
}

/// Applies a tool choice that a hosted tool may meet too. `raw` is the choice in the client's words. Returns the choice
/// among the functions.
pub(super) fn apply_choice(offered: &mut OfferedTools, choice: ToolChoice, raw: Value) -> ToolChoice {
    let hosted = |name: &str| offered.hosted.definitions.iter().find(|tool| tool["name"] == name);
    match &choice {
        ToolChoice::Named(name) => match hosted(name).map(|tool| tool["type"].clone()) {
            Some(kind) => {
                offered.hosted.need(kind.as_str(), raw);
                ToolChoice::Auto
            }
            None => choice,
        },
        ToolChoice::Required if !offered.hosted.definitions.is_empty() => offered.require_any(raw),
        _ => choice,
    }
}

/// Controls whether the model calls a tool, and which.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesToolChoice {
    /// `auto`, `any`, `tool` or `none`.
    #[serde(rename = "type")]
    #[schema(example = "auto")]
    pub kind: String,
    /// Of `tool`: name of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// If true, the model calls at most one tool in a turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}

impl MessagesToolChoice {
    /// Converts the choice. Also returns whether one turn may call several tools.
    ///
    /// # Errors
    /// `invalid_request` for a choice of another kind.
    pub(super) fn into_domain(self) -> Result<(ToolChoice, bool), ApiError> {
        let choice = match (self.kind.as_str(), self.name) {
            ("auto", _) => ToolChoice::Auto,
            ("any", _) => ToolChoice::Required,
            ("none", _) => ToolChoice::None,
            ("tool", Some(name)) => ToolChoice::Named(name),
            ("tool", None) => {
                return Err(missing("tool_choice.name".to_owned()));
            }
            _ => {
                let message = "tool_choice.type must be auto, any, tool or none";
                return Err(ApiError::invalid("tool_choice.type", message));
            }
        };
        Ok((choice, !self.disable_parallel_tool_use.unwrap_or(false)))
    }
}
