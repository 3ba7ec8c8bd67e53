//! Builds grammars that enforce tool calls.
//!
//! They are in llguidance's dialect of Lark. The markup is literal text, or a special token if the vocabulary has
//! one. The arguments are JSON of the tool's schema.

use std::fmt::Write as _;

use hearth_domain::{Tool, ToolChoice};
use llguidance::api::TopLevelGrammar;
use serde_json::{Map, Value, json};

use super::{
    format::ToolFormat,
    markup::{self, CallBody, Markup, Tags},
    tagged_arguments::allows_text,
};
use crate::engines::llama::grammar_schema::{check_schema_size, single_line_schema};

/// Builds the grammar for a turn in which the model may or must call tools, as `choice` says: once or, with
/// `parallel`, several times. `None` if there is nothing to enforce.
///
/// If the model may choose, it otherwise answers with JSON of the schema `answer`, or with free text without one, and
/// only the arguments of strict tools are enforced. `special` returns the token of a marker that is a special token.
///
/// # Errors
/// If there is no such tool, or its schema is too large.
pub(in crate::engines::llama) fn call_grammar(
    format: ToolFormat,
    tools: &[Tool],
    choice: &ToolChoice,
    parallel: bool,
    answer: Option<&Value>,
    special: &dyn Fn(&str) -> Option<u32>,
) -> Result<Option<TopLevelGrammar>, String> {
    let markup = format.markup();
    let several = parallel && !format.has_single_call_turns();
    let mut lark = LarkBuilder { special, rules: String::new(), only_strict: *choice == ToolChoice::Auto };
    let tools: Vec<&Tool> = match choice {
        // Prose is marked up too, so the first marker doesn't distinguish a call.
        ToolChoice::Auto if format == ToolFormat::Harmony => return Ok(None),
        ToolChoice::Auto if answer.is_some() || tools.iter().any(|tool| tool.strict) => {
            tools.iter().collect()
        }
        ToolChoice::Auto | ToolChoice::None => return Ok(None),
        ToolChoice::Required => tools.iter().collect(),
        ToolChoice::Named(name) => tools.iter().filter(|tool| tool.name == *name).collect(),
    };
    if tools.is_empty() {
        return Err("there is no tool of that name to call".to_owned());
    }
    for tool in tools.iter().filter(|tool| lark.enforces(tool)) {
        check_schema_size(&tool.parameters).map_err(|reason| format!("the tool {}: {reason}", tool.name))?;
    }
    match (choice, answer) {
        (ToolChoice::Auto, Some(schema)) => {
            lark.rule("start", &format!("calls | %json {schema}"));
            lark.must_call("calls", markup, &tools, several);
        }
        (ToolChoice::Auto, None) => lark.may_call(markup, &tools, several),
        _ => lark.must_call("start", markup, &tools, several),
    }
    Ok(Some(TopLevelGrammar::from_lark(lark.rules)))
}

struct LarkBuilder<'a> {
    special: &'a dyn Fn(&str) -> Option<u32>,
    rules: String,
    /// True if only the arguments of strict tools are enforced.
    only_strict: bool,
}

