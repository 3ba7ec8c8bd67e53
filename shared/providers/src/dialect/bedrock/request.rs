//! Builds the body of a request.

use hearth_domain::{ResponseFormat, Role, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{claude, messages::messages};
use crate::{
    dialect::{anthropic::claude_version, body::round},
    json_tree::{Json, Object, object},
    strict_schema::close_for_claude,
};

pub(in crate::dialect) fn body<'a>(model: &str, task: &'a TextTask) -> Result<Object<'a>, ApiError> {
    let tools = !task.tools.is_empty() && task.tool_choice != ToolChoice::None;
    let mut body = object! {"messages": messages(&task.messages, tools)?};
    let instructions = task.messages.iter().filter(|message| message.role == Role::System);
    let instructions = instructions.filter(|message| !message.content.trim().is_empty());
    let instructions: Vec<Object<'_>> =
        instructions.map(|message| object! {"text": &message.content}).collect();
    if !instructions.is_empty() {
        body.set("system", instructions);
    }
    let inference = inference(&task.sampling);
    if !inference.is_empty() {
        body.set("inferenceConfig", inference);
    }
    if tools {
        body.set("toolConfig", tool_config(task));
    }
    body.set_some("outputConfig", output_config(model, task));
    body.set_some("additionalModelResponseFieldPaths", claude::response_fields(model, task));
    let fields = claude::fields(model, task)?;
    if !fields.is_empty() {
        body.set("additionalModelRequestFields", Value::Object(fields));
    }
    Ok(body)
}

fn inference(sampling: &Sampling) -> Object<'_> {
    let mut fields = Object::default();
    fields.set_some("maxTokens", sampling.max_tokens);
    fields.set_some("temperature", sampling.temperature.map(round));
    fields.set_some("topP", sampling.top_p.map(round));
    fields.set_some("stopSequences", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    fields
}

fn tool_config(task: &TextTask) -> Object<'_> {
    let mut config = object! {"tools": Json::from_iter(task.tools.iter().map(tool))};
    match &task.tool_choice {
        // Without tools this function isn't called.
        ToolChoice::Auto | ToolChoice::None => {}
        ToolChoice::Required => config.set("toolChoice", object! {"any": Object::default()}),
        ToolChoice::Named(name) => config.set("toolChoice", object! {"tool": object! {"name": name}}),
    }
    config
}

fn tool(tool: &Tool) -> Object<'_> {
    let mut schema = Json::from(&tool.parameters);
    if let Some(schema) = schema.object_mut() {
        schema.set_missing("type", "object");
    }
    let mut spec = object! {"name": &tool.name, "inputSchema": object! {"json": schema}};
    spec.set_some("description", tool.description.as_deref().filter(|text| !text.is_empty()));
    if tool.strict {
        spec.set("strict", true);
    }
    object! {"toolSpec": spec}
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
