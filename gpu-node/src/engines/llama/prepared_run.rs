//! A prepared text run: the preparer's result, which the engine's thread admits to its slots.

use std::{collections::HashSet, sync::Arc};

use hearth_domain::{RunId, Sampling, StructuredOptions, Tool};
use llama_cpp_2::token::LlamaToken;

use super::{
    grammar::{SchemaCheck, SharedMatcher},
    reasoning::ReasoningParser,
    tools::ToolFormat,
    vocabulary::Token,
};

/// A text run that is ready for the engine.
pub(super) struct PreparedRun {
    pub(super) run: RunId,
    /// Never empty, and shorter than the context.
    pub(super) prompt: Arc<[Token]>,
    pub(super) sampling: Sampling,
    /// Number of answers.
    pub(super) choices: u32,
    pub(super) top_logprobs: Option<u32>,
    /// The grammar of the answers, before their first token.
    pub(super) grammar: Option<SharedMatcher>,
    /// The field of the request that the grammar was compiled from.
    pub(super) grammar_param: &'static str,
    /// The check of finished answers, if they have a JSON Schema.
    pub(super) schema_check: Option<Arc<SchemaCheck>>,
    /// The attempts at an answer with a schema, and its validation.
    pub(super) structured: StructuredOptions,
    /// True if the client gets the answer in one piece.
    pub(super) whole: bool,
    /// Syntax of the answer's tool calls, if tools are on offer.
    pub(super) tools: Option<ToolSyntax>,
    /// The end of the prompt's text, if reasoning may follow it.
    pub(super) reasoning_prompt_end: Option<String>,
}

/// The syntax of a model's tool calls, and the tools on offer.
pub(super) struct ToolSyntax {
    pub(super) format: ToolFormat,
    pub(super) offered: Vec<Tool>,
    pub(super) markers: Markers,
    /// True if an answer has one call at most.
    pub(super) only_one: bool,
}

/// The special tokens that a model's tool calls are written with.
pub(super) type Markers = HashSet<LlamaToken>;

impl PreparedRun {
    /// A new parser of reasoning for one of the answers.
    pub(super) fn reasoning_parser(&self) -> Option<ReasoningParser> {
        self.reasoning_prompt_end.as_deref().map(ReasoningParser::after_prompt)
    }

    pub(super) fn prompt_tokens(&self) -> u32 {
        u32::try_from(self.prompt.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
impl PreparedRun {
    /// A run of one answer to a prompt of `prompt_tokens` tokens.
    pub(super) fn example(prompt_tokens: usize) -> Self {
        Self {
            run: RunId::new(),
            prompt: vec![1; prompt_tokens].into(),
            sampling: Sampling::default(),
            choices: 1,
            top_logprobs: None,
            grammar: None,
            grammar_param: "response_format",
            schema_check: None,
            structured: StructuredOptions::default(),
            whole: false,
            tools: None,
            reasoning_prompt_end: None,
        }
    }
}
