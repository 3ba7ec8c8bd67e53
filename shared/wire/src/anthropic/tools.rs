//! Tools, as Anthropic writes them.

use std::collections::BTreeMap;

use hearth_domain::{HostedTools, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::ApiError;

/// A tool on offer.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesTool {
    /// `custom`, which may be left out; or a tool that models of Anthropic know by its type and version, such as
    /// `web_search_20250305`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "custom")]
    pub kind: Option<String>,
    /// Its name: 1 to 256 letters, digits, underscores, dots and dashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = true, example = "get_weather")]
    pub name: Option<String>,
    /// What it does, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = true)]
    pub input_schema: Option<Value>,
    /// Whether the arguments must fit the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Asks a provider of this dialect to keep what it has computed up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cache_control: Option<Value>,
    /// What else there is to say, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

/// The types of tools that only help a model, which can answer without them. Each is followed by a version.
const AIDS: [&str; 4] = ["web_search_", "web_fetch_", "code_execution_", "tool_search_tool_"];

impl MessagesTool {
    /// The type that a provider of this dialect knows, if it isn't the client's own tool.
    fn known_kind(&self) -> Option<&str> {
        self.kind.as_deref().filter(|kind| *kind != "custom")
    }

    /// What only a provider of this dialect understands.
    fn further(&self) -> Map<String, Value> {
        let mut fields = self.settings.clone();
        fields.extend(self.cache_control.clone().map(|control| ("cache_control".to_owned(), control)));
        fields.retain(|_, value| !value.is_null());
        fields
    }

    /// The tool without its dialect. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request`, naming the field that is missing.
    fn into_domain(self, param: &str) -> Result<Tool, ApiError> {
        let Some(name) = self.name else {
            let param = format!("{param}.name");
            let message = format!("{param} is missing");
            return Err(ApiError::invalid(param, message));
        };
        let Some(parameters) = self.input_schema else {
            let param = format!("{param}.input_schema");
            let message = format!("{param} is missing; send the JSON Schema of the tool's arguments");
            return Err(ApiError::invalid(param, message));
        };
        let strict = self.strict.unwrap_or(false);
        Ok(Tool { name, description: self.description, parameters, strict })
    }
}

/// What a request offers.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// The client's own tools.
    pub(super) tools: Vec<Tool>,
    /// Where each of them stood among all, for errors.
    pub(super) places: Vec<usize>,
    /// Those that only a provider of this dialect has.
    pub(super) hosted: HostedTools,
    /// Further fields of the client's own, by their names.
    pub(super) extra: BTreeMap<String, Map<String, Value>>,
}

impl Offer {
    /// The tools of a request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub(super) fn of(tools: Option<Vec<MessagesTool>>) -> Result<Self, ApiError> {
        let mut offer = Self::default();
        for (index, tool) in tools.into_iter().flatten().enumerate() {
            let Some(kind) = tool.known_kind() else {
                let further = tool.further();
                if let Some(name) = tool.name.clone().filter(|_| !further.is_empty()) {
                    offer.extra.insert(name, further);
                }
                offer.tools.push(tool.into_domain(&format!("tools[{index}]"))?);
                offer.places.push(index);
                continue;
            };
            if !AIDS.iter().any(|aid| kind.starts_with(aid)) {
                offer.hosted.needed = Some(kind.to_owned());
            }
            offer.hosted.definitions.push(json!(tool));
        }
        Ok(offer)
    }

    /// The choice without its dialect, where provider's tools may be among what it chooses from. `said` is the choice
    /// in the client's words.
    pub(super) fn choose(&mut self, choice: ToolChoice, said: Value) -> ToolChoice {
        let hosted = |name: &str| self.hosted.definitions.iter().find(|tool| tool["name"] == name);
        match &choice {
            ToolChoice::Named(name) => match hosted(name).map(|tool| tool["type"].clone()) {
                Some(kind) => {
                    self.hosted.need(kind.as_str(), said);
                    ToolChoice::Auto
                }
                None => choice,
            },
            ToolChoice::Required if !self.hosted.definitions.is_empty() => {
                self.hosted.need(None, said);
                if self.tools.is_empty() { ToolChoice::Auto } else { choice }
            }
            _ => choice,
        }
    }
}

/// Whether a tool is called.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesToolChoice {
    /// `auto`, `any`, `tool` or `none`.
    #[serde(rename = "type")]
    #[schema(example = "auto")]
    pub kind: String,
    /// Of `tool`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether one turn calls one tool at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}

impl MessagesToolChoice {
    /// The choice without its dialect, and whether one turn may call several tools.
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
                return Err(ApiError::invalid("tool_choice.name", "tool_choice.name is missing"));
            }
            _ => {
                let message = "tool_choice.type must be auto, any, tool or none";
                return Err(ApiError::invalid("tool_choice.type", message));
            }
        };
        Ok((choice, !self.disable_parallel_tool_use.unwrap_or(false)))
    }
}