impl LarkBuilder<'_> {
    /// Returns whether the tool's schema is enforced.
    fn enforces(&self, tool: &Tool) -> bool {
        tool.strict || !self.only_strict
    }

    /// Adds the rule of a turn that is only calls.
    fn must_call(&mut self, rule: &str, markup: &Markup, tools: &[&Tool], several: bool) {
        let (open, close) = match markup.bare {
            true => (String::new(), String::new()),
            false => (self.pieces(markup.section.open), self.pieces(markup.section.close)),
        };
        let more = more_calls(markup, several);
        self.rule(rule, &format!("{open} call {more} {close}"));
        self.call(markup, markup.call.open, tools);
    }

    /// Adds the rule of a turn of prose with calls. Prose ends with the first piece of a call's opening.
    fn may_call(&mut self, markup: &Markup, tools: &[&Tool], several: bool) {
        let close = self.pieces(markup.section.close);
        if markup.bare {
            let open = self.pieces(markup.section.open);
            self.rule("start", &format!("call | {open} call {close} | OTHER?"));
            self.rules.push_str("OTHER: /\\s*[^{\\s](?s:.*)/\n");
            return self.call(markup, markup.call.open, tools);
        }
        let Some(first) = markup.opening().next() else { return };
        let before = self.free_text("before", first);
        let (call_open, calls) = match markup.section.open {
            [] => (&markup.call.open[1..], "call".to_owned()),
            open => {
                let (open, more) = (self.pieces(&open[1..]), more_calls(markup, several));
                (markup.call.open, format!("{open} call {more} {close}"))
            }
        };
        self.rule(
            "start",
            &match several {
                true => format!("({before} {calls})* TEXT"),
                false => format!("{before} {calls} | TEXT"),
            },
        );
        self.call(markup, call_open, tools);
    }

    fn call(&mut self, markup: &Markup, open: &[&str], tools: &[&Tool]) {
        let bodies: Vec<String> = (0..tools.len()).map(|number| format!("body_{number}")).collect();
        let (open, close) = (self.pieces(open), self.pieces(markup.call.close));
        self.rule("call", &format!("{open} ({}) {close}", bodies.join(" | ")));
        for (body, tool) in bodies.iter().zip(tools) {
            self.body(body, &markup.body, tool);
        }
        self.rules.push_str("COLON: /: ?/\nCOMMA: /, ?/\nTEXT: /(?s:.*)/\n");
    }

    fn body(&mut self, rule: &str, body: &CallBody, tool: &Tool) {
        let Tool { name, .. } = tool;
        let written = match body {
            CallBody::Object { name: name_key, arguments } => {
                let quoted = |text: &str| literal(&Value::from(text).to_string());
                format!(
                    "\"{{\" {} COLON {} COMMA {} COLON %json {} \"}}\"",
                    quoted(name_key),
                    quoted(name),
                    quoted(arguments),
                    self.arguments_schema(tool)
                )
            }
            CallBody::Named { pieces, id } => {
                let id =
                    id.map_or_else(String::new, |id| format!("({} /[a-zA-Z0-9]{{9}}/)?", self.piece(id)));
                let pieces = self.pieces(pieces);
                format!("{} {id} {pieces} %json {}", literal(name), self.arguments_schema(tool))
            }
            CallBody::Tagged { pieces, tags } => {
                let values = self.tagged(rule, *tags, tool);
                format!("{} {} {values}", literal(name), self.pieces(pieces))
            }
            CallBody::Python => {
                let values = self.python(rule, tool);
                format!("{} {values} \")\"", literal(&format!("{name}(")))
            }
        };
        self.rule(rule, &written);
    }

    /// Adds rules for the arguments in tags, in the schema's order. Returns their sequence.
    fn tagged(&mut self, rule: &str, tags: Tags, tool: &Tool) -> String {
        let Tags { key, value, padded } = tags;
        let line = if padded { "\"\\n\"?" } else { "" };
        let mut values = String::new();
        for (number, argument) in self.arguments_of(tool).into_iter().enumerate() {
            let rule = format!("{rule}_{number}");
            let text = match &argument.schema {
                Some(schema) if !allows_text(schema) => {
                    format!("%json {} {line} {}", argument.json_schema(tool), self.piece(value.1))
                }
                Some(Value::Object(schema)) if schema.contains_key("enum") => {
                    let texts = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    let texts: Vec<String> = texts.map(literal).collect();
                    format!("({}) {line} {}", texts.join(" | "), self.piece(value.1))
                }
                _ => self.free_text(&rule, value.1),
            };
            let (open, close, before) = (self.piece(key.0), self.piece(key.1), self.piece(value.0));
            let name = argument.name.map_or_else(|| "/[a-zA-Z_][a-zA-Z0-9_]*/".to_owned(), literal);
            self.rule(&rule, &format!("{open} {name} {close} \"\\n\"? {before} {text} \"\\n\"?"));
            let _ = write!(values, " {rule}{}", argument.quantifier);
        }
        values
    }

    /// Any text up to and including `end`.
    fn free_text(&mut self, rule: &str, end: &str) -> String {
        match self.token(end) {
            Some(_) => format!("TEXT {}", self.piece(end)),
            None => {
                let text = format!("{rule}_text");
                self.rule(&format!("{text}[suffix={}]", literal(end)), "/(?s:.*)/");
                text
            }
        }
    }

    /// Adds rules for Python's keyword arguments, in the schema's order, with commas between those that are present.
    /// Returns the first rule.
    fn python(&mut self, rule: &str, tool: &Tool) -> String {
        let arguments = self.arguments_of(tool);
        // The rules for the arguments from one on: `comma_first` after another argument, `first` at the beginning.
        let (mut comma_first, mut first) = (String::new(), String::new());
        for (number, argument) in arguments.into_iter().enumerate().rev() {
            let rule = format!("{rule}_{number}");
            let name = argument.name.map_or_else(|| "/[a-zA-Z_][a-zA-Z0-9_]*/".to_owned(), literal);
            self.rule(&rule, &format!("{name} \"=\" %json {}", argument.json_schema(tool)));
            let (comma_next, first_next) = (std::mem::take(&mut comma_first), std::mem::take(&mut first));
            self.rule(
                &format!("{rule}_comma"),
                &match argument.quantifier {
                    "" => format!("COMMA {rule} {comma_next}"),
                    quantifier => format!("(COMMA {rule}){quantifier} {comma_next}"),
                },
            );
            self.rule(
                &format!("{rule}_first"),
                &match (argument.quantifier, first_next.as_str()) {
                    ("", _) => format!("{rule} {comma_next}"),
                    ("*", _) => format!("({rule} (COMMA {rule})*)?"),
                    (_, "") => format!("({rule} {comma_next})?"),
                    (_, first_next) => format!("{rule} {comma_next} | {first_next}"),
                },
            );
            comma_first = format!("{rule}_comma");
            first = format!("{rule}_first");
        }
        first
    }

    /// The arguments one by one: those that the schema names, or any number of any.
    fn arguments_of<'t>(&self, tool: &'t Tool) -> Vec<Argument<'t>> {
        let schema = &tool.parameters;
        let properties = schema.get("properties").and_then(Value::as_object).filter(|_| self.enforces(tool));
        if let Some(properties) = properties {
            let required = |name: &str| {
                let required = schema.get("required").and_then(Value::as_array);
                required.is_some_and(|names| names.iter().any(|required| required == name))
            };
            let argument = |(name, schema)| Argument {
                name: Some(name),
                schema: Some(schema),
                quantifier: if required(name) { "" } else { "?" },
            };
            return properties.iter().map(|(name, schema)| argument((name.as_str(), schema))).collect();
        }
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            return Vec::new();
        }
        vec![Argument { name: None, schema: None, quantifier: "*" }]
    }

    /// The schema of a tool's arguments: an object that has only the members that are named, unless the schema says
    /// more.
    fn arguments_schema(&self, tool: &Tool) -> Value {
        let mut schema = match &tool.parameters {
            Value::Object(members) if self.enforces(tool) => members.clone(),
            _ => Map::new(),
        };
        schema.entry("type").or_insert_with(|| "object".into());
        // Otherwise models add members.
        let is_plain = |key: &String| {
            matches!(key.as_str(), "type" | "properties" | "required" | "description" | "title")
                || key.starts_with('$') && key != "$ref"
        };
        if schema.contains_key("properties") && schema.keys().all(is_plain) {
            schema.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        single_line_schema(Value::Object(schema), tool.strict)
    }

    fn pieces(&self, pieces: &[&str]) -> String {
        pieces.iter().map(|piece| self.piece(piece)).collect::<Vec<_>>().join(" ")
    }

    fn piece(&self, piece: &str) -> String {
        match self.token(piece) {
            Some(token) => format!("<[{token}]>"),
            None if piece.is_empty() => String::new(),
            None if piece.trim().is_empty() => format!("{}?", literal(piece)),
            None => literal(piece),
        }
    }

    fn token(&self, piece: &str) -> Option<u32> {
        if markup::is_marker(piece) { (self.special)(piece) } else { None }
    }

    fn rule(&mut self, name: &str, body: &str) {
        let _ = writeln!(self.rules, "{name}: {body}");
    }
}

