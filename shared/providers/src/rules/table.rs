//! The rules as data: those of a vendor ([`super::vendors`]), and those of its model families, which go over them.
//!
//! A rule is here if a vendor answers 400 to its breach, or silently does something else. Each has the page that it is
//! from; where the documentation says nothing, a report of the vendor's own words.

use super::{
    Refused, Rule,
    call_ids::CallIds,
    messages::Prefill,
    names::Names,
    refuse::MetadataBounds,
    sampling::{Efforts, Parameter},
    schema::JsonObject,
    stops::Stops,
    vendors::{
        ALL_SAMPLERS, ANTHROPIC, ANTHROPIC_TOOLS, BEDROCK, CLAUDE_4_6, DEEPSEEK, GEMINI, GROQ, HUGGING_FACE,
        MISTRAL, OLLAMA, ONE_SAMPLER, OPEN, OPENAI, OPENAI_CHAT, OPENAI_REASONING, OPENROUTER, PENALTIES,
        RESPONSES, XAI, XAI_REASONING,
    },
};
use crate::dialect::{Dialect, claude_version};

/// What a provider takes. `None` is no bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rules {
    /// How many tools.
    pub(super) max_tools: Option<Rule<usize>>,
    /// Which names of tools.
    pub(super) tool_names: Option<Rule<Names>>,
    /// Which ids of calls.
    pub(super) call_ids: Option<Rule<CallIds>>,
    /// Which stop texts.
    pub(super) stops: Option<Rule<Stops>>,
    /// Sampling parameters that it does not take.
    pub(super) left_out: Option<Rule<&'static [Parameter]>>,
    /// Whether it takes them nevertheless while it is not asked to think.
    pub(super) samples_when_silent: bool,
    /// A temperature together with `top_p`.
    pub(super) temperature_with_top_p: Refused,
    /// Which efforts.
    pub(super) efforts: Option<Rule<Efforts>>,
    /// Several answers to one request.
    pub(super) choices: Refused,
    /// Log-probabilities.
    pub(super) logprobs: Refused,
    /// Tokens that are favoured.
    pub(super) logit_bias: Refused,
    /// A name of a message's speaker.
    pub(super) names: Refused,
    /// A turn of the assistant's that says nothing.
    pub(super) empty_turns: Refused,
    /// A conversation that the assistant begins.
    pub(super) first_is_user: Refused,
    /// A conversation that the assistant ends.
    pub(super) prefill: Rule<Prefill>,
    /// Which media types of images.
    pub(super) images: Option<Rule<&'static [&'static str]>>,
    /// Which documents.
    pub(super) documents: Documents,
    /// A choice of several schemas at the top of a tool's.
    pub(super) schema_unions: Refused,
    /// A schema that is called strict and is none.
    pub(super) strict_schemas: Refused,
    /// A JSON Schema of the answer. One that it does not take is told in words.
    pub(super) response_schemas: Refused,
    /// How JSON without a schema is asked for.
    pub(super) json_object: Rule<JsonObject>,
    /// A form of the answer together with tools.
    pub(super) format_with_tools: Refused,
    /// The client's own notes.
    pub(super) metadata: Option<Rule<MetadataBounds>>,
}

/// Which documents a provider reads. Those of plain text all do: they are told as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Documents {
    /// The media types that it reads.
    pub(super) types: Types,
    /// One at an address.
    pub(super) urls: Refused,
    pub(super) source: &'static str,
}

/// Which media types are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Types {
    /// Those, and no others.
    Only(&'static [&'static str]),
    /// It sees for itself.
    Any,
}

impl Documents {
    /// Whether it reads a document of this media type.
    pub(super) fn takes(self, media_type: &str) -> bool {
        match self.types {
            Types::Only(types) => types.contains(&media_type),
            Types::Any => true,
        }
    }
}

/// A family of models that differs from its vendor's others.
struct Family {
    /// The kinds of the vendors that have it.
    kinds: &'static [&'static str],
    /// Whether a model is one of it, by its name.
    has: fn(&str) -> bool,
    /// What differs.
    change: fn(&mut Rules),
}

impl Rules {
    /// The rules of a vendor of this kind, spoken to in `dialect`, for a model.
    pub(crate) fn of(kind: &str, dialect: Dialect, model: &str) -> Self {
        let mut rules = match dialect {
            Dialect::Anthropic => ANTHROPIC,
            Dialect::Gemini => GEMINI,
            Dialect::Bedrock => BEDROCK,
            Dialect::OpenAiResponses => RESPONSES,
            Dialect::OpenAiChat(_) => of_chat(kind),
        };
        let families = FAMILIES.iter().filter(|family| family.kinds.contains(&kind) && (family.has)(model));
        families.for_each(|family| (family.change)(&mut rules));
        rules
    }
}

fn of_chat(kind: &str) -> Rules {
    match kind {
        "openai" | "azure" => OPENAI,
        "deepseek" => DEEPSEEK,
        "groq" => GROQ,
        "mistral" => MISTRAL,
        "xai" => XAI,
        "openrouter" => OPENROUTER,
        "ollama" => OLLAMA,
        "huggingface" => HUGGING_FACE,
        _ => OPEN,
    }
}

