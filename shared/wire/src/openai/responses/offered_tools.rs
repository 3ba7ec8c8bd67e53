//! Converts a request's tools.
//!
//! A function in a namespace gets a name that includes the namespace ([`function_name`]). A custom tool becomes a
//! function with one text parameter ([`custom_function`]). The definition of a hosted tool, such as `web_search`, stays
//! as it is, for a provider of this dialect.

use hearth_domain::Tool;
use serde_json::json;

use super::{ResponsesTool, custom_tools::custom_function, tool_names::function_name};
use crate::{ApiError, offered_tools::OfferedTools, required::required};

/// Types of tools that a model can answer without: searches, code that the provider runs, and tools that coding agents offer beside
/// functions for the same work.
const OPTIONAL_HOSTED: [&str; 5] = ["apply_patch", "code_interpreter", "local_shell", "shell", "tool_search"];

/// The dependence of a request on a hosted tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosting {
    /// The model can answer without it.
    Optional,
    /// Its data or rights exist at one provider alone.
    Required,
}

impl Hosting {
    fn of(tool: &ResponsesTool) -> Self {
        match tool.kind.as_str() {
            kind if OPTIONAL_HOSTED.contains(&kind) || kind.starts_with("web_search") => Self::Optional,
            _ => Self::Required,
        }
    }
}

/// Adds a tool of the request to `offered`. `param` is its field, for the error.
///
/// # Errors
/// `invalid_request` for an unsupported type of tool.
pub(super) fn add_tool(offered: &mut OfferedTools, tool: ResponsesTool, param: &str) -> Result<(), ApiError> {
    if tool.kind != "namespace" {
        return add_in_namespace(offered, None, tool, param);
    }
    let namespace = required(tool.name, param, "name")?;
    for (index, inner) in tool.tools.into_iter().flatten().enumerate() {
        add_in_namespace(offered, Some(&namespace), inner, &format!("{param}.tools[{index}]"))?;
    }
    Ok(())
}

fn add_in_namespace(
    offered: &mut OfferedTools,
    namespace: Option<&str>,
    tool: ResponsesTool,
    param: &str,
) -> Result<(), ApiError> {
    let function = match tool.kind.as_str() {
        "function" => {
            let name = required(tool.name, param, "name")?;
            let no_parameters = || json!({"type": "object", "properties": {}});
            Tool {
                name: function_name(namespace, &name),
                description: tool.description,
                parameters: tool.parameters.unwrap_or_else(no_parameters),
                strict: tool.strict.unwrap_or(false),
            }
        }
        "custom" => {
            let name = required(tool.name, param, "name")?;
            custom_function(function_name(namespace, &name), tool.description, tool.format.as_ref())
        }
        _ if namespace.is_none() => {
            add_hosted(offered, &tool);
            return Ok(());
        }
        kind => return Err(unsupported_tool(kind, param)),
    };
    offered.add_function(function, param.to_owned(), tool.settings);
    Ok(())
}

fn add_hosted(offered: &mut OfferedTools, tool: &ResponsesTool) {
    if Hosting::of(tool) == Hosting::Required {
        offered.hosted.needed = Some(tool.kind.clone());
    }
    offered.hosted.definitions.push(json!(tool));
}

/// The error for an unsupported type of tool.
pub(super) fn unsupported_tool(kind: &str, param: &str) -> ApiError {
    let message = format!(
        "{param}.type is {kind:?}, whose calls the gateway can't pass on; offer a function instead, and run it when \
         the model calls it"
    );
    ApiError::invalid(format!("{param}.type"), message)
}

#[cfg(test)]
mod tests;