/// One argument of a tool, in a format that writes them separately.
struct Argument<'a> {
    /// `None` for an argument of any name.
    name: Option<&'a str>,
    schema: Option<&'a Value>,
    /// Lark's quantifier: empty, `?` or `*`.
    quantifier: &'static str,
}

impl Argument<'_> {
    /// Its schema, with the definitions that it may refer to.
    fn json_schema(&self, tool: &Tool) -> Value {
        let Some(schema) = self.schema else { return single_line_schema(json!({}), tool.strict) };
        let mut schema = schema.clone();
        if let (Value::Object(members), Value::Object(all)) = (&mut schema, &tool.parameters) {
            for definitions in ["$defs", "definitions"] {
                if let Some(value) = all.get(definitions) {
                    members.insert(definitions.to_owned(), value.clone());
                }
            }
        }
        single_line_schema(schema, tool.strict)
    }
}

/// The calls after the first.
fn more_calls(markup: &Markup, several: bool) -> String {
    if several { format!("({} call)*", between(markup.between)) } else { String::new() }
}

/// The separator of two calls. White space at its end is optional.
fn between(text: &str) -> String {
    let visible = text.trim_end();
    let space = &text[visible.len()..];
    let space = if space.is_empty() { String::new() } else { format!("{}?", literal(space)) };
    if visible.is_empty() { space } else { format!("{} {space}", literal(visible)) }
}

/// `text` as a Lark string, which has JSON's syntax.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}
