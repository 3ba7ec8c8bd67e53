//! Builds the body of a request.

use std::collections::HashSet;

use hearth_domain::{ResponseFormat, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::{
    conversation::{ASSISTANT, Conversation, Turn},
    thinking::{Abilities, Plan},
};
use crate::{
    dialect::body::{AnswerMode, PassThrough, round, tools},
    provider::Call,
    strict_schema::close_for_claude,
};

/// Token limit of an answer whose request has none: this dialect requires one.
const DEFAULT_MAX_TOKENS: u32 = 4096;

pub(in crate::dialect) fn body(
    pass: PassThrough,
    call: &Call,
    task: &TextTask,
    mode: AnswerMode,
) -> Result<Value, ApiError> {
    let Conversation { system, turns } = Conversation::new(&task.messages, pass)?;
    // The client's unknown fields first: the gateway's fields replace them.
    let mut body = pass.request_fields(&call.generation.extra);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    body.insert("messages".to_owned(), turns.iter().map(Turn::json).collect());
    body.insert("stream".to_owned(), json!(mode.is_stream()));
    body.extend(system.map(|system| ("system".to_owned(), system)));
    add_tools(task, &turns, pass, &mut body);
    let abilities = Abilities::of(call.model.as_str());
    let plan = plan(abilities, task, &turns, &mut body);
    body.insert("max_tokens".to_owned(), json!(max_tokens(&task.sampling, &plan)));
    let thinks = body.get("thinking").is_some_and(|thinking| thinking["type"] != "disabled");
    add_sampling(&task.sampling, abilities.samplers && !thinks, &mut body);
    add_output_config(&task.response_format, plan.effort, &mut body);
    Ok(Value::Object(body))
}

/// Plans the thinking, unless a client of this dialect has set `thinking` itself.
fn plan(abilities: Abilities, task: &TextTask, turns: &[Turn], body: &mut Map<String, Value>) -> Plan {
    if body.contains_key("thinking") {
        return Plan::default();
    }
    let mut plan = Plan::new(abilities, task.reasoning);
    let forced = matches!(task.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
    // Thinking excludes both a forced call and such a conversation, which matter more.
    if plan.thinking.is_some() && (forced || !abilities.by_effort && continues_without_thoughts(turns)) {
        plan = plan.without_thoughts();
    }
    if let Some(thinking) = &plan.thinking {
        body.insert("thinking".to_owned(), thinking.clone());
    }
    plan
}

/// Returns whether the model continues a turn whose thoughts are lost. With a budget, such a turn has to begin with
/// thoughts.
fn continues_without_thoughts(turns: &[Turn]) -> bool {
    let open = match turns {
        [.., last] if last.role == ASSISTANT => Some(last),
        [.., call, last] if last.has(&["tool_result"]) => Some(call),
        _ => None,
    };
    open.is_some_and(|turn| !turn.begins_with_thoughts())
}

/// Returns the token limit, which includes thoughts. If the budget would use up the client's limit, the limit counts for
/// the text after the thoughts.
fn max_tokens(sampling: &Sampling, plan: &Plan) -> u32 {
    let budget = plan.thinking.as_ref().and_then(|thinking| thinking["budget_tokens"].as_u64());
    match sampling.max_tokens {
        None => DEFAULT_MAX_TOKENS.saturating_add(plan.room),
        Some(limit) if budget.is_some_and(|budget| u64::from(limit) <= budget) => {
            limit.saturating_add(plan.room)
        }
        Some(limit) => limit,
    }
}

/// Returns the token limit of the answer, thoughts included.
pub(in crate::dialect) fn answer_limit(call: &Call, task: &TextTask) -> u32 {
    let plan = match call.generation.extra.fields.contains_key("thinking") {
        true => Plan::default(),
        false => Plan::new(Abilities::of(call.model.as_str()), task.reasoning),
    };
    max_tokens(&task.sampling, &plan)
}

/// Adds sampling parameters. `samplers`: the model accepts temperature, `top_p` and `top_k`.
fn add_sampling(sampling: &Sampling, samplers: bool, body: &mut Map<String, Value>) {
    if !sampling.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(sampling.stop));
    }
    if !samplers {
        return;
    }
    let temperature = sampling.temperature.map(|value| value.clamp(0.0, 1.0));
    // 1 is the default, and newer models refuse `top_p` beside a temperature.
    let top_p = sampling.top_p.filter(|value| *value < 1.0);
    body.extend(temperature.map(|value| ("temperature".to_owned(), json!(round(value)))));
    body.extend(top_p.map(|value| ("top_p".to_owned(), json!(round(value)))));
    body.extend(sampling.top_k.filter(|value| *value > 0).map(|value| ("top_k".to_owned(), json!(value))));
}

fn add_tools(task: &TextTask, turns: &[Turn], pass: PassThrough, body: &mut Map<String, Value>) {
    let has_calls = turns.iter().any(|turn| turn.has(&["tool_use"]));
    let (definitions, choice): (Vec<Value>, _) = match task.tools.is_empty() {
        false => (tools(task, pass, tool), choice(task)),
        // A conversation with calls needs definitions of their tools.
        true if has_calls => (called_tools(task), Some(json!({"type": "none"}))),
        true => return,
    };
    body.insert("tools".to_owned(), Value::Array(definitions));
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
}

fn tool(tool: &Tool) -> Value {
    let mut schema = tool.parameters.clone();
    if schema.get("type").is_none() {
        schema["type"] = json!("object");
    }
    let mut definition = json!({"name": tool.name, "input_schema": schema});
    if let Some(description) = &tool.description {
        definition["description"] = json!(description);
    }
    if tool.strict {
        close_for_claude(&mut definition["input_schema"]);
        definition["strict"] = json!(true);
    }
    definition
}

/// Defines the tools that the conversation has calls of.
fn called_tools(task: &TextTask) -> Vec<Value> {
    let mut names = HashSet::new();
    let calls = task.messages.iter().flat_map(|message| &message.tool_calls);
    calls
        .filter(|call| names.insert(&call.name))
        .map(|call| json!({"name": call.name, "input_schema": {"type": "object"}}))
        .collect()
}

fn choice(task: &TextTask) -> Option<Value> {
    let mut choice = match &task.tool_choice {
        ToolChoice::None => return Some(json!({"type": "none"})),
        ToolChoice::Auto if task.parallel_tool_calls => return None,
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    if !task.parallel_tool_calls {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Some(choice)
}

/// Adds the answer's schema
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>), and the effort, unless the client has
/// set its own.
fn add_output_config(format: &ResponseFormat, effort: Option<&str>, body: &mut Map<String, Value>) {
    let mut config = match body.remove("output_config") {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    };
    if let Some(effort) = effort {
        config.entry("effort").or_insert_with(|| json!(effort));
    }
    if let ResponseFormat::JsonSchema(schema) = format {
        let mut schema = schema.clone();
        close_for_claude(&mut schema);
        config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    if !config.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(config));
    }
}
