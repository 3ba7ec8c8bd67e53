//! Settings of thinking. Older models accept a budget of tokens, newer ones an effort
//! (<https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>).

use hearth_domain::ReasoningEffort;
use serde_json::{Value, json};

/// Minimum budget, in tokens.
const MIN_BUDGET_TOKENS: u32 = 1024;

/// Abilities of a model, by its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Accepts an effort and no budget: since 4.6.
    pub(super) by_effort: bool,
    /// Accepts temperature, `top_p` and `top_k`: until 4.6.
    pub(super) samplers: bool,
    /// Thinks by default, some models always: since 5.
    pub(super) always: bool,
}

impl Abilities {
    /// Returns the abilities of a model. A Claude without a version counts as the newest; another model as the oldest, which
    /// other servers of this dialect have copied.
    pub(super) fn of(model: &str) -> Self {
        let version = claude_version(model).unwrap_or((0, 0));
        Self { by_effort: version >= (4, 6), samplers: version < (4, 7), always: version >= (5, 0) }
    }
}

/// Returns the version of a Claude, major and minor. A name without a version counts as the newest. `None`: no Claude.
pub(crate) fn claude_version(model: &str) -> Option<(u32, u32)> {
    let (_, rest) = model.split_once("claude")?;
    Some(version(rest).unwrap_or((u32::MAX, 0)))
}

/// Returns the version in a name such as `-opus-4-6` or `-3-7-sonnet-20250219`: the first number, and a number right after
/// it. A date isn't a version.
fn version(name: &str) -> Option<(u32, u32)> {
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let mut parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let major = parts.by_ref().find_map(number)?;
    Some((major, parts.next().and_then(number).unwrap_or(0)))
}

/// The settings of thinking in a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    /// The field `thinking`.
    pub(super) thinking: Option<Value>,
    /// The effort, if the model accepts one.
    pub(super) effort: Option<&'static str>,
    /// Maximum tokens of thoughts, which are added to the answer's limit.
    pub(super) room: u32,
}

impl Plan {
    /// Plans an effort for a model. For a model that always thinks, no effort means the lowest.
    pub(super) fn new(abilities: Abilities, effort: Option<ReasoningEffort>) -> Self {
        match effort {
            None if abilities.always => Self { room: budget(ReasoningEffort::Medium), ..Self::default() },
            None => Self::default(),
            Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) if abilities.always => {
                Self { thinking: None, effort: Some("low"), room: budget(ReasoningEffort::Low) }
            }
            Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) => Self::default(),
            Some(effort) if abilities.by_effort => Self {
                thinking: Some(json!({"type": "adaptive", "display": "summarized"})),
                effort: Some(effort_name(effort)),
                room: budget(effort),
            },
            Some(effort) => {
                let room = budget(effort);
                let thinking = json!({"type": "enabled", "budget_tokens": room});
                Self { thinking: Some(thinking), effort: None, room }
            }
        }
    }

    /// The same plan without thoughts.
    pub(super) fn without_thoughts(self) -> Self {
        Self { thinking: None, room: 0, ..self }
    }
}

/// Returns the budget of an effort: 1024, 4096, 16384 and 24576 tokens. The largest leaves room for an answer below 32000,
/// the limit of the smallest model that thinks.
fn budget(effort: ReasoningEffort) -> u32 {
    match effort {
        ReasoningEffort::None => 0,
        ReasoningEffort::Minimal => MIN_BUDGET_TOKENS,
        ReasoningEffort::Low => 4096,
        ReasoningEffort::Medium => 16_384,
        ReasoningEffort::High => 24_576,
        ReasoningEffort::Tokens(tokens) => tokens.max(MIN_BUDGET_TOKENS),
    }
}

/// Returns the name of the nearest effort.
fn effort_name(effort: ReasoningEffort) -> &'static str {
    match budget(effort) {
        0..=4096 => "low",
        4097..=16_384 => "medium",
        _ => "high",
    }
}
