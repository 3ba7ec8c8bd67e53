//! Prepares tasks for the engine's thread, on threads of their own: renders, tokenizes, compiles grammars.

mod token_count;

use std::{borrow::Cow, sync::Arc};

use hearth_domain::{
    Capability, EmbeddingInput, EmbeddingTask, RawPrompt, Role, RunId, Task, TextTask, ToolChoice,
};
use hearth_wire::ApiError;
use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

use super::{
    context::ContextLimits,
    errors::invalid_prompt,
    grammar::{self, Grammars},
    load::LoadedModel,
    preparation::{Cancelled, Preparation},
    prepared_run::{PreparedRun, ToolSyntax},
    shield::Shield,
    template::{ChatTemplate, Rendering, TemplateAbilities},
    tokenizer::{TokenizeError, Tokenizer},
    tools::ToolFormat,
    vocabulary::{Token, Vocabulary},
    work::{EmbedJob, Work},
};
use crate::frames::LoadSpec;

/// Size of the prompt's end that shows whether reasoning has begun, in bytes.
const PROMPT_END_BYTES: usize = 64;

/// Prepares tasks for one model.
pub(super) struct Preparer {
    model: Arc<LlamaModel>,
    vocabulary: Arc<Vocabulary>,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    grammars: Grammars,
    is_embedding: bool,
    context: ContextLimits,
    /// True if control tokens in a client's texts are tokens rather than text.
    parses_special: bool,
}

