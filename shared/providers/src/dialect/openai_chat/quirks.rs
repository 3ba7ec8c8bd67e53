//! Differences between vendors and servers that have this dialect.

/// A vendor's differences from others with this dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub struct Quirks {
    /// The name of the token limit; OpenAI's newer name is `max_completion_tokens`.
    pub max_tokens: &'static str,
    /// The name of the seed; `None` if there is no seed.
    pub seed: Option<&'static str>,
    /// Accepts `top_k`, `min_p` and `repetition_penalty`.
    pub samplers: bool,
    /// Accepts `presence_penalty` and `frequency_penalty`.
    pub penalties: bool,
    /// Accepts `parallel_tool_calls`.
    pub parallel_tool_calls: bool,
    /// Needs `stream_options` to report usage; otherwise usage is always reported.
    pub stream_options: bool,
    /// Accepts `reasoning_effort`.
    pub reasoning_effort: bool,
    /// The value of `tool_choice` that forces a call of any tool: `required` or `any`.
    pub forced_call: &'static str,
    /// The thoughts of earlier turns that are sent back, as `reasoning_content`.
    pub sent_thoughts: SentThoughts,
    /// Accepts `cache_control` on parts, as Anthropic does.
    pub cache_marks: bool,
    /// Needs `prefix` on a last message of the assistant, for the model to continue it.
    pub prefix: bool,
    /// Switches thoughts off by `thinking` and not by an effort.
    pub thinking_switch: bool,
}

/// The thoughts of earlier turns that are sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentThoughts {
    /// None: the vendor refuses or ignores them.
    None,
    /// All that the client sends.
    All,
    /// All, and empty ones in a turn with tool calls, which the vendor refuses without thoughts.
    RequiredWithCalls,
}

/// The usual behaviour of servers.
pub const COMMON: Quirks = Quirks {
    max_tokens: "max_tokens",
    seed: Some("seed"),
    samplers: false,
    penalties: true,
    parallel_tool_calls: true,
    stream_options: true,
    reasoning_effort: true,
    forced_call: "required",
    sent_thoughts: SentThoughts::None,
    cache_marks: false,
    prefix: false,
    thinking_switch: false,
};
