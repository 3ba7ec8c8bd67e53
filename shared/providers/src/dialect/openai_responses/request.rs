//! Builds the body of a request.

use std::ops::Range;

use hearth_domain::{
    ClientDialect, Document, DocumentSource, Message, Opaque, Part, PartPlace, Piece, Reasoning,
    ResponseFormat, Role, Sampling, TextTask, Tool, ToolCall, ToolChoice,
};
use serde_json::{Map, Value};

use super::encrypted_reasoning;
use crate::{
    dialect::{
        body::{AnswerMode, PassThrough, round, tools},
        openai_chat::{
            FILE_NAME,
            request::{effort_name, labelled},
        },
    },
    json_tree::{Json, Object, object},
    provider::Call,
};

pub(in crate::dialect) fn body<'a>(
    pass: PassThrough,
    call: &'a Call,
    task: &'a TextTask,
    mode: AnswerMode,
) -> Object<'a> {
    // The client's unknown fields first: the gateway's fields replace them.
    let mut body = pass.request_fields(&call.generation.extra);
    body.set("model", call.model.as_str());
    let items = task.messages.iter().flat_map(|message| items(message, pass));
    body.set("input", Json::from_iter(items));
    body.set("stream", mode.is_stream());
    if !mode.is_stream() {
        body.remove("stream_options");
    }
    body.set("store", false);
    let include = body.remove("include").and_then(Json::into_list);
    let mut include: Vec<Json<'_>> = include.unwrap_or_default();
    if is_reasoning_model(call.model.as_str()) {
        include.push("reasoning.encrypted_content".into());
    }
    if let Some(top) = task.top_logprobs {
        include.push("message.output_text.logprobs".into());
        body.set("top_logprobs", top);
    }
    if !include.is_empty() {
        body.set("include", include);
    }
    add_sampling(&task.sampling, &mut body);
    add_tools(task, pass, &mut body);
    if let Some(format) = format(task, call.generation.extra.dialect) {
        set_in_object(&mut body, "text", "format", format);
    }
    if let Some(effort) = task.reasoning {
        set_in_object(&mut body, "reasoning", "effort", effort_name(effort));
    }
    body
}

/// Returns whether a model reasons. Other models refuse a request for encrypted thoughts
/// (<https://platform.openai.com/docs/guides/reasoning>).
fn is_reasoning_model(model: &str) -> bool {
    let before = ["gpt-3.5", "gpt-4", "chatgpt-"].iter().any(|start| model.starts_with(start));
    !before && !model.contains("-chat")
}

/// Sets the field `name` of the object `object`, of which the client may have set other fields.
fn set_in_object<'a>(
    body: &mut Object<'a>,
    object: &'static str,
    name: &'static str,
    value: impl Into<Json<'a>>,
) {
    let mut fields = body.remove(object).and_then(Json::into_object).unwrap_or_default();
    fields.set(name, value);
    body.set(object, fields);
}

fn add_sampling(sampling: &Sampling, body: &mut Object<'_>) {
    body.set_some("temperature", sampling.temperature.map(round));
    body.set_some("top_p", sampling.top_p.map(round));
    body.set_some("max_output_tokens", sampling.max_tokens);
}

fn add_tools<'a>(task: &'a TextTask, pass: PassThrough, body: &mut Object<'a>) {
    if task.tools.is_empty() {
        return;
    }
    body.set("tools", tools(task, pass, tool));
    let choice: Option<Json<'_>> = match &task.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Named(name) => Some(object! {"type": "function", "name": name}.into()),
    };
    body.set_some("tool_choice", choice);
    if !task.parallel_tool_calls {
        body.set("parallel_tool_calls", false);
    }
}

fn tool(tool: &Tool) -> Object<'_> {
    // Unlike in chat completions, the default of `strict` is true.
    let mut definition = object! {
        "type": "function", "name": &tool.name, "parameters": &tool.parameters, "strict": tool.strict,
    };
    definition.set_some("description", tool.description.as_deref());
    definition
}

fn format(task: &TextTask, client: ClientDialect) -> Option<Object<'_>> {
    match &task.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(object! {"type": "json_object"}),
        ResponseFormat::JsonSchema(schema) => {
            let mut format = labelled(schema, &task.schema_label, client);
            format.set("type", "json_schema");
            Some(format)
        }
    }
}

/// Converts a message to items.
fn items(message: &Message, pass: PassThrough) -> Vec<Json<'_>> {
    let item = match message.role {
        Role::Assistant => return assistant_items(message, pass),
        Role::User if message.opaque_parts().next().is_some_and(Opaque::is_item) => {
            return message.opaque_parts().map(|opaque| Json::from(&opaque.value)).collect();
        }
        Role::Tool => object! {
            "type": "function_call_output", "call_id": message.tool_call_id.as_deref(),
            "output": content(message, pass),
        },
        Role::System | Role::User => object! {
            "type": "message", "role": message.role.as_str(), "content": content(message, pass),
        },
    };
    vec![item.into()]
}

