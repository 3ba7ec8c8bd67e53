//! From a task to what the engine's thread needs, off that thread.

use std::{borrow::Cow, sync::Arc};

use hearth_domain::{
    Capability, EmbeddingInput, EmbeddingTask, RawPrompt, Role, RunId, Sampling, Task, TextTask, Tool,
    ToolChoice,
};
use hearth_wire::ApiError;
use llama_cpp_2::{model::LlamaModel, token::LlamaToken};

use super::{
    context::Context,
    embed::EmbedJob,
    grammar::{self, Grammars, SharedMatcher, Structure},
    load::Loaded,
    prefixes::Token,
    preparation::{Cancelled, Preparation},
    shield::Shield,
    slot::Markers,
    template::{Abilities, ChatTemplate, Rendering},
    thoughts::Thoughts,
    thread::Work,
    tokenizer::{Tokenizer, Untokenized},
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

    /// What the model can do beside text, as far as its template tells.
    pub(super) fn capabilities(&self) -> Option<Vec<Capability>> {
        let thinks = self.template.marks_thoughts() || self.template.abilities().thinking;
        let found = [(self.template.shows_tools(), Capability::Tools), (thinks, Capability::Reasoning)];
        let found = found.into_iter().filter(|(there, _)| *there).map(|(_, capability)| capability);
        (!self.embeds).then(|| found.collect())
    }

    /// What the engine needs for a run, or why it can't be. The work is bounded by the request's size and the
    /// context's, and ends early when the run is cancelled.
    pub(super) fn prepare(
        &self,
        run: RunId,
        task: Task,
        whole: bool,
        preparation: &Preparation,
    ) -> Result<Work, ApiError> {
        preparation.step()?;
        match task {
            Task::Text(task) if !self.embeds => {
                Ok(Work::Admit(Box::new(self.text(run, task, whole, preparation)?)))
            }
            Task::Embedding(task) if self.embeds => {
                Ok(Work::Embed(self.embedding(run, task, preparation)?))
            }
            Task::Text(_) => Err(ApiError::invalid("model", "this model gives embeddings, and no text")),
            Task::Embedding(_) => {
                Err(ApiError::invalid("model", "this model gives text; ask an embedding model"))
            }
            Task::Image(_) | Task::Mesh(_) => {
                Err(ApiError::invalid("model", "this model makes neither images nor meshes"))
            }
        }
    }

    fn text(
        &self,
        run: RunId,
        task: TextTask,
        whole: bool,
        preparation: &Preparation,
    ) -> Result<Admission, ApiError> {
        self.check_size(&task)?;
        let offered = if task.tool_choice == ToolChoice::None { Vec::new() } else { task.tools.clone() };
        let (prompt, end) = match &task.raw {
            Some(raw) => (self.raw(raw, preparation)?, None),
            None => {
                let (prompt, end) = self.prompt(&task, !offered.is_empty(), preparation)?;
                (prompt, Some(end))
            }
        };
        preparation.step()?;
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
            grammar_param: grammar::param(&task),
            thinks_after: end.filter(|_| thinks),
            prompt: prompt.into(),
            sampling: task.sampling,
            choices: task.choices.max(1),
            top_logprobs: task.top_logprobs,
            grammar: compiled.as_ref().map(|compiled| Arc::clone(&compiled.matcher)),
            structure: compiled.and_then(|compiled| compiled.structure),
            whole,
            tools,
        })
    }

    /// The prompt's tokens, and the end of its text.
    fn prompt(
        &self,
        task: &TextTask,
        with_tools: bool,
        preparation: &Preparation,
    ) -> Result<(Vec<Token>, String), ApiError> {
        let (mut shielded, mut mark) = (Cow::Borrowed(task), None);
        if !self.parses_special {
            let shield = Shield::for_task(&self.tokenizer.special, self.template.tool_format(), task);
            shield.task(shielded.to_mut());
            mark = Some(shield.mark());
        }
        let text = self.template.render(&Rendering {
            messages: &shielded.messages,
            tools: if with_tools { &shielded.tools } else { &[] },
            effort: task.reasoning,
            kwargs: Some(&shielded.template_kwargs),
        })?;
        preparation.step()?;
        let begin = !self.template.begins_with_bos(&text);
        // One place is kept for the first token of the answer.
        let most = (self.context.length as usize).saturating_sub(1);
        let tokens = self.tokenizer.prompt(&text, mark, begin, most, preparation);
        let tokens = tokens.map_err(|why| self.refuse(why, "messages"))?;
        if tokens.is_empty() {
            return Err(super::invalid_prompt("the conversation gives an empty prompt"));
        }
        let end = &text[text.ceil_char_boundary(text.len().saturating_sub(PROMPT_END_BYTES))..];
        Ok((tokens, end.chars().filter(|c| Some(*c) != mark).collect()))
    }

    /// Refuses what can't fit before anything is done with it: a token has so many bytes at most, and a message
    /// has one token at least. Thoughts of earlier turns don't count, as templates leave them out.
    fn check_size(&self, task: &TextTask) -> Result<(), ApiError> {
        if let Some(RawPrompt::Infill { prefix, suffix }) = &task.raw {
            let least = self.tokenizer.least_tokens(prefix.len().saturating_add(suffix.len()));
            return match least >= self.context.length as usize {
                true => Err(self.refuse(Untokenized::TooMany(least), "prompt")),
                false => Ok(()),
            };
        }
        let said = task.messages.iter().filter(|message| message.role != Role::Assistant);
        let bytes = said.fold(0, |sum: usize, message| sum.saturating_add(message.content.trim().len()));
        let least = self.tokenizer.least_tokens(bytes).max(task.messages.len());
        if least >= self.context.length as usize {
            return Err(self.refuse(Untokenized::TooMany(least), "messages"));
        }
        Ok(())
    }

    /// The tokens of a prompt that is no conversation. Fill-in-the-middle has the order of llama.cpp's own `/infill`:
    /// the mark of the prefix, the prefix, the mark of the suffix, the suffix, and the mark where the model goes on.
    fn raw(&self, prompt: &RawPrompt, preparation: &Preparation) -> Result<Vec<Token>, ApiError> {
        // One place is kept for the first token of the answer.
        let most = (self.context.length as usize).saturating_sub(1);
        let (prefix, suffix) = match prompt {
            RawPrompt::Tokens(tokens) if tokens.len() > most => {
                return Err(self.refuse(Untokenized::TooMany(tokens.len()), "prompt"));
            }
            RawPrompt::Tokens(tokens) => {
                let tokens = self.known(tokens.clone(), "prompt")?;
                return Ok(tokens.into_iter().map(|token| token.0).collect());
            }
            RawPrompt::Text(text) => {
                let begin = !self.template.begins_with_bos(text);
                let tokens = self.tokenizer.prompt(text, None, begin, most, preparation);
                let tokens = tokens.map_err(|why| self.refuse(why, "prompt"))?;
                return if tokens.is_empty() {
                    Err(super::invalid_prompt("the prompt is empty"))
                } else {
                    Ok(tokens)
                };
            }
            RawPrompt::Infill { prefix, suffix } => (prefix, suffix),
        };
        let vocab = self.model.vocab();
        let marks = [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()];
        if marks.iter().any(|mark| mark.0 < 0) {
            let message = "this model was not trained to fill gaps: its vocabulary has no fill-in-the-middle tokens; \
                           leave suffix out, or name a model that has them";
            return Err(ApiError::invalid("suffix", message));
        }
        let [before, behind, middle] = marks.map(|mark| mark.0);
        let text = |text: &str, at: &str| {
            let tokens = self.tokenizer.fragment(text, most, preparation);
            tokens.map_err(|why| self.refuse(why, at))
        };
        let mut tokens = Vec::new();
        tokens.extend(vocab.should_add_bos().then(|| vocab.bos().0));
        tokens.push(before);
        tokens.extend(text(prefix, "prompt")?);
        tokens.push(behind);
        tokens.extend(text(suffix, "suffix")?);
        tokens.push(middle);
        if tokens.len() > most {
            return Err(self.refuse(Untokenized::TooMany(tokens.len()), "prompt"));
        }
        Ok(tokens)
    }

    fn embedding(
        &self,
        run: RunId,
        task: EmbeddingTask,
        preparation: &Preparation,
    ) -> Result<EmbedJob, ApiError> {
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
