//! Tools that a provider runs itself. They are passed on to a provider of the client's dialect; for other providers they
//! are left out, or the request is refused if it requires them.

use hearth_domain::{HostedTools, TextTask, ToolChoice};
use hearth_wire::ApiError;

use crate::json_tree::{Json, Object};

/// Rejects a request that requires a hosted tool, for a provider of another dialect.
///
/// # Errors
/// `invalid_request`, with the tool's type.
pub(crate) fn reject_required(hosted: &HostedTools) -> Result<(), ApiError> {
    let Some(kind) = &hosted.needed else { return Ok(()) };
    let message = format!(
        "the request needs a tool of type {kind}, which this model doesn't have; leave it out of tools and \
         tool_choice, or name a model of a provider that has the request's dialect"
    );
    Err(ApiError::invalid("tools", message))
}

/// Adds the tools to those of the body, and replaces the body's tool choice if it is about a hosted tool.
pub(super) fn add<'a>(hosted: &'a HostedTools, task: &TextTask, body: &mut Object<'a>) {
    if hosted.definitions.is_empty() || task.tool_choice == ToolChoice::None {
        return;
    }
    if task.tools.is_empty() {
        // The tools and the choice in the body are for a request without tools.
        body.remove("tools");
        body.remove("tool_choice");
    }
    match body.get_mut("tools").and_then(Json::list_mut) {
        Some(tools) => tools.extend(hosted.definitions.iter().map(Json::from)),
        None => body.set("tools", Json::from_iter(&hosted.definitions)),
    }
    body.set_some("tool_choice", hosted.choice.as_ref());
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, Role, Sampling, Tool};
    use serde_json::{Value, json};

    use super::*;

    fn search() -> HostedTools {
        HostedTools { definitions: vec![json!({"type": "web_search"})], ..HostedTools::default() }
    }

    fn task(tools: &[&str]) -> TextTask {
        let tool = |name: &&str| Tool {
            name: (*name).to_owned(),
            description: None,
            parameters: json!({}),
            strict: false,
        };
        TextTask {
            tools: tools.iter().map(tool).collect(),
            ..TextTask::new(vec![Message::new(Role::User, "hi")], Sampling::default())
        }
    }

    /// The body after the tools are added.
    fn added(hosted: &HostedTools, task: &TextTask, body: &Value) -> Value {
        let mut body = Json::from(body).into_object().unwrap();
        add(hosted, task, &mut body);
        Json::from(body).to_value()
    }

    #[test]
    fn hosted_tools_follow_functions() {
        let body = json!({"tools": [{"type": "function", "name": "look"}], "tool_choice": "auto"});
        let body = added(&search(), &task(&["look"]), &body);
        let expected = json!([{"type": "function", "name": "look"}, {"type": "web_search"}]);
        assert_eq!((&body["tools"], &body["tool_choice"]), (&expected, &json!("auto")));
    }

    #[test]
    fn hosted_tools_replace_the_fields_of_a_request_without_tools() {
        let body = json!({"tools": [{"name": "earlier"}], "tool_choice": {"type": "none"}});
        let body = added(&search(), &task(&[]), &body);
        assert_eq!(body, json!({"tools": [{"type": "web_search"}]}));
    }

    #[test]
    fn choice_of_a_hosted_tool_is_passed_on_and_none_removes_them() {
        let mut hosted = search();
        hosted.need(Some("web_search"), json!({"type": "web_search"}));
        let body = added(&hosted, &task(&[]), &json!({}));
        assert_eq!(body["tool_choice"], json!({"type": "web_search"}));
        let body = added(&hosted, &TextTask { tool_choice: ToolChoice::None, ..task(&[]) }, &json!({}));
        assert_eq!(body, json!({}));
    }

    #[test]
    fn required_hosted_tool_is_rejected_by_its_type() {
        reject_required(&search()).unwrap();
        let mut hosted = search();
        hosted.need(None, json!("required"));
        let error = reject_required(&hosted).unwrap_err();
        assert!(error.message.contains("web_search"), "{error}");
    }
}
