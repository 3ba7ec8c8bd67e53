//! How much a model thinks. Older ones take a budget of tokens, newer ones an effort
//! (<https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>).

use hearth_domain::ReasoningEffort;
use serde_json::{Value, json};

/// The smallest budget that is taken, in tokens.
const LEAST: u32 = 1024;

/// What a model can do, by its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Takes an effort and no budget: since 4.6.
    pub(super) by_effort: bool,
    /// Takes temperature, `top_p` and `top_k`: until 4.6.
    pub(super) samplers: bool,
    /// Thinks unless it is told otherwise, and some cannot be: since 5.
    pub(super) always: bool,
}

impl Abilities {
    /// Those of the model of this name. A Claude without a version is as the newest; what isn't a Claude
    /// is as the oldest, since that is what other servers of this dialect have copied.
    pub(super) fn of(model: &str) -> Self {
        let version = claude_version(model).unwrap_or((0, 0));
        Self { by_effort: version >= (4, 6), samplers: version < (4, 7), always: version >= (5, 0) }
    }
}

/// The version of a Claude: major and minor. One without a version is as the newest. `None`: it is no Claude.
pub(crate) fn claude_version(model: &str) -> Option<(u32, u32)> {
    let (_, rest) = model.split_once("claude")?;
    Some(version(rest).unwrap_or((u32::MAX, 0)))
}

/// The version in a name such as `-opus-4-6` or `-3-7-sonnet-20250219`: the first number, and the one right
/// behind it. A date is no version.
fn version(name: &str) -> Option<(u32, u32)> {
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let mut parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let major = parts.by_ref().find_map(number)?;
    Some((major, parts.next().and_then(number).unwrap_or(0)))
}

/// What is said of thinking.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    /// The field `thinking`.
    pub(super) thinking: Option<Value>,
    /// The effort, where the model takes one.
    pub(super) effort: Option<&'static str>,
    /// Tokens that thoughts may take, for the answer to have room behind them.
    pub(super) room: u32,
}

impl Plan {
    /// What to say to a model that is asked to think so much. To one that always thinks `None` means: as
    /// little as it can.
    pub(super) fn new(abilities: Abilities, asked: Option<ReasoningEffort>) -> Self {
        match asked {
            None if abilities.always => Self { room: budget(ReasoningEffort::Medium), ..Self::default() },
            None => Self::default(),
            Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) if abilities.always => {
                Self { thinking: None, effort: Some("low"), room: budget(ReasoningEffort::Low) }
            }
            Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)) => Self::default(),
            Some(effort) if abilities.by_effort => Self {
                thinking: Some(json!({"type": "adaptive", "display": "summarized"})),
                effort: Some(word(effort)),
                room: budget(effort),
            },
            Some(effort) => {
                let room = budget(effort);
                let thinking = json!({"type": "enabled", "budget_tokens": room});
                Self { thinking: Some(thinking), effort: None, room }
            }
        }
    }

    /// The same without thoughts.
    pub(super) fn without_thoughts(self) -> Self {
        Self { thinking: None, room: 0, ..self }
    }
}

/// The tokens of an effort: 1024, 4096, 16384 and 24576. The most leaves room for an answer below 32000,
/// the limit of the smallest model that thinks.
fn budget(effort: ReasoningEffort) -> u32 {
    match effort {
        ReasoningEffort::None => 0,
        ReasoningEffort::Minimal => LEAST,
        ReasoningEffort::Low => 4096,
        ReasoningEffort::Medium => 16_384,
        ReasoningEffort::High => 24_576,
        ReasoningEffort::Tokens(tokens) => tokens.max(LEAST),
    }
}

/// The nearest effort.
fn word(effort: ReasoningEffort) -> &'static str {
    match budget(effort) {
        0..=4096 => "low",
        4097..=16_384 => "medium",
        _ => "high",
    }
}
