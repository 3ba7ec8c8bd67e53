//! Calls between markers, in output that is prose otherwise.
//!
//! From a marker on the *head* of a call is read: everything up to its arguments. If that names a tool, the call
//! has begun, and its arguments go out as they come. Between markers it may be a tool that isn't on offer: then it is
//! for the client to say so to the model, as vLLM and llama-server leave it to theirs. Otherwise it was prose after
//! all. What follows a call's arguments is its *tail*: what closes it, and perhaps the way to the next
//! call.

use hearth_domain::Tool;
use serde_json::Value;

use super::{
    arguments::{Arguments, HeadArguments, follow_object, rest_of_object, whole_arguments},
    json::{Cursor, Stop},
    markup::{self, Body, Markup},
    parser::Output,
    python,
    tagged::{TaggedArguments, longest_beginning},
};

/// The longest head: what gets no further in this many bytes is no call.
const LONGEST_HEAD: usize = 16 * 1024;
/// The longest name of a tool that isn't on offer, in bytes.
const LONGEST_NAME: usize = 128;

/// Finds calls in one turn of a model.
#[derive(Debug)]
pub(super) struct MarkedParser {
    markup: &'static Markup,
    tools: Vec<Tool>,
    /// What was not given out yet.
    held: String,
    state: State,
    /// Whether nothing but white space has come.
    fresh: bool,
    calls: u32,
}

#[derive(Debug)]
enum State {
    Prose,
    /// From `held[start..]` on it looks like a call. If it is none, `skip` more bytes are prose.
    Head {
        start: usize,
        skip: usize,
        /// How many pieces of the opening aren't there.
        without: usize,
    },
    Arguments {
        arguments: Arguments,
        in_object: bool,
    },
    /// `in_object` says whether the arguments' object is in another one.
    Tail {
        in_object: bool,
    },
}

/// What a head says.
struct Head {
    name: String,
    arguments: HeadArguments,
    in_object: bool,
}

/// The tool of a call.
struct Called {
    name: String,
    parameters: Value,
    /// Whether the request offers it.
    offered: bool,
}

/// What a name of a tool can have.
fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

impl MarkedParser {
    pub(super) fn new(markup: &'static Markup, tools: &[Tool]) -> Self {
        Self {
            markup,
            tools: tools.to_vec(),
            held: String::new(),
            state: State::Prose,
            fresh: true,
            calls: 0,
        }
    }

    pub(super) fn push(&mut self, text: &str, out: &mut Output) {
        self.held.push_str(text);
        while self.step(out) {}
    }

    pub(super) fn finish(&mut self, out: &mut Output) {
        while let State::Head { start, skip, .. } = self.state {
            self.prose(start + skip, out);
            while self.step(out) {}
        }
        if let State::Arguments { arguments: Arguments::Tagged(arguments), .. } = &self.state {
            let mut json = String::new();
            arguments.finish(&mut json);
            out.arguments(self.calls - 1, &json);
        }
        let after_a_call = self.calls > 0 && self.held.trim().is_empty();
        if matches!(self.state, State::Prose) && !after_a_call {
            self.prose(self.held.len(), out);
        }
        self.held.clear();
    }

    /// Goes on to another state; whether there is more to do without more text.
    fn step(&mut self, out: &mut Output) -> bool {
        match &mut self.state {
            State::Prose => self.find_opening(out),
            State::Head { start, skip, without } => {
                let (start, skip, without) = (*start, *skip, *without);
                let end = self.held.floor_char_boundary(start + LONGEST_HEAD);
                let mut cursor = Cursor::new(&self.held[start..end]);
                match self.head(&mut cursor, without) {
                    Ok(head) => {
                        let read = start + cursor.at();
                        self.held.drain(..read);
                        self.begin(head, out);
                        true
                    }
                    Err(Stop::More) if end == self.held.len() => false,
                    Err(_) => {
                        self.prose(start + skip, out);
                        true
                    }
                }
            }
            State::Arguments { arguments, in_object } => {
                let mut json = String::new();
                let (read, end) = arguments.feed(&self.held, &mut json);
                let in_object = *in_object;
                self.held.drain(..read);
                out.arguments(self.calls - 1, &json);
                match end {
                    None => return false,
                    Some(true) => self.state = State::Tail { in_object },
                    Some(false) => self.state = State::Prose,
                }
                true
            }
            State::Tail { in_object } => {
                let in_object = *in_object;
                let mut cursor = Cursor::new(&self.held);
                let Ok(next) = self.tail(&mut cursor, in_object) else { return false };
                let read = cursor.at();
                self.held.drain(..read);
                self.state = next;
                true
            }
        }
    }

