//! The field `tool_choice` in OpenAI's chat format, which the native dialect uses too.

use hearth_domain::{Tool, ToolChoice};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        IntoDeserializer as _, MapAccess,
        value::{self, StrDeserializer},
    },
};
use utoipa::ToSchema;

use crate::{
    ApiError,
    forms::{self, Forms},
    required::missing,
    tools::require_function,
};

/// The field that lists the allowed tools.
pub(crate) const ALLOWED_TOOLS_PARAM: &str = "tool_choice.allowed_tools.tools";

/// Controls whether the model calls a tool, and which.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ToolChoiceBody {
    /// `none`, `auto` or `required`.
    Mode(ToolMode),
    /// One tool, or a list of allowed tools.
    Tools(ChosenTools),
}

impl<'de> Forms<'de> for ToolChoiceBody {
    const EXPECTED: &'static str = "\"none\", \"auto\", \"required\", or an object such as {\"type\": \"function\", \"function\": {\"name\": ...}}";

    fn from_text(text: String) -> Result<Self, String> {
        ToolMode::parse(&text).map(Self::Mode).ok_or(text)
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        forms::object(fields).map(Self::Tools)
    }
}

impl<'de> Deserialize<'de> for ToolChoiceBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// Controls whether the model calls a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    /// The model calls no tool.
    None,
    /// The model decides.
    Auto,
    /// The model must call a tool.
    Required,
}

/// The tools that the model may or must call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChosenTools {
    /// `function`: the model must call this function. `allowed_tools`: it may call only the listed ones.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function that the model must call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// The tools that the model may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<AllowedTools>,
}

/// The tools that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllowedTools {
    /// `auto` or `required`.
    #[schema(example = "auto")]
    pub mode: ToolMode,
    /// The tools.
    pub tools: Vec<ToolName>,
}

/// A tool's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolName {
    /// `function`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function.
    #[schema(value_type = FunctionName, required = true)]
    pub function: Option<FunctionName>,
}

/// A function's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionName {
    /// The name.
    pub name: String,
}

impl ToolMode {
    /// Returns the mode with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let name: StrDeserializer<'_, value::Error> = name.into_deserializer();
        Self::deserialize(name).ok()
    }
}

impl ToolChoiceBody {
    /// Converts the choice. Also returns the names of the allowed functions, if the choice lists them.
    ///
    /// # Errors
    /// `invalid_request` for another type of tool.
    pub fn into_domain(self) -> Result<(ToolChoice, Option<Vec<String>>), ApiError> {
        let chosen = match self {
            Self::Mode(mode) => return Ok((mode.into(), None)),
            Self::Tools(chosen) => chosen,
        };
        if chosen.kind != "allowed_tools" {
            let function = require_function(&chosen.kind, chosen.function, "tool_choice")?;
            return Ok((ToolChoice::Named(function.name), None));
        }
        let allowed = chosen.allowed_tools.ok_or_else(|| missing("tool_choice.allowed_tools".to_owned()))?;
        let mut names = Vec::with_capacity(allowed.tools.len());
        for (index, tool) in allowed.tools.into_iter().enumerate() {
            let param = format!("{ALLOWED_TOOLS_PARAM}[{index}]");
            names.push(require_function(&tool.kind, tool.function, &param)?.name);
        }
        Ok((allowed.mode.into(), Some(names)))
    }
}

impl From<ToolMode> for ToolChoice {
    fn from(mode: ToolMode) -> Self {
        match mode {
            ToolMode::None => Self::None,
            ToolMode::Auto => Self::Auto,
            ToolMode::Required => Self::Required,
        }
    }
}

/// Removes all tools but those with these names. `param` is the field with the names, for the error.
///
/// # Errors
/// `invalid_request` for an empty list, and for a name that no tool has.
pub(crate) fn retain_allowed(tools: &mut Vec<Tool>, names: &[String], param: &str) -> Result<(), ApiError> {
    if names.is_empty() {
        return Err(ApiError::invalid(param, format!("{param} must not be empty")));
    }
    if let Some(index) = names.iter().position(|name| tools.iter().all(|tool| tool.name != *name)) {
        let param = format!("{param}[{index}]");
        let message = format!("{param} names a function that is not in tools; add it to tools too");
        return Err(ApiError::invalid(param, message));
    }
    tools.retain(|tool| names.contains(&tool.name));
    Ok(())
}
