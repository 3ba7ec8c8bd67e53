//! What Bedrock passes on to Anthropic's models alone, as `additionalModelRequestFields`
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>).

use hearth_domain::{ReasoningEffort, TextTask};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

/// The fewest tokens to think in.
const LEAST_BUDGET: u32 = 1024;

/// The versions that think in a number of tokens; later ones see for themselves
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html>).
const BUDGETED: [&str; 7] = [
    "claude-3",
    "claude-sonnet-4-2",
    "claude-opus-4-2",
    "claude-opus-4-1",
    "claude-sonnet-4-5",
    "claude-opus-4-5",
    "claude-haiku-4-5",
];

/// The fields for `model`; none for other makers'.
pub(super) fn fields(model: &str, task: &TextTask) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    if !model.contains("anthropic.") {
        return Ok(fields);
    }
    if let Some(top) = task.sampling.top_k.filter(|top| *top > 0) {
        fields.insert("top_k".to_owned(), json!(top));
    }
    match task.reasoning {
        // As it is where nothing is said.
        None | Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) => {}
        Some(effort) if BUDGETED.iter().any(|version| model.contains(version)) => {
            let budget = budget(effort, task.sampling.max_tokens)?;
            fields.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": budget}));
        }
        Some(effort) => {
            fields.insert("thinking".to_owned(), json!({"type": "adaptive"}));
            fields.insert("output_config".to_owned(), json!({"effort": word(effort)}));
        }
    }
    Ok(fields)
}

/// What is to be told beside the answer: which stop text ended it, as `additionalModelResponseFieldPaths`.
pub(super) fn told(model: &str, task: &TextTask) -> Option<Value> {
    let stops = model.contains("anthropic.") && !task.sampling.stop.is_empty();
    stops.then(|| json!(["/stop_sequence"]))
}

/// At most how many tokens to think in: fewer than the whole answer may have.
fn budget(effort: ReasoningEffort, max_tokens: Option<u32>) -> Result<u32, ApiError> {
    let wanted = match effort {
        ReasoningEffort::Tokens(tokens) => tokens.max(LEAST_BUDGET),
        ReasoningEffort::None | ReasoningEffort::Minimal => LEAST_BUDGET,
        ReasoningEffort::Low => 4096,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 16384,
    };
    match max_tokens {
        Some(most) if most <= LEAST_BUDGET => {
            let message = "max_tokens must be above 1024 where this model thinks, since thoughts count";
            Err(ApiError::invalid("max_tokens", message))
        }
        Some(most) => Ok(wanted.min(most - 1)),
        None => Ok(wanted),
    }
}

fn word(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Tokens(..=4096) => "low",
        ReasoningEffort::Medium | ReasoningEffort::Tokens(..=16384) => "medium",
        ReasoningEffort::High | ReasoningEffort::Tokens(_) => "high",
    }
}
