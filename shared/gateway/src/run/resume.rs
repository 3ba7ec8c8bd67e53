//! Continues an answer that broke off, where the request allows it.
//!
//! Another model gets the conversation, the text of the answer so far, and the instruction to continue it. That works for
//! plain text only, and not for a part of a tool's arguments or of a JSON object.
//!
//! Usage and cost of the answer are the sums over all models. A provider reports its usage at the end, which one that
//! broke off never reached: then it is estimated, four bytes to a token.

use hearth_domain::{ClientDialect, Cost, Generation, Message, ResponseFormat, Role, Task, Usage};
use hearth_wire::{RunEventBody, extension::Extension};

const INSTRUCTION: &str = "Your last message was cut off. Go on from exactly where it ends. Repeat nothing of it, and say \
                           nothing about having been cut off.";
/// Bytes of text for one token, as is usual for English.
const BYTES_PER_TOKEN: usize = 4;
/// Tokens around each message.
const TOKENS_PER_MESSAGE: usize = 4;

/// The part of an answer that the client has.
#[derive(Debug)]
pub(super) struct PartialAnswer {
    text: String,
    /// Nothing but text, which another model can continue.
    is_text_only: bool,
    /// The client's dialect: the client has the extensions in it.
    client: ClientDialect,
    /// Number of the conversation's own messages. Those of a continuation come after them.
    messages: usize,
    /// Limit of the whole answer's tokens.
    max_tokens: Option<u32>,
    /// Bytes of text and reasoning of the present model.
    bytes: usize,
    /// Usage as the present model reports it.
    reported: Option<Usage>,
    /// Usage and cost of the models before.
    before: Option<UsageAndCost>,
}

/// Usage, and its cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct UsageAndCost {
    pub(super) usage: Usage,
    /// None if it is unknown.
    pub(super) cost: Option<Cost>,
}

impl UsageAndCost {
    /// The sum. A cost that is unknown for one is unknown for both.
    pub(super) fn and(self, other: Self) -> Self {
        let cost = self.cost.zip(other.cost).map(|(one, other)| one + other);
        Self { usage: self.usage.and(&other.usage), cost }
    }
}

impl PartialAnswer {
    /// An empty answer; none if the request or its format doesn't allow that another model continues it.
    pub(super) fn new(generation: &Generation) -> Option<Self> {
        let Task::Text(task) = &generation.task else { return None };
        let plain = task.choices == 1
            && task.response_format == ResponseFormat::Text
            && task.top_logprobs.is_none()
            && generation.route.resume;
        plain.then(|| Self {
            text: String::new(),
            is_text_only: true,
            client: generation.extra.dialect,
            messages: task.messages.len(),
            max_tokens: task.sampling.max_tokens,
            bytes: 0,
            reported: None,
            before: None,
        })
    }

    /// Adds a piece of the answer, or its usage.
    pub(super) fn apply(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { text, .. } => {
                self.text.push_str(text);
                self.bytes += text.len();
            }
            RunEventBody::Usage { usage } => self.reported = Some(*usage),
            RunEventBody::Reasoning { added, .. } => self.bytes += added.text.len(),
            RunEventBody::Extension { dialect, extension, .. } => {
                let is_sent = matches!(extension, Extension::Annotation(_) | Extension::Item(_));
                self.is_text_only &= !(is_sent && *dialect == self.client);
            }
            _ => self.is_text_only = false,
        }
    }

    /// True if there is text to continue.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty()
    }

    /// True if another model can continue it.
    pub(super) fn is_resumable(&self) -> bool {
        self.is_text_only
    }

    /// Usage of the present model: as reported, else estimated; none if it has sent nothing.
    pub(super) fn usage(&self, generation: &Generation) -> Option<Usage> {
        let estimate = || Usage {
            prompt_tokens: prompt_tokens(generation),
            completion_tokens: tokens(self.bytes),
            ..Usage::default()
        };
        self.reported.or_else(|| (self.bytes > 0).then(estimate))
    }

    /// True if there is a usage to report: of a model that has reported it, or of one that broke off.
    pub(super) fn has_usage(&self) -> bool {
        self.reported.is_some() || self.before.is_some()
    }

    /// Ends the present model's part.
    pub(super) fn end_model(&mut self, spent: UsageAndCost) {
        self.before = Some(self.before.map_or(spent, |before| before.and(spent)));
        (self.reported, self.bytes) = (None, 0);
    }

    /// Usage and cost of all models.
    pub(super) fn total(&self) -> Option<UsageAndCost> {
        self.before
    }

    /// The request for a continuation, with the limit of tokens that is left.
    pub(super) fn continuation(&self, generation: &Generation) -> Generation {
        let mut generation = generation.clone();
        if let Task::Text(task) = &mut generation.task {
            task.messages.truncate(self.messages);
            task.messages.push(Message::new(Role::Assistant, self.text.clone()));
            task.messages.push(Message::new(Role::User, INSTRUCTION));
            let used = self.before.map_or(0, |before| before.usage.completion_tokens);
            task.sampling.max_tokens = self.max_tokens.map(|max| max.saturating_sub(used).max(1));
        }
        generation
    }
}

