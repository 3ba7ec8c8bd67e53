//! The rules of each vendor. Differences of one model family are in [`super::families`].
//!
//! A rule is here if the vendor refuses a request that breaks it, or silently does something else. Each has its source:
//! the vendor's documentation, or a report with the vendor's own words.

use super::rule::{
    AnswerSchemas, CallIds, DocumentTypes, Documents, IdLength, JsonObject, MetadataBounds, Otherwise,
    Parameter, Prefill, Rule, Rules, Stops, ToolNames,
};
use crate::answer_schema::profile;

pub(super) const OPENAI_CHAT: &str = "https://platform.openai.com/docs/api-reference/chat/create";
pub(super) const OPENAI_RESPONSES: &str = "https://platform.openai.com/docs/api-reference/responses/create";
pub(super) const OPENAI_REASONING: &str = "https://platform.openai.com/docs/guides/reasoning";
pub(super) const OPENAI_SCHEMAS: &str =
    "https://platform.openai.com/docs/guides/structured-outputs#supported-schemas";
pub(super) const OPENAI_FILES: &str = "https://platform.openai.com/docs/guides/pdf-files";
pub(super) const OPENAI_IMAGES: &str = "https://platform.openai.com/docs/guides/images-vision";
pub(super) const ANTHROPIC_MESSAGES: &str = "https://platform.claude.com/docs/en/api/messages";
pub(super) const ANTHROPIC_TOOLS: &str =
    "https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use";
pub(super) const ANTHROPIC_IMAGES: &str = "https://platform.claude.com/docs/en/build-with-claude/vision";
pub(super) const ANTHROPIC_FILES: &str = "https://platform.claude.com/docs/en/build-with-claude/pdf-support";
pub(super) const CLAUDE_4_6: &str =
    "https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-6";
pub(super) const ONE_SAMPLER: &str = "https://github.com/BerriAI/litellm/issues/15097";
pub(super) const GEMINI_CONTENT: &str = "https://ai.google.dev/api/generate-content";
pub(super) const GEMINI_TOOLS: &str = "https://ai.google.dev/gemini-api/docs/function-calling";
pub(super) const CONVERSE: &str =
    "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html";
pub(super) const CONVERSE_DOCUMENT: &str =
    "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html";
pub(super) const XAI_REASONING: &str = "https://docs.x.ai/docs/guides/reasoning";

/// Image types of Anthropic, OpenAI and Bedrock.
pub(super) const FOUR_FORMATS: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Image types of Gemini.
pub(super) const GEMINI_FORMATS: &[&str] =
    &["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"];

pub(super) const PENALTIES: &[Parameter] = &[Parameter::PresencePenalty, Parameter::FrequencyPenalty];

pub(super) const ALL_SAMPLERS: &[Parameter] =
    &[Parameter::Temperature, Parameter::TopP, Parameter::PresencePenalty, Parameter::FrequencyPenalty];

/// No rules, for any server: it refuses requests itself.
pub(crate) const UNRESTRICTED: Rules = Rules {
    max_tools: None,
    tool_names: None,
    call_ids: None,
    stops: None,
    refused_parameters: None,
    accepts_parameters_without_reasoning: false,
    max_temperature: None,
    temperature_with_top_p: None,
    efforts: None,
    choices: None,
    logprobs: None,
    uneven_logprobs: None,
    logit_bias: None,
    speaker_names: None,
    empty_turns: None,
    first_is_assistant: None,
    prefill: Rule { value: Prefill::Any, source: OPENAI_CHAT },
    images: None,
    documents: Documents { types: DocumentTypes::Any, urls: None, source: OPENAI_CHAT },
    schema_unions: None,
    loose_strict_schemas: None,
    answer_schemas: Rule { value: AnswerSchemas::AsSent, source: OPENAI_SCHEMAS },
    json_object: Rule { value: JsonObject::Field, source: OPENAI_CHAT },
    format_with_tools: None,
    metadata: None,
};

