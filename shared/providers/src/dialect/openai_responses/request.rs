//! Builds the body of a request.

use hearth_domain::{
    ClientDialect, Document, DocumentSource, Message, Part, ResponseFormat, Role, Sampling, TextTask, Tool,
    ToolChoice,
};
use serde_json::{Map, Value, json};

use super::encrypted_reasoning;
use crate::{
    dialect::{
        body::{AnswerMode, PassThrough, round, tools},
        openai_chat::{
            FILE_NAME,
            request::{effort_name, labelled},
        },
    },
    provider::Call,
};

pub(in crate::dialect) fn body(pass: PassThrough, call: &Call, task: &TextTask, mode: AnswerMode) -> Value {
    // The client's unknown fields first: the gateway's fields replace them.
    let mut body = pass.request_fields(&call.generation.extra);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    let items = task.messages.iter().flat_map(|message| items(message, pass));
    body.insert("input".to_owned(), items.collect());
    body.insert("stream".to_owned(), json!(mode.is_stream()));
    if !mode.is_stream() {
        body.remove("stream_options");
    }
    body.insert("store".to_owned(), json!(false));
    let mut include = Vec::new();
    if is_reasoning_model(call.model.as_str()) {
        include.push("reasoning.encrypted_content");
    }
    if let Some(top) = task.top_logprobs {
        include.push("message.output_text.logprobs");
        body.insert("top_logprobs".to_owned(), json!(top));
    }
    if !include.is_empty() {
        body.insert("include".to_owned(), json!(include));
    }
    add_sampling(&task.sampling, &mut body);
    add_tools(task, pass, &mut body);
    if let Some(format) = format(task, call.generation.extra.dialect) {
        set_in_object(&mut body, "text", "format", format);
    }
    if let Some(effort) = task.reasoning {
        set_in_object(&mut body, "reasoning", "effort", json!(effort_name(effort)));
    }
    Value::Object(body)
}

/// Returns whether a model reasons. Other models refuse a request for encrypted thoughts
/// (<https://platform.openai.com/docs/guides/reasoning>).
fn is_reasoning_model(model: &str) -> bool {
    let before = ["gpt-3.5", "gpt-4", "chatgpt-"].iter().any(|start| model.starts_with(start));
    !before && !model.contains("-chat")
}

/// Sets the field `name` of the object `object`, of which the client may have set other fields.
fn set_in_object(body: &mut Map<String, Value>, object: &str, name: &str, value: Value) {
    let place = body.entry(object).or_insert_with(|| json!({}));
    match place.as_object_mut() {
        Some(fields) => {
            fields.insert(name.to_owned(), value);
        }
        None => *place = json!({name: value}),
    }
}

fn add_sampling(sampling: &Sampling, body: &mut Map<String, Value>) {
    let number = |value: Option<f32>| value.map(|value| json!(round(value)));
    let fields = [
        ("temperature", number(sampling.temperature)),
        ("top_p", number(sampling.top_p)),
        ("max_output_tokens", sampling.max_tokens.map(Value::from)),
    ];
    body.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
}

fn add_tools(task: &TextTask, pass: PassThrough, body: &mut Map<String, Value>) {
    if task.tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(tools(task, pass, tool)));
    let choice = match &task.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!("required")),
        ToolChoice::Named(name) => Some(json!({"type": "function", "name": name})),
    };
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    if !task.parallel_tool_calls {
        body.insert("parallel_tool_calls".to_owned(), json!(false));
    }
}

fn tool(tool: &Tool) -> Value {
    // Unlike in chat completions, the default of `strict` is true.
    let mut definition = json!({
        "type": "function", "name": tool.name, "parameters": tool.parameters, "strict": tool.strict,
    });
    if let Some(description) = &tool.description {
        definition["description"] = json!(description);
    }
    definition
}

fn format(task: &TextTask, client: ClientDialect) -> Option<Value> {
    match &task.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
        ResponseFormat::JsonSchema(schema) => {
            let mut format = labelled(schema, &task.schema_label, client);
            format["type"] = json!("json_schema");
            Some(format)
        }
    }
}

/// Converts a message to items.
fn items(message: &Message, pass: PassThrough) -> Vec<Value> {
    match message.role {
        Role::Assistant => assistant_items(message),
        Role::Tool => vec![json!({
            "type": "function_call_output", "call_id": message.tool_call_id, "output": content(message, pass),
        })],
        Role::System | Role::User => {
            vec![json!({
                "type": "message", "role": message.role.as_str(), "content": content(message, pass),
            })]
        }
    }
}

/// Converts thoughts, text and calls of the assistant. Thoughts come first: OpenAI requires the item after them that they
/// led to. Thoughts that OpenAI hasn't encrypted are left out.
fn assistant_items(message: &Message) -> Vec<Value> {
    let mut items = Vec::new();
    for block in &message.reasoning {
        let Some(encrypted) = block.encrypted.as_deref().and_then(encrypted_reasoning::without_prefix) else {
            continue;
        };
        let text = Some(&block.text).filter(|text| !text.is_empty());
        let summary: Vec<Value> =
            text.into_iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
        items.push(json!({"type": "reasoning", "summary": summary, "encrypted_content": encrypted}));
    }
    // Unknown items are between the texts.
    let mut text = String::new();
    let push_text = |text: &mut String, items: &mut Vec<Value>| {
        if !text.is_empty() {
            let content = std::mem::take(text);
            items.push(json!({"type": "message", "role": "assistant", "content": content}));
        }
    };
    for part in message.parts() {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Opaque(opaque) => {
                push_text(&mut text, &mut items);
                items.push(opaque.value.clone());
            }
            // The assistant's messages of this API can't have images or documents.
            Part::Image(_) | Part::Document(_) => {}
        }
    }
    push_text(&mut text, &mut items);
    items.extend(message.tool_calls.iter().map(|call| {
        json!({
            "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments,
        })
    }));
    items
}

fn content(message: &Message, pass: PassThrough) -> Value {
    let parts = message.parts_with_extra();
    let has_fields = parts.iter().any(|(_, extra)| pass.passes_any(*extra));
    if message.is_text_only() && !has_fields {
        return json!(message.content);
    }
    let parts = parts.into_iter().map(|(part, extra)| {
        let mut object = match part {
            Part::Text(text) => json!({"type": "input_text", "text": text}),
            Part::Image(image) => json!({
                "type": "input_image", "image_url": image.url(),
                "detail": image.detail.as_deref().unwrap_or("auto"),
            }),
            Part::Document(file) => document(file),
            Part::Opaque(opaque) => opaque.value.clone(),
        };
        pass.add(extra, &mut object);
        object
    });
    parts.collect()
}

/// Converts a document (<https://platform.openai.com/docs/guides/pdf-files>).
fn document(document: &Document) -> Value {
    match &document.source {
        DocumentSource::Text(_) => json!({"type": "input_text", "text": document.text()}),
        DocumentSource::Url(url) => json!({"type": "input_file", "file_url": url}),
        DocumentSource::Data { media_type, data } => json!({
            "type": "input_file", "filename": document.name.as_deref().unwrap_or(FILE_NAME),
            "file_data": format!("data:{media_type};base64,{data}"),
        }),
    }
}
