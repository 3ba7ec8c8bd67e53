//! From a task to what the engine's thread needs, off that thread.

use std::{borrow::Cow, sync::Arc};

use hearth_domain::{
    EmbeddingInput, EmbeddingTask, RawPrompt, RunId, Sampling, Task, TextTask, Tool, ToolChoice,
};
use hearth_wire::{ApiError, ErrorCode};
use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

use super::{
    embed::EmbedJob,
    grammar::{self, Grammars, SharedMatcher, Structure},
    load::Loaded,
    prefixes::Token,
    slot::Markers,
    template::ChatTemplate,
    thoughts::Thoughts,
    thread::Work,
    tools::ToolFormat,
    vocabulary::Vocabulary,
};
use crate::frames::LoadSpec;

/// How much of a prompt's end tells what the answer begins with, in bytes.
const PROMPT_END_BYTES: usize = 64;

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
    pub(super) grammar: Option<SharedMatcher>,
    /// The request's field that the grammar is of.
    pub(super) grammar_param: &'static str,
    /// The check of the answer, if it has a JSON Schema.
    pub(super) structure: Option<Arc<Structure>>,
    /// Whether its client is given the answer in one piece.
    pub(super) whole: bool,
    /// How calls are read from the answer, if tools are on offer.
    pub(super) tools: Option<ToolSyntax>,
    /// The end of the prompt's text, if what follows it may be thoughts.
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
    tokenizer: Tokenizer,
    template: ChatTemplate,
    grammars: Grammars,
    embeds: bool,
    context: Context,
    /// Control tokens that a client writes count too.
    parses_special: bool,
}

/// How much a run may have, and what says so.
#[derive(Debug, Clone, Copy)]
struct Context {
    length: u32,
    /// The context that the model was made for.
    trained: Option<u32>,
}