impl Preparer {
    /// Creates a preparer. `abilities` are the result of the template's probe.
    pub(super) fn new(
        loaded: &LoadedModel,
        spec: &LoadSpec,
        abilities: TemplateAbilities,
    ) -> Result<Self, String> {
        let vocab = loaded.model.vocab();
        // A vocabulary without such a token has -1 instead, for whose text llama.cpp aborts.
        let text = |token: LlamaToken| {
            let text = (token.0 >= 0).then(|| vocab.text(token)).flatten();
            text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let source = loaded.header.chat_template();
        Ok(Self {
            model: Arc::clone(&loaded.model),
            vocabulary: Arc::clone(&loaded.vocabulary),
            tokenizer: Tokenizer::new(&loaded.model, &loaded.vocabulary, loaded.header.tokenizer())?,
            template: ChatTemplate::compile(source, text(vocab.bos()), text(vocab.eos()), abilities)?,
            grammars: Grammars::default(),
            is_embedding: loaded.header.is_embedding(),
            context: ContextLimits { length: spec.context_length, trained: loaded.header.context_length() },
            parses_special: spec.parse_special_in_user_text,
        })
    }

    /// The capabilities that the model's template shows; `None` for an embedding model.
    pub(super) fn capabilities(&self) -> Option<Vec<Capability>> {
        let reasons = self.template.has_reasoning_tags() || self.template.abilities().thinking;
        let all = [(self.template.shows_tools(), Capability::Tools), (reasons, Capability::Reasoning)];
        let capabilities = all.into_iter().filter(|(has, _)| *has).map(|(_, capability)| capability);
        (!self.is_embedding).then(|| capabilities.collect())
    }

    /// Prepares a run. The work is bounded by the sizes of request and context, and ends early when the run is
    /// cancelled.
    ///
    /// # Errors
    /// If the model can't do the task, or the request is invalid.
    pub(super) fn prepare(
        &self,
        run: RunId,
        task: Task,
        whole: bool,
        preparation: &Preparation,
    ) -> Result<Work, ApiError> {
        preparation.checkpoint()?;
        match task {
            Task::Text(task) if !self.is_embedding => {
                Ok(Work::Admit(Box::new(self.prepare_text(run, task, whole, preparation)?)))
            }
            Task::Embedding(task) if self.is_embedding => {
                Ok(Work::Embed(self.prepare_embedding(run, task, preparation)?))
            }
            Task::Text(_) => {
                Err(ApiError::invalid("model", "this model computes embeddings only; name a text model"))
            }
            Task::Embedding(_) => {
                Err(ApiError::invalid("model", "this model generates text only; name an embedding model"))
            }
            Task::Image(_) | Task::Mesh(_) => {
                Err(ApiError::invalid("model", "this model generates neither images nor meshes"))
            }
        }
    }

    fn prepare_text(
        &self,
        run: RunId,
        task: TextTask,
        whole: bool,
        preparation: &Preparation,
    ) -> Result<PreparedRun, ApiError> {
        self.check_size(&task)?;
        let offered = if task.tool_choice == ToolChoice::None { Vec::new() } else { task.tools.clone() };
        let (prompt, end) = match &task.raw {
            Some(raw) => (self.raw_prompt(raw, preparation)?, None),
            None => {
                let (prompt, end) = self.chat_prompt(&task, !offered.is_empty(), preparation)?;
                (prompt, Some(end))
            }
        };
        preparation.checkpoint()?;
        let format = self.template.tool_format();
        let compiled = self.grammars.compile(&self.model, &self.vocabulary, format, &task, preparation)?;
        // Harmony marks prose too, so its answers are always parsed.
        let parses_tools = end.is_some() && (!offered.is_empty() || format == ToolFormat::Harmony);
        let tools = parses_tools.then(|| ToolSyntax {
            format,
            offered,
            markers: self.vocabulary.special(format.markers()),
            only_one: !task.parallel_tool_calls,
        });
        // With a grammar the answer begins at once, without reasoning.
        let reasons =
            compiled.is_none() && (self.template.has_reasoning_tags() || format == ToolFormat::Harmony);
        Ok(PreparedRun {
            run,
            grammar_param: grammar::param(&task),
            reasoning_prompt_end: end.filter(|_| reasons),
            prompt: prompt.into(),
            sampling: task.sampling,
            choices: task.choices.max(1),
            top_logprobs: task.top_logprobs,
            grammar: compiled.as_ref().map(|compiled| Arc::clone(&compiled.matcher)),
            schema_check: compiled.and_then(|compiled| compiled.schema_check),
            structured: task.structured,
            whole,
            tools,
        })
    }

    /// Renders and tokenizes a conversation. Returns the prompt's tokens, and the end of its text.
    fn chat_prompt(
        &self,
        task: &TextTask,
        with_tools: bool,
        preparation: &Preparation,
    ) -> Result<(Vec<Token>, String), ApiError> {
        let (mut shielded, mut mark) = (Cow::Borrowed(task), None);
        if !self.parses_special {
            let shield = Shield::for_task(&self.tokenizer.special, self.template.tool_format(), task);
            shield.shield_task(shielded.to_mut());
            mark = Some(shield.mark());
        }
        let text = self.template.render(&Rendering {
            messages: &shielded.messages,
            tools: if with_tools { &shielded.tools } else { &[] },
            effort: task.reasoning,
            kwargs: Some(&shielded.template_kwargs),
        })?;
        preparation.checkpoint()?;
        let begin = !self.template.begins_with_bos(&text);
        let max_tokens = self.prompt_max_tokens();
        let tokens = self.tokenizer.prompt(&text, mark, begin, max_tokens, preparation);
        let tokens = tokens.map_err(|error| self.api_error(error, "messages"))?;
        if tokens.is_empty() {
            return Err(invalid_prompt("the conversation gives an empty prompt"));
        }
        let end = &text[text.ceil_char_boundary(text.len().saturating_sub(PROMPT_END_BYTES))..];
        Ok((tokens, end.chars().filter(|c| Some(*c) != mark).collect()))
    }

    /// Refuses a task that can't fit by its size alone: a token has a maximum size, and a message has at least one
    /// token. The assistant's messages don't count, as templates omit the reasoning in them.
    fn check_size(&self, task: &TextTask) -> Result<(), ApiError> {
        if let Some(RawPrompt::Infill { prefix, suffix }) = &task.raw {
            let min_tokens = self.tokenizer.min_tokens(prefix.len().saturating_add(suffix.len()));
            return match min_tokens >= self.context.length as usize {
                true => Err(self.api_error(TokenizeError::TooMany(min_tokens), "prompt")),
                false => Ok(()),
            };
        }
        let counted = task.messages.iter().filter(|message| message.role != Role::Assistant);
        let bytes = counted.fold(0, |sum: usize, message| sum.saturating_add(message.content.trim().len()));
        let min_tokens = self.tokenizer.min_tokens(bytes).max(task.messages.len());
        if min_tokens >= self.context.length as usize {
            return Err(self.api_error(TokenizeError::TooMany(min_tokens), "messages"));
        }
        Ok(())
    }

    /// Maximum length of a prompt: the context's, less one token of the answer.
    fn prompt_max_tokens(&self) -> usize {
        (self.context.length as usize).saturating_sub(1)
    }

    /// Tokenizes a prompt that is no conversation. Fill-in-the-middle has the order of llama.cpp's own `/infill`: the
    /// prefix token, the prefix, the suffix token, the suffix, and the middle token.
    fn raw_prompt(&self, prompt: &RawPrompt, preparation: &Preparation) -> Result<Vec<Token>, ApiError> {
        let max_tokens = self.prompt_max_tokens();
        let (prefix, suffix) = match prompt {
            RawPrompt::Tokens(tokens) if tokens.len() > max_tokens => {
                return Err(self.api_error(TokenizeError::TooMany(tokens.len()), "prompt"));
            }
            RawPrompt::Tokens(tokens) => {
                let tokens = self.check_tokens(tokens.clone(), "prompt")?;
                return Ok(tokens.into_iter().map(|token| token.0).collect());
            }
            RawPrompt::Text(text) => {
                let begin = !self.template.begins_with_bos(text);
                let tokens = self.tokenizer.prompt(text, None, begin, max_tokens, preparation);
                let tokens = tokens.map_err(|error| self.api_error(error, "prompt"))?;
                return if tokens.is_empty() {
                    Err(invalid_prompt("the prompt is empty"))
                } else {
                    Ok(tokens)
                };
            }
            RawPrompt::Infill { prefix, suffix } => (prefix, suffix),
        };
        let vocab = self.model.vocab();
        let fim_tokens = [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()];
        if fim_tokens.iter().any(|token| token.0 < 0) {
            let message = "this model was not trained to fill gaps: its vocabulary has no fill-in-the-middle tokens; \
                           omit suffix, or name a model that has them";
            return Err(ApiError::invalid("suffix", message));
        }
        let [prefix_token, suffix_token, middle_token] = fim_tokens.map(|token| token.0);
        let text = |text: &str, at: &str| {
            let tokens = self.tokenizer.fragment(text, max_tokens, preparation);
            tokens.map_err(|error| self.api_error(error, at))
        };
        let mut tokens = Vec::new();
        tokens.extend(vocab.should_add_bos().then(|| vocab.bos().0));
        tokens.push(prefix_token);
        tokens.extend(text(prefix, "prompt")?);
        tokens.push(suffix_token);
        tokens.extend(text(suffix, "suffix")?);
        tokens.push(middle_token);
        if tokens.len() > max_tokens {
            return Err(self.api_error(TokenizeError::TooMany(tokens.len()), "prompt"));
        }
        Ok(tokens)
    }

    fn prepare_embedding(
        &self,
        run: RunId,
        task: EmbeddingTask,
        preparation: &Preparation,
    ) -> Result<EmbedJob, ApiError> {
        let mut inputs = Vec::with_capacity(task.inputs.len());
        for (index, input) in task.inputs.into_iter().enumerate() {
            preparation.checkpoint()?;
            let at = format!("input[{index}]");
            let tokens: Vec<LlamaToken> = match input {
                EmbeddingInput::Text(text) => {
                    let tokens = self.tokenizer.text(&text, self.context.length as usize, preparation);
                    let tokens = tokens.map_err(|error| self.api_error(error, &at))?;
                    tokens.into_iter().map(LlamaToken).collect()
                }
                EmbeddingInput::Tokens(tokens) if tokens.len() > self.context.length as usize => {
                    return Err(self.api_error(TokenizeError::TooMany(tokens.len()), &at));
                }
                EmbeddingInput::Tokens(tokens) => self.check_tokens(tokens, &at)?,
            };
            if tokens.is_empty() {
                return Err(ApiError::invalid(at, "this input is empty"));
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

    /// Checks that the vocabulary has all of a client's tokens.
    fn check_tokens(&self, tokens: Vec<u32>, at: &str) -> Result<Vec<LlamaToken>, ApiError> {
        let exists = |token: u32| (token as usize) < self.vocabulary.len();
        match tokens.iter().find(|token| !exists(**token)) {
            Some(token) => Err(ApiError::invalid(at, format!("the model's vocabulary has no token {token}"))),
            None => Ok(tokens.into_iter().map(|token| LlamaToken(token.cast_signed())).collect()),
        }
    }

    fn api_error(&self, error: TokenizeError, at: &str) -> ApiError {
        match error {
            TokenizeError::Cancelled => Cancelled.into(),
            TokenizeError::TooMany(tokens) => self.context.exceeded(tokens, at),
        }
    }
}
