//! The markup around tool calls in each format.

/// Markup of a format.
#[derive(Debug)]
pub(super) struct Markup {
    /// Around all calls of a turn.
    pub(super) section: Wrap,
    /// Around each call.
    pub(super) call: Wrap,
    /// Between two calls.
    pub(super) between: &'static str,
    pub(super) body: CallBody,
    /// True if a turn may begin with a call without `section` around it. Calls are written that way then.
    pub(super) bare: bool,
}

/// Opening and closing markup in pieces. White space is allowed between pieces; where models usually write some, it
/// is a piece of its own.
#[derive(Debug)]
pub(super) struct Wrap {
    pub(super) open: &'static [&'static str],
    pub(super) close: &'static [&'static str],
}

/// Format of a call's name and arguments.
#[derive(Debug)]
pub(super) enum CallBody {
    /// A JSON object with these keys.
    Object { name: &'static str, arguments: &'static str },
    /// The name, these pieces, and the arguments as a JSON object. `id` and an id may stand before the pieces.
    Named { pieces: &'static [&'static str], id: Option<&'static str> },
    /// The name, these pieces, and each argument in tags.
    Tagged { pieces: &'static [&'static str], tags: Tags },
    /// `name(key=value)`, as in Python.
    Python,
}

/// The tags around an argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tags {
    pub(super) key: (&'static str, &'static str),
    pub(super) value: (&'static str, &'static str),
    /// True if a line break after `value.0` and before `value.1` belongs to the tags.
    pub(super) padded: bool,
}

const NONE: Wrap = Wrap { open: &[], close: &[] };
const ARGUMENTS: CallBody = CallBody::Object { name: "name", arguments: "arguments" };
const PARAMETERS: CallBody = CallBody::Object { name: "name", arguments: "parameters" };
const PARAMETER_TAGS: CallBody = CallBody::Tagged {
    pieces: &[">", "\n"],
    tags: Tags { key: ("<parameter=", ">"), value: ("", "</parameter>"), padded: true },
};

pub(super) static HERMES: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["<tool_call>", "\n"], close: &["\n", "</tool_call>"] },
    between: "\n",
    body: ARGUMENTS,
    bare: false,
};

pub(super) static LLAMA3: Markup = Markup {
    section: Wrap { open: &["<|python_tag|>"], close: &[] },
    call: NONE,
    between: "; ",
    body: PARAMETERS,
    bare: true,
};

pub(super) static LLAMA4: Markup = Markup {
    section: Wrap { open: &["<|python_start|>"], close: &["<|python_end|>"] },
    call: NONE,
    between: "; ",
    body: PARAMETERS,
    bare: true,
};

pub(super) static MISTRAL_LIST: Markup = Markup {
    section: Wrap { open: &["[TOOL_CALLS]", " ", "["], close: &["]"] },
    call: NONE,
    between: ", ",
    body: ARGUMENTS,
    bare: false,
};

pub(super) static MISTRAL_ARGS: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["[TOOL_CALLS]"], close: &[] },
    between: "",
    body: CallBody::Named { pieces: &["[ARGS]"], id: Some("[CALL_ID]") },
    bare: false,
};

pub(super) static DEEPSEEK_V3: Markup = Markup {
    section: Wrap { open: &["<｜tool▁calls▁begin｜>"], close: &["<｜tool▁calls▁end｜>"] },
    call: Wrap {
        open: &["<｜tool▁call▁begin｜>", "function", "<｜tool▁sep｜>"],
        close: &["\n", "```", "<｜tool▁call▁end｜>"],
    },
    between: "\n",
    body: CallBody::Named { pieces: &["\n", "```json", "\n"], id: None },
    bare: false,
};

pub(super) static DEEPSEEK_V31: Markup = Markup {
    section: Wrap { open: &["<｜tool▁calls▁begin｜>"], close: &["<｜tool▁calls▁end｜>"] },
    call: Wrap { open: &["<｜tool▁call▁begin｜>"], close: &["<｜tool▁call▁end｜>"] },
    between: "",
    body: CallBody::Named { pieces: &["<｜tool▁sep｜>"], id: None },
    bare: false,
};

pub(super) static GRANITE3: Markup = Markup {
    section: Wrap { open: &["<|tool_call|>", "["], close: &["]"] },
    call: NONE,
    between: ", ",
    body: ARGUMENTS,
    bare: false,
};

pub(super) static NEMOTRON: Markup = Markup {
    section: Wrap { open: &["<TOOLCALL>", "["], close: &["]", "</TOOLCALL>"] },
    call: NONE,
    between: ", ",
    body: ARGUMENTS,
    bare: false,
};

pub(super) static COMMAND: Markup = Markup {
    section: Wrap { open: &["<|START_ACTION|>", "["], close: &["]", "<|END_ACTION|>"] },
    call: NONE,
    between: ", ",
    body: CallBody::Object { name: "tool_name", arguments: "parameters" },
    bare: false,
};

pub(super) static FUNCTIONARY: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["<function="], close: &["</function>"] },
    between: "",
    body: CallBody::Named { pieces: &[">"], id: None },
    bare: false,
};

pub(super) static QWEN_CODER: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["<tool_call>", "\n", "<function="], close: &["</function>", "\n", "</tool_call>"] },
    between: "\n",
    body: PARAMETER_TAGS,
    bare: false,
};

pub(super) static SEED: Markup = Markup {
    section: NONE,
    call: Wrap {
        open: &["<seed:tool_call>", "\n", "<function="],
        close: &["</function>", "\n", "</seed:tool_call>"],
    },
    between: "\n",
    body: PARAMETER_TAGS,
    bare: false,
};

pub(super) static GLM: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["<tool_call>"], close: &["</tool_call>"] },
    between: "\n",
    body: CallBody::Tagged {
        pieces: &["\n"],
        tags: Tags {
            key: ("<arg_key>", "</arg_key>"),
            value: ("<arg_value>", "</arg_value>"),
            padded: false,
        },
    },
    bare: false,
};

pub(super) static LFM2: Markup = Markup {
    section: Wrap { open: &["<|tool_call_start|>", "["], close: &["]", "<|tool_call_end|>"] },
    call: NONE,
    between: ", ",
    body: CallBody::Python,
    bare: false,
};

/// For the writer and the grammar. Harmony has a parser of its own, [`super::harmony_parser`].
pub(super) static HARMONY: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["<|channel|>", "commentary to=functions."], close: &["<|call|>"] },
    between: "<|start|>assistant",
    body: CallBody::Named { pieces: &[" ", "<|constrain|>", "json", "<|message|>"], id: None },
    bare: false,
};

impl Markup {
    /// All pieces that open a turn's first call.
    pub(super) fn opening(&self) -> impl Iterator<Item = &'static str> {
        self.section.open.iter().chain(self.call.open).copied()
    }

    /// All pieces.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &'static str> {
        let body: Vec<&'static str> = match &self.body {
            CallBody::Object { .. } | CallBody::Python => Vec::new(),
            CallBody::Named { pieces, id } => pieces.iter().copied().chain(*id).collect(),
            CallBody::Tagged { pieces, tags } => {
                let Tags { key, value, .. } = tags;
                pieces.iter().copied().chain([key.0, key.1, value.0, value.1]).collect()
            }
        };
        self.opening()
            .chain(body)
            .chain(self.call.close.iter().copied())
            .chain(self.section.close.iter().copied())
    }
}

/// Returns whether a piece is a marker rather than text that is common in prose.
pub(super) fn is_marker(piece: &str) -> bool {
    piece.len() > 1 && piece.starts_with(['<', '['])
}
