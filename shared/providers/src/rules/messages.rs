//! How a conversation may begin and end, and what its messages may show.

use hearth_domain::{Field, ImageSource, Message, Role};
use hearth_wire::ApiError;

use super::{Rule, Rules, draft::Draft};

/// How a conversation may end with what the model is to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefill {
    /// With any text.
    Any,
    /// Not with white space.
    Trimmed,
    /// Not at all.
    Refused,
}

/// What the user says first where a vendor wants the user to begin, and the assistant does.
const BEGINNING: &str = "(The assistant begins.)";

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    if rules.names.is_some() && draft.task().messages.iter().any(has_speaker) {
        let messages = draft.edit().messages.iter_mut();
        messages.filter(|message| has_speaker(message)).for_each(|message| message.name = None);
    }
    if rules.empty_turns.is_some() && draft.task().messages.iter().any(is_empty_turn) {
        draft.edit().messages.retain(|message| !is_empty_turn(message));
    }
    if rules.first_is_user.is_some() {
        let spoken = draft.task().messages.iter().position(|message| message.role != Role::System);
        if let Some(first) = spoken.filter(|first| draft.task().messages[*first].role == Role::Assistant) {
            draft.edit().messages.insert(first, Message::new(Role::User, BEGINNING));
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
    match rule.is {
        Prefill::Any => Ok(()),
        Prefill::Refused => {
            let problem = "must not end with an assistant's message: this model does not go on with one; end with a \
                           user's message";
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

fn images(rules: &Rules, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(rule) = rules.images else { return Ok(()) };
    let images = draft.task().messages.iter().flat_map(|message| &message.images);
    let is_taken = |source: &ImageSource| match source {
        ImageSource::Data { media_type, .. } => rule.is.contains(&media_type.as_str()),
        // The one who fetches it sees what it is.
        ImageSource::Url(url) => !url.starts_with("data:"),
    };
    if images.map(|placed| &placed.image.source).all(is_taken) {
        return Ok(());
    }
    let problem = format!("has an image that is none of {}, in base64", rule.is.join(", "));
    Err(draft.refuse(Field::Messages, &problem, rule.source))
}
