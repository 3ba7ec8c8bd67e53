//! OpenAI's chat completions (<https://platform.openai.com/docs/api-reference/chat>), spoken with
//! [`Habits`] by most vendors and servers.

pub(in crate::dialect) mod chunk;
mod messages;
pub(super) mod request;
pub(super) mod stream;

pub(super) use messages::FILE_NAME;

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
    /// Whether `parallel_tool_calls` is.
    pub parallel_tool_calls: bool,
    /// Whether `stream_options` is; usage comes by itself else.
    pub stream_options: bool,
    /// Whether `reasoning_effort` is.
    pub reasoning_effort: bool,
    /// How a call of any tool is demanded: `required`, or `any`.
    pub must_call: &'static str,
    /// Which thoughts of earlier turns go back, as `reasoning_content`.
    pub thoughts: Thoughts,
    /// Whether `cache_control` is taken on parts, as Anthropic has it.
    pub cache_marks: bool,
    /// Whether an answer that was begun has `prefix`, for the model to go on with it.
    pub prefix: bool,
    /// Whether `thinking` turns thoughts off, and not an effort.
    pub thinking_switch: bool,
}

/// Which thoughts of earlier turns go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoughts {
    /// None: they are refused, or nothing is made of them.
    None,
    /// As the client hands them back.
    AsGiven,
    /// The same, and empty ones of a turn that calls tools, which is refused without them.
    WithCalls,
}

/// What servers commonly understand.
pub const COMMON: Habits = Habits {
    max_tokens: "max_tokens",
    seed: Some("seed"),
    samplers: false,
    penalties: true,
    parallel_tool_calls: true,
    stream_options: true,
    reasoning_effort: true,
    must_call: "required",
    thoughts: Thoughts::None,
    cache_marks: false,
    prefix: false,
    thinking_switch: false,
};
