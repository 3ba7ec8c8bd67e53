//! The field `tool_choice`.

use hearth_domain::ToolChoice;
use serde::{Deserialize, Deserializer, Serialize, de::MapAccess};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{offered_tools::unsupported_tool, tool_names::function_name};
use crate::{
    ApiError,
    forms::{self, Forms},
    offered_tools::OfferedTools,
    required::required,
    tool_choice::ToolMode,
};

const FUNCTION: &str = "function";
const CUSTOM: &str = "custom";

/// The field that lists the allowed tools.
const ALLOWED_TOOLS_PARAM: &str = "tool_choice.tools";

/// Controls whether the model calls a tool, and which.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResponsesToolChoice {
    /// `none`, `auto` or `required`.
    Mode(ToolMode),
    /// One tool, or a list of allowed tools.
    Tools(ResponsesChosenTools),
}

impl<'de> Forms<'de> for ResponsesToolChoice {
    const EXPECTED: &'static str =
        "\"none\", \"auto\", \"required\", or an object such as {\"type\": \"function\", \"name\": ...}";

    fn from_text(text: String) -> Result<Self, String> {
        ToolMode::parse(&text).map(Self::Mode).ok_or(text)
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        forms::object(fields).map(Self::Tools)
    }
}

impl<'de> Deserialize<'de> for ResponsesToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// The tools that the model may or must call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponsesChosenTools {
    /// `function` or `custom`: the model must call this tool. `allowed_tools`: it may call only the listed ones. Or the
    /// type of a hosted tool of this dialect's provider: the model must use it.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// Name of the tool that the model must call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of that tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// With `allowed_tools`: `auto` or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ToolMode>,
    /// With `allowed_tools`: the tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ResponsesToolName>>,
    /// Other fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

/// A tool's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponsesToolName {
    /// `function`, `custom`, or the type of a hosted tool.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The name; absent for a hosted tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Other fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

impl ResponsesToolChoice {
    /// Converts the choice, and removes from `offered` the tools that it doesn't allow.
    ///
    /// # Errors
    /// `invalid_request` for another kind of choice, or for a tool that isn't offered.
    pub(super) fn into_domain(self, offered: &mut OfferedTools) -> Result<ToolChoice, ApiError> {
        let raw = json!(self);
        let chosen = match self {
            Self::Mode(mode) => return Ok(apply_mode(offered, mode, raw)),
            Self::Tools(chosen) => chosen,
        };
        match chosen.kind.as_str() {
            "allowed_tools" => {
                retain_allowed(offered, chosen.tools.unwrap_or_default())?;
                Ok(apply_mode(offered, chosen.mode.unwrap_or(ToolMode::Auto), raw))
            }
            FUNCTION | CUSTOM => {
                let name = required(chosen.name, "tool_choice", "name")?;
                Ok(ToolChoice::Named(function_name(chosen.namespace.as_deref(), &name)))
            }
            kind if has_hosted(offered, kind) => {
                offered.hosted.need(Some(kind), raw);
                Ok(ToolChoice::Auto)
            }
            kind => Err(unsupported_tool(kind, "tool_choice")),
        }
    }
}

/// Removes from `offered` all tools but the `allowed` ones.
fn retain_allowed(offered: &mut OfferedTools, allowed: Vec<ResponsesToolName>) -> Result<(), ApiError> {
    if allowed.is_empty() {
        let message = format!("{ALLOWED_TOOLS_PARAM} must not be empty");
        return Err(ApiError::invalid(ALLOWED_TOOLS_PARAM, message));
    }
    let functions = offered.function_names();
    let (mut names, mut hosted_kinds) = (Vec::new(), Vec::new());
    for (index, tool) in allowed.into_iter().enumerate() {
        let param = format!("{ALLOWED_TOOLS_PARAM}[{index}]");
        match tool.kind.as_str() {
            FUNCTION | CUSTOM => {
                let name = function_name(tool.namespace.as_deref(), &required(tool.name, &param, "name")?);
                if !functions.contains(name.as_str()) {
                    let message =
                        format!("{param} names a function that is not in tools; add it to tools too");
                    return Err(ApiError::invalid(param, message));
                }
                names.push(name);
            }
            kind if has_hosted(offered, kind) => hosted_kinds.push(tool.kind),
            kind => return Err(unsupported_tool(kind, &param)),
        }
    }
    offered.retain_functions(&names);
    offered.hosted.definitions.retain(|tool| hosted_kinds.iter().any(|kind| tool["type"] == **kind));
    Ok(())
}

/// Applies a mode, which a hosted tool may meet too. Returns the choice among the functions.
fn apply_mode(offered: &mut OfferedTools, mode: ToolMode, raw: Value) -> ToolChoice {
    if mode == ToolMode::Required && !offered.hosted.definitions.is_empty() {
        return offered.require_any(raw);
    }
    mode.into()
}

/// Returns whether a hosted tool of this type is offered.
fn has_hosted(offered: &OfferedTools, kind: &str) -> bool {
    offered.hosted.definitions.iter().any(|definition| definition["type"] == kind)
}
