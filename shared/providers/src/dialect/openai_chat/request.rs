//! Builds the body of a request.

use hearth_domain::{
    ClientDialect, ReasoningEffort, ResponseFormat, Sampling, SchemaLabel, TextTask, Tool, ToolChoice,
};
use serde_json::{Map, Value, json};

use super::{messages::messages, quirks::Quirks};
use crate::{
    dialect::body::{AnswerMode, PassThrough, round, tools},
    provider::Call,
    strict_schema::to_strict,
};

/// The name of a schema without one.
const SCHEMA_NAME: &str = "response";

pub(in crate::dialect) fn body(
    quirks: &Quirks,
    pass: PassThrough,
    call: &Call,
    task: &TextTask,
    mode: AnswerMode,
) -> Value {
    // The client's unknown fields first: the gateway's fields replace them.
    let mut body = pass.request_fields(&call.generation.extra);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    body.insert("messages".to_owned(), messages(quirks, &task.messages, pass));
    body.insert("stream".to_owned(), json!(mode.is_stream()));
    match mode {
        AnswerMode::Stream if quirks.stream_options => {
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        AnswerMode::Stream => {}
        // Vendors refuse the field without a stream.
        AnswerMode::Whole => {
            body.remove("stream_options");
        }
    }
    add_sampling(quirks, &task.sampling, &mut body);
    add_tools(quirks, task, pass, &mut body);
    if let Some(format) = response_format(task, call.generation.extra.dialect) {
        body.insert("response_format".to_owned(), format);
    }
    if task.choices > 1 {
        body.insert("n".to_owned(), json!(task.choices));
    }
    if let Some(top) = task.top_logprobs {
        body.insert("logprobs".to_owned(), json!(true));
        body.insert("top_logprobs".to_owned(), json!(top));
    }
    add_reasoning(quirks, task.reasoning, &mut body);
    Value::Object(body)
}

fn add_reasoning(quirks: &Quirks, effort: Option<ReasoningEffort>, body: &mut Map<String, Value>) {
    match effort {
        Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) if quirks.thinking_switch => {
            body.insert("thinking".to_owned(), json!({"type": "disabled"}));
        }
        Some(effort) if quirks.reasoning_effort => {
            body.insert("reasoning_effort".to_owned(), json!(effort_name(effort)));
        }
        _ => {}
    }
}

fn add_sampling(quirks: &Quirks, sampling: &Sampling, body: &mut Map<String, Value>) {
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let number = |value: Option<f32>| value.map(|value| json!(round(value)));
    set("temperature", number(sampling.temperature));
    set("top_p", number(sampling.top_p));
    set(quirks.max_tokens, sampling.max_tokens.map(Value::from));
    set("stop", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    if let Some(seed) = quirks.seed {
        set(seed, sampling.seed.map(Value::from));
    }
    if quirks.penalties {
        set("presence_penalty", number(sampling.presence_penalty));
        set("frequency_penalty", number(sampling.frequency_penalty));
    }
    if quirks.samplers {
        set("top_k", sampling.top_k.map(Value::from));
        set("min_p", number(sampling.min_p));
        set("repetition_penalty", number(sampling.repeat_penalty));
    }
    if !sampling.logit_bias.is_empty() {
        let biases = sampling.logit_bias.iter().map(|(token, bias)| (token.to_string(), json!(round(*bias))));
        set("logit_bias", Some(Value::Object(biases.collect())));
    }
}

fn add_tools(quirks: &Quirks, task: &TextTask, pass: PassThrough, body: &mut Map<String, Value>) {
    if task.tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(tools(task, pass, tool)));
    let choice = match &task.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!(quirks.forced_call)),
        ToolChoice::Named(name) => Some(json!({"type": "function", "function": {"name": name}})),
    };
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    if quirks.parallel_tool_calls && !task.parallel_tool_calls {
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

fn response_format(task: &TextTask, client: ClientDialect) -> Option<Value> {
    match &task.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
        ResponseFormat::JsonSchema(schema) => {
            Some(json!({"type": "json_schema", "json_schema": labelled(schema, &task.schema_label, client)}))
        }
    }
}

/// Returns a schema with its name, description and `strict`. For a client with a dialect of OpenAI's, `strict` is what it
/// sends; for others it is true if the schema can be made strict, since they expect an answer that fits.
pub(in crate::dialect) fn labelled(schema: &Value, label: &SchemaLabel, client: ClientDialect) -> Value {
    let is_openai = matches!(client, ClientDialect::OpenAiChat | ClientDialect::OpenAiResponses);
    let strict = if label.strict.is_none() && !is_openai { to_strict(schema) } else { None };
    let mut object = json!({"name": schema_name(label), "schema": strict.as_ref().unwrap_or(schema)});
    if let Some(description) = &label.description {
        object["description"] = json!(description);
    }
    if let Some(strict) = label.strict.or(strict.map(|_| true)) {
        object["strict"] = json!(strict);
    }
    object
}

/// Returns the schema's name in the form that OpenAI accepts: at most 64 characters, others replaced by `_`.
fn schema_name(label: &SchemaLabel) -> String {
    let name = label.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(SCHEMA_NAME);
    let is_accepted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars().map(|c| if is_accepted(c) { c } else { '_' }).take(64).collect()
}

/// Returns the name of the nearest effort. The bounds are OpenRouter's, of its own translation.
pub(in crate::dialect) fn effort_name(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Tokens(0) => "none",
        ReasoningEffort::Minimal => "minimal",
        ReasoningEffort::Low | ReasoningEffort::Tokens(..=4096) => "low",
        ReasoningEffort::Medium | ReasoningEffort::Tokens(..=16384) => "medium",
        ReasoningEffort::High | ReasoningEffort::Tokens(_) => "high",
    }
}
