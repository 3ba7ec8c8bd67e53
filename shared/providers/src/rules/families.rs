//! Differences of model families from the rules of their vendor ([`super::vendors`]).

use super::{
    rule::{AnswerSchemas, Efforts, Otherwise, Prefill, Rule, Rules, Stops},
    vendors::{
        ALL_SAMPLERS, ANTHROPIC_TOOLS, CLAUDE_4_6, ONE_SAMPLER, OPENAI_CHAT, OPENAI_REASONING, PENALTIES,
        RESPONSES, XAI_REASONING,
    },
};
use crate::{
    answer_schema::profile,
    dialect::{Dialect, claude_version, gemini},
};

/// A family of models.
struct Family {
    /// The kinds of the vendors that have the family.
    kinds: &'static [&'static str],
    /// Returns whether a model belongs to the family, by its name.
    has: fn(&str) -> bool,
    /// Changes the vendor's rules.
    change: fn(&mut Rules),
}

/// Returns the rules for a model: those of the vendor, or of the responses API, with the changes of its families.
/// `kind`: the vendor's.
pub(super) fn rules_of_model(vendor: &Rules, kind: &str, dialect: Dialect, model: &str) -> Rules {
    let mut rules = if dialect == Dialect::OpenAiResponses { RESPONSES } else { vendor.clone() };
    let families = FAMILIES.iter().filter(|family| family.kinds.contains(&kind) && (family.has)(model));
    families.for_each(|family| (family.change)(&mut rules));
    rules
}

const FAMILIES: &[Family] = &[
    // Reasoning models refuse sampling parameters.
    Family {
        kinds: &["openai", "azure"],
        has: is_openai_reasoning,
        change: |rules| {
            rules.refused_parameters = Some(Rule { value: ALL_SAMPLERS, source: OPENAI_REASONING });
            rules.logprobs = Some(OPENAI_REASONING);
            rules.logit_bias = Some(OPENAI_REASONING);
            // "Not supported with latest reasoning models o3 and o4-mini"
            rules.stops = Some(Rule { value: Stops { max_count: 0, blank: false }, source: OPENAI_CHAT });
            let from = Efforts::From { none: false, minimal: false };
            rules.efforts = Some(Rule { value: from, source: OPENAI_REASONING });
        },
    },
    Family {
        kinds: &["openai", "azure"],
        has: |model| {
            is_openai_reasoning(model) && gpt_version(model).is_some_and(|version| version == (5, 0))
        },
        change: |rules| {
            let from = Efforts::From { none: false, minimal: true };
            rules.efforts = Some(Rule { value: from, source: OPENAI_REASONING });
        },
    },
    Family {
        kinds: &["openai", "azure"],
        has: |model| is_openai_reasoning(model) && gpt_version(model).is_some_and(|version| version > (5, 0)),
        change: |rules| {
            let from = Efforts::From { none: true, minimal: false };
            rules.efforts = Some(Rule { value: from, source: OPENAI_REASONING });
            // The default effort is none (<https://platform.openai.com/docs/guides/latest-model>).
            rules.accepts_parameters_without_reasoning = true;
            rules.logprobs = None;
        },
    },
    // Models without reasoning.
    Family {
        kinds: &["openai"],
        has: |model| ["gpt-3.5", "gpt-4", "chatgpt-"].iter().any(|start| model.starts_with(start)),
        change: |rules| rules.efforts = Some(Rule { value: Efforts::Unsupported, source: OPENAI_REASONING }),
    },
    Family {
        kinds: &["xai"],
        has: is_xai_reasoning,
        change: |rules| {
            rules.refused_parameters = Some(Rule { value: PENALTIES, source: XAI_REASONING });
            rules.stops = Some(Rule { value: Stops { max_count: 0, blank: false }, source: XAI_REASONING });
        },
    },
    // Only newer models and grok-3-mini accept an effort.
    Family {
        kinds: &["xai"],
        has: |model| model.starts_with("grok-") && model != "grok-latest" && !accepts_xai_effort(model),
        change: |rules| rules.efforts = Some(Rule { value: Efforts::Unsupported, source: XAI_REASONING }),
    },
    Family {
        kinds: &["anthropic", "bedrock"],
        has: |model| claude_version(model).is_some_and(|version| version >= (4, 1)),
        change: |rules| rules.temperature_with_top_p = Some(ONE_SAMPLER),
    },
    Family {
        kinds: &["anthropic", "bedrock"],
        has: |model| claude_version(model).is_some_and(|version| version >= (4, 6)),
        change: |rules| rules.prefill = Rule { value: Prefill::Refused, source: CLAUDE_4_6 },
    },
    Family {
        kinds: &["bedrock"],
        has: |model| claude_version(model).is_some(),
        change: |rules| rules.schema_unions = Some(ANTHROPIC_TOOLS),
    },
    // Structured outputs are of Claude 4.5 and later; earlier ones call tools.
    Family {
        kinds: &["anthropic"],
        has: |model| claude_version(model).is_some_and(|version| version < (4, 5)),
        change: |rules| {
            rules.answer_schemas = Rule { value: AnswerSchemas::Tool, source: profile::ANTHROPIC.source };
        },
    },
    Family {
        kinds: &["bedrock"],
        has: |model| {
            claude_version(model).is_some_and(|version| version >= (4, 5)) || has_bedrock_schemas(model)
        },
        change: |rules| {
            rules.answer_schemas = Rule {
                value: AnswerSchemas::Rewritten(&profile::BEDROCK, Otherwise::Tool),
                source: profile::BEDROCK.source,
            };
        },
    },
    // Strict mode is of gpt-oss alone.
    Family {
        kinds: &["groq"],
        has: |model| model.contains("gpt-oss"),
        change: |rules| {
            rules.answer_schemas = Rule {
                value: AnswerSchemas::Rewritten(&profile::OPENAI, Otherwise::Followed),
                source: "https://console.groq.com/docs/structured-outputs",
            };
        },
    },
    // "Setting logprobs, top_logprobs will trigger an error."
    Family {
        kinds: &["deepseek"],
        has: |model| model.starts_with("deepseek-reasoner"),
        change: |rules| rules.logprobs = Some("https://api-docs.deepseek.com/guides/reasoning_model"),
    },
    // "Function calling with a response mime type: 'application/json' is unsupported"
    Family {
        kinds: &["google"],
        has: |model| gemini::family(model).is_some_and(|family| family < 3),
        change: |rules| {
            rules.format_with_tools = Some("https://ai.google.dev/gemini-api/docs/structured-output")
        },
    },
];

