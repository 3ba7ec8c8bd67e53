//! `POST /v1/completions` (<https://platform.openai.com/docs/api-reference/completions>), the API before chat.
//!
//! It asks for a text's continuation. The models here are for conversations, so a prompt in words is what the user
//! says, and the completion is the answer. Tokens, and a text with a `suffix`, go to a local model as they are.

mod prompt;
mod render;

use std::collections::BTreeMap;

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, Message, ModelId, OnDisconnect, Priority, Role, RunId, Sampling,
    TextTask, WhileLoading,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ApiError,
    native::generate::Stop,
    openai::{
        chat::{ChatUsage, StreamOptions},
        logprobs::{LogitBias, biases},
    },
};

use prompt::OnePrompt;

pub use prompt::Prompt;
pub use render::Renderer;

/// How many answers a request with several prompts may ask for, of all of them together.
const ANSWERS_MAX_COUNT: usize = 128;

/// A completion request as OpenAI's SDKs send it. The prompt is said by a user to a chat model.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct CompletionRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// A text, or a list of at most 32 texts, each with completions of its own. A local model takes its tokens too.
    pub prompt: Prompt,
    /// Whether to answer with server-sent events.
    pub stream: Option<bool>,
    /// What else to stream.
    pub stream_options: Option<StreamOptions>,
    /// At least 1. Absent: to the answer's end, and not OpenAI's 16.
    pub max_tokens: Option<u32>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Makes the choice repeatable.
    pub seed: Option<i64>,
    /// A text or a list of texts that end the completion.
    pub stop: Option<Stop>,
    /// How many completions, 1 to 32.
    pub n: Option<u32>,
    /// Give log-probabilities, and those of this many of the likeliest tokens for each place, 0 to 20.
    pub logprobs: Option<u32>,
    /// Added to the logits of tokens, by the tokens' ids; each -100 to 100.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<LogitBias>,
    /// Whether to give the prompt back before the completion; without `logprobs`, and for texts.
    pub echo: Option<bool>,
    /// Refused if it is more than `n`: how many to choose from.
    pub best_of: Option<u32>,
    /// What comes after the completion, for a local model that was trained to fill gaps.
    pub suffix: Option<String>,
    /// An extension: 0 keeps all.
    pub top_k: Option<u32>,
    /// An extension: 0 to 1.
    pub min_p: Option<f32>,
    /// An extension: above 0, at most 2.
    pub repeat_penalty: Option<f32>,
    /// An extension: goes on past the end-of-turn token.
    pub ignore_eos: Option<bool>,
    /// An extension: `cancel` or `continue`.
    #[schema(value_type = Option<String>)]
    pub on_disconnect: Option<OnDisconnect>,
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[schema(value_type = Option<String>)]
    pub while_loading: Option<WhileLoading>,
    /// An extension: `low`, `normal` or `high` among the requests that wait.
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
}

/// A completion, or a chunk of a streamed one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    /// The run's id.
    pub id: String,
    /// Always `text_completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that served it.
    pub model: String,
    /// As many as `n` asked for; in a chunk the one that goes on.
    pub choices: Vec<CompletionChoice>,
    /// Tokens taken; in a stream in the last chunk, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
}

