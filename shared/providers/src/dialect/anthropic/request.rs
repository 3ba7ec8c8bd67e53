//! Builds the body of a request.

use std::collections::HashSet;

use hearth_domain::{ResponseFormat, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{
    conversation::{ASSISTANT, Conversation, Turn},
    thinking::{Abilities, Plan},
};
use crate::{
    dialect::body::{AnswerMode, PassThrough, round, tools},
    json_tree::{Json, Object, object},
    provider::Call,
    strict_schema::close_for_claude,
};

/// Token limit of an answer whose request has none: this dialect requires one.
const DEFAULT_MAX_TOKENS: u32 = 4096;

pub(in crate::dialect) fn body<'a>(
    pass: PassThrough,
    call: &'a Call,
    task: &'a TextTask,
    mode: AnswerMode,
) -> Result<Object<'a>, ApiError> {
    let Conversation { system, turns } = Conversation::new(&task.messages, pass)?;
    // The client's unknown fields first: the gateway's fields replace them.
    let mut body = pass.request_fields(&call.generation.extra);
    body.set("model", call.model.as_str());
    body.set("stream", mode.is_stream());
    body.set_some("system", system);
    add_tools(task, &turns, pass, &mut body);
    let abilities = Abilities::of(call.model.as_str());
    let plan = plan(abilities, task, &turns, &mut body);
    body.set("messages", Json::from_iter(turns.into_iter().map(Turn::into_object)));
    body.set("max_tokens", max_tokens(&task.sampling, &plan));
    let thinks = body.get("thinking").is_some_and(|thinking| thinking.text_at(&["type"]) != Some("disabled"));
    add_sampling(&task.sampling, abilities.samplers && !thinks, &mut body);
    add_output_config(&task.response_format, plan.effort, &mut body);
    Ok(body)
}

/// Plans the thinking, unless a client of this dialect has set `thinking` itself.
fn plan(abilities: Abilities, task: &TextTask, turns: &[Turn<'_>], body: &mut Object<'_>) -> Plan {
    if body.get("thinking").is_some() {
        return Plan::default();
    }
    let mut plan = Plan::new(abilities, task.reasoning);
    let forced = matches!(task.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
    // Thinking excludes both a forced call and such a conversation, which matter more.
    if plan.thinking.is_some() && (forced || !abilities.by_effort && continues_without_thoughts(turns)) {
        plan = plan.without_thoughts();
    }
    body.set_some("thinking", plan.thinking.clone());
    plan
}

/// Returns whether the model continues a turn whose thoughts are lost. With a budget, such a turn has to begin with
/// thoughts.
fn continues_without_thoughts(turns: &[Turn<'_>]) -> bool {
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
fn add_sampling(sampling: &Sampling, samplers: bool, body: &mut Object<'_>) {
    if !sampling.stop.is_empty() {
        body.set("stop_sequences", json!(sampling.stop));
    }
    if !samplers {
        return;
    }
    // 1 is the default, and newer models refuse `top_p` beside a temperature.
    let top_p = sampling.top_p.filter(|value| *value < 1.0);
    body.set_some("temperature", sampling.temperature.map(round));
    body.set_some("top_p", top_p.map(round));
    body.set_some("top_k", sampling.top_k.filter(|value| *value > 0));
}

fn add_tools<'a>(task: &'a TextTask, turns: &[Turn<'_>], pass: PassThrough, body: &mut Object<'a>) {
    let has_calls = turns.iter().any(|turn| turn.has(&["tool_use"]));
    let (definitions, choice) = match task.tools.is_empty() {
        false => (tools(task, pass, tool), choice(task)),
        // A conversation with calls needs definitions of their tools.
        true if has_calls => (called_tools(task), Some(object! {"type": "none"})),
        true => return,
    };
    body.set("tools", definitions);
    body.set_some("tool_choice", choice);
}

fn tool(tool: &Tool) -> Object<'_> {
    let schema = match tool.strict || tool.parameters.get("type").is_none() {
        true => Json::from(complete_schema(tool)),
        false => Json::from(&tool.parameters),
    };
    let mut definition = object! {"name": &tool.name, "input_schema": schema};
    definition.set_some("description", tool.description.as_deref());
    if tool.strict {
        definition.set("strict", true);
    }
    definition
}

/// Returns the schema of a tool's parameters with its type, and closed if it is strict.
fn complete_schema(tool: &Tool) -> Value {
    let mut schema = tool.parameters.clone();
    if schema.get("type").is_none() {
        schema["type"] = json!("object");
    }
    if tool.strict {
        close_for_claude(&mut schema);
    }
    schema
}

/// Defines the tools that the conversation has calls of.
fn called_tools(task: &TextTask) -> Json<'_> {
    let mut names = HashSet::new();
    let calls = task.messages.iter().flat_map(|message| &message.tool_calls);
    calls
        .filter(|call| names.insert(&call.name))
        .map(|call| object! {"name": &call.name, "input_schema": object! {"type": "object"}})
        .collect()
}

fn choice(task: &TextTask) -> Option<Object<'_>> {
    let mut choice = match &task.tool_choice {
        ToolChoice::None => return Some(object! {"type": "none"}),
        ToolChoice::Auto if task.parallel_tool_calls => return None,
        ToolChoice::Auto => object! {"type": "auto"},
        ToolChoice::Required => object! {"type": "any"},
        ToolChoice::Named(name) => object! {"type": "tool", "name": name},
    };
    if !task.parallel_tool_calls {
        choice.set("disable_parallel_tool_use", true);
    }
    Some(choice)
}

/// Adds the answer's schema
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>), and the effort, unless the client has
/// set its own.
fn add_output_config(format: &ResponseFormat, effort: Option<&'static str>, body: &mut Object<'_>) {
    let mut config = body.remove("output_config").and_then(Json::into_object).unwrap_or_default();
    if let Some(effort) = effort {
        config.set_missing("effort", effort);
    }
    if let ResponseFormat::JsonSchema(schema) = format {
        let mut schema = schema.clone();
        close_for_claude(&mut schema);
        config.set("format", object! {"type": "json_schema", "schema": schema});
    }
    if !config.is_empty() {
        body.set("output_config", config);
    }
}