/// Converts reasoning, texts, unknown items and calls of the assistant, in their order: OpenAI requires the item after reasoning
/// that it led to.
fn assistant_items(message: &Message, pass: PassThrough) -> Vec<Json<'_>> {
    let mut items: Vec<Json<'_>> = Vec::new();
    let fields_by_place = message.extra_by_place();
    // Bytes of texts with nothing between them: they are one item, unless they have fields.
    let mut text = 0..0;
    for piece in message.pieces() {
        let item = match piece {
            Piece::Part(number, Part::Text(part)) => {
                let fields = fields_by_place.get(&PartPlace::Part(number)).copied();
                match fields.filter(|_| pass.passes_any(fields)) {
                    Some(fields) => Some(labelled_text(part, fields)),
                    None => {
                        let from = message.offset_of(part);
                        let start = if text.is_empty() { from } else { text.start };
                        text = start..from + part.len();
                        None
                    }
                }
            }
            Piece::Part(_, Part::Opaque(opaque)) => Some(Json::from(&opaque.value)),
            // The assistant's messages of this API can't have images or documents.
            Piece::Part(_, Part::Image(_) | Part::Document(_)) => None,
            Piece::Reasoning(block) => reasoning_item(block),
            Piece::Call(_, call) => Some(function_call(call)),
        };
        if let Some(item) = item {
            items.extend(assistant_text(message, std::mem::take(&mut text)));
            items.push(item);
        }
    }
    items.extend(assistant_text(message, text));
    items
}

/// Converts a block of reasoning; `None` if OpenAI hasn't encrypted it.
fn reasoning_item(block: &Reasoning) -> Option<Json<'_>> {
    let encrypted = block.encrypted.as_deref().and_then(encrypted_reasoning::without_prefix)?;
    let text = Some(&block.text).filter(|text| !text.is_empty());
    let summary = Json::from_iter(text.map(|text| object! {"type": "summary_text", "text": text}));
    Some(object! {"type": "reasoning", "summary": summary, "encrypted_content": encrypted}.into())
}

fn function_call(call: &ToolCall) -> Json<'_> {
    let item = object! {
        "type": "function_call", "call_id": &call.id, "name": &call.name, "arguments": &call.arguments,
    };
    item.into()
}

/// Converts these bytes of the message's text, unless there are none.
fn assistant_text(message: &Message, bytes: Range<usize>) -> Option<Json<'_>> {
    let content = message.content.get(bytes).filter(|text| !text.is_empty())?;
    Some(object! {"type": "message", "role": "assistant", "content": content}.into())
}

/// Converts a text with citations or a phase to a message
/// (<https://platform.openai.com/docs/api-reference/responses/create>).
fn labelled_text<'a>(text: &'a str, fields: &'a Map<String, Value>) -> Json<'a> {
    let mut item = object! {"type": "message", "role": "assistant"};
    match fields.get("annotations") {
        Some(annotations) => {
            let part = object! {"type": "output_text", "text": text, "annotations": annotations};
            item.set("status", "completed");
            item.set("content", Json::from_iter([part]));
        }
        None => item.set("content", text),
    }
    item.set_some("phase", fields.get("phase"));
    item.into()
}

fn content(message: &Message, pass: PassThrough) -> Json<'_> {
    if message.is_text_only() && !pass.passes_part_fields(message) {
        return Json::from(&message.content);
    }
    let parts = message.parts_with_extra().into_iter().map(|(part, extra)| {
        let mut part = match part {
            Part::Text(text) => object! {"type": "input_text", "text": text}.into(),
            Part::Image(image) => {
                let detail = image.detail.as_deref().unwrap_or("auto");
                object! {"type": "input_image", "image_url": image.url(), "detail": detail}.into()
            }
            Part::Document(file) => document(file).into(),
            Part::Opaque(opaque) => Json::from(&opaque.value),
        };
        pass.add_to_part(extra, &mut part);
        part
    });
    parts.collect()
}

/// Converts a document (<https://platform.openai.com/docs/guides/pdf-files>).
fn document(document: &Document) -> Object<'_> {
    match &document.source {
        DocumentSource::Text(_) => object! {"type": "input_text", "text": document.text()},
        DocumentSource::Url(url) => object! {"type": "input_file", "file_url": url},
        DocumentSource::Data { media_type, data } => object! {
            "type": "input_file", "filename": document.name.as_deref().unwrap_or(FILE_NAME),
            "file_data": format!("data:{media_type};base64,{data}"),
        },
    }
}
