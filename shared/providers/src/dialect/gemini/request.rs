//! The body of a request.

use hearth_domain::{ReasoningEffort, ResponseFormat, Role, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::{contents::contents, family, passed_on};
use crate::{
    Call,
    dialect::{Dialect, Passing, offered, round},
};

pub(in crate::dialect) fn body(call: &Call, task: &TextTask) -> Result<Value, ApiError> {
    let passing = Dialect::Gemini.passing(call.generation.extra.dialect);
    let mut body = body_with(call.model.as_str(), task, passing)?;
    passed_on::add(Dialect::Gemini.extra(call), &mut body);
    Ok(body)
}

/// The body without what the client says beyond the task.
pub(super) fn body_with(model: &str, task: &TextTask, passing: Passing) -> Result<Value, ApiError> {
    let mut body = json!({"contents": contents(model, &task.messages, passing)?});
    let instructions = task.messages.iter().filter(|message| message.role == Role::System);
    // An empty part is refused.
    let instructions = instructions.filter(|message| !message.content.trim().is_empty());
    let instructions: Vec<Value> =
        instructions.map(|message| json!({"text": message.content.as_str()})).collect();
    if !instructions.is_empty() {
        body["systemInstruction"] = json!({"parts": instructions});
    }
    if !task.tools.is_empty() {
        let functions = offered(task, passing, function);
        body["tools"] = json!([{"functionDeclarations": functions}]);
        if let Some(calling) = calling(&task.tool_choice) {
            body["toolConfig"] = json!({"functionCallingConfig": calling});
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
    // A function without parameters has no schema.
    if tool.parameters.as_object().is_some_and(|schema| !schema.is_empty()) {
        function["parametersJsonSchema"] = tool.parameters.clone();
    }
    function
}

fn calling(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({"mode": "NONE"})),
        ToolChoice::Required => Some(json!({"mode": "ANY"})),
        ToolChoice::Named(name) => Some(json!({"mode": "ANY", "allowedFunctionNames": [name]})),
    }
}

fn generation_config(model: &str, task: &TextTask) -> Map<String, Value> {
    let mut config = Map::new();
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    let number = |value: Option<f32>| value.map(|value| json!(round(value)));
    let sampling = &task.sampling;
    say("temperature", number(sampling.temperature));
    say("topP", number(sampling.top_p));
    say("topK", sampling.top_k.filter(|top| *top > 0).map(Value::from));
    say("maxOutputTokens", sampling.max_tokens.map(Value::from));
    say("stopSequences", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    // A signed 32-bit number there: what is above it wraps, so that each seed stays one of its own.
    say("seed", sampling.seed.map(|seed| json!(seed.cast_signed())));
    say("presencePenalty", number(sampling.presence_penalty));
    say("frequencyPenalty", number(sampling.frequency_penalty));
    say("candidateCount", (task.choices > 1).then(|| json!(task.choices)));
    if let Some(top) = task.top_logprobs {
        say("responseLogprobs", Some(json!(true)));
        say("logprobs", (top > 0).then(|| json!(top)));
    }
    let json_asked = task.response_format != ResponseFormat::Text;
    say("responseMimeType", json_asked.then(|| json!("application/json")));
    if let ResponseFormat::JsonSchema(schema) = &task.response_format {
        say("responseJsonSchema", Some(schema.clone()));
    }
    say("thinkingConfig", task.reasoning.map(|effort| thinking(model, effort)));
    config
}

/// How much to think: in levels since the third family, before that in tokens
/// (<https://ai.google.dev/gemini-api/docs/thinking>). The numbers for the words are those of Google's own
/// translation from OpenAI's dialect. The larger models of both can't but think: a little then.
fn thinking(model: &str, effort: ReasoningEffort) -> Value {
    let must_think = model.contains("pro");
    let budget = |tokens: u32| json!({"thinkingBudget": tokens});
    let level = |name: &str| json!({"thinkingLevel": name});
    let by_tokens = family(model).is_some_and(|family| family < 3);
    let silent = matches!(effort, ReasoningEffort::None | ReasoningEffort::Tokens(0));
    let mut config = match effort {
        _ if silent && by_tokens => budget(if must_think { 128 } else { 0 }),
        ReasoningEffort::Tokens(tokens) if !silent => budget(tokens),
        ReasoningEffort::Minimal | ReasoningEffort::Low if by_tokens => budget(1024),
        ReasoningEffort::Medium if by_tokens => budget(8192),
        ReasoningEffort::High if by_tokens => budget(24576),
        ReasoningEffort::Low => level("LOW"),
        ReasoningEffort::Medium => level("MEDIUM"),
        ReasoningEffort::High => level("HIGH"),
        _ => level(if must_think { "LOW" } else { "MINIMAL" }),
    };
    if !silent {
        config["includeThoughts"] = json!(true);
    }
    config
}
