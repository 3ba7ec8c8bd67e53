//! The fields `tools` and `toolConfig` (<https://ai.google.dev/api/caching#Tool>).

use hearth_domain::{Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{proto_json::one_or_many, schema::to_json_schema};
use crate::{ApiError, offered_tools::OfferedTools};

/// Tools: functions, or a hosted tool, which Google runs itself, such as `{"googleSearch": {}}`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiTool {
    /// Functions, which the client runs.
    #[serde(
        default,
        alias = "function_declarations",
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub function_declarations: Vec<GeminiFunction>,
    /// Hosted tools of a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub hosted: Map<String, Value>,
}

/// A function that the model may call.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiFunction {
    /// The name: 1 to 256 letters, digits, underscores, dots and dashes.
    #[schema(example = "get_weather")]
    pub name: String,
    /// Description for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Schema of the arguments, in Google's `Schema` format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// JSON Schema of the arguments, in place of `parameters`.
    #[serde(default, alias = "parameters_json_schema", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters_json_schema: Option<Value>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Controls whether the model calls tools, and which.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiToolConfig {
    /// Options for functions.
    #[serde(default, alias = "function_calling_config", skip_serializing_if = "Option::is_none")]
    pub function_calling_config: Option<GeminiFunctionCalling>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Controls whether the model calls functions, and which.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiFunctionCalling {
    /// `AUTO`, `ANY`, `NONE` or `VALIDATED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "AUTO")]
    pub mode: Option<String>,
    /// With `ANY` and `VALIDATED`: names of the functions that the model may call.
    #[serde(default, alias = "allowed_function_names", skip_serializing_if = "Option::is_none")]
    pub allowed_function_names: Option<Vec<String>>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Hosted tools that a model can answer without, in lower case without underscores.
const OPTIONAL_HOSTED: [&str; 6] = [
    "googlesearch",
    "googlesearchretrieval",
    "googlemaps",
    "codeexecution",
    "urlcontext",
    "enterprisewebsearch",
];

/// Converts the tools of a request.
pub(super) fn offered_tools(tools: Vec<GeminiTool>) -> OfferedTools {
    let mut offered = OfferedTools::default();
    for (number, tool) in tools.into_iter().enumerate() {
        for (index, function) in tool.function_declarations.into_iter().enumerate() {
            let param = format!("tools[{number}].functionDeclarations[{index}]");
            add_function(&mut offered, function, param);
        }
        for (name, settings) in tool.hosted.into_iter().filter(|(_, settings)| !settings.is_null()) {
            let plain_name = name.replace('_', "").to_ascii_lowercase();
            if !OPTIONAL_HOSTED.contains(&plain_name.as_str()) {
                offered.hosted.needed = Some(name.clone());
            }
            offered.hosted.definitions.push(json!({name: settings}));
        }
    }
    offered
}

fn add_function(offered: &mut OfferedTools, function: GeminiFunction, param: String) {
    let GeminiFunction { name, description, parameters, parameters_json_schema, extra } = function;
    let parameters = parameters_json_schema.or_else(|| parameters.map(to_json_schema));
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    offered.add_function(Tool { name, description, parameters, strict: false }, param, extra);
}

/// Converts the options for functions to a tool choice, and removes from `offered` the functions that aren't allowed.
///
/// # Errors
/// `invalid_request` for another mode, and for a name that no function has.
pub(super) fn apply_function_calling(
    offered: &mut OfferedTools,
    calling: Option<GeminiFunctionCalling>,
) -> Result<ToolChoice, ApiError> {
    let calling = calling.unwrap_or_default();
    let allowed = calling.allowed_function_names.filter(|names| !names.is_empty());
    let mode = calling.mode.map(|mode| mode.to_ascii_uppercase());
    let choice = match mode.as_deref() {
        None | Some("" | "MODE_UNSPECIFIED" | "AUTO") => return Ok(ToolChoice::Auto),
        Some("NONE") => return Ok(ToolChoice::None),
        Some("ANY") => ToolChoice::Required,
        Some("VALIDATED") => ToolChoice::Auto,
        Some(_) => {
            let param = "toolConfig.functionCallingConfig.mode";
            return Err(ApiError::invalid(param, format!("{param} must be AUTO, ANY, NONE or VALIDATED")));
        }
    };
    let Some(allowed) = allowed else { return Ok(choice) };
    let names = offered.function_names();
    if let Some(index) = allowed.iter().position(|name| !names.contains(name.as_str())) {
        let param = format!("toolConfig.functionCallingConfig.allowedFunctionNames[{index}]");
        let message = format!("{param} names a function that is not in tools; add it to tools too");
        return Err(ApiError::invalid(param, message));
    }
    if let (ToolChoice::Required, [only]) = (&choice, allowed.as_slice()) {
        return Ok(ToolChoice::Named(only.clone()));
    }
    offered.retain_functions(&allowed);
    Ok(choice)
}
