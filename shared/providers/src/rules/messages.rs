//! Rules for the first and last message of a conversation, for empty messages, speakers' names and images.

use hearth_domain::{Field, ImageSource, Message, Role};
use hearth_wire::ApiError;

use super::{
    draft::Draft,
    rule::{Prefill, Rule, Rules},
};

/// The user's message that is inserted before an assistant's, where a vendor requires the first to be the user's.
const FIRST_USER_MESSAGE: &str = "(The assistant begins.)";

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    if rules.speaker_names.is_some() && draft.task().messages.iter().any(has_speaker) {
        let messages = draft.edit().messages.iter_mut();
        messages.filter(|message| has_speaker(message)).for_each(|message| message.name = None);
    }
    if rules.empty_turns.is_some() && draft.task().messages.iter().any(is_empty_turn) {
        draft.edit().messages.retain(|message| !is_empty_turn(message));
    }
    if rules.first_is_assistant.is_some() {
        let first = draft.task().messages.iter().position(|message| message.role != Role::System);
        if let Some(first) = first.filter(|first| draft.task().messages[*first].role == Role::Assistant) {
            draft.edit().messages.insert(first, Message::new(Role::User, FIRST_USER_MESSAGE));
        }
    }
    prefill(rules.prefill, draft)?;
    images(rules, draft)
}

fn has_speaker(message: &Message) -> bool {
    message.role != Role::Tool && message.name.is_some()
}

fn is_empty_turn(message: &Message) -> bool {
    message.role == Role::Assistant
        && message.content.trim().is_empty()
        && message.is_text_only()
        && message.tool_calls.is_empty()
}

fn prefill(rule: Rule<Prefill>, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    let Some(last) = draft.task().messages.last() else { return Ok(()) };
    if last.role != Role::Assistant || !last.tool_calls.is_empty() || last.parts().is_empty() {
        return Ok(());
    }
    match rule.value {
        Prefill::Any => Ok(()),
        // The model goes on with a turn that it has paused, and doesn't complete a text.
        Prefill::Refused if is_paused(&draft.task().messages) => Ok(()),
        Prefill::Refused => {
            let problem = "must not end with an assistant's message, which this model can't continue; end with a user's \
                           message";
            Err(draft.refuse(Field::Messages, problem, rule.source))
        }
        Prefill::Trimmed => {
            let trimmed = last.content.trim_end().len();
            if trimmed < last.content.len()
                && let Some(last) = draft.edit().messages.last_mut()
            {
                last.content.truncate(trimmed);
            }
            Ok(())
        }
    }
}

/// Returns whether the assistant's last turn, which may be several messages, has a block of the provider's own tool.
fn is_paused(messages: &[Message]) -> bool {
    let turn = messages.iter().rev().take_while(|message| message.role == Role::Assistant);
    turn.flat_map(Message::opaque_parts).next().is_some()
}

fn images(rules: &Rules, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(rule) = rules.images else { return Ok(()) };
    let images = draft.task().messages.iter().flat_map(|message| &message.images);
    let is_supported = |source: &ImageSource| match source {
        ImageSource::Data { media_type, .. } => rule.value.contains(&media_type.as_str()),
        // The provider fetches the image and checks its type.
        ImageSource::Url(url) => !url.starts_with("data:"),
    };
    if images.map(|placed| &placed.image.source).all(is_supported) {
        return Ok(());
    }
    let problem = format!("has an image that is none of {}, in base64", rule.value.join(", "));
    Err(draft.refuse(Field::Messages, &problem, rule.source))
}
