//! Builds the body of a request.

use hearth_domain::{
    ClientDialect, ReasoningEffort, ResponseFormat, Sampling, SchemaLabel, TextTask, Tool, ToolChoice,
};
use serde_json::{Value, json};

use super::{messages::messages, quirks::Quirks};
use crate::{
    dialect::body::{AnswerMode, PassThrough, round, tools},
    json_tree::{Json, Object, object},
    provider::Call,
    strict_schema::to_strict,
};

/// The name of a schema without one.
const SCHEMA_NAME: &str = "response";

pub(in crate::dialect) fn body<'a>(
    quirks: &Quirks,
    pass: PassThrough,
    call: &'a Call,
    task: &'a TextTask,
    mode: AnswerMode,
) -> Object<'a> {
    // The client's unknown fields first: the gateway's fields replace them.
    let mut body = pass.request_fields(&call.generation.extra);
    body.set("model", call.model.as_str());
    body.set("messages", messages(quirks, &task.messages, pass));
    body.set("stream", mode.is_stream());
    match mode {
        AnswerMode::Stream if quirks.stream_options => {
            body.set("stream_options", object! {"include_usage": true});
        }
        AnswerMode::Stream => {}
        // Vendors refuse the field without a stream.
        AnswerMode::Whole => {
            body.remove("stream_options");
        }
    }
    add_sampling(quirks, &task.sampling, &mut body);
    add_tools(quirks, task, pass, &mut body);
    body.set_some("response_format", response_format(task, call.generation.extra.dialect));
    if task.choices > 1 {
        body.set("n", task.choices);
    }
    if let Some(top) = task.top_logprobs {
        body.set("logprobs", true);
        body.set("top_logprobs", top);
    }
    add_reasoning(quirks, task.reasoning, &mut body);
    body
}

fn add_reasoning(quirks: &Quirks, effort: Option<ReasoningEffort>, body: &mut Object<'_>) {
    match effort {
        Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) if quirks.thinking_switch => {
            body.set("thinking", object! {"type": "disabled"});
        }
        Some(effort) if quirks.reasoning_effort => {
            body.set("reasoning_effort", effort_name(effort));
        }
        _ => {}
    }
}

fn add_sampling(quirks: &Quirks, sampling: &Sampling, body: &mut Object<'_>) {
    body.set_some("temperature", sampling.temperature.map(round));
    body.set_some("top_p", sampling.top_p.map(round));
    body.set_some(quirks.max_tokens, sampling.max_tokens);
    body.set_some("stop", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    if let Some(seed) = quirks.seed {
        body.set_some(seed, sampling.seed);
    }
    if quirks.penalties {
        body.set_some("presence_penalty", sampling.presence_penalty.map(round));
        body.set_some("frequency_penalty", sampling.frequency_penalty.map(round));
    }
    if quirks.samplers {
        body.set_some("top_k", sampling.top_k);
        body.set_some("min_p", sampling.min_p.map(round));
        body.set_some("repetition_penalty", sampling.repeat_penalty.map(round));
    }
    if !sampling.logit_bias.is_empty() {
        let biases = sampling.logit_bias.iter().map(|(token, bias)| (token.to_string(), json!(round(*bias))));
        body.set("logit_bias", Value::Object(biases.collect()));
    }
}

fn add_tools<'a>(quirks: &Quirks, task: &'a TextTask, pass: PassThrough, body: &mut Object<'a>) {
    if task.tools.is_empty() {
        return;
    }
    body.set("tools", tools(task, pass, tool));
    let choice: Option<Json<'_>> = match &task.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some(quirks.forced_call.into()),
        ToolChoice::Named(name) => {
            Some(object! {"type": "function", "function": object! {"name": name}}.into())
        }
    };
    body.set_some("tool_choice", choice);
    if quirks.parallel_tool_calls && !task.parallel_tool_calls {
        body.set("parallel_tool_calls", false);
    }
}

fn tool(tool: &Tool) -> Object<'_> {
    let mut function = object! {"name": &tool.name, "parameters": &tool.parameters};
    function.set_some("description", tool.description.as_deref());
    if tool.strict {
        function.set("strict", true);
    }
    object! {"type": "function", "function": function}
}

fn response_format(task: &TextTask, client: ClientDialect) -> Option<Object<'_>> {
    match &task.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(object! {"type": "json_object"}),
        ResponseFormat::JsonSchema(schema) => {
            let labelled = labelled(schema, &task.schema_label, client);
            Some(object! {"type": "json_schema", "json_schema": labelled})
        }
    }
}

/// Returns a schema with its name, description and `strict`. For a client with a dialect of OpenAI's, `strict` is what it
/// sends; for others it is true if the schema can be made strict, since they expect an answer that fits.
pub(in crate::dialect) fn labelled<'a>(
    schema: &'a Value,
    label: &'a SchemaLabel,
    client: ClientDialect,
) -> Object<'a> {
    let is_openai = matches!(client, ClientDialect::OpenAiChat | ClientDialect::OpenAiResponses);
    let strict = if label.strict.is_none() && !is_openai { to_strict(schema) } else { None };
    let is_strict = label.strict.or(strict.is_some().then_some(true));
    let schema = strict.map_or(Json::from(schema), Json::from);
    let mut object = object! {"name": schema_name(label), "schema": schema};
    object.set_some("description", label.description.as_deref());
    object.set_some("strict", is_strict);
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
