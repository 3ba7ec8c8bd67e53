//! Import of conversations from the files of other programs.
//!
//! The files are other people's formats and change without notice, so they are read leniently: a part that can't be read is
//! left out, and named in the report. A repeated import creates no session twice, as a session's id is derived from its
//! caller and its id in the file.

mod chatgpt;
mod hearth;
mod open_webui;

use std::collections::BTreeMap;

use hearth_domain::{
    Message, ModelId, Owner, Role, Session, SessionId, SessionMessage, SessionMessageId, Timestamp,
};
use hearth_store::StoreError;
use hearth_wire::{
    ApiError,
    native::sessions::{IMPORTED_BEFORE, ImportedSession, SessionImportReport, SkippedPart},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::management::{MODEL_MAX_CHARS, SYSTEM_PROMPT_MAX_BYTES};
use crate::{Gateway, access::Caller, error};

/// Messages of an imported session.
const MESSAGES_MAX_COUNT: usize = 10_000;
/// Parts that a report names.
const SKIPPED_MAX_COUNT: usize = 200;
/// Characters of a title.
const TITLE_MAX_CHARS: usize = 200;

/// A conversation of a file.
#[derive(Debug, Default)]
struct ImportedConversation {
    /// Its id in the file; empty if it has none.
    id: String,
    title: Option<String>,
    system_prompt: Option<String>,
    created_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    /// Each message after its parent.
    messages: Vec<ImportedMessage>,
    /// The index of the active branch's leaf; the last message without it.
    head: Option<usize>,
    /// Reasons why parts were left out, with their numbers.
    skipped: BTreeMap<&'static str, usize>,
}

/// A message of a file.
#[derive(Debug)]
struct ImportedMessage {
    /// The index of the message before it.
    parent: Option<usize>,
    role: Role,
    content: String,
    model: Option<String>,
    created_at: Option<Timestamp>,
}

impl ImportedConversation {
    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// Leaves out what is over the limits of the fields of a session.
    fn check_limits(&mut self) {
        if self.system_prompt.as_ref().is_some_and(|prompt| prompt.len() > SYSTEM_PROMPT_MAX_BYTES) {
            self.system_prompt = None;
            self.skip("a system prompt of over 64 KB");
        }
    }
}

impl Gateway {
    /// Creates a session of the caller's for each conversation of a file: ChatGPT's `conversations.json`, Open WebUI's export
    /// of chats, or an export of a session.
    ///
    /// # Errors
    /// `invalid_request` if the file has none of these formats.
    #[crate::boxed_future]
    pub async fn import_sessions(
        &self,
        caller: &Caller,
        file: Value,
    ) -> Result<SessionImportReport, ApiError> {
        let (format, conversations) = read_file(&file).ok_or_else(unknown_format)?;
        let mut report = SessionImportReport { format: format.to_owned(), ..SessionImportReport::default() };
        for (number, mut conversation) in conversations.into_iter().enumerate() {
            conversation.check_limits();
            let name = conversation.title.clone().unwrap_or_else(|| format!("conversation {}", number + 1));
            for (reason, count) in &conversation.skipped {
                skip(&mut report, &name, reason, *count);
            }
            if conversation.messages.is_empty() {
                skip(&mut report, &name, "it has no messages", 1);
                continue;
            }
            if conversation.messages.len() > MESSAGES_MAX_COUNT {
                skip(&mut report, &name, "it has more than 10,000 messages", 1);
                continue;
            }
            let (session, messages) = session_of(caller.owner(), format, conversation);
            match self.0.store.sessions().import(&session, &messages).await {
                Ok(()) => report.imported.push(ImportedSession {
                    id: session.id.to_string(),
                    title: session.title,
                    messages: messages.len(),
                }),
                Err(failure @ StoreError::OverQuota(_)) if report.imported.is_empty() => {
                    return Err(error::store(failure));
                }
                Err(StoreError::OverQuota(_)) => {
                    skip(&mut report, &name, "the quota of your sessions is reached", 1);
                }
                Err(StoreError::Conflict) => skip(&mut report, &name, IMPORTED_BEFORE, 1),
                Err(failure) => return Err(error::store(failure)),
            }
        }
        Ok(report)
    }
}

/// A format: its name, the test for a conversation of it, and its reader.
type Format = (&'static str, fn(&Value) -> bool, fn(&Value) -> ImportedConversation);

/// The conversations of a file, and its format.
fn read_file(file: &Value) -> Option<(&'static str, Vec<ImportedConversation>)> {
    if hearth::is_session(file) {
        return Some(("hearth", vec![hearth::read(file)]));
    }
    let one = std::slice::from_ref(file);
    let list = match file {
        Value::Array(list) => list.as_slice(),
        Value::Object(fields) => {
            let list =
                ["conversations", "chats", "data"].iter().find_map(|name| fields.get(*name)?.as_array());
            list.map_or(one, Vec::as_slice)
        }
        _ => return None,
    };
    let formats: [Format; 3] = [
        ("chatgpt", chatgpt::is_conversation, chatgpt::read),
        ("open_webui", open_webui::is_chat, open_webui::read),
        ("hearth", hearth::is_session, hearth::read),
    ];
    let (format, is_one, read) = formats.into_iter().find(|(_, is_one, _)| list.iter().any(is_one))?;
    let read = |entry: &Value| {
        if is_one(entry) {
            return read(entry);
        }
        let mut other = ImportedConversation::default();
        other.skip("it has another format");
        other
    };
    Some((format, list.iter().map(read).collect()))
}

/// The session of a conversation, with its messages.
fn session_of(
    owner: Owner,
    format: &str,
    conversation: ImportedConversation,
) -> (Session, Vec<SessionMessage>) {
    let now = Timestamp::now();
    let first = conversation.messages.iter().find_map(|message| message.created_at);
    let created_at = conversation.created_at.or(first).unwrap_or(now).min(now);
    let last = conversation.messages.iter().filter_map(|message| message.created_at).max();
    let last_used_at = conversation.last_used_at.or(last).unwrap_or(created_at).clamp(created_at, now);
    let id = derived_id(owner, format, &conversation);
    let mut messages: Vec<SessionMessage> = Vec::new();
    for (seq, imported) in (1..).zip(conversation.messages) {
        let mut message = SessionMessage::new(Message::new(imported.role, imported.content));
        message.id = SessionMessageId::imported(id, seq);
        message.parent = imported.parent.and_then(|parent| messages.get(parent)).map(|parent| parent.id);
        let model = imported.model.filter(|model| model.chars().count() <= MODEL_MAX_CHARS);
        message.model = model.map(ModelId::new);
        message.created_at = imported.created_at.unwrap_or(created_at).min(now);
        messages.push(message);
    }
    let head = conversation.head.and_then(|head| messages.get(head)).or(messages.last());
    let session = Session {
        id,
        title: conversation.title.map(|title| one_line(&title)).filter(|title| !title.is_empty()),
        system_prompt: conversation.system_prompt.filter(|prompt| !prompt.is_empty()),
        head: head.map(|head| head.id),
        last_seq: messages.last().map_or(0, |last| last.id.seq()),
        created_at,
        last_used_at,
        ..Session::new(owner)
    };
    (session, messages)
}

/// The id of a conversation's session: by its id in the file, or by its content where it has none. Only times of the file are in
/// it, so that a repetition gives the same one.
fn derived_id(owner: Owner, format: &str, conversation: &ImportedConversation) -> SessionId {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    for part in [&owner.user.to_string(), &owner.organisation.to_string(), format, &conversation.id] {
        add(part);
    }
    if conversation.id.is_empty() {
        add(conversation.title.as_deref().unwrap_or_default());
        for message in &conversation.messages {
            add(message.role.as_str());
            add(&message.content);
        }
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    SessionId::derived(conversation.created_at.unwrap_or(Timestamp::from_unix(0)), bytes)
}

fn one_line(title: &str) -> String {
    let words = title.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|character| !character.is_control()).take(TITLE_MAX_CHARS).collect()
}

fn skip(report: &mut SessionImportReport, conversation: &str, reason: &str, count: usize) {
    let conversation: String = conversation.chars().take(TITLE_MAX_CHARS).collect();
    if report.skipped.len() < SKIPPED_MAX_COUNT {
        report.skipped.push(SkippedPart { conversation, reason: reason.to_owned(), count });
    } else if let Some(last) = report.skipped.last_mut() {
        *last = SkippedPart {
            conversation: "others".to_owned(),
            reason: "not listed".to_owned(),
            count: last.count + count,
        };
    }
}

fn unknown_format() -> ApiError {
    let message = "the file is neither ChatGPT's conversations.json, nor Open WebUI's export of chats, nor an export of a \
                   session as JSON";
    ApiError::invalid("body", message)
}

/// A text field, if it is there.
fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(ToOwned::to_owned)
}

/// A time in seconds since 1970, with a fraction, or in milliseconds, or as ISO 8601.
fn time(value: &Value) -> Option<Timestamp> {
    /// Seconds since 1970 of a later year than 5000 are milliseconds.
    const SECONDS_MAX_COUNT: f64 = 1e11;
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    let number = value.as_f64().filter(|number| *number > 0.0)?;
    let millis = if number > SECONDS_MAX_COUNT { number } else { number * 1000.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; a cast saturates")]
    Some(Timestamp::from_unix_millis(millis.round() as u64)).filter(|at| at.unix() > 0)
}

/// The nodes of a tree in an order in which each comes after its parent. Nodes that lead to no root are left out.
fn parents_first<'a>(
    nodes: &'a serde_json::Map<String, Value>,
    parent_of: impl Fn(&'a Value) -> Option<&'a str>,
) -> Vec<(&'a str, Option<&'a str>)> {
    let mut children: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for (id, node) in nodes {
        // A parent that isn't in the file counts as none.
        let parent = parent_of(node).filter(|parent| nodes.contains_key(*parent));
        children.entry(parent).or_default().push(id);
    }
    let (mut order, mut rest) = (Vec::new(), vec![(None, None::<&str>)]);
    while let Some((of, parent)) = rest.pop() {
        if let Some(id) = of {
            order.push((id, parent));
        }
        for child in children.remove(&of).unwrap_or_default().into_iter().rev() {
            rest.push((Some(child), of));
        }
    }
    order
}

#[cfg(test)]
mod tests;
