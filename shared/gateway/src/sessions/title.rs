//! The automatic title of a session: the beginning of its first prompt, or one that a model writes.

use std::sync::Arc;

use hearth_domain::{Session, SessionId};
use hearth_store::StoreError;

use super::summary::Question;
use crate::{access::Caller, components::Components};

/// Characters of an automatic title.
const TITLE_MAX_CHARS: usize = 60;
/// Bytes of the first prompt that a model gets.
const PROMPT_MAX_BYTES: usize = 2000;
/// Tokens of a title at most.
const TITLE_MAX_TOKENS: u32 = 24;
/// Attempts at storing a title while its user or a turn changes the session.
const STORE_MAX_ATTEMPTS: usize = 4;

/// The request for a title by a model.
pub(super) struct TitleRequest {
    pub(super) caller: Caller,
    pub(super) question: Question,
    pub(super) first_prompt: String,
}

impl TitleRequest {
    /// Has the model write a title for the session. Where that fails, it keeps the one that it has.
    pub(super) async fn carry_out(self, gateway: Arc<Components>, session: SessionId) {
        let mut end = self.first_prompt.len().min(PROMPT_MAX_BYTES);
        while !self.first_prompt.is_char_boundary(end) {
            end -= 1;
        }
        let beginning = &self.first_prompt[..end];
        let prompt = format!(
            "{beginning}\n\nWrite a title of at most six words for a conversation that begins so. Write the title alone."
        );
        let question = self.question.ask(&gateway, &self.caller, prompt, TITLE_MAX_TOKENS);
        let title = match Box::pin(question).await {
            Ok(text) => title_of(text.trim_matches(['"', '*', '#', ' '])),
            Err(error) => {
                tracing::warn!(%session, %error, "a model can't write the title of a session");
                None
            }
        };
        if let Some(title) = title
            && let Err(error) = store(&gateway, &self.caller, session, &title).await
        {
            tracing::warn!(%session, %error, "the title of a session can't be stored");
        }
    }
}

/// Stores an automatic title, unless the session's user has set one meanwhile.
async fn store(
    gateway: &Components,
    caller: &Caller,
    session: SessionId,
    title: &str,
) -> Result<(), StoreError> {
    let mut result = Ok(());
    for _ in 0..STORE_MAX_ATTEMPTS {
        let Some(mut stored) = gateway.store.sessions().get(session, caller.owner()).await? else {
            return Ok(());
        };
        let Session { title: current, is_title_automatic, .. } = &mut stored;
        if current.is_some() && !*is_title_automatic {
            return Ok(());
        }
        (*current, *is_title_automatic) = (Some(title.to_owned()), true);
        result = gateway.store.sessions().update(&mut stored).await;
        if !matches!(result, Err(StoreError::Conflict)) {
            break;
        }
    }
    result
}

/// The title for a session that begins with this prompt; none if the prompt has no words.
pub(super) fn title_of(prompt: &str) -> Option<String> {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty())?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|character| !character.is_control()).collect();
    if line.is_empty() {
        return None;
    }
    if line.chars().count() <= TITLE_MAX_CHARS {
        return Some(line);
    }
    let cut: String = line.chars().take(TITLE_MAX_CHARS - 1).collect();
    // At the end of a word, unless the title would lose half of its text.
    let end = cut.rfind(' ').filter(|end| *end > cut.len() / 2).unwrap_or(cut.len());
    Some(format!("{}…", cut[..end].trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_is_the_beginning_of_the_first_line() {
        assert_eq!(title_of("\n  What is   the capital?\nTell me.").as_deref(), Some("What is the capital?"));
        assert_eq!(title_of(" \n\t "), None);
        let long = title_of(&"word ".repeat(40)).unwrap();
        assert!(long.ends_with("word…") && long.chars().count() <= TITLE_MAX_CHARS, "{long}");
        let one_word = title_of(&"é".repeat(100)).unwrap();
        assert_eq!(one_word.chars().count(), TITLE_MAX_CHARS);
    }
}
