//! Harmony, the format of gpt-oss. Everything that it says is a message with a header: to the reader
//! on the channel `final`, to itself on `analysis`, and to a tool on `commentary`.

use super::{
    json::{JsonScanner, Scanned},
    parser::Output,
    tagged::longest_beginning,
};

const MESSAGE: &str = "<|message|>";
/// What a header may begin with; the first comes right after the prompt.
const HEADERS: &[&str] = &["<|channel|>", "<|start|>", "<|constrain|>", MESSAGE, "to=functions."];
/// What ends a message.
const ENDS: &[&str] = &["<|end|>", "<|return|>", "<|call|>", "<|start|>"];
/// How the thoughts of other models are marked in their text.
const THOUGHT: (&str, &str) = ("<think>", "</think>\n\n");
/// A header is short.
const LONGEST_HEADER: usize = 1024;

/// Finds calls in one turn of gpt-oss. Its thoughts come out as text between `<think>` tags.
#[derive(Debug)]
pub(super) struct HarmonyParser {
    /// What was not given out yet.
    held: String,
    state: State,
    calls: u32,
}

#[derive(Debug)]
enum State {
    Header,
    Prose,
    Thought,
    /// Before the arguments of a call of this tool; the header is kept in case that there are none.
    Call {
        name: String,
        header: String,
    },
    Arguments(JsonScanner),
    /// After a call's arguments.
    Rest,
}

impl HarmonyParser {
    pub(super) fn new() -> Self {
        Self { held: String::new(), state: State::Header, calls: 0 }
    }

    pub(super) fn push(&mut self, text: &str, out: &mut Output) {
        self.held.push_str(text);
        while self.step(out) {}
    }

    pub(super) fn finish(&mut self, out: &mut Output) {
        match &self.state {
            State::Prose | State::Thought => out.text(&self.held),
            State::Call { header, .. } => {
                out.text(header);
                out.text(&self.held);
            }
            // A header without its message says nothing.
            State::Header if HEADERS.iter().any(|header| self.held.contains(header)) => {}
            State::Header => out.text(&self.held),
            State::Arguments(_) | State::Rest => {}
        }
        self.held.clear();
    }

    /// Goes on to another state; whether there is more to do without more text.
    fn step(&mut self, out: &mut Output) -> bool {
        match &mut self.state {
            State::Header => self.header(out),
            State::Prose | State::Rest | State::Thought => self.body(out),
            State::Call { name, header } => match self.held.trim_start().chars().next() {
                None => false,
                Some('{') => {
                    self.held.drain(..self.held.len() - self.held.trim_start().len());
                    out.begin(self.calls, name);
                    self.calls += 1;
                    self.state = State::Arguments(JsonScanner::new());
                    true
                }
                Some(_) => {
                    out.text(header);
                    self.state = State::Prose;
                    true
                }
            },
            State::Arguments(scanner) => {
                let end = self.held.bytes().zip(0..).find_map(|(byte, at)| match scanner.push(byte) {
                    Scanned::More => None,
                    Scanned::End => Some((at + 1, State::Rest)),
                    Scanned::Invalid => Some((at, State::Prose)),
                });
                let (length, next) = end.map_or((self.held.len(), None), |(at, next)| (at, Some(next)));
                let json: String = self.held.drain(..length).collect();
                out.arguments(self.calls - 1, &json);
                match next {
                    Some(next) => self.state = next,
                    None => return false,
                }
                true
            }
        }
    }

    /// Reads a header, or finds that there is none.
    fn header(&mut self, out: &mut Output) -> bool {
        let shown = self.held.trim_start();
        let begins = |header: &&str| shown.starts_with(*header) || header.starts_with(shown);
        if !HEADERS.iter().any(begins) || self.held.len() > LONGEST_HEADER {
            self.state = State::Prose;
            return true;
        }
        let Some(end) = self.held.find(MESSAGE) else { return false };
        let header: String = self.held.drain(..end + MESSAGE.len()).collect();
        let name = header.split("to=functions.").nth(1).map(|rest| {
            let length = rest.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(rest.len());
            rest[..length].to_owned()
        });
        self.state = match name {
            // A tool that isn't on offer too: the client says so to the model.
            Some(name) if !name.is_empty() => State::Call { name, header },
            Some(_) => {
                out.text(&header);
                State::Prose
            }
            None if header.contains("<|channel|>analysis") => {
                out.text(THOUGHT.0);
                State::Thought
            }
            None => State::Prose,
        };
        true
    }

    /// Gives out a message up to its end.
    fn body(&mut self, out: &mut Output) -> bool {
        let end = ENDS.iter().filter_map(|end| Some((self.held.find(end)?, *end))).min();
        let length = end.map_or_else(
            || self.held.len() - ENDS.iter().map(|end| longest_beginning(&self.held, end)).max().unwrap_or(0),
            |(at, _)| at,
        );
        let text: String = self.held.drain(..length).collect();
        if !matches!(self.state, State::Rest) {
            out.text(&text);
        }
        let Some((_, end)) = end else { return false };
        if matches!(self.state, State::Thought) {
            out.text(THOUGHT.1);
        }
        // The start of the next message is a part of its header.
        if end != "<|start|>" {
            self.held.drain(..end.len());
        }
        self.state = State::Header;
        true
    }
}