impl Preparer {
    /// `abilities` are what the model's template was found to take.
    pub(super) fn new(loaded: &Loaded, spec: &LoadSpec, abilities: Abilities) -> Result<Self, String> {
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
            tokenizer: Tokenizer::of(&loaded.model, &loaded.vocabulary, loaded.header.tokenizer())?,
            template: ChatTemplate::compile(source, text(vocab.bos()), text(vocab.eos()), abilities)?,
            grammars: Grammars::default(),
            embeds: loaded.header.is_embedding(),
            context: Context { length: spec.context_length, trained: loaded.header.context_length() },
            parses_special: spec.parse_special_in_user_text,
        })
    }

    /// What the engine needs for a run, or why it can't be.
    pub(super) fn prepare(&self, run: RunId, task: Task, whole: bool) -> Result<Work, ApiError> {
        match task {
            Task::Text(task) if !self.embeds => Ok(Work::Admit(Box::new(self.text(run, task, whole)?))),
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

    fn text(&self, run: RunId, task: TextTask, whole: bool) -> Result<Admission, ApiError> {
        let offered = if task.tool_choice == ToolChoice::None { Vec::new() } else { task.tools.clone() };
        let (prompt, text) = match &task.raw {
            Some(raw) => (self.raw(raw)?, None),
            None => {
                let text = self.template.render(&task.messages, &offered, task.reasoning)?;
                let add_special = !self.template.begins_with_bos(&text);
                (self.model.vocab().tokenize(text.as_bytes(), add_special, true), Some(text))
            }
        };
        if prompt.is_empty() {
            return Err(super::invalid_prompt("the conversation gives an empty prompt"));
        }
        // One place is kept for the first token of the answer.
        self.check_length(prompt.len(), 1, "messages")?;
        let format = self.template.tool_format();
        let compiled = self.grammars.of(&self.model, &self.vocabulary, format, &task)?;
        // Harmony marks prose too, so it is always read.
        let reads = end.is_some() && (!offered.is_empty() || format == ToolFormat::Harmony);
        let tools = reads.then(|| ToolSyntax {
            format,
            offered,
            markers: self.vocabulary.special(format.markers()),
            only_one: !task.parallel_tool_calls,
        });
        // A grammar has the answer begin at once, whatever the template would have the model do.
        let thinks = compiled.is_none() && (self.template.marks_thoughts() || format == ToolFormat::Harmony);
        Ok(Admission {
            run,
            thinks_after: text.filter(|_| thinks),
            prompt: prompt.into_iter().map(|token| token.0).collect(),
            sampling: task.sampling,
            choices: task.choices.max(1),
            top_logprobs: task.top_logprobs,
            grammar: compiled.as_ref().map(|compiled| Arc::clone(&compiled.matcher)),
            structure: compiled.and_then(|compiled| compiled.structure),
            whole,
            tools,
        })
    }

    /// The tokens of a prompt that is no conversation. Fill-in-the-middle has the order of llama.cpp's own `/infill`:
    /// the mark of the prefix, the prefix, the mark of the suffix, the suffix, and the mark where the model goes on.
    fn raw(&self, prompt: &RawPrompt) -> Result<Vec<LlamaToken>, ApiError> {
        let (prefix, suffix) = match prompt {
            RawPrompt::Tokens(tokens) => return self.known(tokens.clone(), "prompt"),
            RawPrompt::Infill { prefix, suffix } => (prefix, suffix),
        };
        let vocab = self.model.vocab();
        let marks = [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()];
        if marks.iter().any(|mark| mark.0 < 0) {
            let message = "this model was not trained to fill gaps: its vocabulary has no fill-in-the-middle tokens; \
                           leave suffix out, or name a model that has them";
            return Err(ApiError::invalid("suffix", message));
        }
        let [before, behind, middle] = marks;
        let text = |text: &str| vocab.tokenize(text.as_bytes(), false, false);
        let mut tokens = Vec::new();
        tokens.extend(vocab.should_add_bos().then(|| vocab.bos()));
        tokens.push(before);
        tokens.extend(text(prefix));
        tokens.push(behind);
        tokens.extend(text(suffix));
        tokens.push(middle);
        Ok(tokens)
    }

    fn embedding(&self, run: RunId, task: EmbeddingTask) -> Result<EmbedJob, ApiError> {
        let mut inputs = Vec::with_capacity(task.inputs.len());
        for (index, input) in task.inputs.into_iter().enumerate() {
            preparation.step()?;
            let at = format!("input[{index}]");
            let tokens: Vec<LlamaToken> = match input {
                EmbeddingInput::Text(text) => {
                    let tokens = self.tokenizer.text(&text, self.context.length as usize, preparation);
                    let tokens = tokens.map_err(|why| self.refuse(why, &at))?;
                    tokens.into_iter().map(LlamaToken).collect()
                }
                EmbeddingInput::Tokens(tokens) if tokens.len() > self.context.length as usize => {
                    return Err(self.refuse(Untokenized::TooMany(tokens.len()), &at));
                }
                EmbeddingInput::Tokens(tokens) => self.known(tokens, &at)?,
            };
            if tokens.is_empty() {
                return Err(ApiError::invalid(at, "there is nothing to embed in this input"));
            }
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

    fn refuse(&self, why: Untokenized, at: &str) -> ApiError {
        match why {
            Untokenized::Cancelled => Cancelled.into(),
            Untokenized::TooMany(tokens) => self.context.exceeded(tokens, at),
        }
    }
}

impl Context {
    /// A text of at least so many tokens doesn't fit.
    fn exceeded(self, tokens: usize, at: &str) -> ApiError {
        let length = self.length;
        let larger = self.trained.filter(|trained| *trained > length);
        let more = match larger {
            Some(trained) => format!(
                ", or set node.context_length higher than {length}: the model was made for up to {trained}"
            ),
            None => "; the model was made for no more".to_owned(),
        };
        let message =
            format!("the text has {tokens} tokens or more, and the context holds {length}; shorten it{more}");
        let error = ApiError::new(ErrorCode::ContextLengthExceeded, message).at(at);
        let error = error.with("prompt_tokens", tokens).with("context_length", length);
        error.with("setting", "node.context_length").with("model_context_length", self.trained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_a_text_is_told_with_the_setting_that_bounds_it() {
        let error = Context { length: 4096, trained: Some(32_768) }.exceeded(5000, "messages");
        assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
        for word in ["5000 tokens", "holds 4096", "node.context_length", "32768"] {
            assert!(error.message.contains(word), "{}", error.message);
        }
        let error = Context { length: 4096, trained: Some(4096) }.exceeded(5000, "messages");
        assert!(error.message.ends_with("made for no more"), "{}", error.message);
    }
}

#[cfg(test)]
impl Admission {
    /// A run of one answer to a prompt of so many tokens.
    pub(super) fn example(prompt: usize) -> Self {
        Self {
            run: RunId::new(),
            prompt: vec![1; prompt].into(),
            sampling: Sampling::default(),
            choices: 1,
            top_logprobs: None,
            grammar: None,
            grammar_param: "response_format",
            structure: None,
            whole: false,
            tools: None,
            thinks_after: None,
        }
    }
}
