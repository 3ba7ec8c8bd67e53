//! The body of a request.

use hearth_domain::{
    Message, Part, ReasoningEffort, ResponseFormat, Role, Sampling, TextTask, Tool, ToolChoice,
};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::Habits;
use crate::{
    Call,
    dialect::{Dialect, round},
};

pub(in crate::dialect) fn body(
    habits: &'static Habits,
    call: &Call,
    task: &TextTask,
) -> Result<Value, ApiError> {
    // The client's own words first: what the gateway understood is said over them.
    let mut body = Dialect::OpenAiChat(habits).extra(call);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    body.insert("messages".to_owned(), task.messages.iter().map(message).collect());
    body.insert("stream".to_owned(), json!(true));
    if habits.stream_options {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    sampling(habits, &task.sampling, &mut body);
    tools(habits, task, &mut body);
    if let Some(format) = response_format(habits, &task.response_format) {
        body.insert("response_format".to_owned(), format);
    }
    if task.choices > 1 {
        if !habits.choices {
            return Err(ApiError::invalid("n", "this provider gives one answer at a time; leave n out"));
        }
        body.insert("n".to_owned(), json!(task.choices));
    }
    if let Some(top) = task.top_logprobs.filter(|_| habits.logprobs) {
        body.insert("logprobs".to_owned(), json!(true));
        body.insert("top_logprobs".to_owned(), json!(top));
    }
    if let Some(effort) = task.reasoning.filter(|_| habits.reasoning_effort) {
        body.insert("reasoning_effort".to_owned(), json!(effort_word(effort)));
    }
    Ok(Value::Object(body))
}

fn sampling(habits: &Habits, sampling: &Sampling, body: &mut Map<String, Value>) {
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let number = |value: Option<f32>| value.map(|value| json!(round(value)));
    say("temperature", number(sampling.temperature));
    say("top_p", number(sampling.top_p));
    say(habits.max_tokens, sampling.max_tokens.map(Value::from));
    say("stop", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    if let Some(seed) = habits.seed {
        say(seed, sampling.seed.map(Value::from));
    }
    if habits.penalties {
        say("presence_penalty", number(sampling.presence_penalty));
        say("frequency_penalty", number(sampling.frequency_penalty));
    }
    if habits.samplers {
        say("top_k", sampling.top_k.map(Value::from));
        say("min_p", number(sampling.min_p));
        say("repetition_penalty", number(sampling.repeat_penalty));
    }
    if habits.logprobs && !sampling.logit_bias.is_empty() {
        let biases = sampling.logit_bias.iter().map(|(token, bias)| (token.to_string(), json!(round(*bias))));
        say("logit_bias", Some(Value::Object(biases.collect())));
    }
}

fn tools(habits: &Habits, task: &TextTask, body: &mut Map<String, Value>) {
    if task.tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), task.tools.iter().map(tool).collect());
    let choice = match &task.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!(habits.must_call)),
        ToolChoice::Named(name) => Some(json!({"type": "function", "function": {"name": name}})),
    };
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    if habits.parallel_tool_calls && !task.parallel_tool_calls {
        body.insert("parallel_tool_calls".to_owned(), json!(false));
    }
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name, "parameters": tool.parameters});
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    if tool.strict {
        function["strict"] = json!(true);
    }
    json!({"type": "function", "function": function})
}

fn response_format(habits: &Habits, format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonSchema(schema) if habits.json_schema => {
            let schema = json!({"name": "response", "schema": schema, "strict": true});
            Some(json!({"type": "json_schema", "json_schema": schema}))
        }
        ResponseFormat::JsonObject | ResponseFormat::JsonSchema(_) => Some(json!({"type": "json_object"})),
    }
}

fn message(message: &Message) -> Value {
    let mut said = json!({"role": message.role.as_str(), "content": content(message)});
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            json!({"id": call.id, "type": "function", "function": function})
        });
        said["tool_calls"] = calls.collect();
    }
    if let Some(id) = &message.tool_call_id {
        said["tool_call_id"] = json!(id);
    }
    if let Some(name) = message.name.as_ref().filter(|_| message.role != Role::Tool) {
        said["name"] = json!(name);
    }
    said
}

fn content(message: &Message) -> Value {
    if message.images.is_empty() {
        let only_calls = message.content.is_empty() && !message.tool_calls.is_empty();
        return if only_calls { Value::Null } else { json!(message.content) };
    }
    let parts = message.parts().into_iter().map(|part| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(image) => {
            let mut at = json!({"url": image.url()});
            if let Some(detail) = &image.detail {
                at["detail"] = json!(detail);
            }
            json!({"type": "image_url", "image_url": at})
        }
    });
    parts.collect()
}

/// The nearest word for it. The bounds are those that OpenRouter gives for its own translation.
pub(in crate::dialect) fn effort_word(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Tokens(0) => "none",
        ReasoningEffort::Minimal => "minimal",
        ReasoningEffort::Low | ReasoningEffort::Tokens(..=4096) => "low",
        ReasoningEffort::Medium | ReasoningEffort::Tokens(..=16384) => "medium",
        ReasoningEffort::High | ReasoningEffort::Tokens(_) => "high",
    }
}
