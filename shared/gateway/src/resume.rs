//! Going on with an answer that broke off, where the request allows it.
//!
//! Another model is given the conversation, what was said of the answer, and the instruction to go on from
//! there. Only plain text can be gone on with: half a tool's arguments, or half a JSON object, can't.
//!
//! What the answer takes, and costs, is what all of them took. A provider tells it at the end, and one that broke off
//! never came to it: then it is estimated, four bytes to a token.

use hearth_domain::{Cost, Generation, Message, ResponseFormat, Role, Task, Usage};
use hearth_wire::RunEventBody;

const GO_ON: &str = "Your last message was cut off. Go on from exactly where it ends. Repeat nothing of it, and say \
                     nothing about having been cut off.";
/// How many bytes of text make a token, as is usual for English.
const BYTES: usize = 4;
/// Tokens around each message.
const AROUND: usize = 4;

/// What a client was given of an answer.
#[derive(Debug)]
pub(crate) struct PartialAnswer {
    text: String,
    /// What was given beside text can't be gone on with.
    only_text: bool,
    /// Messages of the conversation itself: what is added for going on comes after them.
    messages: usize,
    /// How long the whole answer may be, in tokens.
    max_tokens: Option<u32>,
    /// How many bytes of text and thoughts the present model has given.
    given: usize,
    /// What the present model says that it took.
    usage: Option<Usage>,
    /// What those took that are done.
    before: Option<UsageAndCost>,
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct UsageAndCost {
    pub(crate) usage: Usage,
    /// What it cost; none where that isn't known.
    pub(crate) cost: Option<Cost>,
}

impl UsageAndCost {
    /// Both together. What isn't known of one isn't known of both.
    pub(crate) fn and(self, other: Self) -> Self {
        let cost = self.cost.zip(other.cost).map(|(one, other)| one + other);
        Self { usage: self.usage.and(&other.usage), cost }
    }
}

impl PartialAnswer {
    /// Nothing yet; none if the request doesn't allow, or its form doesn't bear, that another goes on.
    pub(crate) fn of(generation: &Generation) -> Option<Self> {
        let Task::Text(task) = &generation.task else { return None };
        let plain = task.choices == 1
            && task.response_format == ResponseFormat::Text
            && task.top_logprobs.is_none()
            && generation.route.resume;
        plain.then(|| Self {
            text: String::new(),
            only_text: true,
            messages: task.messages.len(),
            max_tokens: task.sampling.max_tokens,
            given: 0,
            usage: None,
            before: None,
        })
    }

    /// Notes a piece of the answer.
    pub(crate) fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { text, .. } => {
                self.text.push_str(text);
                self.given += text.len();
            }
            RunEventBody::Usage { usage } => self.usage = Some(*usage),
            RunEventBody::Reasoning { added, .. } => self.given += added.text.len(),
            RunEventBody::StopText { .. } | RunEventBody::Structured { .. } => {}
            _ => self.only_text = false,
        }
    }

    /// Whether there is something to go on with.
    pub(crate) fn has_begun(&self) -> bool {
        !self.text.is_empty()
    }

    /// Whether another model can go on with it.
    pub(crate) fn can_go_on(&self) -> bool {
        self.only_text
    }

    /// What the present model took: as it says, else estimated; none if it has given nothing.
    pub(crate) fn taken(&self, generation: &Generation) -> Option<Usage> {
        let estimate = || Usage {
            prompt_tokens: prompt_tokens(generation),
            completion_tokens: tokens(self.given),
            ..Usage::default()
        };
        self.usage.or_else(|| (self.given > 0).then(estimate))
    }

    /// Whether there is something to tell of what was taken: by a model that says so, or one that broke off.
    pub(crate) fn is_to_be_told(&self) -> bool {
        self.usage.is_some() || self.before.is_some()
    }

    /// The present model is done, and took so much.
    pub(crate) fn took(&mut self, spent: UsageAndCost) {
        self.before = Some(self.before.map_or(spent, |before| before.and(spent)));
        (self.usage, self.given) = (None, 0);
    }

    /// What all have taken.
    pub(crate) fn spent(&self) -> Option<UsageAndCost> {
        self.before
    }

    /// The request to go on. The rest may be as long as the whole may be, without what was said.
    pub(crate) fn going_on(&self, generation: &Generation) -> Generation {
        let mut generation = generation.clone();
        if let Task::Text(task) = &mut generation.task {
            task.messages.truncate(self.messages);
            task.messages.push(Message::new(Role::Assistant, self.text.clone()));
            task.messages.push(Message::new(Role::User, GO_ON));
            let said = self.before.map_or(0, |before| before.usage.completion_tokens);
            task.sampling.max_tokens = self.max_tokens.map(|most| most.saturating_sub(said).max(1));
        }
        generation
    }
}

