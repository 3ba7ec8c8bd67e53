//! Reads the beginning and the end of a tool call between markers.
//!
//! The *head* of a call is everything up to its arguments; its *tail* is everything after them: the markers that
//! close it, and perhaps those that open the next call.

use hearth_domain::Tool;
use serde_json::Value;

use super::{
    arguments::{Arguments, HeadArguments, follow_object, rest_of_object, whole_arguments},
    cursor::{Cursor, CursorError},
    markup::{CallBody, Markup},
    python_arguments,
    tagged_arguments::TaggedArguments,
};

/// Maximum length of the name of a tool that isn't on offer, in bytes.
const UNKNOWN_NAME_MAX_BYTES: usize = 128;

/// Reader of calls in one format.
#[derive(Debug)]
pub(super) struct CallReader {
    markup: &'static Markup,
    tools: Vec<Tool>,
}

/// The head of a call.
pub(super) struct CallHead {
    pub(super) name: String,
    pub(super) arguments: HeadArguments,
    /// True if the arguments are a member of another object, which continues after them.
    pub(super) in_object: bool,
}

/// The text after a call.
pub(super) enum AfterCall {
    Prose,
    /// The head of another call, without the markers around all calls. It begins after this many bytes.
    Call {
        start: usize,
    },
}

/// The tool that a call names.
struct CalledTool {
    name: String,
    parameters: Value,
    /// True if the request offers it.
    offered: bool,
}

fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

impl CallReader {
    pub(super) fn new(markup: &'static Markup, tools: &[Tool]) -> Self {
        Self { markup, tools: tools.to_vec() }
    }

    /// Reads a head. The first `missing` pieces of the opening are absent.
    pub(super) fn read_head(&self, cursor: &mut Cursor<'_>, missing: usize) -> Result<CallHead, CursorError> {
        for piece in visible(self.markup.opening().skip(missing)) {
            cursor.space().literal(piece)?;
        }
        cursor.space();
        let has_marker = !self.markup.bare || missing < self.markup.opening().count();
        if matches!(self.markup.body, CallBody::Object { .. }) {
            return self.read_object(cursor, has_marker);
        }
        let name = cursor.run(is_name_character)?;
        let tool = self.called_tool(name, has_marker)?;
        let arguments = match &self.markup.body {
            CallBody::Object { .. } => return Err(CursorError::Mismatch),
            CallBody::Named { pieces, id } => {
                if let Some(id) = id
                    && cursor.maybe(id)?
                {
                    cursor.space().run(char::is_alphanumeric)?;
                }
                for piece in visible(pieces.iter().copied()) {
                    cursor.space().literal(piece)?;
                }
                follow_object(cursor)?
            }
            CallBody::Tagged { pieces, tags } => {
                for piece in visible(pieces.iter().copied()) {
                    cursor.space().literal(piece)?;
                }
                // Prose may have a word after a marker too.
                if !tool.offered && cursor.space().peek()? != '<' {
                    return Err(CursorError::Mismatch);
                }
                let arguments = TaggedArguments::new(*tags, &tool.parameters);
                HeadArguments::Follow(Arguments::Tagged(Box::new(arguments)))
            }
            CallBody::Python => {
                cursor.literal("(")?;
                HeadArguments::Whole(python_arguments::read(cursor)?)
            }
        };
        Ok(CallHead { name: tool.name, arguments, in_object: false })
    }

    /// Reads a call that is a JSON object, up to its arguments if its name comes before them.
    fn read_object(&self, cursor: &mut Cursor<'_>, has_marker: bool) -> Result<CallHead, CursorError> {
        let (mut name, mut arguments) = (None, None);
        cursor.literal("{")?;
        loop {
            let key = cursor.space().string()?;
            cursor.space().literal(":")?;
            cursor.space();
            match key.as_str() {
                "name" | "tool_name" | "function" => {
                    name = Some(self.called_tool(&cursor.string()?, has_marker)?.name);
                }
                "arguments" | "parameters" => match &name {
                    Some(name) if cursor.peek()? == '{' => {
                        let arguments = follow_object(cursor)?;
                        return Ok(CallHead { name: name.clone(), arguments, in_object: true });
                    }
                    _ => arguments = Some(cursor.value()?),
                },
                "id" | "type" | "tool_call_id" => drop(cursor.value()?),
                // An answer that is JSON itself must not be held back until a name that never comes.
                _ if self.markup.bare => return Err(CursorError::Mismatch),
                _ => drop(cursor.value()?),
            }
            match cursor.space().next()? {
                ',' => {}
                '}' => break,
                _ => return Err(CursorError::Mismatch),
            }
        }
        let json = whole_arguments(arguments.unwrap_or("null")).ok_or(CursorError::Mismatch)?;
        let name = name.ok_or(CursorError::Mismatch)?;
        Ok(CallHead { name, arguments: HeadArguments::Whole(json), in_object: false })
    }

    /// The tool that a call names. Behind a marker it may be a tool that isn't on offer: the client answers that to the
    /// model, as with vLLM and llama-server.
    fn called_tool(&self, name: &str, has_marker: bool) -> Result<CalledTool, CursorError> {
        let offered = self.tools.iter().find(|tool| tool.name == name);
        let is_name =
            (1..=UNKNOWN_NAME_MAX_BYTES).contains(&name.len()) && name.chars().all(is_name_character);
        match offered {
            Some(tool) => {
                Ok(CalledTool { name: name.to_owned(), parameters: tool.parameters.clone(), offered: true })
            }
            None if has_marker && is_name => {
                Ok(CalledTool { name: name.to_owned(), parameters: Value::Null, offered: false })
            }
            None => Err(CursorError::Mismatch),
        }
    }

    /// Reads the tail of a call, as far as it is there: a model may omit it.
    pub(super) fn read_tail(
        &self,
        cursor: &mut Cursor<'_>,
        in_object: bool,
    ) -> Result<AfterCall, CursorError> {
        if in_object {
            let mut ahead = cursor.clone();
            match rest_of_object(&mut ahead) {
                Ok(()) => *cursor = ahead,
                Err(CursorError::Incomplete) => return Err(CursorError::Incomplete),
                Err(CursorError::Mismatch) => return Ok(AfterCall::Prose),
            }
        }
        for piece in visible(self.markup.call.close.iter().copied()) {
            cursor.maybe(piece)?;
        }
        if self.markup.section.open.is_empty() {
            return Ok(AfterCall::Prose);
        }
        let mut closed = false;
        for piece in visible(self.markup.section.close.iter().copied()) {
            closed |= cursor.maybe(piece)?;
        }
        if closed {
            return Ok(AfterCall::Prose);
        }
        let mut ahead = cursor.clone();
        let separated = ahead.maybe(",")? || ahead.maybe(";")?;
        let call_follows = match self.markup.call.open.first() {
            Some(piece) => ahead.clone().maybe(piece)?,
            None => separated || ahead.space().peek()? == '{',
        };
        match call_follows {
            true => Ok(AfterCall::Call { start: ahead.at() - cursor.at() }),
            false => Ok(AfterCall::Prose),
        }
    }
}

/// Filters out pieces of white space, which is skipped everywhere.
fn visible(pieces: impl Iterator<Item = &'static str>) -> impl Iterator<Item = &'static str> {
    pieces.filter(|piece| !piece.trim().is_empty())
}