pub(super) const OPENAI_NAMES: ToolNames =
    ToolNames { max_chars: 64, dots: false, begins_with_letter: false };

/// OpenAI's strict mode; a schema outside its subset is sent without `strict`.
const OPENAI_STRICT: Rule<AnswerSchemas> = Rule {
    value: AnswerSchemas::Rewritten(&profile::OPENAI, Otherwise::Followed),
    source: profile::OPENAI.source,
};

pub(crate) const OPENAI: Rules = Rules {
    max_tools: Some(Rule { value: 128, source: OPENAI_CHAT }),
    tool_names: Some(Rule { value: OPENAI_NAMES, source: OPENAI_CHAT }),
    call_ids: Some(Rule {
        value: CallIds { length: IdLength::AtMost(40), marks: true, unique: false },
        // "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40"
        source: "https://github.com/vercel/ai/issues/5536",
    }),
    stops: Some(Rule { value: Stops { max_count: 4, blank: true }, source: OPENAI_CHAT }),
    images: Some(Rule { value: FOUR_FORMATS, source: OPENAI_IMAGES }),
    documents: Documents { types: DocumentTypes::Any, urls: Some(OPENAI_FILES), source: OPENAI_FILES },
    schema_unions: Some(OPENAI_SCHEMAS),
    loose_strict_schemas: Some(OPENAI_SCHEMAS),
    answer_schemas: OPENAI_STRICT,
    json_object: Rule { value: JsonObject::FieldWithWord, source: OPENAI_CHAT },
    metadata: Some(Rule {
        value: MetadataBounds { max_pairs: 16, name_max_chars: 64, value_max_chars: 512 },
        source: OPENAI_CHAT,
    }),
    ..UNRESTRICTED
};

pub(crate) const RESPONSES: Rules = Rules {
    max_tools: Some(Rule { value: 128, source: OPENAI_RESPONSES }),
    tool_names: Some(Rule { value: OPENAI_NAMES, source: OPENAI_RESPONSES }),
    call_ids: Some(Rule {
        value: CallIds { length: IdLength::AtMost(64), marks: true, unique: false },
        source: OPENAI_RESPONSES,
    }),
    // The API has no field for stop texts.
    stops: Some(Rule { value: Stops { max_count: 0, blank: false }, source: OPENAI_RESPONSES }),
    choices: Some(OPENAI_RESPONSES),
    logit_bias: Some(OPENAI_RESPONSES),
    documents: Documents { types: DocumentTypes::Any, urls: None, source: OPENAI_FILES },
    ..OPENAI
};

pub(crate) const DEEPSEEK: Rules = Rules {
    max_tools: Some(Rule { value: 128, source: "https://api-docs.deepseek.com/api/create-chat-completion" }),
    tool_names: Some(Rule {
        value: OPENAI_NAMES,
        source: "https://api-docs.deepseek.com/api/create-chat-completion",
    }),
    stops: Some(Rule {
        value: Stops { max_count: 16, blank: true },
        source: "https://api-docs.deepseek.com/api/create-chat-completion",
    }),
    choices: Some("https://api-docs.deepseek.com/api/create-chat-completion"),
    logit_bias: Some("https://api-docs.deepseek.com/api/create-chat-completion"),
    documents: DOCUMENTS_REFUSED,
    answer_schemas: Rule {
        value: AnswerSchemas::Instruction,
        source: "https://api-docs.deepseek.com/guides/json_mode",
    },
    json_object: Rule {
        value: JsonObject::FieldWithWord,
        source: "https://api-docs.deepseek.com/guides/json_mode",
    },
    ..UNRESTRICTED
};

