//! The request of `POST /v1/completions`.

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, Message, ModelId, Role, RunId, Sampling, TextTask,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CompletionPrompt, CompletionRenderer, prompt::ParsedPrompt};
use crate::{
    ApiError,
    logprobs::{LogitBias, parse_logit_bias},
    openai::chat::StreamOptions,
    run_options::{RunOptions, SamplingOptions},
    seed::engine_seed,
    stop::Stop,
};

/// Largest number of answers of a request with several prompts.
const ANSWERS_MAX_COUNT: usize = 128;

/// A completion request as OpenAI's SDKs send it. A prompt in text becomes a user's message to a chat model.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct CompletionRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// A text, or a list of at most 32 texts, each with its own completions. A local model accepts token ids too.
    /// With `template_id` it may be left out.
    #[schema(required = true, value_type = CompletionPrompt)]
    pub prompt: Option<CompletionPrompt>,
    /// If true, the answer is streamed as server-sent events.
    pub stream: Option<bool>,
    /// Options of the stream.
    pub stream_options: Option<StreamOptions>,
    /// Largest number of tokens to generate, at least 1. Absent: no limit, unlike OpenAI's 16.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f32>,
    /// Nucleus sampling: probability mass to choose from, 0 to 1.
    pub top_p: Option<f32>,
    /// Penalty for tokens that occur already, -2 to 2.
    pub presence_penalty: Option<f32>,
    /// Penalty for tokens by their frequency so far, -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Seed for repeatable sampling.
    pub seed: Option<i64>,
    /// A text or a list of texts that end the completion.
    pub stop: Option<Stop>,
    /// Number of completions of each prompt, 1 to 32.
    pub n: Option<u32>,
    /// Returns log-probabilities, with this number of most likely tokens for each position, 0 to 20.
    pub logprobs: Option<u32>,
    /// Biases added to the logits of tokens, by token id; each -100 to 100.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<LogitBias>,
    /// If true, the completion begins with the prompt. Only for a prompt in text, and without `logprobs`.
    pub echo: Option<bool>,
    /// Number of completions to choose from; refused if it is more than `n`.
    pub best_of: Option<u32>,
    /// Text after the completion, for a local model that was trained to fill gaps.
    pub suffix: Option<String>,
    /// Sampling parameters of local models.
    #[serde(flatten)]
    pub sampling_options: SamplingOptions,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
}

impl CompletionRequest {
    /// Returns whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Returns whether a stream ends with the usage.
    #[must_use]
    pub fn includes_usage(&self) -> bool {
        self.stream_options.and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// Converts the request: a generation for each prompt, with its renderer. All renderers show the id of the request's
    /// first run, and number the completions through.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generations(self, id: RunId) -> Result<Vec<(Generation, CompletionRenderer)>, ApiError> {
        let sampling = self.sampling()?;
        let (include_usage, echo, choices) =
            (self.includes_usage(), self.echo == Some(true), self.n.unwrap_or(1));
        self.refuse_unsupported()?;
        let suffix = self.suffix.filter(|suffix| !suffix.is_empty());
        let has_template = self.run_options.has_template();
        let prompt = match self.prompt {
            Some(prompt) => prompt,
            None if has_template => CompletionPrompt::Text(String::new()),
            None => {
                return Err(ApiError::invalid(
                    "prompt",
                    "prompt is missing; send a text, or a list of texts",
                ));
            }
        };
        let prompts = prompt.into_prompts(suffix.as_deref())?;
        if prompts.len() > 1 && prompts.len().saturating_mul(choices as usize) > ANSWERS_MAX_COUNT {
            let message = format!("n times the number of prompts must be at most {ANSWERS_MAX_COUNT}");
            return Err(ApiError::invalid("n", message));
        }
        // The usage of several runs is sent once, as their sum.
        let include_usage = include_usage && prompts.len() == 1;
        let mut generations = Vec::with_capacity(prompts.len());
        for (number, ParsedPrompt { text, raw }) in (0..).zip(prompts) {
            let echo = match (echo, &text) {
                (false, _) => None,
                (true, Some(text)) => Some(text.clone()),
                (true, None) => {
                    let message = "a prompt in token ids can't be echoed; leave echo out, or send a text";
                    return Err(ApiError::invalid("echo", message));
                }
            };
            let renderer =
                CompletionRenderer::new(id, include_usage).with_first_index(number * choices).with_echo(echo);
            let text = text.unwrap_or_default();
            let own = (!text.is_empty() || !has_template).then(|| Message::new(Role::User, text));
            let task = TextTask {
                choices,
                top_logprobs: self.logprobs,
                raw,
                ..TextTask::new(own.into_iter().collect(), sampling.clone())
            };
            self.run_options
                .check_text(&task)
                .map_err(|error| ApiError::unfit(param(error.field).to_owned(), &error))?;
            let generation = self.run_options.clone().apply(Generation {
                extra: Extra::new(ClientDialect::OpenAiCompletions, serde_json::Map::new()),
                ..Generation::new(Some(ModelId::new(self.model.clone())), task)
            })?;
            generations.push((generation, renderer));
        }
        Ok(generations)
    }

    fn sampling(&self) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.sampling_options.top_k,
            min_p: self.sampling_options.min_p,
            repeat_penalty: self.sampling_options.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed: self.seed.map(engine_seed),
            stop: self.stop.clone().map(Into::into).unwrap_or_default(),
            max_tokens: self.max_tokens,
            ignore_eos: self.sampling_options.ignore_eos.unwrap_or(false),
            logit_bias: parse_logit_bias(self.logit_bias.clone(), "logit_bias")?,
        })
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        if self.echo == Some(true) && self.logprobs.is_some() {
            let message = "the log-probabilities of a prompt aren't computed; leave echo or logprobs out";
            return Err(ApiError::invalid("echo", message));
        }
        if self.best_of.is_some_and(|best| best > self.n.unwrap_or(1)) {
            return Err(ApiError::invalid(
                "best_of",
                "best_of must not be more than n; set n, and choose among the answers",
            ));
        }
        Ok(())
    }
}

/// Returns this API's name of a field.
pub(crate) fn param(field: Field) -> &'static str {
    match field {
        Field::Sampling(name) => name,
        Field::Choices => "n",
        Field::TopLogprobs => "logprobs",
        Field::TemplateKwargs => "chat_template_kwargs",
        _ => "prompt",
    }
}
