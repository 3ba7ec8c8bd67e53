//! What stands around calls in each format. Parser, writer and grammar follow the same table.

/// How calls are written.
#[derive(Debug)]
pub(super) struct Markup {
    /// Around all calls of a turn.
    pub(super) section: Wrap,
    /// Around each call.
    pub(super) call: Wrap,
    /// Between two calls.
    pub(super) between: &'static str,
    pub(super) body: Body,
    /// Whether a call may be a turn's first thing without `section` around it. The model then writes
    /// it so.
    pub(super) bare: bool,
}

/// What opens and closes something, piece by piece. Between pieces there may be white space; where a
/// model usually writes some it is a piece of its own.
#[derive(Debug)]
pub(super) struct Wrap {
    pub(super) open: &'static [&'static str],
    pub(super) close: &'static [&'static str],
}

/// How a call says what is called with what.
#[derive(Debug)]
pub(super) enum Body {
    /// A JSON object with these keys.
    Object { name: &'static str, arguments: &'static str },
    /// The name, these pieces, and the arguments as a JSON object. Before the pieces there may be an
    /// id after `id`.
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
    /// Whether a line break after `value.0` and before `value.1` belongs to the tags.
    pub(super) padded: bool,
}

const NONE: Wrap = Wrap { open: &[], close: &[] };
const ARGUMENTS: Body = Body::Object { name: "name", arguments: "arguments" };
const PARAMETERS: Body = Body::Object { name: "name", arguments: "parameters" };
const PARAMETER_TAGS: Body = Body::Tagged {
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
    body: Body::Named { pieces: &["[ARGS]"], id: Some("[CALL_ID]") },
    bare: false,
};

pub(super) static DEEPSEEK_V3: Markup = Markup {
    section: Wrap { open: &["<｜tool▁calls▁begin｜>"], close: &["<｜tool▁calls▁end｜>"] },
    call: Wrap {
        open: &["<｜tool▁call▁begin｜>", "function", "<｜tool▁sep｜>"],
        close: &["\n", "```", "<｜tool▁call▁end｜>"],
    },
    between: "\n",
    body: Body::Named { pieces: &["\n", "```json", "\n"], id: None },
    bare: false,
};

pub(super) static DEEPSEEK_V31: Markup = Markup {
    section: Wrap { open: &["<｜tool▁calls▁begin｜>"], close: &["<｜tool▁calls▁end｜>"] },
    call: Wrap { open: &["<｜tool▁call▁begin｜>"], close: &["<｜tool▁call▁end｜>"] },
    between: "",
    body: Body::Named { pieces: &["<｜tool▁sep｜>"], id: None },
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
    body: Body::Object { name: "tool_name", arguments: "parameters" },
    bare: false,
};

pub(super) static FUNCTIONARY: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["<function="], close: &["</function>"] },
    between: "",
    body: Body::Named { pieces: &[">"], id: None },
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
    body: Body::Tagged {
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
    body: Body::Python,
    bare: false,
};

/// For the writer and the grammar; what gpt-oss writes around its prose is read by
/// [`super::harmony`].
pub(super) static HARMONY: Markup = Markup {
    section: NONE,
    call: Wrap { open: &["<|channel|>", "commentary to=functions."], close: &["<|call|>"] },
    between: "<|start|>assistant",
    body: Body::Named { pieces: &[" ", "<|constrain|>", "json", "<|message|>"], id: None },
    bare: false,
};

impl Markup {
    /// Everything that opens a turn's first call.
    pub(super) fn opening(&self) -> impl Iterator<Item = &'static str> {
        self.section.open.iter().chain(self.call.open).copied()
    }

    /// Every piece that there is.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &'static str> {
        let body: Vec<&'static str> = match &self.body {
            Body::Object { .. } | Body::Python => Vec::new(),
            Body::Named { pieces, id } => pieces.iter().copied().chain(*id).collect(),
            Body::Tagged { pieces, tags } => {
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

/// Whether a piece is a marker, and not something that prose is full of.
pub(super) fn is_marker(piece: &str) -> bool {
    piece.len() > 1 && piece.starts_with(['<', '['])
}
