//! Custom tools, which take any text as input, as functions with one text parameter.

use hearth_domain::Tool;
use serde_json::{Value, json};

/// The parameter that holds a custom tool's input.
const INPUT: &str = "input";

/// Builds the function that stands for a custom tool. A grammar of the input goes into the description.
pub(super) fn custom_function(name: String, description: Option<String>, format: Option<&Value>) -> Tool {
    let mut description = description.unwrap_or_default();
    if let Some(grammar) = format.and_then(|format| format["definition"].as_str()) {
        let syntax = format.and_then(|format| format["syntax"].as_str()).unwrap_or("lark");
        let rule = format!("The input must follow this {syntax} grammar:\n{grammar}");
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        description.push_str(&rule);
    }
    Tool {
        name,
        description: Some(description).filter(|text| !text.is_empty()),
        parameters: json!({
            "type": "object",
            "properties": {INPUT: {"type": "string", "description": "The tool's input, as it is."}},
            "required": [INPUT],
            "additionalProperties": false,
        }),
        strict: false,
    }
}

/// Converts a custom tool's input to the function's arguments.
pub(super) fn custom_arguments(input: &str) -> String {
    json!({INPUT: input}).to_string()
}

/// Converts the function's arguments to the custom tool's input. Arguments without the parameter are the input
/// themselves: some models write the bare input.
pub(super) fn custom_input(arguments: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(arguments).ok();
    match parsed.as_ref().and_then(|arguments| arguments[INPUT].as_str()) {
        Some(input) => input.to_owned(),
        None => arguments.to_owned(),
    }
}
