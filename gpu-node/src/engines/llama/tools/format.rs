//! The formats in which families of models write tool calls.

use super::markup::{self, Markup};

/// Format of a model's tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engines::llama) enum ToolFormat {
    /// `<tool_call>{"name": .., "arguments": ..}</tool_call>`: Hermes, Qwen, Granite 4, and models
    /// with the fallback tool prompt.
    Hermes,
    /// `{"name": .., "parameters": ..}` as the whole turn, or after `<|python_tag|>`.
    Llama3,
    /// The same, or after `<|python_start|>`.
    Llama4,
    /// `[TOOL_CALLS][{"name": .., "arguments": ..}]`: Mistral up to version 7 of its tokenizer.
    MistralList,
    /// `[TOOL_CALLS]name[ARGS]{..}`: Mistral after that, Ministral, Devstral, Magistral.
    MistralArgs,
    /// `<｜tool▁call▁begin｜>function<｜tool▁sep｜>name` and a fenced block: DeepSeek V3 and R1.
    DeepSeekV3,
    /// `<｜tool▁call▁begin｜>name<｜tool▁sep｜>{..}`: DeepSeek V3.1.
    DeepSeekV31,
    /// `<|tool_call|>[{"name": .., "arguments": ..}]`: Granite 3.
    Granite3,
    /// `<TOOLCALL>[{"name": .., "arguments": ..}]</TOOLCALL>`: Nemotron Nano 2.
    Nemotron,
    /// `<|START_ACTION|>[{"tool_name": .., "parameters": ..}]<|END_ACTION|>`: Command R7B and A.
    Command,
    /// `<function=name>{..}</function>`: Functionary 3.1.
    Functionary,
    /// `<function=name><parameter=key>value</parameter></function>` in `<tool_call>`: Qwen3-Coder,
    /// Qwen3.5, Nemotron 3.
    QwenCoder,
    /// The same in `<seed:tool_call>`: Seed-OSS.
    Seed,
    /// `<tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value></tool_call>`: GLM 4.5.
    Glm,
    /// `<|tool_call_start|>[name(key="value")]<|tool_call_end|>`: LFM2.
    Lfm2,
    /// `<|channel|>commentary to=functions.name<|message|>{..}`: gpt-oss. Prose is marked up too, so
    /// the parser is needed even without tools.
    Harmony,
}

/// Texts in a template's source that identify the format, most specific first.
const FORMAT_MARKS: &[(&[&str], ToolFormat)] = &[
    (&["<｜tool▁calls▁begin｜>", "```json"], ToolFormat::DeepSeekV3),
    (&["<｜tool▁calls▁begin｜>"], ToolFormat::DeepSeekV31),
    (&["[TOOL_CALLS]", "[ARGS]"], ToolFormat::MistralArgs),
    (&["[TOOL_CALLS]"], ToolFormat::MistralList),
    (&["<|channel|>", "<|message|>"], ToolFormat::Harmony),
    (&["<seed:tool_call>", "<function="], ToolFormat::Seed),
    (&["<tool_call>", "<function="], ToolFormat::QwenCoder),
    (&["<tool_call>", "<arg_key>"], ToolFormat::Glm),
    (&["<|tool_call|>"], ToolFormat::Granite3),
    (&["<|START_ACTION|>"], ToolFormat::Command),
    (&["<TOOLCALL>"], ToolFormat::Nemotron),
    (&["<|tool_list_start|>"], ToolFormat::Lfm2),
    (&["<|tool_call_start|>"], ToolFormat::Lfm2),
    (&["List of tools: ["], ToolFormat::Lfm2),
    (&["<tool_call>"], ToolFormat::Hermes),
    (&["<function="], ToolFormat::Functionary),
    (&["<|python_start|>"], ToolFormat::Llama4),
    (&["<|python_tag|>"], ToolFormat::Llama3),
    (&["{\"name\": function name, \"parameters\""], ToolFormat::Llama3),
];

impl ToolFormat {
    /// Detects the format of a model with this chat template. A template without tools gets them in
    /// [`ToolFormat::Hermes`].
    pub(in crate::engines::llama) fn detect(template: Option<&str>) -> Self {
        let Some(template) = template.filter(|template| uses_tools_variable(template)) else {
            return Self::Hermes;
        };
        let has_all = |marks: &[&str]| marks.iter().all(|mark| template.contains(mark));
        FORMAT_MARKS.iter().find(|(marks, _)| has_all(marks)).map_or(Self::Hermes, |(_, format)| *format)
    }

    /// Markers that may be special tokens, which have no text. The engine must pass them to the parser as text.
    pub(in crate::engines::llama) fn markers(self) -> impl Iterator<Item = &'static str> {
        self.markup().pieces().filter(|piece| markup::is_marker(piece))
    }

    /// Returns whether a turn has at most one call, in the model's output and in its template.
    pub(in crate::engines::llama) fn has_single_call_turns(self) -> bool {
        matches!(self, Self::Llama3 | Self::Llama4 | Self::Harmony)
    }

    pub(super) fn markup(self) -> &'static Markup {
        match self {
            Self::Hermes => &markup::HERMES,
            Self::Llama3 => &markup::LLAMA3,
            Self::Llama4 => &markup::LLAMA4,
            Self::MistralList => &markup::MISTRAL_LIST,
            Self::MistralArgs => &markup::MISTRAL_ARGS,
            Self::DeepSeekV3 => &markup::DEEPSEEK_V3,
            Self::DeepSeekV31 => &markup::DEEPSEEK_V31,
            Self::Granite3 => &markup::GRANITE3,
            Self::Nemotron => &markup::NEMOTRON,
            Self::Command => &markup::COMMAND,
            Self::Functionary => &markup::FUNCTIONARY,
            Self::QwenCoder => &markup::QWEN_CODER,
            Self::Seed => &markup::SEED,
            Self::Glm => &markup::GLM,
            Self::Lfm2 => &markup::LFM2,
            Self::Harmony => &markup::HARMONY,
        }
    }
}

/// Returns whether a template uses the variable `tools`, not only a key or an attribute of that name.
pub(in crate::engines::llama) fn uses_tools_variable(template: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '\'' | '"' | '<' | '>');
    template.match_indices("tools").any(|(at, name)| {
        let before = template[..at].chars().next_back();
        let after = template[at + name.len()..].chars().next();
        !before.is_some_and(inside) && !after.is_some_and(|c| inside(c) && c != '.')
    })
}
