//! Builds the body of a request.

use hearth_domain::{ResponseFormat, Role, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::{claude, messages::messages};
use crate::{
    dialect::{anthropic::claude_version, body::round},
    strict_schema::close_for_claude,
};

pub(in crate::dialect) fn body(model: &str, task: &TextTask) -> Result<Value, ApiError> {
    let tools = !task.tools.is_empty() && task.tool_choice != ToolChoice::None;
    let mut body = json!({"messages": messages(&task.messages, tools)?});
    let instructions = task.messages.iter().filter(|message| message.role == Role::System);
    let instructions = instructions.filter(|message| !message.content.trim().is_empty());
    let instructions: Vec<Value> =
        instructions.map(|message| json!({"text": message.content.as_str()})).collect();
    if !instructions.is_empty() {
        body["system"] = Value::Array(instructions);
    }
    let inference = inference(&task.sampling);
    if !inference.is_empty() {
        body["inferenceConfig"] = Value::Object(inference);
    }
    if tools {
        body["toolConfig"] = tool_config(task);
    }
    if let Some(output) = output_config(model, task) {
        body["outputConfig"] = output;
    }
    if let Some(paths) = claude::response_fields(model, task) {
        body["additionalModelResponseFieldPaths"] = paths;
    }
    let fields = claude::fields(model, task)?;
    if !fields.is_empty() {
        body["additionalModelRequestFields"] = Value::Object(fields);
    }
    Ok(body)
}

fn inference(sampling: &Sampling) -> Map<String, Value> {
    let number = |value: Option<f32>| value.map(|value| json!(round(value)));
    let fields = [
        ("maxTokens", sampling.max_tokens.map(Value::from)),
        ("temperature", number(sampling.temperature)),
        ("topP", number(sampling.top_p)),
        ("stopSequences", (!sampling.stop.is_empty()).then(|| json!(sampling.stop))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn tool_config(task: &TextTask) -> Value {
    let tools: Vec<Value> = task.tools.iter().map(tool).collect();
    let mut config = json!({"tools": tools});
    match &task.tool_choice {
        // Without tools this function isn't called.
        ToolChoice::Auto | ToolChoice::None => {}
        ToolChoice::Required => config["toolChoice"] = json!({"any": {}}),
        ToolChoice::Named(name) => config["toolChoice"] = json!({"tool": {"name": name}}),
    }
    config
}

fn tool(tool: &Tool) -> Value {
    let mut schema = tool.parameters.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.entry("type").or_insert_with(|| json!("object"));
    }
    let mut spec = json!({"name": tool.name, "inputSchema": {"json": schema}});
    if let Some(description) = tool.description.as_ref().filter(|text| !text.is_empty()) {
        spec["description"] = json!(description);
    }
    if tool.strict {
        spec["strict"] = json!(true);
    }
    json!({"toolSpec": spec})
}

/// Adds the answer's schema, which is a text (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_OutputFormat.html>).
fn output_config(model: &str, task: &TextTask) -> Option<Value> {
    let ResponseFormat::JsonSchema(schema) = &task.response_format else { return None };
    let mut schema = schema.clone();
    if claude_version(model).is_some() {
        close_for_claude(&mut schema);
    }
    let name = task.schema_label.name.as_deref().unwrap_or("response");
    let mut schema = json!({"name": name, "schema": schema.to_string()});
    if let Some(description) = &task.schema_label.description {
        schema["description"] = json!(description);
    }
    Some(json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}))
}
