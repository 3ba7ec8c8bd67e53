//! The rules as data: first those of a vendor, then those of its model families, which go over them.
//!
//! A rule is here if a vendor answers 400 to its breach, or silently does something else. Each has the page that it is
//! from; where the documentation says nothing, a report of the vendor's own words.

use super::{
    Refused, Rule,
    call_ids::{CallIds, Length},
    messages::Prefill,
    names::Names,
    refuse::MetadataBounds,
    sampling::{Efforts, Parameter},
    schema::JsonObject,
    stops::Stops,
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

const OPENAI_CHAT: &str = "https://platform.openai.com/docs/api-reference/chat/create";
const OPENAI_RESPONSES: &str = "https://platform.openai.com/docs/api-reference/responses/create";
const OPENAI_REASONING: &str = "https://platform.openai.com/docs/guides/reasoning";
const OPENAI_SCHEMAS: &str = "https://platform.openai.com/docs/guides/structured-outputs#supported-schemas";
const OPENAI_FILES: &str = "https://platform.openai.com/docs/guides/pdf-files";
const OPENAI_IMAGES: &str = "https://platform.openai.com/docs/guides/images-vision";
const ANTHROPIC_MESSAGES: &str = "https://platform.claude.com/docs/en/api/messages";
const ANTHROPIC_TOOLS: &str =
    "https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use";
const ANTHROPIC_IMAGES: &str = "https://platform.claude.com/docs/en/build-with-claude/vision";
const ANTHROPIC_FILES: &str = "https://platform.claude.com/docs/en/build-with-claude/pdf-support";
const CLAUDE_4_6: &str = "https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-6";
const ONE_SAMPLER: &str = "https://github.com/BerriAI/litellm/issues/15097";
const GEMINI_CONTENT: &str = "https://ai.google.dev/api/generate-content";
const GEMINI_TOOLS: &str = "https://ai.google.dev/gemini-api/docs/function-calling";
const CONVERSE: &str =
    "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html";
const CONVERSE_DOCUMENT: &str =
    "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html";
const XAI_REASONING: &str = "https://docs.x.ai/docs/guides/reasoning";

/// What Anthropic, OpenAI and Bedrock see.
const FOUR_FORMATS: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// What Gemini sees.
const GEMINI_FORMATS: &[&str] = &["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"];

const PENALTIES: &[Parameter] = &[Parameter::PresencePenalty, Parameter::FrequencyPenalty];

const ALL_SAMPLERS: &[Parameter] =
    &[Parameter::Temperature, Parameter::TopP, Parameter::PresencePenalty, Parameter::FrequencyPenalty];

/// A server of anybody's: it says itself what it refuses.
const OPEN: Rules = Rules {
    max_tools: None,
    tool_names: None,
    call_ids: None,
    stops: None,
    left_out: None,
    samples_when_silent: false,
    temperature_with_top_p: None,
    efforts: None,
    choices: None,
    logprobs: None,
    logit_bias: None,
    names: None,
    empty_turns: None,
    first_is_user: None,
    prefill: Rule { is: Prefill::Any, source: OPENAI_CHAT },
    images: None,
    documents: Documents { types: Types::Any, urls: None, source: OPENAI_CHAT },
    schema_unions: None,
    strict_schemas: None,
    response_schemas: None,
    json_object: Rule { is: JsonObject::Asked, source: OPENAI_CHAT },
    format_with_tools: None,
    metadata: None,
};

const OPENAI_NAMES: Names = Names { most: 64, dots: false, begins_with_letter: false };

const OPENAI: Rules = Rules {
    max_tools: Some(Rule { is: 128, source: OPENAI_CHAT }),
    tool_names: Some(Rule { is: OPENAI_NAMES, source: OPENAI_CHAT }),
    call_ids: Some(Rule {
        is: CallIds { length: Length::AtMost(40), marks: true, unique: false },
        // "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40"
        source: "https://github.com/vercel/ai/issues/5536",
    }),
    stops: Some(Rule { is: Stops { most: 4, blank: true }, source: OPENAI_CHAT }),
    images: Some(Rule { is: FOUR_FORMATS, source: OPENAI_IMAGES }),
    documents: Documents { types: Types::Any, urls: Some(OPENAI_FILES), source: OPENAI_FILES },
    schema_unions: Some(OPENAI_SCHEMAS),
    strict_schemas: Some(OPENAI_SCHEMAS),
    json_object: Rule { is: JsonObject::AskedWithWord, source: OPENAI_CHAT },
    metadata: Some(Rule { is: (16, 64, 512), source: OPENAI_CHAT }),
    ..OPEN
};

const RESPONSES: Rules = Rules {
    max_tools: Some(Rule { is: 128, source: OPENAI_RESPONSES }),
    tool_names: Some(Rule { is: OPENAI_NAMES, source: OPENAI_RESPONSES }),
    call_ids: Some(Rule {
        is: CallIds { length: Length::AtMost(64), marks: true, unique: false },
        source: OPENAI_RESPONSES,
    }),
    // It has no field for them.
    stops: Some(Rule { is: Stops { most: 0, blank: false }, source: OPENAI_RESPONSES }),
    choices: Some(OPENAI_RESPONSES),
    logit_bias: Some(OPENAI_RESPONSES),
    documents: Documents { types: Types::Any, urls: None, source: OPENAI_FILES },
    ..OPENAI
};

const DEEPSEEK: Rules = Rules {
    max_tools: Some(Rule { is: 128, source: "https://api-docs.deepseek.com/api/create-chat-completion" }),
    tool_names: Some(Rule {
        is: OPENAI_NAMES,
        source: "https://api-docs.deepseek.com/api/create-chat-completion",
    }),
    stops: Some(Rule {
        is: Stops { most: 16, blank: true },
        source: "https://api-docs.deepseek.com/api/create-chat-completion",
    }),
    choices: Some("https://api-docs.deepseek.com/api/create-chat-completion"),
    logit_bias: Some("https://api-docs.deepseek.com/api/create-chat-completion"),
    documents: NO_DOCUMENTS,
    response_schemas: Some("https://api-docs.deepseek.com/guides/json_mode"),
    json_object: Rule {
        is: JsonObject::AskedWithWord,
        source: "https://api-docs.deepseek.com/guides/json_mode",
    },
    ..OPEN
};

const GROQ: Rules = Rules {
    max_tools: Some(Rule { is: 128, source: "https://console.groq.com/docs/api-reference" }),
    stops: Some(Rule {
        is: Stops { most: 4, blank: true },
        source: "https://console.groq.com/docs/api-reference",
    }),
    choices: Some("https://console.groq.com/docs/openai"),
    logprobs: Some("https://console.groq.com/docs/openai"),
    logit_bias: Some("https://console.groq.com/docs/openai"),
    names: Some("https://console.groq.com/docs/openai"),
    documents: NO_DOCUMENTS,
    json_object: Rule {
        is: JsonObject::AskedWithWord,
        source: "https://console.groq.com/docs/structured-outputs",
    },
    ..OPEN
};

const MISTRAL: Rules = Rules {
    tool_names: Some(Rule { is: OPENAI_NAMES, source: "https://docs.mistral.ai/api" }),
    call_ids: Some(Rule {
        // "Tool call id was call_... but must be a-z, A-Z, 0-9, with a length of 9"
        is: CallIds { length: Length::Exactly(9), marks: false, unique: true },
        source: "https://github.com/langchain-ai/langchain/issues/24668",
    }),
    logprobs: Some("https://docs.mistral.ai/api"),
    logit_bias: Some("https://docs.mistral.ai/api"),
    names: Some("https://docs.mistral.ai/api"),
    // "Assistant message must have either content or tool_calls, but not none"
    empty_turns: Some("https://github.com/continuedev/continue/issues/4245"),
    documents: NO_DOCUMENTS,
    json_object: Rule { is: JsonObject::AskedWithWord, source: "https://docs.mistral.ai/api" },
    ..OPEN
};

const XAI: Rules = Rules {
    max_tools: Some(Rule { is: 128, source: "https://docs.x.ai/docs/api-reference" }),
    logit_bias: Some("https://docs.x.ai/docs/api-reference"),
    documents: NO_DOCUMENTS,
    ..OPEN
};

const OPENROUTER: Rules = Rules {
    documents: Documents {
        types: Types::Any,
        urls: None,
        source: "https://openrouter.ai/docs/features/multimodal/pdfs",
    },
    ..OPEN
};

const OLLAMA: Rules = Rules {
    choices: Some("https://docs.ollama.com/api/openai-compatibility"),
    logprobs: Some("https://docs.ollama.com/api/openai-compatibility"),
    logit_bias: Some("https://docs.ollama.com/api/openai-compatibility"),
    documents: NO_DOCUMENTS,
    ..OPEN
};

const HUGGING_FACE: Rules = Rules { documents: NO_DOCUMENTS, ..OPEN };

const NO_DOCUMENTS: Documents = Documents {
    types: Types::Only(&[]),
    urls: Some("https://github.com/deepset-ai/haystack/issues/9816"),
    source: "https://platform.openai.com/docs/guides/pdf-files",
};

const ANTHROPIC: Rules = Rules {
    tool_names: Some(Rule {
        is: Names { most: 128, dots: false, begins_with_letter: false },
        source: ANTHROPIC_MESSAGES,
    }),
    call_ids: Some(Rule {
        is: CallIds { length: Length::AtMost(256), marks: true, unique: true },
        source: ANTHROPIC_MESSAGES,
    }),
    // "stop_sequences: each stop sequence must contain non-whitespace"
    stops: Some(Rule {
        is: Stops { most: 8191, blank: false },
        source: "https://github.com/BerriAI/litellm/issues/3286",
    }),
    choices: Some(ANTHROPIC_MESSAGES),
    logprobs: Some(ANTHROPIC_MESSAGES),
    logit_bias: Some(ANTHROPIC_MESSAGES),
    first_is_user: Some(ANTHROPIC_MESSAGES),
    // "messages: final assistant content cannot end with trailing whitespace"
    prefill: Rule { is: Prefill::Trimmed, source: ANTHROPIC_MESSAGES },
    images: Some(Rule { is: FOUR_FORMATS, source: ANTHROPIC_IMAGES }),
    documents: Documents {
        types: Types::Only(&["application/pdf", "text/plain"]),
        urls: None,
        source: ANTHROPIC_FILES,
    },
    schema_unions: Some(ANTHROPIC_TOOLS),
    json_object: Rule { is: JsonObject::Instructed, source: ANTHROPIC_MESSAGES },
    ..OPEN
};

const GEMINI: Rules = Rules {
    max_tools: Some(Rule { is: 512, source: GEMINI_TOOLS }),
    tool_names: Some(Rule {
        is: Names { most: 64, dots: true, begins_with_letter: true },
        source: "https://ai.google.dev/api/caching#FunctionDeclaration",
    }),
    stops: Some(Rule { is: Stops { most: 5, blank: true }, source: GEMINI_CONTENT }),
    logit_bias: Some(GEMINI_CONTENT),
    images: Some(Rule {
        is: GEMINI_FORMATS,
        source: "https://ai.google.dev/gemini-api/docs/image-understanding",
    }),
    documents: Documents {
        types: Types::Any,
        urls: None,
        source: "https://ai.google.dev/gemini-api/docs/document-processing",
    },
    json_object: Rule { is: JsonObject::Asked, source: GEMINI_CONTENT },
    ..OPEN
};

const BEDROCK: Rules = Rules {
    tool_names: Some(Rule {
        is: OPENAI_NAMES,
        source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html",
    }),
    call_ids: Some(Rule {
        is: CallIds { length: Length::AtMost(64), marks: true, unique: true },
        source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html",
    }),
    stops: Some(Rule { is: Stops { most: 2500, blank: false }, source: CONVERSE }),
    choices: Some(CONVERSE),
    logprobs: Some(CONVERSE),
    logit_bias: Some(CONVERSE),
    // "A conversation must start with a user message."
    first_is_user: Some("https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html"),
    prefill: Rule { is: Prefill::Trimmed, source: ANTHROPIC_MESSAGES },
    images: Some(Rule {
        is: FOUR_FORMATS,
        source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html",
    }),
    documents: Documents {
        types: Types::Only(crate::dialect::bedrock::DOCUMENT_TYPES),
        urls: Some(CONVERSE_DOCUMENT),
        source: CONVERSE_DOCUMENT,
    },
    json_object: Rule { is: JsonObject::Instructed, source: CONVERSE },
    ..OPEN
};

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
