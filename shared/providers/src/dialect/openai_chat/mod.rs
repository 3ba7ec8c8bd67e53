//! OpenAI's chat completions (<https://platform.openai.com/docs/api-reference/chat>), spoken with
//! [`Habits`] by most vendors and servers.

pub(in crate::dialect) mod chunk;
pub(super) mod request;
pub(super) mod stream;

#[cfg(test)]
mod tests;

/// How a vendor speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub struct Habits {
    /// What bounds the answer: `max_completion_tokens` is OpenAI's newer name.
    pub max_tokens: &'static str,
    /// What the seed is called; none where there is no seed.
    pub seed: Option<&'static str>,
    /// Whether `top_k`, `min_p` and `repetition_penalty` are taken.
    pub samplers: bool,
    /// Whether `presence_penalty` and `frequency_penalty` are.
    pub penalties: bool,
    /// Whether `logprobs` and `logit_bias` are.
    pub logprobs: bool,
    /// Whether `n` is.
    pub choices: bool,
    /// Whether `parallel_tool_calls` is.
    pub parallel_tool_calls: bool,
    /// Whether `stream_options` is; usage comes by itself else.
    pub stream_options: bool,
    /// Whether `reasoning_effort` is.
    pub reasoning_effort: bool,
    /// Whether a schema can be asked for, or only a JSON object.
    pub json_schema: bool,
    /// How a call of any tool is demanded: `required`, or `any`.
    pub must_call: &'static str,
}

/// What servers commonly understand.
pub const COMMON: Habits = Habits {
    max_tokens: "max_tokens",
    seed: Some("seed"),
    samplers: false,
    penalties: true,
    logprobs: true,
    choices: true,
    parallel_tool_calls: true,
    stream_options: true,
    reasoning_effort: true,
    json_schema: true,
    must_call: "required",
};
