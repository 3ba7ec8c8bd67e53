//! The types of rules: restrictions of vendors and of families of their models.

use crate::answer_schema::profile::SchemaProfile;

/// A value, and the page of the vendor's documentation, or the report, that states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule<T> {
    pub(crate) value: T,
    pub(crate) source: &'static str,
}

/// The page that states a refusal; `None`: not refused.
pub(crate) type Refused = Option<&'static str>;

/// The restrictions of a provider. `None` is no restriction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rules {
    /// Maximum number of tools.
    pub(super) max_tools: Option<Rule<usize>>,
    /// Form of tools' names.
    pub(super) tool_names: Option<Rule<ToolNames>>,
    /// Form of calls' ids.
    pub(super) call_ids: Option<Rule<CallIds>>,
    /// Supported stop texts.
    pub(super) stops: Option<Rule<Stops>>,
    /// Refused sampling parameters.
    pub(super) refused_parameters: Option<Rule<&'static [Parameter]>>,
    /// The refused sampling parameters are accepted in requests without reasoning.
    pub(super) accepts_parameters_without_reasoning: bool,
    /// Highest `temperature`.
    pub(super) max_temperature: Option<Rule<f32>>,
    /// `temperature` together with `top_p`.
    pub(super) temperature_with_top_p: Refused,
    /// Supported reasoning efforts.
    pub(super) efforts: Option<Rule<Efforts>>,
    /// Several answers to one request.
    pub(super) choices: Refused,
    /// Log-probabilities.
    pub(super) logprobs: Refused,
    /// Log-probabilities that a client takes only if there are any, from a vendor of which some models refuse them.
    pub(super) uneven_logprobs: Refused,
    /// Biases of tokens.
    pub(super) logit_bias: Refused,
    /// Names of messages' speakers.
    pub(super) speaker_names: Refused,
    /// Empty messages of the assistant.
    pub(super) empty_turns: Refused,
    /// A conversation whose first message is the assistant's.
    pub(super) first_is_assistant: Refused,
    /// A conversation whose last message is the assistant's.
    pub(super) prefill: Rule<Prefill>,
    /// Supported media types of images.
    pub(super) images: Option<Rule<&'static [&'static str]>>,
    /// Supported documents.
    pub(super) documents: Documents,
    /// `oneOf`, `anyOf` and `allOf` at the top level of a tool's schema.
    pub(super) schema_unions: Refused,
    /// Schemas with `strict` that aren't strict.
    pub(super) loose_strict_schemas: Refused,
    /// The way in which the provider is asked for an answer with a JSON Schema.
    pub(super) answer_schemas: Rule<AnswerSchemas>,
    /// The way to request JSON without a schema.
    pub(super) json_object: Rule<JsonObject>,
    /// JSON or a schema together with tools.
    pub(super) format_with_tools: Refused,
    /// Bounds of the client's `metadata`.
    pub(super) metadata: Option<Rule<MetadataBounds>>,
}

/// The form of tools' names. Letters, digits, `_` and `-` are always accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToolNames {
    /// Maximum length.
    pub(crate) max_chars: usize,
    /// Dots are accepted.
    pub(crate) dots: bool,
    /// The first character must be a letter or `_`.
    pub(crate) begins_with_letter: bool,
}

/// The form of calls' ids. Letters and digits are always accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallIds {
    pub(crate) length: IdLength,
    /// `_` and `-` are accepted.
    pub(crate) marks: bool,
    /// Two calls of a conversation must not have the same id.
    pub(crate) unique: bool,
}

/// Lengths of calls' ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdLength {
    Exactly(usize),
    AtMost(usize),
}

/// Supported stop texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stops {
    pub(crate) max_count: usize,
    /// Texts of white space are accepted.
    pub(crate) blank: bool,
}

/// A sampling parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    Temperature,
    TopP,
    PresencePenalty,
    FrequencyPenalty,
}

/// Reasoning efforts that a model supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Efforts {
    /// None: the model doesn't reason.
    Unsupported,
    /// Low, medium and high, and these lower ones.
    From { none: bool, minimal: bool },
}

/// Support for conversations that end with the beginning of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefill {
    /// Any text.
    Any,
    /// A text without white space at its end.
    Trimmed,
    Refused,
}

/// Ways to request an answer with a JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerSchemas {
    /// The schema as the client has sent it.
    AsSent,
    /// The schema in the subset that the provider enforces, or another way for one that can't be written in it.
    Rewritten(&'static SchemaProfile, Otherwise),
    /// The schema as the parameters of a tool that the model must call, or as an instruction where it can't be one.
    Tool,
    /// The schema as an instruction.
    Instruction,
}

/// Ways to request an answer with a JSON Schema that the provider doesn't enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// The schema as the client has sent it, without `strict`: the model only follows it.
    Followed,
    Tool,
    Instruction,
}

/// Ways to request JSON without a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonObject {
    /// By a field of the request.
    Field,
    /// By a field, if the word JSON is in the conversation.
    FieldWithWord,
    /// By an instruction.
    Instruction,
}

/// Bounds of `metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetadataBounds {
    pub(crate) max_pairs: usize,
    pub(crate) name_max_chars: usize,
    pub(crate) value_max_chars: usize,
}

/// Supported documents. Documents of plain text are always supported: they are sent as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Documents {
    pub(super) types: DocumentTypes,
    /// Documents by URL.
    pub(super) urls: Refused,
    pub(super) source: &'static str,
}

/// Supported media types of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentTypes {
    Only(&'static [&'static str]),
    /// The provider itself checks the type.
    Any,
}

impl Documents {
    /// Returns whether documents of this media type are supported.
    pub(super) fn supports(self, media_type: &str) -> bool {
        match self.types {
            DocumentTypes::Only(types) => types.contains(&media_type),
            DocumentTypes::Any => true,
        }
    }
}
