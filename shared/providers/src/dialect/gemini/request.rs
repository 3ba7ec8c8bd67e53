//! Builds the body of a request.

use hearth_domain::{ReasoningEffort, ResponseFormat, Role, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{contents::contents, model_name::family, unknown_fields};
use crate::{
    dialect::body::{PassThrough, round, tools},
    json_tree::{Object, object},
    provider::Call,
};

pub(in crate::dialect) fn body<'a>(
    pass: PassThrough,
    call: &'a Call,
    task: &'a TextTask,
) -> Result<Object<'a>, ApiError> {
    let mut body = body_of_task(pass, call.model.as_str(), task)?;
    if pass == PassThrough::All {
        unknown_fields::add(&call.generation.extra.fields, &mut body);
    }
    Ok(body)
}

/// Builds the body without the unknown fields of the request.
pub(super) fn body_of_task<'a>(
    pass: PassThrough,
    model: &str,
    task: &'a TextTask,
) -> Result<Object<'a>, ApiError> {
    let mut body = object! {"contents": contents(model, &task.messages, pass)?};
    let instructions = task.messages.iter().filter(|message| message.role == Role::System);
    // Google refuses an empty part.
    let instructions = instructions.filter(|message| !message.content.trim().is_empty());
    let instructions: Vec<Object<'_>> =
        instructions.map(|message| object! {"text": &message.content}).collect();
    if !instructions.is_empty() {
        body.set("systemInstruction", object! {"parts": instructions});
    }
    if !task.tools.is_empty() {
        let functions = tools(task, pass, function);
        body.set("tools", vec![object! {"functionDeclarations": functions}]);
        if let Some(config) = calling_config(&task.tool_choice) {
            body.set("toolConfig", object! {"functionCallingConfig": config});
        }
    }
    let config = generation_config(model, task);
    if !config.is_empty() {
        body.set("generationConfig", config);
    }
    Ok(body)
}

fn function(tool: &Tool) -> Object<'_> {
    let mut function = object! {"name": &tool.name};
    function.set_some("description", tool.description.as_deref());
    // Google refuses an empty schema.
    if tool.parameters.as_object().is_some_and(|schema| !schema.is_empty()) {
        function.set("parametersJsonSchema", &tool.parameters);
    }
    function
}

fn calling_config(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({"mode": "NONE"})),
        ToolChoice::Required => Some(json!({"mode": "ANY"})),
        ToolChoice::Named(name) => Some(json!({"mode": "ANY", "allowedFunctionNames": [name]})),
    }
}

fn generation_config<'a>(model: &str, task: &'a TextTask) -> Object<'a> {
    let mut config = Object::default();
    let sampling = &task.sampling;
    config.set_some("temperature", sampling.temperature.map(round));
    config.set_some("topP", sampling.top_p.map(round));
    config.set_some("topK", sampling.top_k.filter(|top| *top > 0));
    config.set_some("maxOutputTokens", sampling.max_tokens);
    config.set_some("stopSequences", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    // Google's seed is a signed 32-bit number: larger seeds wrap around, so that all remain different.
    config.set_some("seed", sampling.seed.map(u32::cast_signed));
    config.set_some("presencePenalty", sampling.presence_penalty.map(round));
    config.set_some("frequencyPenalty", sampling.frequency_penalty.map(round));
    config.set_some("candidateCount", Some(task.choices).filter(|choices| *choices > 1));
    if let Some(top) = task.top_logprobs {
        config.set("responseLogprobs", true);
        config.set_some("logprobs", Some(top).filter(|top| *top > 0));
    }
    if task.response_format != ResponseFormat::Text {
        config.set("responseMimeType", "application/json");
    }
    if let ResponseFormat::JsonSchema(schema) = &task.response_format {
        config.set("responseJsonSchema", schema);
    }
    config.set_some("thinkingConfig", task.reasoning.map(|effort| thinking(model, effort)));
    config
}

/// Returns the settings of thinking: levels since the third family, before that tokens
/// (<https://ai.google.dev/gemini-api/docs/thinking>). The numbers of tokens for an effort are Google's own, of its API
/// with OpenAI's dialect. The larger models of both can't stop thinking: they get the smallest setting.
fn thinking(model: &str, effort: ReasoningEffort) -> Value {
    let always_thinks = model.contains("pro");
    let budget = |tokens: u32| json!({"thinkingBudget": tokens});
    let level = |name: &str| json!({"thinkingLevel": name});
    let by_tokens = family(model).is_some_and(|family| family < 3);
    let is_off = matches!(effort, ReasoningEffort::None | ReasoningEffort::Tokens(0));
    let mut config = match effort {
        _ if is_off && by_tokens => budget(if always_thinks { 128 } else { 0 }),
        ReasoningEffort::Tokens(tokens) if !is_off => budget(tokens),
        ReasoningEffort::Minimal | ReasoningEffort::Low if by_tokens => budget(1024),
        ReasoningEffort::Medium if by_tokens => budget(8192),
        ReasoningEffort::High if by_tokens => budget(24576),
        ReasoningEffort::Low => level("LOW"),
        ReasoningEffort::Medium => level("MEDIUM"),
        ReasoningEffort::High => level("HIGH"),
        _ => level(if always_thinks { "LOW" } else { "MINIMAL" }),
    };
    if !is_off {
        config["includeThoughts"] = json!(true);
    }
    config
}