/// One of a completion's answers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CompletionChoice {
    /// Which, from 0.
    pub index: u32,
    /// The text, or what a chunk adds to it.
    pub text: String,
    /// The tokens of the text, if they were asked for.
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop`, `length` or `content_filter`, once it has ended.
    pub finish_reason: Option<String>,
}

/// The tokens of a text, each at the same place of every list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionLogprobs {
    /// Their texts.
    pub tokens: Vec<String>,
    /// How likely each was: natural logarithms, at least -9999.
    pub token_logprobs: Vec<f32>,
    /// The likeliest tokens in each place, by their texts.
    pub top_logprobs: Vec<BTreeMap<String, f32>>,
    /// Where each begins in the text, in characters.
    pub text_offset: Vec<usize>,
}

impl CompletionRequest {
    /// Whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Whether a stream ends with the usage.
    #[must_use]
    pub fn includes_usage(&self) -> bool {
        self.stream_options.and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// What is to be made: one thing for each prompt, each with what shows its events. All renderers have the id of
    /// the request's first run, and a later prompt's completions have later numbers.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_parts(self, id: RunId) -> Result<Vec<(Generation, Renderer)>, ApiError> {
        let sampling = self.sampling()?;
        let (include_usage, echo, choices) =
            (self.includes_usage(), self.echo == Some(true), self.n.unwrap_or(1));
        self.refuse_what_is_not_done()?;
        let suffix = self.suffix.filter(|suffix| !suffix.is_empty());
        let prompts = self.prompt.into_prompts(suffix.as_deref())?;
        if prompts.len() > 1 && prompts.len().saturating_mul(choices as usize) > ANSWERS_MAX_COUNT {
            let message = format!("n times the number of prompts must be at most {ANSWERS_MAX_COUNT}");
            return Err(ApiError::invalid("n", message));
        }
        // The usage of several runs is told once, for all of them.
        let include_usage = include_usage && prompts.len() == 1;
        let mut parts = Vec::with_capacity(prompts.len());
        for (number, OnePrompt { text, raw }) in (0..).zip(prompts) {
            let echoed = match (echo, &text) {
                (false, _) => None,
                (true, Some(text)) => Some(text.clone()),
                (true, None) => {
                    let message = "the text of tokens isn't known here; leave echo out, or send a text";
                    return Err(ApiError::invalid("echo", message));
                }
            };
            let renderer = Renderer::new(id, include_usage).at(number * choices).echoing(echoed);
            let message = Message::new(Role::User, text.unwrap_or_default());
            let task = TextTask {
                choices,
                top_logprobs: self.logprobs,
                raw,
                ..TextTask::new(vec![message], sampling.clone())
            };
            task.check().map_err(|error| ApiError::unfit(param(error.field).to_owned(), &error))?;
            let generation = Generation {
                on_disconnect: self.on_disconnect.unwrap_or_default(),
                while_loading: self.while_loading.unwrap_or_default(),
                priority: self.priority.unwrap_or_default(),
                extra: Extra::new(ClientDialect::OpenAiCompletions, serde_json::Map::new()),
                ..Generation::new(Some(ModelId::new(self.model.clone())), task)
            };
            parts.push((generation, renderer));
        }
        Ok(parts)
    }

    fn sampling(&self) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            // The engine's seeds have 32 bits, as in chat.
            seed: self.seed.map(|seed| (seed & i64::from(u32::MAX)) as u32),
            stop: self.stop.clone().map(Into::into).unwrap_or_default(),
            max_tokens: self.max_tokens,
            ignore_eos: self.ignore_eos.unwrap_or(false),
            logit_bias: biases(self.logit_bias.clone(), "logit_bias")?,
        })
    }

    fn refuse_what_is_not_done(&self) -> Result<(), ApiError> {
        if self.echo == Some(true) && self.logprobs.is_some() {
            let message = "log-probabilities of a prompt aren't computed here; leave echo or logprobs out";
            return Err(ApiError::invalid("echo", message));
        }
        if self.best_of.is_some_and(|best| best > self.n.unwrap_or(1)) {
            return Err(ApiError::invalid(
                "best_of",
                "best_of must not be more than n; ask for n, and choose",
            ));
        }
        Ok(())
    }
}

/// What this dialect calls a field.
pub(crate) fn param(field: Field) -> &'static str {
    match field {
        Field::Sampling(name) => name,
        Field::Choices => "n",
        Field::TopLogprobs => "logprobs",
        Field::TemplateKwargs => "chat_template_kwargs",
        _ => "prompt",
    }
}

#[cfg(test)]
mod tests;
