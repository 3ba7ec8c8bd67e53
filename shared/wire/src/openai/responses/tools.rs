//! Tools as this API writes them: without chat's level between `type` and `name`.

use hearth_domain::ToolChoice;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::offer::{Offer, function_name, not_had};
use crate::{ApiError, openai::tools::ToolMode};

const FUNCTION: &str = "function";
const CUSTOM: &str = "custom";

/// Where a choice names the tools that are on offer.
const ALLOWED: &str = "tool_choice.tools";

/// A tool on offer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
pub struct ResponsesTool {
    /// `function`; `custom`, which takes a text; `namespace`, which has functions in it; or a tool that a provider of
    /// this dialect runs itself: `web_search`, `file_search`, `code_interpreter` or `mcp`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The name: 1 to 64 letters, digits, underscores, dots and dashes.
    #[schema(example = "get_weather")]
    pub name: Option<String>,
    /// What it does, for the model.
    pub description: Option<String>,
    /// Of `function`: a JSON Schema of its arguments; absent: it takes none.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Of `function`: whether the arguments must fit the schema; they need not, unless this is true.
    pub strict: Option<bool>,
    /// Of `namespace`: the functions and custom tools in it.
    #[schema(no_recursion)]
    pub tools: Option<Vec<Self>>,
    /// Of `custom`: the grammar of its input; the model is told it.
    #[schema(value_type = Option<Object>)]
    pub format: Option<Value>,
    /// What else there is to say, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

/// By hand: clients count on every field of a function, and on no field that a tool of another type doesn't have.
impl Serialize for ResponsesTool {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let is_function = self.kind == FUNCTION;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("type", &self.kind)?;
        let texts = [("name", &self.name), ("description", &self.description)];
        for (name, text) in texts.into_iter().filter(|(_, text)| is_function || text.is_some()) {
            map.serialize_entry(name, text)?;
        }
        for (name, value) in [("parameters", &self.parameters), ("format", &self.format)] {
            if value.is_some() || (is_function && name == "parameters") {
                map.serialize_entry(name, value)?;
            }
        }
        if is_function || self.strict.is_some() {
            map.serialize_entry("strict", &self.strict)?;
        }
        if let Some(tools) = &self.tools {
            map.serialize_entry("tools", tools)?;
        }
        for (name, value) in &self.settings {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Whether a tool is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected \"none\", \"auto\", \"required\", or an object such as {\"type\": \"function\", \"name\": ...}"
)]
pub enum ResponsesToolChoice {
    /// `none`, `auto` or `required`.
    #[schema(value_type = String)]
    Mode(ToolMode),
    /// One tool, or some.
    Tools(ChosenTools),
}

/// Which tools may or must be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChosenTools {
    /// `function` or `custom`: this one is called. `allowed_tools`: only these are on offer. Or the type of a tool that
    /// a provider of this dialect runs itself: this one is used.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The name of the one that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The namespace that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// With `allowed_tools`: `auto` or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mode: Option<ToolMode>,
    /// Those on offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<NamedTool>>,
    /// What else there is to say, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

/// A tool by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NamedTool {
    /// `function`, `custom`, or the type of a tool that a provider of this dialect runs itself.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// Its name, where it is no provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The namespace that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What else there is to say, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub settings: Map<String, Value>,
}

impl ResponsesToolChoice {
    /// The choice without its dialect. Of what is on offer, only what the choice allows is left in `offer`.
    ///
    /// # Errors
    /// `invalid_request` for a choice of another kind, or of what isn't on offer.
    pub(super) fn into_domain(self, offer: &mut Offer) -> Result<ToolChoice, ApiError> {
        let said = json!(self);
        let chosen = match self {
            Self::Mode(mode) => return Ok(offer.choose(mode.into(), &said)),
            Self::Tools(chosen) => chosen,
        };
        match chosen.kind.as_str() {
            "allowed_tools" => {
                allow(offer, chosen.tools.unwrap_or_default())?;
                Ok(offer.choose(chosen.mode.unwrap_or(ToolMode::Auto).into(), &said))
            }
            FUNCTION | CUSTOM => {
                let name = named(chosen.name, "tool_choice")?;
                Ok(ToolChoice::Named(function_name(chosen.namespace.as_deref(), &name)))
            }
            kind if offer.has_hosted(kind) => {
                offer.hosted.need(Some(kind), said);
                Ok(ToolChoice::Auto)
            }
            kind => Err(not_had(kind, "tool_choice")),
        }
    }
}

/// Leaves in `offer` only what `allowed` names.
fn allow(offer: &mut Offer, allowed: Vec<NamedTool>) -> Result<(), ApiError> {
    if allowed.is_empty() {
        return Err(ApiError::invalid(ALLOWED, format!("{ALLOWED} must not be empty")));
    }
    let (mut names, mut hosted) = (Vec::new(), Vec::new());
    for (index, tool) in allowed.into_iter().enumerate() {
        let param = format!("{ALLOWED}[{index}]");
        match tool.kind.as_str() {
            FUNCTION | CUSTOM => {
                let name = function_name(tool.namespace.as_deref(), &named(tool.name, &param)?);
                if offer.functions.iter().all(|function| function.name != name) {
                    let message =
                        format!("{param} names a function that is not among the tools; send it in tools too");
                    return Err(ApiError::invalid(param, message));
                }
                names.push(name);
            }
            kind if offer.has_hosted(kind) => hosted.push(tool.kind),
            kind => return Err(not_had(kind, &param)),
        }
    }
    let mut places = std::mem::take(&mut offer.places).into_iter();
    offer.functions.retain(|function| {
        let kept = names.contains(&function.name);
        offer.places.extend(places.next().filter(|_| kept));
        kept
    });
    offer.hosted.definitions.retain(|tool| hosted.iter().any(|kind| tool["type"] == **kind));
    Ok(())
}

fn named(name: Option<String>, param: &str) -> Result<String, ApiError> {
    let param = format!("{param}.name");
    let missing = format!("{param} is missing");
    name.ok_or_else(|| ApiError::invalid(param, missing))
}
