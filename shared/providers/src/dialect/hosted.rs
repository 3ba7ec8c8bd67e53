//! Tools that a provider runs itself. A provider of the client's dialect is given them as the client wrote them; for
//! the others they are left out, or the request is refused where it can't be served without.

use hearth_domain::{HostedTools, TextTask, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Value, json};

/// Refuses a request that can't be served without a tool that only another dialect has.
///
/// # Errors
/// `invalid_request`, naming the tool's type.
pub(crate) fn refuse(hosted: &HostedTools) -> Result<(), ApiError> {
    let Some(kind) = &hosted.needed else { return Ok(()) };
    let message = format!(
        "the request needs a tool of type {kind}, which this model doesn't have; leave it out of tools and \
         tool_choice, or name a model of a provider that speaks the request's own dialect"
    );
    Err(ApiError::invalid("tools", message))
}

/// Puts the tools beside those of the body, and what chooses one of them in place of the body's choice.
pub(super) fn add(hosted: &HostedTools, task: &TextTask, body: &mut Value) {
    if hosted.definitions.is_empty() || task.tool_choice == ToolChoice::None {
        return;
    }
    if task.tools.is_empty() {
        // What stands there is for a request without tools.
        body["tools"] = json!([]);
        if let Some(body) = body.as_object_mut() {
            body.remove("tool_choice");
        }
    }
    match body["tools"].as_array_mut() {
        Some(tools) => tools.extend(hosted.definitions.iter().cloned()),
        None => body["tools"] = json!(hosted.definitions),
    }
    if let Some(choice) = &hosted.choice {
        body["tool_choice"] = choice.clone();
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, Role, Sampling, Tool};

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

    #[test]
    fn hosted_tools_stand_behind_functions() {
        let mut body = json!({"tools": [{"type": "function", "name": "look"}], "tool_choice": "auto"});
        add(&search(), &task(&["look"]), &mut body);
        let expected = json!([{"type": "function", "name": "look"}, {"type": "web_search"}]);
        assert_eq!((&body["tools"], &body["tool_choice"]), (&expected, &json!("auto")));
    }

    #[test]
    fn hosted_tools_replace_what_a_request_without_tools_says() {
        let mut body = json!({"tools": [{"name": "earlier"}], "tool_choice": {"type": "none"}});
        add(&search(), &task(&[]), &mut body);
        assert_eq!(body, json!({"tools": [{"type": "web_search"}]}));
    }

    #[test]
    fn a_choice_of_hosted_tools_is_passed_on_and_none_keeps_them_away() {
        let mut hosted = search();
        hosted.need(Some("web_search"), json!({"type": "web_search"}));
        let mut body = json!({});
        add(&hosted, &task(&[]), &mut body);
        assert_eq!(body["tool_choice"], json!({"type": "web_search"}));
        let mut body = json!({});
        add(&hosted, &TextTask { tool_choice: ToolChoice::None, ..task(&[]) }, &mut body);
        assert_eq!(body, json!({}));
    }

    #[test]
    fn needed_tools_are_refused_by_name_elsewhere() {
        refuse(&search()).unwrap();
        let mut hosted = search();
        hosted.need(None, json!("required"));
        let error = refuse(&hosted).unwrap_err();
        assert!(error.message.contains("web_search"), "{error}");
    }
}