pub(crate) const GROQ: Rules = Rules {
    max_tools: Some(Rule { value: 128, source: "https://console.groq.com/docs/api-reference" }),
    stops: Some(Rule {
        value: Stops { max_count: 4, blank: true },
        source: "https://console.groq.com/docs/api-reference",
    }),
    choices: Some("https://console.groq.com/docs/openai"),
    logprobs: Some("https://console.groq.com/docs/openai"),
    logit_bias: Some("https://console.groq.com/docs/openai"),
    speaker_names: Some("https://console.groq.com/docs/openai"),
    documents: DOCUMENTS_REFUSED,
    json_object: Rule {
        value: JsonObject::FieldWithWord,
        source: "https://console.groq.com/docs/structured-outputs",
    },
    ..UNRESTRICTED
};

pub(crate) const MISTRAL: Rules = Rules {
    tool_names: Some(Rule { value: OPENAI_NAMES, source: "https://docs.mistral.ai/api" }),
    call_ids: Some(Rule {
        // "Tool call id was call_... but must be a-z, A-Z, 0-9, with a length of 9"
        value: CallIds { length: IdLength::Exactly(9), marks: false, unique: true },
        source: "https://github.com/langchain-ai/langchain/issues/24668",
    }),
    logprobs: Some("https://docs.mistral.ai/api"),
    logit_bias: Some("https://docs.mistral.ai/api"),
    speaker_names: Some("https://docs.mistral.ai/api"),
    // "Assistant message must have either content or tool_calls, but not none"
    empty_turns: Some("https://github.com/continuedev/continue/issues/4245"),
    documents: DOCUMENTS_REFUSED,
    answer_schemas: Rule {
        source: "https://docs.mistral.ai/capabilities/structured_output/custom_structured_output",
        ..OPENAI_STRICT
    },
    json_object: Rule { value: JsonObject::FieldWithWord, source: "https://docs.mistral.ai/api" },
    ..UNRESTRICTED
};

pub(crate) const XAI: Rules = Rules {
    max_tools: Some(Rule { value: 128, source: "https://docs.x.ai/docs/api-reference" }),
    logit_bias: Some("https://docs.x.ai/docs/api-reference"),
    answer_schemas: Rule { source: "https://docs.x.ai/docs/guides/structured-outputs", ..OPENAI_STRICT },
    documents: DOCUMENTS_REFUSED,
    ..UNRESTRICTED
};

pub(crate) const OPENROUTER: Rules = Rules {
    answer_schemas: Rule {
        source: "https://openrouter.ai/docs/features/structured-outputs",
        ..OPENAI_STRICT
    },
    documents: Documents {
        types: DocumentTypes::Any,
        urls: None,
        source: "https://openrouter.ai/docs/features/multimodal/pdfs",
    },
    ..UNRESTRICTED
};

pub(crate) const OLLAMA: Rules = Rules {
    choices: Some("https://docs.ollama.com/api/openai-compatibility"),
    logprobs: Some("https://docs.ollama.com/api/openai-compatibility"),
    logit_bias: Some("https://docs.ollama.com/api/openai-compatibility"),
    documents: DOCUMENTS_REFUSED,
    ..UNRESTRICTED
};

pub(crate) const HUGGING_FACE: Rules = Rules {
    // Each of its providers has parameters of its own.
    uneven_logprobs: Some("https://huggingface.co/docs/inference-providers/tasks/chat-completion"),
    documents: DOCUMENTS_REFUSED,
    ..UNRESTRICTED
};

pub(super) const DOCUMENTS_REFUSED: Documents = Documents {
    types: DocumentTypes::Only(&[]),
    urls: Some("https://github.com/deepset-ai/haystack/issues/9816"),
    source: "https://platform.openai.com/docs/guides/pdf-files",
};

