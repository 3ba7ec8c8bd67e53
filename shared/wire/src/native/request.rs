//! `POST /v1/generate`: fields of a request.

use hearth_domain::{
    CacheControl, ContextOverflow, Modality, OnDisconnect, Prefer, Priority, Rate, SelectionMode, SessionId,
    WhileLoading,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::input::Input;
use crate::{
    deadline::Deadline, logprobs::LogitBias, response_format::ResponseFormatBody, run_options::Fallback,
    stop::Stop, tool_choice::ToolChoiceBody, tools::ToolBody,
};

/// Request to generate. An unknown field is an error that names it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateRequest {
    /// Model id, or `auto`. Absent: the default model.
    #[schema(example = "tiny-chat")]
    pub model: Option<String>,
    /// Provider that must serve the request. Absent: any.
    #[schema(example = "local")]
    pub provider: Option<String>,
    /// Model that the user prefers. It is used where `model` is absent or `auto`, if it can serve the request.
    pub preferred_model: Option<String>,
    /// Models that may serve the request: `auto`, `free_only`, `commercial_only`, or `model` for the one that `model`
    /// names and no other.
    #[serde(default)]
    #[schema(example = "auto")]
    pub selection_mode: SelectionMode,
    /// Models to try if the first choice can't serve the request, in place of those that the operator has set:
    /// `{"models": [...]}`, or `false` for none.
    #[schema(value_type = Option<Value>, example = json!({"models": ["tiny-chat"]}))]
    pub fallback: Option<Fallback>,
    /// True to let another model continue an answer that breaks off; the response then has `resumed`. Images and
    /// meshes allow `false` alone.
    #[serde(default)]
    pub resume: bool,
    /// Modality: `text`, `image` or `3d`. Absent: the modality of the named model; without a model, the one that the
    /// prompt plainly asks for, such as "draw me a ..."; else text.
    #[schema(example = "text")]
    pub modality: Option<Modality>,
    /// Input. With `template_id` it may be left out; it follows on the template's messages.
    #[serde(default)]
    #[schema(required = true)]
    pub input: Input,
    /// Template of the prompt: a name or an id, with a version or a label if need be, such as `invoice@production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "invoice")]
    pub template_id: Option<String>,
    /// With `template_id`: the values of its variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({"text": "Coffee 3.50"}))]
    pub variables: Option<Map<String, Value>>,
    /// Schema of the answer, in place of `parameters.response_format`: a name or an id, with a version or a label if need be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "invoice@1")]
    pub schema_id: Option<String>,
    /// Parameters.
    #[serde(default)]
    pub parameters: Parameters,
    /// Instructions before the conversation.
    pub system_prompt: Option<String>,
    /// Tools that the model may call; at most 2048. Some providers allow fewer.
    pub tools: Option<Vec<ToolBody>>,
    /// Tool choice. Absent: the model decides.
    pub tool_choice: Option<ToolChoiceBody>,
    /// False to allow at most one tool call at once.
    pub parallel_tool_calls: Option<bool>,
    /// True for an answer as server-sent events.
    #[serde(default)]
    pub stream: bool,
    /// True for the bytes of images and meshes in the response, in base64 as `data` beside their links. Large files, by the
    /// setting `files.inline_max_bytes`, have the link alone. It excludes `stream`.
    #[serde(default)]
    pub inline: bool,
    /// `cancel` stops the run when the client disconnects; `continue` completes it, and its result can be read later.
    /// `{"continue_for": 60}` lets it go on for 60 seconds without a client that reads it; at most a day.
    #[serde(default)]
    #[schema(example = "cancel")]
    pub on_disconnect: OnDisconnect,
    /// While the model is being loaded, `wait`, let the `default` model answer, or the first `fallback` that is ready.
    #[serde(default)]
    #[schema(example = "wait")]
    pub while_loading: WhileLoading,
    /// Place among the requests that wait for the same node: `low`, `normal` or `high`.
    #[serde(default)]
    #[schema(example = "normal")]
    pub priority: Priority,
    /// `home`: the caller's nodes serve the request; it waits for them until `deadline`, and then goes to the cheapest
    /// provider. Absent: it doesn't wait.
    #[schema(example = "home")]
    pub prefer: Option<Prefer>,
    /// With `prefer`: the end of the wait, in seconds from now or as an RFC 3339 time, at most 24 hours away. Absent: the time
    /// that the operator has set.
    #[schema(value_type = Option<Value>, example = 60)]
    pub deadline: Option<Deadline>,
    /// Highest price of a provider that may serve the request, in dollars for a million output tokens. A provider whose
    /// price isn't known is left out.
    #[schema(value_type = Option<f64>, example = 0.6)]
    pub max_price: Option<Rate>,
    /// Largest number of answers that are generated until one fits the JSON Schema, 1 to 5. Each one costs at a provider.
    /// Absent: 3. A streamed answer is generated once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 2)]
    pub max_attempts: Option<u32>,
    /// True to accept an answer that fits the JSON Schema without its bounds, patterns and required fields, if none fits the
    /// whole schema: `structured.status` is then `relaxed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = false)]
    pub allow_relaxed: Option<bool>,
    /// True to return the answer without validating it against the JSON Schema: `structured.status` is then `bypassed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = false)]
    pub bypass_validation: Option<bool>,
    /// Use of the cache: `use` accepts a cached answer even if the model might give another one, `no-cache` asks the
    /// model, `no-store` also stores nothing, `only-if-cached` returns a cached answer or an error. Absent: the
    /// header `x-hearth-cache`.
    #[serde(default)]
    #[schema(example = "use")]
    pub cache: CacheControl,
    /// True to store the request with its run, so that `POST /v1/requests/{id}/replay` can repeat it; false to store only the
    /// answer. Absent: the operator's setting, by default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// Session that the request continues: the model gets its messages before the input, and input and answer are added to
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub session_id: Option<SessionId>,
    /// State of the client's or the provider's own, at most 16 KiB. The response repeats it, and the session stores it until a
    /// request replaces it. The fields of an object are sent to a provider of OpenAI's dialect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub state_tokens: Option<Value>,
    /// With `session_id`: behaviour when the session no longer fits in the model's context, `truncate_middle`,
    /// `truncate_oldest`, `summarise` or `error`. Absent: the session's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_overflow: Option<ContextOverflow>,
}

