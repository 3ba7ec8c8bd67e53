//! Parses Harmony, the format of gpt-oss. An answer is a sequence of messages with headers: text on the channel
//! `final`, reasoning on `analysis`, and tool calls on `commentary`.

use super::{
    json_scanner::{JsonScanner, Scanned},
    output::ParserOutput,
};
use crate::engines::llama::text::partial_match_len;

const MESSAGE: &str = "<|message|>";
/// Beginnings of headers. The first header comes right after the prompt.
const HEADER_STARTS: &[&str] = &["<|channel|>", "<|start|>", "<|constrain|>", MESSAGE, "to=functions."];
/// Ends of a message.
const MESSAGE_ENDS: &[&str] = &["<|end|>", "<|return|>", "<|call|>", "<|start|>"];
/// Reasoning tags of other models, which the output has.
const REASONING_TAGS: (&str, &str) = ("<think>", "</think>\n\n");
/// Maximum size of a header, in bytes.
const HEADER_MAX_BYTES: usize = 1024;

/// Parser of one answer. Reasoning becomes text between `<think>` tags.
#[derive(Debug)]
pub(super) struct HarmonyParser {
    /// Text that didn't go out yet.
    held: String,
    state: State,
    calls: u32,
}

#[derive(Debug)]
enum State {
    Header,
    Prose,
    Reasoning,
    /// Before the arguments of a call. Without arguments the header becomes text.
    Call {
        name: String,
        header: String,
    },
    Arguments(JsonScanner),
    /// After a call's arguments.
    AfterCall,
}

impl HarmonyParser {
    pub(super) fn new() -> Self {
        Self { held: String::new(), state: State::Header, calls: 0 }
    }

    pub(super) fn push(&mut self, text: &str, out: &mut ParserOutput) {
        self.held.push_str(text);
        while self.step(out) {}
    }

    pub(super) fn finish(&mut self, out: &mut ParserOutput) {
        match &self.state {
            State::Prose | State::Reasoning => out.push_text(&self.held),
            State::Call { header, .. } => {
                out.push_text(header);
                out.push_text(&self.held);
            }
            // A header without a message is dropped.
            State::Header if HEADER_STARTS.iter().any(|header| self.held.contains(header)) => {}
            State::Header => out.push_text(&self.held),
            State::Arguments(_) | State::AfterCall => {}
        }
        self.held.clear();
    }

    /// Does one transition. Returns whether another one may follow without more text.
    fn step(&mut self, out: &mut ParserOutput) -> bool {
        match &mut self.state {
            State::Header => self.read_header(out),
            State::Prose | State::AfterCall | State::Reasoning => self.read_body(out),
            State::Call { name, header } => match self.held.trim_start().chars().next() {
                None => false,
                Some('{') => {
                    self.held.drain(..self.held.len() - self.held.trim_start().len());
                    out.begin_call(self.calls, name);
                    self.calls += 1;
                    self.state = State::Arguments(JsonScanner::new());
                    true
                }
                Some(_) => {
                    out.push_text(header);
                    self.state = State::Prose;
                    true
                }
            },
            State::Arguments(scanner) => {
                let end = self.held.bytes().zip(0..).find_map(|(byte, at)| match scanner.push(byte) {
                    Scanned::More => None,
                    Scanned::End => Some((at + 1, State::AfterCall)),
                    Scanned::Invalid => Some((at, State::Prose)),
                });
                let (length, next) = end.map_or((self.held.len(), None), |(at, next)| (at, Some(next)));
                let json: String = self.held.drain(..length).collect();
                out.push_arguments(self.calls - 1, &json);
                match next {
                    Some(next) => self.state = next,
                    None => return false,
                }
                true
            }
        }
    }

    /// Reads a header, or continues with prose if there is none.
    fn read_header(&mut self, out: &mut ParserOutput) -> bool {
        let text = self.held.trim_start();
        let may_start = |header: &&str| text.starts_with(*header) || header.starts_with(text);
        if !HEADER_STARTS.iter().any(may_start) || self.held.len() > HEADER_MAX_BYTES {
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
            // Also a tool that isn't on offer: the client answers that to the model.
            Some(name) if !name.is_empty() => State::Call { name, header },
            Some(_) => {
                out.push_text(&header);
                State::Prose
            }
            None if header.contains("<|channel|>analysis") => {
                out.push_text(REASONING_TAGS.0);
                State::Reasoning
            }
            None => State::Prose,
        };
        true
    }

    /// Releases a message's text up to its end.
    fn read_body(&mut self, out: &mut ParserOutput) -> bool {
        let end = MESSAGE_ENDS.iter().filter_map(|end| Some((self.held.find(end)?, *end))).min();
        let length = end.map_or_else(
            || {
                self.held.len()
                    - MESSAGE_ENDS.iter().map(|end| partial_match_len(&self.held, end)).max().unwrap_or(0)
            },
            |(at, _)| at,
        );
        let text: String = self.held.drain(..length).collect();
        if !matches!(self.state, State::AfterCall) {
            out.push_text(&text);
        }
        let Some((_, end)) = end else { return false };
        if matches!(self.state, State::Reasoning) {
            out.push_text(REASONING_TAGS.1);
        }
        // `<|start|>` belongs to the next message's header.
        if end != "<|start|>" {
            self.held.drain(..end.len());
        }
        self.state = State::Header;
        true
    }
}
