//! An answer's thoughts, taken out of its text.
//!
//! Models that think write their thoughts first, between `<think>` and `</think>`, as DeepSeek R1 does and Qwen and others
//! after it. Some templates write the first mark themselves, at the prompt's end.

use super::tools::longest_beginning;

const BEGIN: &str = "<think>";
const END: &str = "</think>";

/// Reads an answer for thoughts.
#[derive(Debug)]
pub(super) struct Thoughts {
    state: State,
    /// What may turn out to be the beginning of a mark, or space before one.
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before its first word.
    Start,
    /// Thinks; said nothing yet.
    Begun,
    Thinks,
    /// Has thought; what follows begins with its first word.
    Thought,
    Answers,
}

/// What text turned out to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) thought: String,
    pub(super) answer: String,
}

/// Whether a model with this chat template marks its thoughts.
pub(super) fn marks(template: &str) -> bool {
    template.contains(END)
}

impl Thoughts {
    /// For an answer to this prompt.
    pub(super) fn after(prompt: &str) -> Self {
        let state = if prompt.trim_end().ends_with(BEGIN) { State::Begun } else { State::Start };
        Self { state, held: String::new() }
    }

    /// Whether what comes next is thought, as far as is known.
    pub(super) fn thinks(&self) -> bool {
        matches!(self.state, State::Begun | State::Thinks)
    }

    /// Takes what follows of the answer.
    pub(super) fn push(&mut self, text: &str) -> Split {
        let mut split = Split::default();
        self.held.push_str(text);
        while self.step(&mut split) {}
        split
    }

    /// The answer is over: what was held back is what it seems to be.
    pub(super) fn finish(&mut self) -> Split {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Begun | State::Thinks => Split { thought: held.trim_end().to_owned(), ..Split::default() },
            State::Start | State::Answers => Split { answer: held, ..Split::default() },
            State::Thought => Split::default(),
        }
    }

    /// Goes on to another state; whether there is more to do without more text.
    fn step(&mut self, split: &mut Split) -> bool {
        match self.state {
            State::Start => {
                let said = self.held.trim_start();
                if let Some(rest) = said.strip_prefix(BEGIN) {
                    self.held = rest.to_owned();
                    self.state = State::Begun;
                    return true;
                }
                let undecided = BEGIN.starts_with(said);
                if !undecided {
                    self.state = State::Answers;
                }
                !undecided
            }
            State::Begun | State::Thought => {
                self.held.drain(..self.held.len() - self.held.trim_start().len());
                let next = if self.state == State::Begun { State::Thinks } else { State::Answers };
                if !self.held.is_empty() {
                    self.state = next;
                }
                !self.held.is_empty()
            }
            State::Thinks => {
                if let Some(at) = self.held.find(END) {
                    split.thought.push_str(self.held[..at].trim_end());
                    self.held.drain(..at + END.len());
                    self.state = State::Thought;
                    return true;
                }
                let certain = &self.held[..self.held.len() - longest_beginning(&self.held, END)];
                let certain = certain.trim_end().len();
                split.thought.extend(self.held.drain(..certain));
                false
            }
            State::Answers => {
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

    /// What becomes of an answer that comes in these pieces.
    fn read(prompt: &str, pieces: &[&str]) -> (String, String) {
        let mut thoughts = Thoughts::after(prompt);
        let (mut thought, mut answer) = (String::new(), String::new());
        let splits = pieces.iter().map(|piece| thoughts.push(piece)).collect::<Vec<_>>();
        for split in splits.into_iter().chain([thoughts.finish()]) {
            thought.push_str(&split.thought);
            answer.push_str(&split.answer);
        }
        (thought, answer)
    }

    #[test]
    fn thoughts_come_out_of_the_text() {
        let cases = [
            ("", "<think>\nhm, hm\n</think>\n\nFour.", "hm, hm", "Four."),
            ("", "\n<think>hm</think>Four.\n", "hm", "Four.\n"),
            // The template has begun them, or has ended them.
            ("<|assistant|><think>\n", "hm\n</think>\n\nFour.", "hm", "Four."),
            ("<think>\n\n</think>\n\n", "Four.", "", "Four."),
            ("", "<think>\n\n</think>\n\nFour.", "", "Four."),
            // Whoever doesn't think, or only says how it is written.
            ("", "Four.", "", "Four."),
            ("", " <thin air>", "", " <thin air>"),
            ("", "A <think> is </think>.", "", "A <think> is </think>."),
            // Cut in the middle.
            ("", "<think>hm </thi", "hm </thi", ""),
            ("", "<thi", "", "<thi"),
            ("", "<think>", "", ""),
            ("", "", "", ""),
            ("", "<think>a <b> < / </think > c</think>d", "a <b> < / </think > c", "d"),
        ];
        for (prompt, text, thought, answer) in cases {
            let expected = (thought.to_owned(), answer.to_owned());
            assert_eq!(read(prompt, &[text]), expected, "{text:?} after {prompt:?}");
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(read(prompt, &letters), expected, "{text:?} after {prompt:?}, by letters");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            pieces in proptest::collection::vec("(<think>|</think>|[a<>/ \n€]{0,3})", 0..12),
            begun in any::<bool>(),
        ) {
            let prompt = if begun { "<think>" } else { "" };
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(read(prompt, &pieces), read(prompt, &[&pieces.concat()]));
        }
    }
}
