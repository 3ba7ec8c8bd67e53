//! Converts a request's tools.
//!
//! A function in a namespace gets a name that includes the namespace ([`function_name`]). A custom tool becomes a
//! function with one text parameter ([`custom_function`]). The definition of a hosted tool, such as `web_search`, stays
//! as it is, for a provider of this dialect.

use hearth_domain::Tool;
use serde_json::json;

use super::{ResponsesTool, custom_tools::custom_function, tool_names::function_name};
use crate::{ApiError, offered_tools::OfferedTools, required::required};

/// Types of tools that clients run themselves, and that coding agents offer beside functions for the same work. The
/// gateway can't pass on their calls, which are items of their own, so the tools are left out.
const LEFT_OUT: [&str; 3] = ["local_shell", "shell", "apply_patch"];

/// The dependence of a request on a hosted tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosting {
    /// The model can answer without it.
    Optional,
    /// Its data or rights exist at one provider alone.
    Required,
    /// Its items in the answer aren't read, so it is left out.
    Unsupported,
}

impl Hosting {
    fn of(tool: &ResponsesTool) -> Self {
        match tool.kind.as_str() {
            // The client searches, and answers with items that aren't read.
            "tool_search" if tool.settings.get("execution").is_some_and(|runner| runner == "client") => {
                Self::Unsupported
            }
            "code_interpreter" | "tool_search" => Self::Optional,
            kind if kind.starts_with("web_search") => Self::Optional,
            _ => Self::Required,
        }
    }
}

/// Returns whether a provider of this dialect runs tools of this type itself, and an answer is complete without the
/// items of their calls.
fn is_hosted(kind: &str) -> bool {
    kind.starts_with("web_search")
        || matches!(kind, "file_search" | "code_interpreter" | "mcp" | "tool_search")
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
        kind if namespace.is_none() && is_hosted(kind) => {
            add_hosted(offered, &tool);
            return Ok(());
        }
        kind if namespace.is_none() && LEFT_OUT.contains(&kind) => return Ok(()),
        kind => return Err(unsupported_tool(kind, param)),
    };
    offered.add_function(function, param.to_owned(), tool.settings);
    Ok(())
}

fn add_hosted(offered: &mut OfferedTools, tool: &ResponsesTool) {
    match Hosting::of(tool) {
        Hosting::Unsupported => return,
        Hosting::Optional => {}
        Hosting::Required => offered.hosted.needed = Some(tool.kind.clone()),
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
