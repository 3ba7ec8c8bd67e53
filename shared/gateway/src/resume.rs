//! Going on with an answer that broke off, where the request allows it.
//!
//! Another model is given the conversation, what was said of the answer, and the instruction to go on from
//! there. Only plain text can be gone on with: half a tool's arguments, or half a JSON object, can't.

use hearth_domain::{Generation, Message, ResponseFormat, Role, Task};
use hearth_wire::RunEventBody;

const GO_ON: &str = "Your last message was cut off. Go on from exactly where it ends. Repeat nothing of it, and say \
                     nothing about having been cut off.";

/// What a client was given of an answer.
#[derive(Debug)]
pub(crate) struct Said {
    text: String,
    /// What was given beside text can't be gone on with.
    only_text: bool,
    /// Messages of the conversation itself: what is added for going on comes after them.
    messages: usize,
}

impl Said {
    /// Nothing yet; none if the request doesn't allow, or its form doesn't bear, that another goes on.
    pub(crate) fn of(generation: &Generation) -> Option<Self> {
        let Task::Text(task) = &generation.task else { return None };
        let plain = task.choices == 1
            && task.response_format == ResponseFormat::Text
            && task.top_logprobs.is_none()
            && generation.route.resume;
        plain.then(|| Self { text: String::new(), only_text: true, messages: task.messages.len() })
    }

    /// Notes a piece of the answer.
    pub(crate) fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { text, .. } => self.text.push_str(text),
            RunEventBody::Reasoning { .. } | RunEventBody::StopText { .. } | RunEventBody::Usage { .. } => {}
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

    /// The request to go on.
    pub(crate) fn going_on(&self, generation: &Generation) -> Generation {
        let mut generation = generation.clone();
        if let Task::Text(task) = &mut generation.task {
            task.messages.truncate(self.messages);
            task.messages.push(Message::new(Role::Assistant, self.text.clone()));
            task.messages.push(Message::new(Role::User, GO_ON));
        }
        generation
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Route, Sampling, TextTask};

    use super::*;

    fn generation(resume: bool) -> Generation {
        let task = TextTask::new(vec![Message::new(Role::User, "Count")], Sampling::default());
        Generation { route: Route { resume, ..Route::default() }, ..Generation::new(None, task) }
    }

    #[test]
    fn the_next_model_is_told_what_was_said_and_to_go_on() {
        assert!(Said::of(&generation(false)).is_none());
        let mut said = Said::of(&generation(true)).unwrap();
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
}
