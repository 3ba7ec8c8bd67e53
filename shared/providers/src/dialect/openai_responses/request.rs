//! The body of a request.

use hearth_domain::{
    ClientDialect, Document, DocumentSource, Message, Part, ResponseFormat, Role, Sampling, TextTask, Tool,
    ToolChoice,
};
use serde_json::{Map, Value, json};

use super::seal;
use crate::{
    Call,
    dialect::{
        AnswerMode, Dialect, Passing, offered,
        openai_chat::{
            FILE_NAME,
            request::{effort_word, labelled},
        },
        round,
    },
};

pub(in crate::dialect) fn body(call: &Call, task: &TextTask, mode: AnswerMode) -> Value {
    let client = call.generation.extra.dialect;
    let passing = Dialect::OpenAiResponses.passing(client);
    let thinks = thinks(call.model.as_str());
    // The client's own words first: what the gateway understood is said over them.
    let mut body = Dialect::OpenAiResponses.extra(call);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    let items = task.messages.iter().flat_map(|message| items(message, passing));
    body.insert("input".to_owned(), items.collect());
    body.insert("stream".to_owned(), json!(mode.is_stream()));
    if !mode.is_stream() {
        body.remove("stream_options");
    }
    body.insert("store".to_owned(), json!(false));
    let mut include = Vec::new();
    if thinks {
        include.push("reasoning.encrypted_content");
    }
    if let Some(top) = task.top_logprobs {
        include.push("message.output_text.logprobs");
        body.insert("top_logprobs".to_owned(), json!(top));
    }
    if !include.is_empty() {
        body.insert("include".to_owned(), json!(include));
    }
    sampling(&task.sampling, &mut body);
    tools(task, passing, &mut body);
    if let Some(format) = format(task, client) {
        say_within(&mut body, "text", "format", format);
    }
    if let Some(effort) = task.reasoning {
        say_within(&mut body, "reasoning", "effort", json!(effort_word(effort)));
    }
    Value::Object(body)
}

/// Whether a model thinks before it answers. The others refuse to be asked for encrypted thoughts
/// (<https://platform.openai.com/docs/guides/reasoning>).
fn thinks(model: &str) -> bool {
    let before = ["gpt-3.5", "gpt-4", "chatgpt-"].iter().any(|start| model.starts_with(start));
    !before && !model.contains("-chat")
}

/// Says `value` under `name` within the object `object`, of which the client may have said the rest.
fn say_within(body: &mut Map<String, Value>, object: &str, name: &str, value: Value) {
    let place = body.entry(object).or_insert_with(|| json!({}));
    match place.as_object_mut() {
        Some(fields) => {
            fields.insert(name.to_owned(), value);
        }
        None => *place = json!({name: value}),
    }
}

fn sampling(sampling: &Sampling, body: &mut Map<String, Value>) {
    let number = |value: Option<f32>| value.map(|value| json!(round(value)));
    let said = [
        ("temperature", number(sampling.temperature)),
        ("top_p", number(sampling.top_p)),
        ("max_output_tokens", sampling.max_tokens.map(Value::from)),
    ];
    body.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
}

fn tools(task: &TextTask, passing: Passing, body: &mut Map<String, Value>) {
    if task.tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(offered(task, passing, tool)));
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
    // Unlike in chat, a function is strict unless it says otherwise.
    let mut said = json!({
        "type": "function", "name": tool.name, "parameters": tool.parameters, "strict": tool.strict,
    });
    if let Some(description) = &tool.description {
        said["description"] = json!(description);
    }
    said
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

/// The items that a message is.
fn items(message: &Message, passing: Passing) -> Vec<Value> {
    match message.role {
        Role::Assistant => assistants(message),
        Role::Tool => vec![json!({
            "type": "function_call_output", "call_id": message.tool_call_id, "output": content(message, passing),
        })],
        Role::System | Role::User => {
            vec![json!({
                "type": "message", "role": message.role.as_str(), "content": content(message, passing),
            })]
        }
    }
}

/// Thoughts come first, as they did: the item behind them is what they were for. Those that aren't
/// encrypted are another maker's, or nothing that could be taken back.
fn assistants(message: &Message) -> Vec<Value> {
    let mut items = Vec::new();
    for block in &message.reasoning {
        let Some(encrypted) = block.encrypted.as_deref().and_then(seal::read) else { continue };
        let text = Some(&block.text).filter(|text| !text.is_empty());
        let summary: Vec<Value> =
            text.into_iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
        items.push(json!({"type": "reasoning", "summary": summary, "encrypted_content": encrypted}));
    }
    // Items that the gateway does not know stand among what was said.
    let mut said = String::new();
    let say = |said: &mut String, items: &mut Vec<Value>| {
        if !said.is_empty() {
            let content = std::mem::take(said);
            items.push(json!({"type": "message", "role": "assistant", "content": content}));
        }
    };
    for part in message.parts() {
        match part {
            Part::Text(text) => said.push_str(text),
            Part::Opaque(opaque) => {
                say(&mut said, &mut items);
                items.push(opaque.value.clone());
            }
            // A model of this API shows nothing in its messages.
            Part::Image(_) | Part::Document(_) => {}
        }
    }
    say(&mut said, &mut items);
    items.extend(message.tool_calls.iter().map(|call| {
        json!({
            "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments,
        })
    }));
    items
}

fn content(message: &Message, passing: Passing) -> Value {
    let parts = message.parts_with_extra();
    let has_fields = parts.iter().any(|(_, extra)| passing.has_some(*extra));
    if message.is_text_only() && !has_fields {
        return json!(message.content);
    }
    let parts = parts.into_iter().map(|(part, extra)| {
        let mut said = match part {
            Part::Text(text) => json!({"type": "input_text", "text": text}),
            Part::Image(image) => json!({
                "type": "input_image", "image_url": image.url(),
                "detail": image.detail.as_deref().unwrap_or("auto"),
            }),
            Part::Document(file) => document(file),
            Part::Opaque(opaque) => opaque.value.clone(),
        };
        passing.add(extra, &mut said);
        said
    });
    parts.collect()
}

/// A document (<https://platform.openai.com/docs/guides/pdf-files>).
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