    /// Gives out prose up to where a call may begin.
    fn find_opening(&mut self, out: &mut Output) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let white = self.held.len() - self.held.trim_start().len();
        if self.fresh && self.markup.bare {
            match self.held[white..].chars().next() {
                None => return false,
                Some('{') => {
                    let without = self.markup.opening().count();
                    self.state = State::Head { start: white, skip: 1, without };
                    return true;
                }
                Some(_) => {}
            }
        }
        let markers = || self.markup.opening().zip(0..).filter(|(piece, _)| markup::is_marker(piece));
        let found =
            markers().filter_map(|(piece, number)| Some((self.held.find(piece)?, number, piece))).min();
        let held_back = match found {
            Some((at, ..)) => self.held.len() - at,
            None => markers().map(|(piece, _)| longest_beginning(&self.held, piece)).max().unwrap_or(0),
        };
        let prose = self.held[..self.held.len() - held_back].trim_end().len();
        self.prose(prose, out);
        let Some((at, number, piece)) = found else { return false };
        self.state = State::Head { start: at - prose, skip: piece.len(), without: number };
        true
    }

    /// Gives out this much of what is held, and goes on with prose.
    fn prose(&mut self, length: usize, out: &mut Output) {
        self.state = State::Prose;
        self.fresh &= length == 0;
        out.text(&self.held[..length]);
        self.held.drain(..length);
    }

    fn begin(&mut self, head: Head, out: &mut Output) {
        let index = self.calls;
        self.calls += 1;
        self.fresh = false;
        out.begin(index, &head.name);
        let in_object = head.in_object;
        self.state = match head.arguments {
            HeadArguments::Whole(json) => {
                out.arguments(index, &json);
                State::Tail { in_object }
            }
            HeadArguments::Follow(arguments) => State::Arguments { arguments, in_object },
        };
    }

    /// Reads from an opening to a call's arguments.
    fn head(&self, cursor: &mut Cursor<'_>, without: usize) -> Result<Head, Stop> {
        for piece in visible(self.markup.opening().skip(without)) {
            cursor.space().literal(piece)?;
        }
        cursor.space();
        let marked = !self.markup.bare || without < self.markup.opening().count();
        if matches!(self.markup.body, Body::Object { .. }) {
            return self.object(cursor, marked);
        }
        let name = cursor.run(is_name_character)?;
        let tool = self.called(name, marked)?;
        let arguments = match &self.markup.body {
            Body::Object { .. } => return Err(Stop::Other),
            Body::Named { pieces, id } => {
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
            Body::Tagged { pieces, tags } => {
                for piece in visible(pieces.iter().copied()) {
                    cursor.space().literal(piece)?;
                }
                // Prose may have a word after a marker too.
                if !tool.offered && cursor.space().peek()? != '<' {
                    return Err(Stop::Other);
                }
                let arguments = TaggedArguments::new(*tags, &tool.parameters);
                HeadArguments::Follow(Arguments::Tagged(Box::new(arguments)))
            }
            Body::Python => {
                cursor.literal("(")?;
                HeadArguments::Whole(python::arguments(cursor)?)
            }
        };
        Ok(Head { name: tool.name, arguments, in_object: false })
    }

    /// Reads a call that is an object, up to its arguments if its name comes before them. `marked`: a marker stands
    /// before it.
    fn object(&self, cursor: &mut Cursor<'_>, marked: bool) -> Result<Head, Stop> {
        let (mut name, mut arguments) = (None, None);
        cursor.literal("{")?;
        loop {
            let key = cursor.space().string()?;
            cursor.space().literal(":")?;
            cursor.space();
            match key.as_str() {
                "name" | "tool_name" | "function" => {
                    name = Some(self.called(&cursor.string()?, marked)?.name);
                }
                "arguments" | "parameters" => match &name {
                    Some(name) if cursor.peek()? == '{' => {
                        let arguments = follow_object(cursor)?;
                        return Ok(Head { name: name.clone(), arguments, in_object: true });
                    }
                    _ => arguments = Some(cursor.value()?),
                },
                "id" | "type" | "tool_call_id" => drop(cursor.value()?),
                // A turn that is JSON for itself must not wait for a name that never comes.
                _ if self.markup.bare => return Err(Stop::Other),
                _ => drop(cursor.value()?),
            }
            match cursor.space().next()? {
                ',' => {}
                '}' => break,
                _ => return Err(Stop::Other),
            }
        }
        let json = whole_arguments(arguments.unwrap_or("null")).ok_or(Stop::Other)?;
        let name = name.ok_or(Stop::Other)?;
        Ok(Head { name, arguments: HeadArguments::Whole(json), in_object: false })
    }

    /// The tool that a call names.
    fn called(&self, name: &str, marked: bool) -> Result<Called, Stop> {
        let offered = self.tools.iter().find(|tool| tool.name == name);
        let named = marked && (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_name_character);
        match offered {
            Some(tool) => {
                Ok(Called { name: name.to_owned(), parameters: tool.parameters.clone(), offered: true })
            }
            None if named => Ok(Called { name: name.to_owned(), parameters: Value::Null, offered: false }),
            None => Err(Stop::Other),
        }
    }

    /// Reads what closes a call, as far as it is there. Nothing of it is missed if it isn't.
    fn tail(&self, cursor: &mut Cursor<'_>, in_object: bool) -> Result<State, Stop> {
        if in_object {
            let mut ahead = cursor.clone();
            match rest_of_object(&mut ahead) {
                Ok(()) => *cursor = ahead,
                Err(Stop::More) => return Err(Stop::More),
                Err(Stop::Other) => return Ok(State::Prose),
            }
        }
        for piece in visible(self.markup.call.close.iter().copied()) {
            cursor.maybe(piece)?;
        }
        if self.markup.section.open.is_empty() {
            return Ok(State::Prose);
        }
        let mut closed = false;
        for piece in visible(self.markup.section.close.iter().copied()) {
            closed |= cursor.maybe(piece)?;
        }
        if closed {
            return Ok(State::Prose);
        }
        let mut ahead = cursor.clone();
        let separated = ahead.maybe(",")? || ahead.maybe(";")?;
        let follows = match self.markup.call.open.first() {
            Some(piece) => ahead.clone().maybe(piece)?,
            None => separated || ahead.space().peek()? == '{',
        };
        if !follows {
            return Ok(State::Prose);
        }
        let without = self.markup.section.open.len();
        Ok(State::Head { start: ahead.at() - cursor.at(), skip: 0, without })
    }
}

/// Pieces without those that are only white space, which may be anywhere.
fn visible(pieces: impl Iterator<Item = &'static str>) -> impl Iterator<Item = &'static str> {
    pieces.filter(|piece| !piece.trim().is_empty())
}