const FAMILIES: &[Family] = &[
    // They think, and then take nothing of how tokens are chosen.
    Family {
        kinds: &["openai", "azure"],
        has: is_openai_reasoning,
        change: |rules| {
            rules.left_out = Some(Rule { is: ALL_SAMPLERS, source: OPENAI_REASONING });
            rules.logprobs = Some(OPENAI_REASONING);
            rules.logit_bias = Some(OPENAI_REASONING);
            // "Not supported with latest reasoning models o3 and o4-mini"
            rules.stops = Some(Rule { is: Stops { most: 0, blank: false }, source: OPENAI_CHAT });
            let from = Efforts::From { none: false, minimal: false };
            rules.efforts = Some(Rule { is: from, source: OPENAI_REASONING });
        },
    },
    Family {
        kinds: &["openai", "azure"],
        has: |model| {
            is_openai_reasoning(model) && gpt_version(model).is_some_and(|version| version == (5, 0))
        },
        change: |rules| {
            let from = Efforts::From { none: false, minimal: true };
            rules.efforts = Some(Rule { is: from, source: OPENAI_REASONING });
        },
    },
    Family {
        kinds: &["openai", "azure"],
        has: |model| is_openai_reasoning(model) && gpt_version(model).is_some_and(|version| version > (5, 0)),
        change: |rules| {
            let from = Efforts::From { none: true, minimal: false };
            rules.efforts = Some(Rule { is: from, source: OPENAI_REASONING });
            // Their effort is none unless one is asked for (<https://platform.openai.com/docs/guides/latest-model>).
            rules.samples_when_silent = true;
            rules.logprobs = None;
        },
    },
    // They do not think.
    Family {
        kinds: &["openai"],
        has: |model| ["gpt-3.5", "gpt-4", "chatgpt-"].iter().any(|start| model.starts_with(start)),
        change: |rules| rules.efforts = Some(Rule { is: Efforts::Nothing, source: OPENAI_REASONING }),
    },
    Family {
        kinds: &["xai"],
        has: is_xai_reasoning,
        change: |rules| {
            rules.left_out = Some(Rule { is: PENALTIES, source: XAI_REASONING });
            rules.stops = Some(Rule { is: Stops { most: 0, blank: false }, source: XAI_REASONING });
        },
    },
    // Newer ones take an effort, as grok-3-mini does.
    Family {
        kinds: &["xai"],
        has: |model| model.starts_with("grok-") && model != "grok-latest" && !takes_xai_effort(model),
        change: |rules| rules.efforts = Some(Rule { is: Efforts::Nothing, source: XAI_REASONING }),
    },
    Family {
        kinds: &["anthropic", "bedrock"],
        has: |model| claude_version(model).is_some_and(|version| version >= (4, 1)),
        change: |rules| rules.temperature_with_top_p = Some(ONE_SAMPLER),
    },
    Family {
        kinds: &["anthropic", "bedrock"],
        has: |model| claude_version(model).is_some_and(|version| version >= (4, 6)),
        change: |rules| rules.prefill = Rule { is: Prefill::Refused, source: CLAUDE_4_6 },
    },
    Family {
        kinds: &["bedrock"],
        has: |model| claude_version(model).is_some(),
        change: |rules| rules.schema_unions = Some(ANTHROPIC_TOOLS),
    },
    // "Function calling with a response mime type: 'application/json' is unsupported"
    Family {
        kinds: &["google"],
        has: |model| crate::dialect::gemini::family(model).is_some_and(|family| family < 3),
        change: |rules| {
            rules.format_with_tools = Some("https://ai.google.dev/gemini-api/docs/structured-output")
        },
    },
];

/// OpenAI's o-series, and gpt-5 and later but for the models of the chat application.
fn is_openai_reasoning(model: &str) -> bool {
    let series = model.strip_prefix('o').and_then(|rest| rest.chars().next());
    let newer = gpt_version(model).is_some_and(|version| version >= (5, 0));
    (series.is_some_and(|c| c.is_ascii_digit()) || newer || model.starts_with("codex-"))
        && !model.contains("-chat")
}

/// The version in a name such as `gpt-5.1-mini`.
fn gpt_version(model: &str) -> Option<(u32, u32)> {
    let rest = model.strip_prefix("gpt-")?;
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// xAI's models that think: of the third generation only the small one, and the later ones unless they say otherwise.
fn is_xai_reasoning(model: &str) -> bool {
    let later =
        model.starts_with("grok-4") || model.starts_with("grok-code") || model.starts_with("grok-build");
    (later || model.starts_with("grok-3-mini")) && !model.contains("non-reasoning")
}

/// Among xAI's models, those with an effort: grok-3-mini, and from 4.3 on all but 4.20.
fn takes_xai_effort(model: &str) -> bool {
    let version = model.strip_prefix("grok-4.").and_then(|rest| rest.split('-').next());
    let newer =
        version.and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|minor| (3..20).contains(&minor));
    let later = ["grok-5", "grok-6"].iter().any(|start| model.starts_with(start));
    newer || later || model.starts_with("grok-3-mini")
}