/// About how many tokens a request's conversation has.
fn prompt_tokens(generation: &Generation) -> u32 {
    let Task::Text(task) = &generation.task else { return 0 };
    let bytes = task.messages.iter().map(|message| message.content.len() + AROUND * BYTES);
    tokens(bytes.sum())
}

fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES)).unwrap_or(u32::MAX)
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

    fn most(generation: &Generation) -> Option<u32> {
        let Task::Text(task) = &generation.task else { panic!("no text") };
        task.sampling.max_tokens
    }

    #[test]
    fn the_next_model_is_told_what_was_said_and_to_go_on() {
        assert!(PartialAnswer::of(&generation(false)).is_none());
        let mut said = PartialAnswer::of(&generation(true)).unwrap();
        assert!(!said.has_begun());
        said.note(&RunEventBody::text("one, "));
        said.note(&RunEventBody::text("two, "));
        assert!(said.has_begun() && said.can_go_on());
        // However often it breaks off, the conversation grows once.
        let once = said.going_on(&generation(true));
        let Task::Text(task) = said.going_on(&once).task else { panic!("no text") };
        let told: Vec<_> = task.messages.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(told, ["Count", "one, two, ", GO_ON]);
        let call = RunEventBody::ToolCall { choice: 0, index: 0, begins: None, arguments: "{".into() };
        said.note(&call);
        assert!(!said.can_go_on());
    }

    #[test]
    fn what_was_said_counts_towards_the_length_and_the_usage() {
        let cost = |text: &str| Some(text.parse().unwrap());
        let asked = generation(true);
        let mut said = PartialAnswer::of(&asked).unwrap();
        assert!(!said.is_to_be_told());
        said.note(&RunEventBody::text("one, two, "));
        // Nobody has told: "Count" and what is around it are six tokens, ten bytes three.
        let usage = said.taken(&asked).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (6, 3));
        said.took(UsageAndCost { usage, cost: cost("0.5") });
        assert_eq!(said.taken(&asked), None);
        let second = said.going_on(&asked);
        assert_eq!(most(&second), Some(7));
        // The next one tells before it breaks off too.
        said.note(&RunEventBody::text("three"));
        said.note(&RunEventBody::Usage {
            usage: Usage { prompt_tokens: 20, completion_tokens: 9, ..Usage::default() },
        });
        let usage = said.taken(&second).unwrap();
        assert_eq!(usage.completion_tokens, 9);
        said.took(UsageAndCost { usage, cost: cost("0.25") });
        // Somebody may always say one token.
        assert_eq!(most(&said.going_on(&second)), Some(1));
        let last = Usage { prompt_tokens: 1, completion_tokens: 1, ..Usage::default() };
        said.took(UsageAndCost { usage: last, cost: cost("0.25") });
        let all = said.spent().unwrap();
        assert_eq!((all.usage.prompt_tokens, all.usage.completion_tokens), (27, 13));
        assert_eq!(all.cost, cost("1"));
        said.took(UsageAndCost { usage: last, cost: None });
        assert_eq!(said.spent().unwrap().cost, None);
    }
}
