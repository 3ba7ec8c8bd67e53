//! The body of a request.

use hearth_domain::{Message, Part, ResponseFormat, Role, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::seal;
use crate::{
    Call,
    dialect::{Dialect, openai_chat::request::effort_word, round},
};

pub(in crate::dialect) fn body(call: &Call, task: &TextTask) -> Result<Value, ApiError> {
    refuse_what_cannot_be_said(task)?;
    let thinks = thinks(call.model.as_str());
    // The client's own words first: what the gateway understood is said over them.
    let mut body = Dialect::OpenAiResponses.extra(call);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    body.insert("input".to_owned(), task.messages.iter().flat_map(items).collect());
    body.insert("stream".to_owned(), json!(true));
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
    tools(task, &mut body);
    if let Some(format) = format(&task.response_format) {
        say_within(&mut body, "text", "format", format);
    }
    if let Some(effort) = task.reasoning {
        say_within(&mut body, "reasoning", "effort", json!(effort_word(effort)));
    }
    Ok(Value::Object(body))
}

/// What this API has no words for, and would change the answer's meaning.
fn refuse_what_cannot_be_said(task: &TextTask) -> Result<(), ApiError> {
    if task.choices > 1 {
        return Err(ApiError::invalid("n", "this provider gives one answer at a time; leave n out"));
    }
    if !task.sampling.stop.is_empty() {
        return Err(ApiError::invalid("stop", "this provider knows no stop texts; leave stop out"));
    }
    if !task.sampling.logit_bias.is_empty() {
        let message = "this provider lets no tokens be favoured; leave logit_bias out";
        return Err(ApiError::invalid("logit_bias", message));
    }
    Ok(())
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

fn tools(task: &TextTask, body: &mut Map<String, Value>) {
    if task.tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), task.tools.iter().map(tool).collect());
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

fn format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
        ResponseFormat::JsonSchema(schema) => {
            Some(json!({"type": "json_schema", "name": "response", "schema": schema, "strict": true}))
        }
    }
}

/// The items that a message is.
fn items(message: &Message) -> Vec<Value> {
    match message.role {
        Role::Assistant => assistants(message),
        Role::Tool => vec![json!({
            "type": "function_call_output", "call_id": message.tool_call_id, "output": content(message),
        })],
        Role::System | Role::User => {
            vec![json!({"type": "message", "role": message.role.as_str(), "content": content(message)})]
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
    if !message.content.is_empty() {
        items.push(json!({"type": "message", "role": "assistant", "content": message.content}));
    }
    items.extend(message.tool_calls.iter().map(|call| {
        json!({
            "type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments,
        })
    }));
    items
}

fn content(message: &Message) -> Value {
    if message.images.is_empty() {
        return json!(message.content);
    }
    let parts = message.parts().into_iter().map(|part| match part {
        Part::Text(text) => json!({"type": "input_text", "text": text}),
        Part::Image(image) => json!({
            "type": "input_image", "image_url": image.url(),
            "detail": image.detail.as_deref().unwrap_or("auto"),
        }),
    });
    parts.collect()
}
