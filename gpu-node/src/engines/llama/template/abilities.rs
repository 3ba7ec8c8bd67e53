//! The result of a chat template's probe.

/// Kinds of conversations that a template renders. By default it accepts all; then a client gets the template's own
/// refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engines::llama) struct TemplateAbilities {
    /// Content must be a list of parts: the template omits a text.
    pub(in crate::engines::llama) parts: bool,
    /// A system message at the beginning.
    pub(in crate::engines::llama) system: bool,
    /// A system message without anything after it.
    pub(in crate::engines::llama) system_alone: bool,
    /// A system message in a conversation that ends with an answer or a tool result: some templates show it only beside a
    /// question at the end.
    pub(in crate::engines::llama) answered_system: bool,
    /// Several system messages at the beginning.
    pub(in crate::engines::llama) several_systems: bool,
    /// A system message after the first turn.
    pub(in crate::engines::llama) late_system: bool,
    /// Consecutive messages of one role.
    pub(in crate::engines::llama) repeated_roles: bool,
    /// A conversation that begins with the assistant.
    pub(in crate::engines::llama) assistant_first: bool,
    /// Tools on offer.
    pub(in crate::engines::llama) tools: bool,
    /// Tool results in their own role.
    pub(in crate::engines::llama) tool_results: bool,
    /// Several tool calls in one turn.
    pub(in crate::engines::llama) parallel_calls: bool,
    /// Text and tool calls in one turn: it writes both.
    pub(in crate::engines::llama) text_with_calls: bool,
    /// `enable_thinking` or `thinking` changes the prompt.
    pub(in crate::engines::llama) thinking: bool,
}

impl Default for TemplateAbilities {
    fn default() -> Self {
        Self {
            parts: false,
            system: true,
            system_alone: true,
            answered_system: true,
            several_systems: true,
            late_system: true,
            repeated_roles: true,
            assistant_first: true,
            tools: true,
            tool_results: true,
            parallel_calls: true,
            text_with_calls: true,
            thinking: false,
        }
    }
}

impl TemplateAbilities {
    /// The kinds that any template accepts: user and assistant in turn.
    pub(super) fn strict(self) -> Self {
        Self {
            system: false,
            system_alone: false,
            answered_system: false,
            several_systems: false,
            late_system: false,
            repeated_roles: false,
            assistant_first: false,
            ..self
        }
    }
}
