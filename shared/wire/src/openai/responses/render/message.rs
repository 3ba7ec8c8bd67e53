//! What the model says: an item with one part, which is its text, or why it won't answer.

use hearth_domain::TokenLogprob;
use serde_json::{Value, json};

use super::{COMPLETED, IN_PROGRESS, Renderer};
use crate::openai::{
    logprobs::entries,
    responses::{OutputItem, OutputPart, layout::Part},
};

impl Renderer {
    pub(super) fn text(&mut self, text: &str, logprobs: &[TokenLogprob]) {
        if text.is_empty() && logprobs.is_empty() {
            return;
        }
        let index = self.message(Part::Text);
        let logprobs = entries(logprobs);
        if let Some(OutputPart::Text(part)) = self.part(index) {
            part.text.push_str(text);
            part.logprobs.extend_from_slice(&logprobs);
        }
        let fields = json!({"content_index": 0, "delta": text, "logprobs": logprobs});
        self.tell_of(index, "response.output_text.delta", fields);
    }

    pub(super) fn refusal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let index = self.message(Part::Refusal);
        if let Some(OutputPart::Refusal(part)) = self.part(index) {
            part.refusal.push_str(text);
        }
        self.tell_of(index, "response.refusal.delta", json!({"content_index": 0, "delta": text}));
    }

    /// The message that goes on, or a new one.
    fn message(&mut self, of: Part) -> usize {
        let open = self.made.iter().rposition(|made| made.open && made.of == of);
        open.unwrap_or_else(|| self.begin_message(of))
    }

    pub(super) fn begin_message(&mut self, of: Part) -> usize {
        self.end_all_but_calls();
        let part = OutputPart::begun(of == Part::Refusal);
        let message = OutputItem::Message {
            id: self.item_id("msg"),
            status: IN_PROGRESS.to_owned(),
            role: "assistant".to_owned(),
            content: vec![part.clone()],
        };
        let index = self.add(of, message);
        self.tell_of(index, "response.content_part.added", json!({"content_index": 0, "part": part}));
        index
    }

    fn part(&mut self, index: usize) -> Option<&mut OutputPart> {
        match self.response.output.get_mut(index) {
            Some(OutputItem::Message { content, .. }) => content.first_mut(),
            _ => None,
        }
    }

    /// Tells the end of a message's part.
    pub(super) fn end_part(&mut self, index: usize, part: &OutputPart) {
        let (name, fields): (_, Value) = match part {
            OutputPart::Text(part) => (
                "response.output_text.done",
                json!({"content_index": 0, "text": part.text, "logprobs": part.logprobs}),
            ),
            OutputPart::Refusal(part) => {
                ("response.refusal.done", json!({"content_index": 0, "refusal": part.refusal}))
            }
        };
        self.tell_of(index, name, fields);
        self.tell_of(index, "response.content_part.done", json!({"content_index": 0, "part": part}));
    }

    /// Ends what can't go on when something new begins. Calls can: some providers make several at once.
    pub(super) fn end_all_but_calls(&mut self) {
        for index in 0..self.made.len() {
            if self.made[index].open && !matches!(self.made[index].of, Part::Call(_)) {
                self.end(index, COMPLETED);
            }
        }
    }
}
