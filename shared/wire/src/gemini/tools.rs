//! Tools, as Google writes them (<https://ai.google.dev/api/caching#Tool>).

use std::collections::{BTreeMap, HashSet};

use hearth_domain::{HostedTools, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{proto_json::one_or_many, schema::to_json_schema};
use crate::ApiError;

/// Tools on offer: functions, or one that Google runs itself, such as `{"googleSearch": {}}`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiTool {
    /// The client's own functions.
    #[serde(
        default,
        alias = "function_declarations",
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub function_declarations: Vec<GeminiFunction>,
    /// Tools that a provider of this dialect runs.
    #[serde(flatten)]
    #[schema(ignore)]
    pub hosted: Map<String, Value>,
}

/// A function of the client's.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiFunction {
    /// Its name: 1 to 256 letters, digits, underscores, dots and dashes.
    #[schema(example = "get_weather")]
    pub name: String,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its arguments, as a `Schema` of Google's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// The same as a JSON Schema, in place of `parameters`.
    #[serde(default, alias = "parameters_json_schema", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters_json_schema: Option<Value>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Whether and which tools are called.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiToolConfig {
    /// Of the client's functions.
    #[serde(default, alias = "function_calling_config", skip_serializing_if = "Option::is_none")]
    pub function_calling_config: Option<GeminiFunctionCalling>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Whether the model calls functions.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiFunctionCalling {
    /// `AUTO`, `ANY`, `NONE` or `VALIDATED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "AUTO")]
    pub mode: Option<String>,
    /// With `ANY` and `VALIDATED`: only these are on offer.
    #[serde(default, alias = "allowed_function_names", skip_serializing_if = "Option::is_none")]
    pub allowed_function_names: Option<Vec<String>>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Tools of Google's that only help a model, which can answer without them.
const AIDS: [&str; 6] = [
    "googlesearch",
    "googlesearchretrieval",
    "googlemaps",
    "codeexecution",
    "urlcontext",
    "enterprisewebsearch",
];

/// What a request offers.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// The client's own tools.
    pub(super) tools: Vec<Tool>,
    /// Where each of them stood, for errors.
    pub(super) places: Vec<String>,
    /// Those that only a provider of this dialect has.
    pub(super) hosted: HostedTools,
    /// Further fields of the client's own, by their names.
    pub(super) extra: BTreeMap<String, Map<String, Value>>,
}

impl Offer {
    /// The tools of a request.
    pub(super) fn of(tools: Vec<GeminiTool>) -> Self {
        let mut offer = Self::default();
        for (number, tool) in tools.into_iter().enumerate() {
            for (index, function) in tool.function_declarations.into_iter().enumerate() {
                offer.places.push(format!("tools[{number}].functionDeclarations[{index}]"));
                offer.function(function);
            }
            for (name, settings) in tool.hosted.into_iter().filter(|(_, settings)| !settings.is_null()) {
                let is_aid = AIDS.contains(&name.replace('_', "").to_ascii_lowercase().as_str());
                if !is_aid {
                    offer.hosted.needed = Some(name.clone());
                }
                offer.hosted.definitions.push(json!({name: settings}));
            }
        }
        offer
    }

    fn function(&mut self, function: GeminiFunction) {
        let GeminiFunction { name, description, parameters, parameters_json_schema, extra } = function;
        if !extra.is_empty() {
            self.extra.insert(name.clone(), extra);
        }
        let parameters = parameters_json_schema.or_else(|| parameters.map(to_json_schema));
        let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        self.tools.push(Tool { name, description, parameters, strict: false });
    }

    /// Whether a tool is called. Of functions that aren't allowed the model isn't told.
    ///
    /// # Errors
    /// `invalid_request` for another mode, and for names of no function.
    pub(super) fn choose(&mut self, calling: Option<GeminiFunctionCalling>) -> Result<ToolChoice, ApiError> {
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
                return Err(ApiError::invalid(
                    param,
                    format!("{param} must be AUTO, ANY, NONE or VALIDATED"),
                ));
            }
        };
        let Some(allowed) = allowed else { return Ok(choice) };
        let names: HashSet<&str> = self.tools.iter().map(|tool| tool.name.as_str()).collect();
        if let Some(unknown) = allowed.iter().position(|name| !names.contains(name.as_str())) {
            let param = format!("toolConfig.functionCallingConfig.allowedFunctionNames[{unknown}]");
            let message = format!("{param} is the name of no function in tools");
            return Err(ApiError::invalid(param, message));
        }
        if let (ToolChoice::Required, [only]) = (&choice, allowed.as_slice()) {
            return Ok(ToolChoice::Named(only.clone()));
        }
        let allowed: HashSet<String> = allowed.into_iter().collect();
        let offered = std::mem::take(&mut self.tools).into_iter().zip(std::mem::take(&mut self.places));
        let offered = offered.filter(|(tool, _)| allowed.contains(&tool.name));
        (self.tools, self.places) = offered.unzip();
        Ok(choice)
    }
}
