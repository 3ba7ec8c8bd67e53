//! The body of a request.

use hearth_domain::{
    ClientDialect, ReasoningEffort, ResponseFormat, Sampling, SchemaLabel, TextTask, Tool, ToolChoice,
};
use serde_json::{Map, Value, json};

use super::{Habits, messages::messages};
use crate::{
    Call,
    dialect::{AnswerMode, Dialect, Passing, offered, round},
    rules::made_strict,
};

/// What a schema is called that has no name.
pub(in crate::dialect) const SCHEMA_NAME: &str = "response";

pub(in crate::dialect) fn body(
    habits: &'static Habits,
    call: &Call,
    task: &TextTask,
    mode: AnswerMode,
) -> Value {
    let dialect = Dialect::OpenAiChat(habits);
    let client = call.generation.extra.dialect;
    let passing = dialect.passing(client);
    // The client's own words first: what the gateway understood is said over them.
    let mut body = dialect.extra(call);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    body.insert("messages".to_owned(), messages(habits, &task.messages, passing));
    body.insert("stream".to_owned(), json!(mode.is_stream()));
    match mode {
        AnswerMode::Stream if habits.stream_options => {
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        AnswerMode::Stream => {}
        // A client's own are refused without a stream.
        AnswerMode::Whole => {
            body.remove("stream_options");
        }
    }
    sampling(habits, &task.sampling, &mut body);
    tools(habits, task, passing, &mut body);
    if let Some(format) = response_format(task, client) {
        body.insert("response_format".to_owned(), format);
    }
    if task.choices > 1 {
        body.insert("n".to_owned(), json!(task.choices));
    }
    if let Some(top) = task.top_logprobs {
        body.insert("logprobs".to_owned(), json!(true));
        body.insert("top_logprobs".to_owned(), json!(top));
    }
    reasoning(habits, task.reasoning, &mut body);
    Value::Object(body)
}

fn reasoning(habits: &Habits, effort: Option<ReasoningEffort>, body: &mut Map<String, Value>) {
    match effort {
        Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) if habits.thinking_switch => {
            body.insert("thinking".to_owned(), json!({"type": "disabled"}));
        }
        Some(effort) if habits.reasoning_effort => {
            body.insert("reasoning_effort".to_owned(), json!(effort_word(effort)));
        }
        _ => {}
    }
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
    if !sampling.logit_bias.is_empty() {
        let biases = sampling.logit_bias.iter().map(|(token, bias)| (token.to_string(), json!(round(*bias))));
        say("logit_bias", Some(Value::Object(biases.collect())));
    }
}

fn tools(habits: &Habits, task: &TextTask, passing: Passing, body: &mut Map<String, Value>) {
    if task.tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(offered(task, passing, tool)));
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

fn response_format(task: &TextTask, client: ClientDialect) -> Option<Value> {
    match &task.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
        ResponseFormat::JsonSchema(schema) => {
            Some(json!({"type": "json_schema", "json_schema": labelled(schema, &task.schema_label, client)}))
        }
    }
}

/// A schema with what the client says of it. A client of OpenAI's leaves `strict` to OpenAI; one whose dialect has no
/// such word asks for an answer that fits, which is told where the schema can be strict.
pub(in crate::dialect) fn labelled(schema: &Value, label: &SchemaLabel, client: ClientDialect) -> Value {
    let is_openais = matches!(client, ClientDialect::OpenAiChat | ClientDialect::OpenAiResponses);
    let strict = if label.strict.is_none() && !is_openais { made_strict(schema) } else { None };
    let mut said = json!({"name": schema_name(label), "schema": strict.as_ref().unwrap_or(schema)});
    if let Some(description) = &label.description {
        said["description"] = json!(description);
    }
    if let Some(strict) = label.strict.or(strict.map(|_| true)) {
        said["strict"] = json!(strict);
    }
    said
}

/// The schema's name in the characters that OpenAI takes, at most 64 of them.
fn schema_name(label: &SchemaLabel) -> String {
    let name = label.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(SCHEMA_NAME);
    let taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars().map(|c| if taken(c) { c } else { '_' }).take(64).collect()
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
