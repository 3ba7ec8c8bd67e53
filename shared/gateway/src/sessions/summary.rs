//! Summaries of the beginning of a session, in place of messages that no longer fit in the model's context.

use hearth_domain::{
    Delivery, Generation, Message, ModelId, Priority, Role, Route, RunId, Sampling, Task, TextTask, Timestamp,
};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError,
    answer::{Answers, final_outcome},
};

use super::context::{Room, summary_tokens};
use crate::{access::Caller, components::Components, generate};

/// Bytes of text for a token, at least nearly always: the text to summarise must fit.
const TOKEN_BYTES: usize = 2;
const INSTRUCTION: &str = "Summarise the conversation above in a few sentences. Keep names, numbers, decisions and open questions. \
                           Write the summary alone.";

/// A question about a session, put to the model of a turn.
#[derive(Debug, Clone)]
pub(super) struct Question {
    model: Option<ModelId>,
    route: Route,
    priority: Priority,
    deadline: Option<Timestamp>,
}

impl Question {
    /// A question to the model that the turn's request names.
    pub(super) fn of(turn: &Generation) -> Self {
        let Generation { model, route, priority, deadline, .. } = turn;
        Self { model: model.clone(), route: route.clone(), priority: *priority, deadline: *deadline }
    }

    /// Asks; returns the answer's text.
    ///
    /// # Errors
    /// The error of its run.
    pub(super) async fn ask(
        self,
        gateway: &Components,
        caller: &Caller,
        prompt: String,
        max_tokens: u32,
    ) -> Result<String, ApiError> {
        let sampling =
            Sampling { temperature: Some(0.0), max_tokens: Some(max_tokens), ..Sampling::default() };
        let task = Task::Text(TextTask::new(vec![Message::new(Role::User, prompt)], sampling));
        let generation = Generation {
            route: self.route,
            deadline: self.deadline,
            priority: self.priority,
            ..Generation::new(self.model, task)
        };
        let (id, trace) = (RunId::new(), TraceContext::default());
        let run = generate::generate(gateway, caller, id, generation, Delivery::Whole, &trace).await?;
        let events = run.collect().await;
        final_outcome(&events)?;
        let mut answers = Answers::default();
        events.iter().for_each(|event| answers.apply(&event.body));
        Ok(answers.all().first().map(|answer| answer.text.trim().to_owned()).unwrap_or_default())
    }
}

/// Asks the turn's model for a summary of `messages`, which follow on the earlier summary, if there is one.
///
/// # Errors
/// The error of its run.
pub(super) async fn summarise(
    gateway: &Components,
    caller: &Caller,
    turn: &Generation,
    earlier: Option<&str>,
    messages: &[Message],
    room: Room,
) -> Result<String, ApiError> {
    let text = transcript(earlier, messages, room);
    let prompt = format!("{text}\n\n{INSTRUCTION}");
    Question::of(turn).ask(gateway, caller, prompt, summary_tokens(room)).await
}

/// The messages as text, of which the end is kept if it doesn't fit.
fn transcript(earlier: Option<&str>, messages: &[Message], room: Room) -> String {
    let mut lines: Vec<String> = earlier.iter().map(|text| format!("Summary so far: {text}")).collect();
    for message in messages {
        let author = match message.role {
            Role::System => "Instructions",
            Role::User => "User",
            Role::Assistant => "Assistant",
            Role::Tool => "Tool",
        };
        lines.push(format!("{author}: {}", message.content));
    }
    let text = lines.join("\n");
    let limit = (room.prompt as usize).saturating_mul(TOKEN_BYTES).saturating_sub(INSTRUCTION.len() + 64);
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcript_is_cut_at_its_beginning() {
        let messages = [Message::new(Role::User, "é".repeat(1000)), Message::new(Role::Assistant, "the end")];
        let all = transcript(Some("before"), &messages, Room::of(100_000, None));
        assert!(all.starts_with("Summary so far: before\nUser: é"), "{all}");
        let room = Room { context: 400, prompt: 300 };
        let cut = transcript(None, &messages, room);
        assert!(cut.len() <= 600 && cut.ends_with("Assistant: the end"), "{cut}");
    }
}