pub(crate) const ANTHROPIC: Rules = Rules {
    tool_names: Some(Rule {
        value: ToolNames { max_chars: 128, dots: false, begins_with_letter: false },
        source: ANTHROPIC_MESSAGES,
    }),
    call_ids: Some(Rule {
        value: CallIds { length: IdLength::AtMost(256), marks: true, unique: true },
        source: ANTHROPIC_MESSAGES,
    }),
    // "stop_sequences: each stop sequence must contain non-whitespace"
    stops: Some(Rule {
        value: Stops { max_count: 8191, blank: false },
        source: "https://github.com/BerriAI/litellm/issues/3286",
    }),
    max_temperature: Some(Rule { value: 1.0, source: ANTHROPIC_MESSAGES }),
    choices: Some(ANTHROPIC_MESSAGES),
    logprobs: Some(ANTHROPIC_MESSAGES),
    logit_bias: Some(ANTHROPIC_MESSAGES),
    first_is_assistant: Some(ANTHROPIC_MESSAGES),
    // "messages: final assistant content cannot end with trailing whitespace"
    prefill: Rule { value: Prefill::Trimmed, source: ANTHROPIC_MESSAGES },
    images: Some(Rule { value: FOUR_FORMATS, source: ANTHROPIC_IMAGES }),
    documents: Documents {
        types: DocumentTypes::Only(&["application/pdf", "text/plain"]),
        urls: None,
        source: ANTHROPIC_FILES,
    },
    schema_unions: Some(ANTHROPIC_TOOLS),
    answer_schemas: Rule {
        value: AnswerSchemas::Rewritten(&profile::ANTHROPIC, Otherwise::Tool),
        source: profile::ANTHROPIC.source,
    },
    json_object: Rule { value: JsonObject::Instruction, source: ANTHROPIC_MESSAGES },
    ..UNRESTRICTED
};

pub(crate) const GEMINI: Rules = Rules {
    max_tools: Some(Rule { value: 512, source: GEMINI_TOOLS }),
    tool_names: Some(Rule {
        value: ToolNames { max_chars: 64, dots: true, begins_with_letter: true },
        source: "https://ai.google.dev/api/caching#FunctionDeclaration",
    }),
    stops: Some(Rule { value: Stops { max_count: 5, blank: true }, source: GEMINI_CONTENT }),
    uneven_logprobs: Some(GEMINI_CONTENT),
    logit_bias: Some(GEMINI_CONTENT),
    images: Some(Rule {
        value: GEMINI_FORMATS,
        source: "https://ai.google.dev/gemini-api/docs/image-understanding",
    }),
    documents: Documents {
        types: DocumentTypes::Any,
        urls: None,
        source: "https://ai.google.dev/gemini-api/docs/document-processing",
    },
    answer_schemas: Rule {
        value: AnswerSchemas::Rewritten(&profile::GEMINI, Otherwise::Instruction),
        source: profile::GEMINI.source,
    },
    json_object: Rule { value: JsonObject::Field, source: GEMINI_CONTENT },
    ..UNRESTRICTED
};

pub(crate) const BEDROCK: Rules = Rules {
    tool_names: Some(Rule {
        value: OPENAI_NAMES,
        source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html",
    }),
    call_ids: Some(Rule {
        value: CallIds { length: IdLength::AtMost(64), marks: true, unique: true },
        source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html",
    }),
    stops: Some(Rule { value: Stops { max_count: 2500, blank: false }, source: CONVERSE }),
    max_temperature: Some(Rule {
        value: 1.0,
        source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html",
    }),
    choices: Some(CONVERSE),
    logprobs: Some(CONVERSE),
    logit_bias: Some(CONVERSE),
    // "A conversation must start with a user message."
    first_is_assistant: Some(
        "https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html",
    ),
    prefill: Rule { value: Prefill::Trimmed, source: ANTHROPIC_MESSAGES },
    images: Some(Rule {
        value: FOUR_FORMATS,
        source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html",
    }),
    documents: Documents {
        types: DocumentTypes::Only(crate::dialect::bedrock::DOCUMENT_TYPES),
        urls: Some(CONVERSE_DOCUMENT),
        source: CONVERSE_DOCUMENT,
    },
    // Models without structured outputs, such as Nova and Llama, call tools.
    answer_schemas: Rule { value: AnswerSchemas::Tool, source: profile::BEDROCK.source },
    json_object: Rule { value: JsonObject::Instruction, source: CONVERSE },
    ..UNRESTRICTED
};