/// Estimated number of tokens of a request's conversation.
fn prompt_tokens(generation: &Generation) -> u32 {
    let Task::Text(task) = &generation.task else { return 0 };
    let bytes =
        task.messages.iter().map(|message| message.content.len() + TOKENS_PER_MESSAGE * BYTES_PER_TOKEN);
    tokens(bytes.sum())
}

fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Route, Sampling, TextTask};

    use super::*;

    fn generation(resume: bool) -> Generation {
        let sampling = Sampling { max_tokens: Some(10), ..Sampling::default() };
        let task = TextTask::new(vec![Message::new(Role::User, "Count")], sampling);
        Generation { route: Route { resume, ..Route::default() }, ..Generation::new(None, task) }
    }

    fn max_tokens(generation: &Generation) -> Option<u32> {
        let Task::Text(task) = &generation.task else { panic!("no text") };
        task.sampling.max_tokens
    }

    #[test]
    fn continuation_has_the_text_and_an_instruction() {
        assert!(PartialAnswer::new(&generation(false)).is_none());
        let mut partial = PartialAnswer::new(&generation(true)).unwrap();
        assert!(!partial.has_begun());
        partial.apply(&RunEventBody::text("one, "));
        partial.apply(&RunEventBody::text("two, "));
        assert!(partial.has_begun() && partial.is_resumable());
        // However often it breaks off, the conversation grows once.
        let once = partial.continuation(&generation(true));
        let Task::Text(task) = partial.continuation(&once).task else { panic!("no text") };
        let texts: Vec<_> = task.messages.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(texts, ["Count", "one, two, ", INSTRUCTION]);
        let call = RunEventBody::ToolCall { choice: 0, index: 0, begins: None, arguments: "{".into() };
        partial.apply(&call);
        assert!(!partial.is_resumable());
    }

    #[test]
    fn text_before_counts_towards_the_limit_and_the_usage() {
        let cost = |text: &str| Some(text.parse().unwrap());
        let request = generation(true);
        let mut partial = PartialAnswer::new(&request).unwrap();
        assert!(!partial.has_usage());
        partial.apply(&RunEventBody::text("one, two, "));
        // Not reported: "Count" with its message is six tokens, ten bytes are three.
        let usage = partial.usage(&request).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (6, 3));
        partial.end_model(UsageAndCost { usage, cost: cost("0.5") });
        assert_eq!(partial.usage(&request), None);
        let second = partial.continuation(&request);
        assert_eq!(max_tokens(&second), Some(7));
        // The next model reports its usage before it breaks off too.
        partial.apply(&RunEventBody::text("three"));
        partial.apply(&RunEventBody::Usage {
            usage: Usage { prompt_tokens: 20, completion_tokens: 9, ..Usage::default() },
        });
        let usage = partial.usage(&second).unwrap();
        assert_eq!(usage.completion_tokens, 9);
        partial.end_model(UsageAndCost { usage, cost: cost("0.25") });
        // The limit is never below one token.
        assert_eq!(max_tokens(&partial.continuation(&second)), Some(1));
        let last = Usage { prompt_tokens: 1, completion_tokens: 1, ..Usage::default() };
        partial.end_model(UsageAndCost { usage: last, cost: cost("0.25") });
        let all = partial.total().unwrap();
        assert_eq!((all.usage.prompt_tokens, all.usage.completion_tokens), (27, 13));
        assert_eq!(all.cost, cost("1"));
        partial.end_model(UsageAndCost { usage: last, cost: None });
        assert_eq!(partial.total().unwrap().cost, None);
    }
}
