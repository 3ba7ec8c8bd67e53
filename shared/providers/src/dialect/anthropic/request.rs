//! The body of a request.

use std::collections::HashSet;

use hearth_domain::{ResponseFormat, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::{
    conversation::{ASSISTANT, Conversation, Turn},
    thinking::{Abilities, Plan},
};
use crate::{
    Call,
    dialect::{AnswerMode, Dialect, Passing, offered, round},
    rules::close_for_claude,
};

/// The answer's most tokens where the client names none: this dialect has no request without a limit.
const MAX_TOKENS: u32 = 4096;

pub(in crate::dialect) fn body(call: &Call, task: &TextTask, mode: AnswerMode) -> Result<Value, ApiError> {
    let passing = Dialect::Anthropic.passing(call.generation.extra.dialect);
    let Conversation { system, turns } = Conversation::of(&task.messages, passing)?;
    // The client's own words first: what the gateway understood is said over them.
    let mut body = Dialect::Anthropic.extra(call);
    body.insert("model".to_owned(), json!(call.model.as_str()));
    body.insert("messages".to_owned(), turns.iter().map(Turn::json).collect());
    body.insert("stream".to_owned(), json!(mode.is_stream()));
    body.extend(system.map(|system| ("system".to_owned(), system)));
    tools(task, &turns, passing, &mut body);
    let abilities = Abilities::of(call.model.as_str());
    let plan = plan(abilities, task, &turns, &mut body);
    body.insert("max_tokens".to_owned(), json!(max_tokens(&task.sampling, &plan)));
    let thinks = body.get("thinking").is_some_and(|thinking| thinking["type"] != "disabled");
    sampling(&task.sampling, abilities.samplers && !thinks, &mut body);
    output_config(&task.response_format, plan.effort, &mut body);
    Ok(Value::Object(body))
}

/// How much is thought. A client of this dialect may have said it in its own words, which stand.
fn plan(abilities: Abilities, task: &TextTask, turns: &[Turn], body: &mut Map<String, Value>) -> Plan {
    if body.contains_key("thinking") {
        return Plan::default();
    }
    let mut plan = Plan::new(abilities, task.reasoning);
    let forced = matches!(task.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
    // Neither can be had together with thoughts, and the call or the conversation matters more.
    if plan.thinking.is_some() && (forced || !abilities.by_effort && goes_on_without_thoughts(turns)) {
        plan = plan.without_thoughts();
    }
    if let Some(thinking) = &plan.thinking {
        body.insert("thinking".to_owned(), thinking.clone());
    }
    plan
}

/// Whether the model goes on with a turn whose thoughts are lost. With a budget, such a turn has to begin
/// with them.
fn goes_on_without_thoughts(turns: &[Turn]) -> bool {
    let open = match turns {
        [.., last] if last.role == ASSISTANT => Some(last),
        [.., call, last] if last.has(&["tool_result"]) => Some(call),
        _ => None,
    };
    open.is_some_and(|turn| !turn.begins_with_thoughts())
}

/// The limit, which thoughts count towards. One that a budget would use up is for what comes behind it.
fn max_tokens(sampling: &Sampling, plan: &Plan) -> u32 {
    let budget = plan.thinking.as_ref().and_then(|thinking| thinking["budget_tokens"].as_u64());
    match sampling.max_tokens {
        None => MAX_TOKENS.saturating_add(plan.room),
        Some(limit) if budget.is_some_and(|budget| u64::from(limit) <= budget) => {
            limit.saturating_add(plan.room)
        }
        Some(limit) => limit,
    }
}

/// The most tokens that the answer may have, thoughts included.
pub(in crate::dialect) fn answer_limit(call: &Call, task: &TextTask) -> u32 {
    let plan = match call.generation.extra.fields.contains_key("thinking") {
        true => Plan::default(),
        false => Plan::new(Abilities::of(call.model.as_str()), task.reasoning),
    };
    max_tokens(&task.sampling, &plan)
}

/// `samplers`: whether the model, as it is asked, takes any.
fn sampling(sampling: &Sampling, samplers: bool, body: &mut Map<String, Value>) {
    if !sampling.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(sampling.stop));
    }
    if !samplers {
        return;
    }
    let temperature = sampling.temperature.map(|value| value.clamp(0.0, 1.0));
    // All of them is what is taken anyway, and beside a temperature newer models take no `top_p`.
    let top_p = sampling.top_p.filter(|value| *value < 1.0);
    body.extend(temperature.map(|value| ("temperature".to_owned(), json!(round(value)))));
    body.extend(top_p.map(|value| ("top_p".to_owned(), json!(round(value)))));
    body.extend(sampling.top_k.filter(|value| *value > 0).map(|value| ("top_k".to_owned(), json!(value))));
}

fn tools(task: &TextTask, turns: &[Turn], passing: Passing, body: &mut Map<String, Value>) {
    let calls = turns.iter().any(|turn| turn.has(&["tool_use"]));
    let (tools, choice): (Vec<Value>, _) = match task.tools.is_empty() {
        false => (offered(task, passing, tool), choice(task)),
        // A conversation with calls has to say which tools there were.
        true if calls => (earlier(task), Some(json!({"type": "none"}))),
        true => return,
    };
    body.insert("tools".to_owned(), Value::Array(tools));
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
}

fn tool(tool: &Tool) -> Value {
    let mut schema = tool.parameters.clone();
    if schema.get("type").is_none() {
        schema["type"] = json!("object");
    }
    let mut said = json!({"name": tool.name, "input_schema": schema});
    if let Some(description) = &tool.description {
        said["description"] = json!(description);
    }
    if tool.strict {
        close_for_claude(&mut said["input_schema"]);
        said["strict"] = json!(true);
    }
    said
}

fn earlier(task: &TextTask) -> Vec<Value> {
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

/// The form of the answer
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>), and the effort, unless the
/// client said its own.
fn output_config(format: &ResponseFormat, effort: Option<&str>, body: &mut Map<String, Value>) {
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
