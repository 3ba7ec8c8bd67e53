//! From a task to what the engine's thread needs, off that thread.

use std::sync::Arc;

use hearth_domain::{EmbeddingInput, EmbeddingTask, RunId, Sampling, Task, TextTask, Tool, ToolChoice};
use hearth_wire::{ApiError, ErrorCode};
use llama_cpp_2::{model::LlamaModel, token::LlamaToken};
use llguidance::Matcher;

use super::{
    embed::EmbedJob, grammar::Grammars, load::Loaded, prefixes::Token, slot::Markers, template::ChatTemplate,
    thoughts::Thoughts, thread::Work, tools::ToolFormat, vocabulary::Vocabulary,
};

/// A run that is ready for the engine.
pub(super) struct Admission {
    pub(super) run: RunId,
    /// Never empty, and shorter than the context.
    pub(super) prompt: Arc<[Token]>,
    pub(super) sampling: Sampling,
    /// How many answers.
    pub(super) choices: u32,
    pub(super) top_logprobs: Option<u32>,
    /// What the answer must be like, before its first token.
    pub(super) grammar: Option<Matcher>,
    /// How calls are read from the answer, if tools are on offer.
    pub(super) tools: Option<ToolSyntax>,
    /// The prompt's text, if what follows it may be thoughts.
    pub(super) thinks_after: Option<String>,
}

/// How a model writes its tool calls, and which there can be.
pub(super) struct ToolSyntax {
    pub(super) format: ToolFormat,
    pub(super) offered: Vec<Tool>,
    pub(super) markers: Markers,
    /// Whether an answer makes one call at most.
    pub(super) only_one: bool,
}

impl Admission {
    /// Reads one of its answers for thoughts.
    pub(super) fn thoughts(&self) -> Option<Thoughts> {
        self.thinks_after.as_deref().map(Thoughts::after)
    }

    pub(super) fn prompt_tokens(&self) -> u32 {
        u32::try_from(self.prompt.len()).unwrap_or(u32::MAX)
    }
}

/// Renders, tokenizes, compiles.
pub(super) struct Preparer {
    model: Arc<LlamaModel>,
    vocabulary: Arc<Vocabulary>,
    template: ChatTemplate,
    grammars: Grammars,
    embeds: bool,
    context_length: u32,
}

impl Preparer {
    pub(super) fn new(loaded: &Loaded, context_length: u32) -> Result<Self, String> {
        let vocab = loaded.model.vocab();
        // A vocabulary without such a token has -1 in its place, and llama.cpp aborts when asked for that.
        let text = |token: LlamaToken| {
            let text = (token.0 >= 0).then(|| vocab.text(token)).flatten();
            text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let source = loaded.header.chat_template();
        Ok(Self {
            model: Arc::clone(&loaded.model),
            vocabulary: Arc::clone(&loaded.vocabulary),
            template: ChatTemplate::compile(source, text(vocab.bos()), text(vocab.eos()))?,
            grammars: Grammars::default(),
            embeds: loaded.header.is_embedding(),
            context_length,
        })
    }

    /// What the engine needs for a run, or why it can't be.
    pub(super) fn prepare(&self, run: RunId, task: Task) -> Result<Work, ApiError> {
        match task {
            Task::Text(task) if !self.embeds => Ok(Work::Admit(Box::new(self.text(run, task)?))),
            Task::Embedding(task) if self.embeds => Ok(Work::Embed(self.embedding(run, task)?)),
            Task::Text(_) => Err(ApiError::invalid("model", "this model gives embeddings, and no text")),
            Task::Embedding(_) => {
                Err(ApiError::invalid("model", "this model gives text; ask an embedding model"))
            }
            Task::Image(_) | Task::Mesh(_) => {
                Err(ApiError::invalid("model", "this model makes neither images nor meshes"))
            }
        }
    }

    fn text(&self, run: RunId, task: TextTask) -> Result<Admission, ApiError> {
        let offered = if task.tool_choice == ToolChoice::None { Vec::new() } else { task.tools.clone() };
        let text = self.template.render(&task.messages, &offered, task.reasoning)?;
        let add_special = !self.template.begins_with_bos(&text);
        let prompt = self.model.vocab().tokenize(text.as_bytes(), add_special, true);
        if prompt.is_empty() {
            return Err(super::invalid_prompt("the conversation gives an empty prompt"));
        }
        // One place is kept for the first token of the answer.
        self.check_length(prompt.len(), 1, "messages")?;
        let format = self.template.tool_format();
        let grammar = self.grammars.matcher(&self.model, &self.vocabulary, format, &task)?;
        // Harmony marks prose too, so it is always read.
        let reads = !offered.is_empty() || format == ToolFormat::Harmony;
        let tools = reads.then(|| ToolSyntax {
            format,
            offered,
            markers: self.vocabulary.special(format.markers()),
            only_one: !task.parallel_tool_calls,
        });
        // A grammar has the answer begin at once, whatever the template would have the model do.
        let thinks = grammar.is_none() && (self.template.marks_thoughts() || format == ToolFormat::Harmony);
        Ok(Admission {
            run,
            thinks_after: thinks.then_some(text),
            prompt: prompt.into_iter().map(|token| token.0).collect(),
            sampling: task.sampling,
            choices: task.choices.max(1),
            top_logprobs: task.top_logprobs,
            grammar,
            tools,
        })
    }

    fn embedding(&self, run: RunId, task: EmbeddingTask) -> Result<EmbedJob, ApiError> {
        let mut inputs = Vec::with_capacity(task.inputs.len());
        for (index, input) in task.inputs.into_iter().enumerate() {
            let at = format!("input[{index}]");
            let tokens = match input {
                EmbeddingInput::Text(text) => self.model.vocab().tokenize(text.as_bytes(), true, false),
                EmbeddingInput::Tokens(tokens) => self.known(tokens, &at)?,
            };
            if tokens.is_empty() {
                return Err(ApiError::invalid(at, "there is nothing to embed in this input"));
            }
            self.check_length(tokens.len(), 0, &at)?;
            inputs.push(tokens);
        }
        let size = self.model.n_embd_out();
        if let Some(dimensions) = task.dimensions
            && !i32::try_from(dimensions).is_ok_and(|n| (1..=size).contains(&n))
        {
            let message = format!("this model's vectors have {size} numbers: dimensions must be 1 to {size}");
            return Err(ApiError::invalid("dimensions", message));
        }
        Ok(EmbedJob::new(run, inputs, task.dimensions))
    }

    /// The client's own tokens, if the model has them.
    fn known(&self, tokens: Vec<u32>, at: &str) -> Result<Vec<LlamaToken>, ApiError> {
        let known = |token: u32| (token as usize) < self.vocabulary.len();
        match tokens.iter().find(|token| !known(**token)) {
            Some(stranger) => {
                Err(ApiError::invalid(at, format!("the model's vocabulary has no token {stranger}")))
            }
            None => Ok(tokens.into_iter().map(|token| LlamaToken(token.cast_signed())).collect()),
        }
    }

    fn check_length(&self, tokens: usize, room: usize, at: &str) -> Result<(), ApiError> {
        if tokens + room <= self.context_length as usize {
            return Ok(());
        }
        let message = if room > 0 {
            format!(
                "the prompt has {tokens} tokens, and the model's context holds {} with the answer; shorten it",
                self.context_length
            )
        } else {
            format!("the text has {tokens} tokens, and the model takes {}; shorten it", self.context_length)
        };
        let error = ApiError::new(ErrorCode::ContextLengthExceeded, message).at(at);
        Err(error.with("prompt_tokens", tokens).with("context_length", self.context_length))
    }
}
