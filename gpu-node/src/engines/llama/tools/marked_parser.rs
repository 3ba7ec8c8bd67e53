//! Finds tool calls between markers in an answer that is prose otherwise.
//!
//! From a marker on, the head of a call is read ([`CallReader`]). If it names a tool, the call has begun, and its
//! arguments go out as they come. Otherwise the marker was prose. After the arguments the call's tail is read.

use hearth_domain::Tool;

use super::{
    arguments::{Arguments, HeadArguments},
    call_reader::{AfterCall, CallHead, CallReader},
    cursor::{Cursor, CursorError},
    markup::{self, Markup},
    output::ParserOutput,
};
use crate::engines::llama::text::partial_match_len;

/// Maximum size of a head, in bytes. Longer text is no call.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// Parser of one answer.
#[derive(Debug)]
pub(super) struct MarkedParser {
    markup: &'static Markup,
    reader: CallReader,
    /// Text that didn't go out yet.
    held: String,
    state: State,
    /// True if only white space has come so far.
    fresh: bool,
    /// Number of calls that have begun.
    calls: u32,
}

#[derive(Debug)]
enum State {
    Prose,
    /// A call may begin at `held[start..]`. If it doesn't, `skip` more bytes are prose.
    Head {
        start: usize,
        skip: usize,
        /// Number of pieces at the opening's beginning that are absent.
        missing: usize,
    },
    Arguments {
        arguments: Arguments,
        in_object: bool,
    },
    /// After the arguments. `in_object`: they are a member of another object.
    Tail {
        in_object: bool,
    },
}

impl MarkedParser {
    pub(super) fn new(markup: &'static Markup, tools: &[Tool]) -> Self {
        Self {
            markup,
            reader: CallReader::new(markup, tools),
            held: String::new(),
            state: State::Prose,
            fresh: true,
            calls: 0,
        }
    }

    pub(super) fn push(&mut self, text: &str, out: &mut ParserOutput) {
        self.held.push_str(text);
        while self.step(out) {}
    }

    pub(super) fn finish(&mut self, out: &mut ParserOutput) {
        while let State::Head { start, skip, .. } = self.state {
            self.release_prose(start + skip, out);
            while self.step(out) {}
        }
        if let State::Arguments { arguments: Arguments::Tagged(arguments), .. } = &self.state {
            let mut json = String::new();
            arguments.finish(&mut json);
            out.push_arguments(self.calls - 1, &json);
        }
        let is_space_after_call = self.calls > 0 && self.held.trim().is_empty();
        if matches!(self.state, State::Prose) && !is_space_after_call {
            self.release_prose(self.held.len(), out);
        }
        self.held.clear();
    }

    /// Does one transition. Returns whether another one may follow without more text.
    fn step(&mut self, out: &mut ParserOutput) -> bool {
        match &mut self.state {
            State::Prose => self.find_opening(out),
            State::Head { start, skip, missing } => {
                let (start, skip, missing) = (*start, *skip, *missing);
                let end = self.held.floor_char_boundary(start + HEAD_MAX_BYTES);
                let mut cursor = Cursor::new(&self.held[start..end]);
                match self.reader.read_head(&mut cursor, missing) {
                    Ok(head) => {
                        let read = start + cursor.at();
                        self.held.drain(..read);
                        self.begin_call(head, out);
                        true
                    }
                    Err(CursorError::Incomplete) if end == self.held.len() => false,
                    Err(_) => {
                        self.release_prose(start + skip, out);
                        true
                    }
                }
            }
            State::Arguments { arguments, in_object } => {
                let mut json = String::new();
                let (read, valid_end) = arguments.consume(&self.held, &mut json);
                let in_object = *in_object;
                self.held.drain(..read);
                out.push_arguments(self.calls - 1, &json);
                match valid_end {
                    None => return false,
                    Some(true) => self.state = State::Tail { in_object },
                    Some(false) => self.state = State::Prose,
                }
                true
            }
            State::Tail { in_object } => {
                let mut cursor = Cursor::new(&self.held);
                let Ok(next) = self.reader.read_tail(&mut cursor, *in_object) else { return false };
                let read = cursor.at();
                self.held.drain(..read);
                self.state = match next {
                    AfterCall::Prose => State::Prose,
                    AfterCall::Call { start } => {
                        State::Head { start, skip: 0, missing: self.markup.section.open.len() }
                    }
                };
                true
            }
        }
    }

    /// Releases prose up to where a call may begin.
    fn find_opening(&mut self, out: &mut ParserOutput) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let space = self.held.len() - self.held.trim_start().len();
        if self.fresh && self.markup.bare {
            match self.held[space..].chars().next() {
                None => return false,
                Some('{') => {
                    let missing = self.markup.opening().count();
                    self.state = State::Head { start: space, skip: 1, missing };
                    return true;
                }
                Some(_) => {}
            }
        }
        let markers = || self.markup.opening().zip(0..).filter(|(piece, _)| markup::is_marker(piece));
        let first =
            markers().filter_map(|(piece, number)| Some((self.held.find(piece)?, number, piece))).min();
        let held_back = match first {
            Some((at, ..)) => self.held.len() - at,
            None => markers().map(|(piece, _)| partial_match_len(&self.held, piece)).max().unwrap_or(0),
        };
        let prose = self.held[..self.held.len() - held_back].trim_end().len();
        self.release_prose(prose, out);
        let Some((at, number, piece)) = first else { return false };
        self.state = State::Head { start: at - prose, skip: piece.len(), missing: number };
        true
    }

    /// Releases `length` bytes of the held text as prose.
    fn release_prose(&mut self, length: usize, out: &mut ParserOutput) {
        self.state = State::Prose;
        self.fresh &= length == 0;
        out.push_text(&self.held[..length]);
        self.held.drain(..length);
    }

    fn begin_call(&mut self, head: CallHead, out: &mut ParserOutput) {
        let index = self.calls;
        self.calls += 1;
        self.fresh = false;
        out.begin_call(index, &head.name);
        let in_object = head.in_object;
        self.state = match head.arguments {
            HeadArguments::Whole(json) => {
                out.push_arguments(index, &json);
                State::Tail { in_object }
            }
            HeadArguments::Follow(arguments) => State::Arguments { arguments, in_object },
        };
    }
}
