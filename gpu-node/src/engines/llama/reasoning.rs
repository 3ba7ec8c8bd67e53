//! Separates reasoning from the answer's text.
//!
//! Reasoning models write their reasoning first, between `<think>` and `</think>`, as DeepSeek R1 does and Qwen and
//! others after it. Some templates write the opening tag themselves, at the prompt's end.

use super::text::partial_match_len;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Parser of one answer's text.
#[derive(Debug)]
pub(super) struct ReasoningParser {
    state: State,
    /// Text that may be the beginning of a tag, or white space before one.
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first word.
    Start,
    /// After the opening tag, before the first word of reasoning.
    Opened,
    Reasoning,
    /// After the closing tag, before the first word of the answer.
    Closed,
    Answer,
}

/// Text, split into reasoning and answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) reasoning: String,
    pub(super) answer: String,
}

/// Returns whether a model with this chat template writes reasoning in tags.
pub(super) fn has_reasoning_tags(template: &str) -> bool {
    template.contains(CLOSE)
}

impl ReasoningParser {
    /// A parser of an answer to this prompt, of which the end suffices.
    pub(super) fn after_prompt(prompt: &str) -> Self {
        let state = if prompt.trim_end().ends_with(OPEN) { State::Opened } else { State::Start };
        Self { state, held: String::new() }
    }

    /// Returns whether the text that comes next is reasoning, unless a tag ends it.
    pub(super) fn is_reasoning(&self) -> bool {
        matches!(self.state, State::Opened | State::Reasoning)
    }

    /// Adds text of the answer.
    pub(super) fn push(&mut self, text: &str) -> Split {
        let mut split = Split::default();
        self.held.push_str(text);
        while self.step(&mut split) {}
        split
    }

    /// Returns the held-back text, when the answer has ended.
    pub(super) fn finish(&mut self) -> Split {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Opened | State::Reasoning => {
                Split { reasoning: held.trim_end().to_owned(), ..Split::default() }
            }
            State::Start | State::Answer => Split { answer: held, ..Split::default() },
            State::Closed => Split::default(),
        }
    }

    /// Does one transition. Returns whether another one may follow without more text.
    fn step(&mut self, split: &mut Split) -> bool {
        match self.state {
            State::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Opened;
                    return true;
                }
                let undecided = OPEN.starts_with(text);
                if !undecided {
                    self.state = State::Answer;
                }
                !undecided
            }
            State::Opened | State::Closed => {
                self.held.drain(..self.held.len() - self.held.trim_start().len());
                let next = if self.state == State::Opened { State::Reasoning } else { State::Answer };
                if !self.held.is_empty() {
                    self.state = next;
                }
                !self.held.is_empty()
            }
            State::Reasoning => {
                if let Some(at) = self.held.find(CLOSE) {
                    split.reasoning.push_str(self.held[..at].trim_end());
                    self.held.drain(..at + CLOSE.len());
                    self.state = State::Closed;
                    return true;
                }
                let certain = &self.held[..self.held.len() - partial_match_len(&self.held, CLOSE)];
                let certain = certain.trim_end().len();
                split.reasoning.extend(self.held.drain(..certain));
                false
            }
            State::Answer => {
                split.answer.push_str(&std::mem::take(&mut self.held));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parses an answer in pieces. Returns its reasoning and its text.
    fn parse(prompt: &str, pieces: &[&str]) -> (String, String) {
        let mut parser = ReasoningParser::after_prompt(prompt);
        let (mut reasoning, mut answer) = (String::new(), String::new());
        let splits = pieces.iter().map(|piece| parser.push(piece)).collect::<Vec<_>>();
        for split in splits.into_iter().chain([parser.finish()]) {
            reasoning.push_str(&split.reasoning);
            answer.push_str(&split.answer);
        }
        (reasoning, answer)
    }

    #[test]
    fn reasoning_is_separated_from_the_answer() {
        let cases = [
            ("", "<think>\nhm, hm\n</think>\n\nFour.", "hm, hm", "Four."),
            ("", "\n<think>hm</think>Four.\n", "hm", "Four.\n"),
            // The template has opened the reasoning, or has closed it.
            ("<|assistant|><think>\n", "hm\n</think>\n\nFour.", "hm", "Four."),
            ("<think>\n\n</think>\n\n", "Four.", "", "Four."),
            ("", "<think>\n\n</think>\n\nFour.", "", "Four."),
            // Text without reasoning, or with tags in prose.
            ("", "Four.", "", "Four."),
            ("", " <thin air>", "", " <thin air>"),
            ("", "A <think> is </think>.", "", "A <think> is </think>."),
            // Cut off.
            ("", "<think>hm </thi", "hm </thi", ""),
            ("", "<thi", "", "<thi"),
            ("", "<think>", "", ""),
            ("", "", "", ""),
            ("", "<think>a <b> < / </think > c</think>d", "a <b> < / </think > c", "d"),
        ];
        for (prompt, text, reasoning, answer) in cases {
            let expected = (reasoning.to_owned(), answer.to_owned());
            assert_eq!(parse(prompt, &[text]), expected, "{text:?} after {prompt:?}");
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(parse(prompt, &letters), expected, "{text:?} after {prompt:?}, by letters");
        }
    }

    proptest! {
        #[test]
        fn result_is_the_same_for_any_pieces(
            pieces in proptest::collection::vec("(<think>|</think>|[a<>/ \n€]{0,3})", 0..12),
            opened in any::<bool>(),
        ) {
            let prompt = if opened { "<think>" } else { "" };
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(parse(prompt, &pieces), parse(prompt, &[&pieces.concat()]));
        }
    }
}
