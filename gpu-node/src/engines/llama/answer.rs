//! What becomes of one answer's tokens: whole characters, up to a stop text, with the tool calls taken
//! out.

use std::collections::{HashSet, VecDeque};

use hearth_domain::{Reasoning, TokenLogprob};
use hearth_wire::{RunEventBody, event::ToolCallBegin};
use llama_cpp_2::token::LlamaToken;

use super::{
    sampler::Sampled,
    stop::{StopWatch, Watched},
    text::TextDecoder,
    thoughts::{Split, Thoughts},
    tools::{Piece, ToolCallParser},
    vocabulary::Vocabulary,
};

/// One answer, as far as it has come.
pub(super) struct Answer {
    choice: u32,
    decoder: TextDecoder,
    stop: StopWatch,
    tools: Option<ToolReader>,
    /// Reads the text for thoughts, where the model may write some.
    thoughts: Option<Thoughts>,
    /// Tokens of thoughts.
    pub(super) thought: u32,
    logprobs: Logprobs,
}

/// Reads an answer's tool calls.
pub(super) struct ToolReader {
    pub(super) parser: ToolCallParser,
    /// Special tokens that the calls are written with.
    pub(super) markers: HashSet<LlamaToken>,
    pub(super) called: bool,
    /// The answer ends after its first call.
    pub(super) only_one: bool,
}

impl Answer {
    /// The answer `choice` of a run, before its first token.
    pub(super) fn new(
        choice: u32,
        stop: Vec<String>,
        tools: Option<ToolReader>,
        thoughts: Option<Thoughts>,
    ) -> Self {
        let (decoder, stop) = (TextDecoder::new(), StopWatch::new(stop));
        Self { choice, decoder, stop, tools, thoughts, thought: 0, logprobs: Logprobs::default() }
    }

    /// Takes a token; whether the answer ends with it: a stop text was met, or a call too many began.
    pub(super) fn push(
        &mut self,
        sampled: Sampled,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> bool {
        let marks = self.tools.as_ref().is_some_and(|tools| tools.markers.contains(&sampled.token));
        let bytes = if marks { vocabulary.name(sampled.token) } else { vocabulary.text(sampled.token) };
        let text = self.decoder.push(bytes);
        self.logprobs.push(sampled.logprob, text.len());
        self.thought += u32::from(self.thoughts.as_ref().is_some_and(Thoughts::thinks));
        match self.stop.push(&text) {
            Watched::Pass(text) => self.pass(text, events),
            Watched::Stopped { before, stop } => {
                if !self.pass(before, events) {
                    self.flush(events);
                }
                events.push(RunEventBody::StopText { choice: self.choice, text: stop });
                true
            }
        }
    }

    /// The answer ends here: what was held back goes out.
    pub(super) fn finish(&mut self, events: &mut Vec<RunEventBody>) {
        let held = self.stop.finish();
        if !self.pass(held, events) {
            self.flush(events);
        }
    }

    /// Whether it calls a tool.
    pub(super) fn calls_tools(&self) -> bool {
        self.tools.as_ref().is_some_and(|tools| tools.called)
    }

    /// Lets text out; whether the answer ends with it.
    fn pass(&mut self, text: String, events: &mut Vec<RunEventBody>) -> bool {
        let logprobs = self.logprobs.pass(text.len());
        let Some(tools) = &mut self.tools else {
            self.text(text, logprobs, events);
            return false;
        };
        let pieces = tools.parser.push(&text);
        self.pieces(pieces, logprobs, events)
    }

    fn flush(&mut self, events: &mut Vec<RunEventBody>) {
        if let Some(tools) = &mut self.tools {
            let pieces = tools.parser.finish();
            self.pieces(pieces, Vec::new(), events);
        }
        let split = self.thoughts.as_mut().map(Thoughts::finish).unwrap_or_default();
        self.say(split, Vec::new(), events);
    }

    /// Log-probabilities go with the first text; those of a call's tokens go nowhere. Gives whether a
    /// call begins that is one too many.
    fn pieces(
        &mut self,
        pieces: Vec<Piece>,
        mut logprobs: Vec<TokenLogprob>,
        events: &mut Vec<RunEventBody>,
    ) -> bool {
        for piece in pieces {
            let (index, begins, arguments) = match piece {
                Piece::Text(text) => {
                    self.text(text, std::mem::take(&mut logprobs), events);
                    continue;
                }
                Piece::Begin { index, id, name } => (index, Some(ToolCallBegin { id, name }), String::new()),
                Piece::Arguments { index, json } => (index, None, json),
            };
            if let Some(tools) = &mut self.tools {
                if tools.only_one && index > 0 {
                    return true;
                }
                tools.called = true;
            }
            events.push(RunEventBody::ToolCall { choice: self.choice, index, begins, arguments });
        }
        false
    }

    fn text(&mut self, text: String, logprobs: Vec<TokenLogprob>, events: &mut Vec<RunEventBody>) {
        let split = match &mut self.thoughts {
            Some(thoughts) => thoughts.push(&text),
            None => Split { answer: text, ..Split::default() },
        };
        self.say(split, logprobs, events);
    }

    /// Log-probabilities are told of what is answered, not of thoughts.
    fn say(&self, split: Split, logprobs: Vec<TokenLogprob>, events: &mut Vec<RunEventBody>) {
        let choice = self.choice;
        let thinks = self.thoughts.as_ref().is_some_and(Thoughts::thinks) || !split.thought.is_empty();
        if !split.thought.is_empty() {
            let added = Reasoning { text: split.thought, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice, index: 0, added });
        }
        if !split.answer.is_empty() || !thinks && !logprobs.is_empty() {
            events.push(RunEventBody::Delta { choice, text: split.answer, logprobs });
        }
    }
}

/// Log-probabilities wait until the text of their token goes out.
#[derive(Debug, Default)]
struct Logprobs {
    /// Each with where its token's text begins.
    waiting: VecDeque<(usize, TokenLogprob)>,
    taken: usize,
    passed: usize,
}

impl Logprobs {
    fn push(&mut self, logprob: Option<TokenLogprob>, bytes: usize) {
        self.waiting.extend(logprob.map(|logprob| (self.taken, logprob)));
        self.taken += bytes;
    }

    fn pass(&mut self, bytes: usize) -> Vec<TokenLogprob> {
        self.passed += bytes;
        let mut gone = Vec::new();
        // A token without text of its own goes with what is before it.
        while let Some((_, logprob)) =
            self.waiting.pop_front_if(|(begins, _)| *begins < self.passed || self.taken == self.passed)
        {
            gone.push(logprob);
        }
        gone
    }
}