/// Sampling parameters and stop conditions.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Temperature, 0 to 2; 0 always chooses the likeliest token.
    pub temperature: Option<f32>,
    /// Smallest set of likely tokens with this total probability, 0 to 1.
    pub top_p: Option<f32>,
    /// Number of the likeliest tokens to choose from; 0 keeps all.
    pub top_k: Option<u32>,
    /// Smallest probability of a token, relative to the likeliest; 0 to 1.
    pub min_p: Option<f32>,
    /// Factor by which recent tokens become less likely; above 0, at most 2.
    pub repeat_penalty: Option<f32>,
    /// Penalty for tokens that have occurred, -2 to 2.
    pub presence_penalty: Option<f32>,
    /// Penalty for each occurrence of a token, -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Seed for reproducible results.
    pub seed: Option<u32>,
    /// Stop text, or a list of them.
    pub stop: Option<Stop>,
    /// Maximum number of tokens to generate, at least 1.
    pub max_tokens: Option<u32>,
    /// True to generate past the end-of-turn token.
    #[serde(default)]
    pub ignore_eos: bool,
    /// Number of answers, 1 to 32.
    pub n: Option<u32>,
    /// Format of the answer.
    pub response_format: Option<ResponseFormatBody>,
    /// Bias of tokens, added to their logits, by token id; -100 to 100.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<LogitBias>,
    /// True to return log-probabilities.
    pub logprobs: Option<bool>,
    /// With `logprobs`: number of likeliest tokens to return for each position, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// Effort of reasoning before the answer, if the model can: `none`, `minimal`, `low`, `medium` or `high`.
    pub reasoning_effort: Option<String>,
    /// Values for the chat template of a local model, such as `{"enable_thinking": false}`; at most 16 KiB. A
    /// provider of OpenAI's dialect gets them too.
    #[schema(value_type = Option<Object>)]
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// Of images: width and height in pixels, such as `1024x1024`.
    pub size: Option<String>,
    /// Of images: the width in pixels, in place of `size` and with `height`.
    pub width: Option<u32>,
    /// Of images: the height in pixels.
    pub height: Option<u32>,
    /// Of images: quality in the provider's words, such as `high`.
    pub quality: Option<String>,
    /// Of images: `png`, `jpeg` or `webp`. Of meshes: `glb`.
    pub format: Option<String>,
    /// Of images: `transparent`, `opaque` or `auto`.
    pub background: Option<String>,
    /// Of images: description of what they must not show.
    pub negative_prompt: Option<String>,
    /// Of images: number of steps of a diffusion model, 1 to 500.
    pub steps: Option<u32>,
    /// Of images and meshes: guidance scale, 0 to 100.
    pub guidance_scale: Option<f32>,
    /// Of images: share of the input image to change, 0 to 1.
    pub strength: Option<f32>,
    /// Of meshes: side length of the texture in pixels, 512, 1024 or 2048.
    pub texture_size: Option<u32>,
}
