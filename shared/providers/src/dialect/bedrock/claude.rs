//! Fields that Bedrock passes on to Anthropic's models, as `additionalModelRequestFields`
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>).

use hearth_domain::{ReasoningEffort, TextTask};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

/// Minimum budget of thoughts, in tokens.
const MIN_BUDGET_TOKENS: u32 = 1024;

/// Versions with a budget of thoughts; later ones have an effort
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html>).
const VERSIONS_WITH_BUDGET: [&str; 7] = [
    "claude-3",
    "claude-sonnet-4-2",
    "claude-opus-4-2",
    "claude-opus-4-1",
    "claude-sonnet-4-5",
    "claude-opus-4-5",
    "claude-haiku-4-5",
];

/// Returns the fields for a model; none for other vendors' models.
pub(super) fn fields(model: &str, task: &TextTask) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    if !model.contains("anthropic.") {
        return Ok(fields);
    }
    if let Some(top) = task.sampling.top_k.filter(|top| *top > 0) {
        fields.insert("top_k".to_owned(), json!(top));
    }
    match task.reasoning {
        // The default.
        None | Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) => {}
        Some(effort) if VERSIONS_WITH_BUDGET.iter().any(|version| model.contains(version)) => {
            let budget = budget(effort, task.sampling.max_tokens)?;
            fields.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": budget}));
        }
        Some(effort) => {
            fields.insert("thinking".to_owned(), json!({"type": "adaptive"}));
            fields.insert("output_config".to_owned(), json!({"effort": effort_name(effort)}));
        }
    }
    Ok(fields)
}

/// Returns `additionalModelResponseFieldPaths`, which requests the stop text that ended the answer.
pub(super) fn response_fields(model: &str, task: &TextTask) -> Option<Value> {
    let stops = model.contains("anthropic.") && !task.sampling.stop.is_empty();
    stops.then(|| json!(["/stop_sequence"]))
}

/// Returns the budget of thoughts, which is below the limit of the whole answer.
fn budget(effort: ReasoningEffort, max_tokens: Option<u32>) -> Result<u32, ApiError> {
    let budget = match effort {
        ReasoningEffort::Tokens(tokens) => tokens.max(MIN_BUDGET_TOKENS),
        ReasoningEffort::None | ReasoningEffort::Minimal => MIN_BUDGET_TOKENS,
        ReasoningEffort::Low => 4096,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 16384,
    };
    match max_tokens {
        Some(limit) if limit <= MIN_BUDGET_TOKENS => {
            let message = "max_tokens must be above 1024 where this model thinks, since it includes thoughts";
            Err(ApiError::invalid("max_tokens", message))
        }
        Some(limit) => Ok(budget.min(limit - 1)),
        None => Ok(budget),
    }
}

fn effort_name(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Tokens(..=4096) => "low",
        ReasoningEffort::Medium | ReasoningEffort::Tokens(..=16384) => "medium",
        ReasoningEffort::High | ReasoningEffort::Tokens(_) => "high",
    }
}
