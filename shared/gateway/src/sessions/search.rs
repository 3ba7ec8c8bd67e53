//! Search in a caller's own sessions: titles and texts, from the last used session on.
//!
//! There is no index of words. A request reads a limited number of sessions and messages, and its cursor says where the next
//! one goes on.

use hearth_domain::{Session, SessionMessage};
use hearth_wire::{
    ApiError,
    native::sessions::{SessionSearchQuery, SessionSearchResult, SessionSearchResults},
};

use super::{
    body::session_entry,
    management::{parse_position, position_text},
};
use crate::{Gateway, access::Caller, error, pager::Pager};
use hearth_store::sessions::SessionPosition;

/// Characters of the searched words.
const QUERY_MAX_CHARS: usize = 200;
/// Sessions that a request reads.
const SESSIONS_MAX_COUNT: u32 = 100;
/// Messages that a request reads.
const MESSAGES_MAX_COUNT: u32 = 2000;
/// Bytes of texts that a request searches, approximately.
const TEXTS_MAX_BYTES: usize = 32 << 20;
/// Messages that are read at a time.
const PAGE_MAX_COUNT: u32 = 200;
/// Characters of a result's text.
const SNIPPET_MAX_CHARS: usize = 160;

/// A position in a search: behind a session, or amid the next one's messages.
struct SearchPosition {
    session: Option<SessionPosition>,
    /// The sequence number of the last message of the next session that was read; none before its title.
    message: Option<u32>,
}

impl Gateway {
    /// Searches the caller's sessions.
    ///
    /// # Errors
    /// `invalid_request` for a query without words or over its limit, or for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn search_sessions(
        &self,
        caller: &Caller,
        query: &SessionSearchQuery,
    ) -> Result<SessionSearchResults, ApiError> {
        let words = check_query(&query.query)?;
        let status = query.status.unwrap_or_default();
        let list = format!("session-search|{}|{}", status.as_str(), words.join(" "));
        let pages = Pager::new(&self.0.keys, caller.owner(), &list, query.limit)?;
        let position = pages.open_with(query.cursor.as_deref(), SearchPosition::parse).await?;
        let mut position = position.unwrap_or(SearchPosition { session: None, message: None });
        let sessions = self.0.store.sessions();
        let page = sessions.page(caller.owner(), status, position.session, SESSIONS_MAX_COUNT).await;
        let page = page.map_err(error::store)?;
        let (mut results, mut messages_left, mut bytes) = (Vec::new(), MESSAGES_MAX_COUNT, 0);
        let limit = pages.limit as usize;
        for session in &page.sessions {
            if position.message.is_none() {
                if let Some(title) = &session.title
                    && let Some(snippet) = find(title, &words)
                {
                    results.push(result(session, None, snippet));
                }
                position.message = Some(0);
            }
            while let Some(after) = position.message {
                if results.len() >= limit || messages_left == 0 || bytes > TEXTS_MAX_BYTES {
                    return Ok(SessionSearchResults {
                        results,
                        next_cursor: pages.seal(Some(position.text())).await?,
                    });
                }
                let count = PAGE_MAX_COUNT.min(messages_left);
                let read = sessions.messages(session.id, after, count).await.map_err(error::store)?;
                // An empty page costs something too.
                messages_left -= u32::try_from(read.messages.len()).unwrap_or(count).clamp(1, messages_left);
                bytes += read.messages.iter().map(|message| message.message.content.len()).sum::<usize>();
                position.message = read.next;
                for message in &read.messages {
                    if results.len() >= limit {
                        position.message = Some(message.id.seq() - 1);
                        break;
                    }
                    if message.deleted_at.is_none()
                        && let Some(snippet) = find(&message.message.content, &words)
                    {
                        results.push(result(session, Some(message), snippet));
                    }
                }
            }
            let behind = SessionPosition { id: session.id, last_used_at: session.last_used_at };
            position = SearchPosition { session: Some(behind), message: None };
        }
        let next = page.next.map(|next| SearchPosition { session: Some(next), message: None }.text());
        Ok(SessionSearchResults { results, next_cursor: pages.seal(next).await? })
    }
}

impl SearchPosition {
    fn text(&self) -> String {
        let session = self.session.map(position_text).unwrap_or_default();
        let message = self.message.map(|seq| seq.to_string()).unwrap_or_default();
        format!("{message}|{session}")
    }

    fn parse(text: &str) -> Option<Self> {
        let (message, session) = text.split_once('|')?;
        let message = if message.is_empty() { None } else { Some(message.parse().ok()?) };
        let session = if session.is_empty() { None } else { Some(parse_position(session)?) };
        Some(Self { session, message })
    }
}

fn check_query(query: &str) -> Result<Vec<String>, ApiError> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() || query.chars().count() > QUERY_MAX_CHARS {
        let message = format!("query must be words of 1 to {QUERY_MAX_CHARS} characters");
        return Err(ApiError::invalid("query", message));
    }
    Ok(words)
}

/// The text around the first of the words, if the text has all of them.
fn find(text: &str, words: &[String]) -> Option<String> {
    let lower = text.to_lowercase();
    if !words.iter().all(|word| lower.contains(word)) {
        return None;
    }
    let at = words.first().and_then(|word| lower.find(word)).unwrap_or(0);
    // Small letters may have another length in bytes, so the place is counted in characters.
    let chars_before = lower.get(..at).map_or(0, |before| before.chars().count());
    let first = chars_before.saturating_sub(SNIPPET_MAX_CHARS / 4);
    let snippet: String = text.chars().skip(first).take(SNIPPET_MAX_CHARS).collect();
    let snippet = snippet.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_cut = text.chars().nth(first + SNIPPET_MAX_CHARS).is_some();
    Some(format!("{}{snippet}{}", if first > 0 { "…" } else { "" }, if is_cut { "…" } else { "" }))
}

fn result(session: &Session, message: Option<&SessionMessage>, snippet: String) -> SessionSearchResult {
    SessionSearchResult {
        session: session_entry(session),
        message_id: message.map(|message| message.id.to_string()),
        role: message.map(|message| message.message.role),
        snippet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_matches_if_it_has_all_words_in_any_case() {
        let words = |query: &str| check_query(query).unwrap();
        assert_eq!(find("A Poem about RAIN", &words("rain poem")).as_deref(), Some("A Poem about RAIN"));
        assert_eq!(find("A poem about rain", &words("poem snow")), None);
        let long = format!("{} Ärger {}", "x ".repeat(200), "y ".repeat(200));
        let snippet = find(&long, &words("ärger")).unwrap();
        assert!(snippet.contains("Ärger") && snippet.starts_with('…') && snippet.ends_with('…'), "{snippet}");
        assert!(check_query("  ").is_err() && check_query(&"a".repeat(201)).is_err());
    }

    #[test]
    fn position_of_a_search_round_trips_as_text() {
        let session = SessionPosition {
            id: hearth_domain::SessionId::new(),
            last_used_at: hearth_domain::Timestamp::from_unix(1_700_000_000),
        };
        for (session, message) in
            [(None, None), (None, Some(7)), (Some(session), None), (Some(session), Some(0))]
        {
            let parsed = SearchPosition::parse(&SearchPosition { session, message }.text()).unwrap();
            assert_eq!((parsed.session, parsed.message), (session, message));
        }
        assert!(SearchPosition::parse("x|").is_none() && SearchPosition::parse("").is_none());
    }
}
