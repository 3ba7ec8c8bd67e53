//! Builds the body of a request.

use hearth_domain::{ReasoningEffort, ResponseFormat, Role, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::{contents::contents, model_name::family, unknown_fields};
use crate::{
    dialect::body::{PassThrough, round, tools},
    provider::Call,
};

pub(in crate::dialect) fn body(pass: PassThrough, call: &Call, task: &TextTask) -> Result<Value, ApiError> {
    let mut body = body_of_task(pass, call.model.as_str(), task)?;
    unknown_fields::add(pass.request_fields(&call.generation.extra), &mut body);
    Ok(body)
}

/// Builds the body without the unknown fields of the request.
pub(super) fn body_of_task(pass: PassThrough, model: &str, task: &TextTask) -> Result<Value, ApiError> {
    let mut body = json!({"contents": contents(model, &task.messages, pass)?});
    let instructions = task.messages.iter().filter(|message| message.role == Role::System);
    // Google refuses an empty part.
    let instructions = instructions.filter(|message| !message.content.trim().is_empty());
    let instructions: Vec<Value> =
        instructions.map(|message| json!({"text": message.content.as_str()})).collect();
    if !instructions.is_empty() {
        body["systemInstruction"] = json!({"parts": instructions});
    }
    if !task.tools.is_empty() {
        let functions = tools(task, pass, function);
        body["tools"] = json!([{"functionDeclarations": functions}]);
        if let Some(config) = calling_config(&task.tool_choice) {
            body["toolConfig"] = json!({"functionCallingConfig": config});
        }
    }
    let config = generation_config(model, task);
    if !config.is_empty() {
        body["generationConfig"] = Value::Object(config);
    }
    Ok(body)
}

fn function(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    // Google refuses an empty schema.
    if tool.parameters.as_object().is_some_and(|schema| !schema.is_empty()) {
        function["parametersJsonSchema"] = tool.parameters.clone();
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

fn generation_config(model: &str, task: &TextTask) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    let number = |value: Option<f32>| value.map(|value| json!(round(value)));
    let sampling = &task.sampling;
    set("temperature", number(sampling.temperature));
    set("topP", number(sampling.top_p));
    set("topK", sampling.top_k.filter(|top| *top > 0).map(Value::from));
    set("maxOutputTokens", sampling.max_tokens.map(Value::from));
    set("stopSequences", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    // Google's seed is a signed 32-bit number: larger seeds wrap around, so that all remain different.
    set("seed", sampling.seed.map(|seed| json!(seed.cast_signed())));
    set("presencePenalty", number(sampling.presence_penalty));
    set("frequencyPenalty", number(sampling.frequency_penalty));
    set("candidateCount", (task.choices > 1).then(|| json!(task.choices)));
    if let Some(top) = task.top_logprobs {
        set("responseLogprobs", Some(json!(true)));
        set("logprobs", (top > 0).then(|| json!(top)));
    }
    let wants_json = task.response_format != ResponseFormat::Text;
    set("responseMimeType", wants_json.then(|| json!("application/json")));
    if let ResponseFormat::JsonSchema(schema) = &task.response_format {
        set("responseJsonSchema", Some(schema.clone()));
    }
    set("thinkingConfig", task.reasoning.map(|effort| thinking(model, effort)));
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