/// Returns whether a model that isn't a Claude has structured outputs at Bedrock
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>).
fn has_bedrock_schemas(model: &str) -> bool {
    const NAMES: [&str; 8] =
        ["qwen3", "deepseek.v3", "gpt-oss", "gemma-3", "ministral", "nemotron", "minimax", "kimi"];
    NAMES.iter().any(|name| model.contains(name))
}

/// Returns whether a model is of OpenAI's o-series, or gpt-5 or later; the models of the chat application aren't.
fn is_openai_reasoning(model: &str) -> bool {
    let series = model.strip_prefix('o').and_then(|rest| rest.chars().next());
    let newer = gpt_version(model).is_some_and(|version| version >= (5, 0));
    (series.is_some_and(|c| c.is_ascii_digit()) || newer || model.starts_with("codex-"))
        && !model.contains("-chat")
}

/// Returns the version in a name such as `gpt-5.1-mini`.
fn gpt_version(model: &str) -> Option<(u32, u32)> {
    let rest = model.strip_prefix("gpt-")?;
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns whether a model of xAI's reasons: of the third generation only the small one does, and later ones do unless
/// their name has `non-reasoning`.
fn is_xai_reasoning(model: &str) -> bool {
    let later =
        model.starts_with("grok-4") || model.starts_with("grok-code") || model.starts_with("grok-build");
    (later || model.starts_with("grok-3-mini")) && !model.contains("non-reasoning")
}

/// Returns whether a model of xAI's accepts an effort: grok-3-mini, and all since 4.3 but 4.20.
fn accepts_xai_effort(model: &str) -> bool {
    let version = model.strip_prefix("grok-4.").and_then(|rest| rest.split('-').next());
    let newer =
        version.and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|minor| (3..20).contains(&minor));
    let later = ["grok-5", "grok-6"].iter().any(|start| model.starts_with(start));
    newer || later || model.starts_with("grok-3-mini")
}
