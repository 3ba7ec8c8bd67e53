//! The export of one session: JSON with the messages of all branches, or the active branch as Markdown.
//!
//! It is made while it is sent, page by page.

use std::io;

use futures::{Stream, StreamExt as _, stream::BoxStream};
use hearth_domain::{
    OrganisationId, Role, Session, SessionId, SessionMessage, SessionMessageState, Timestamp,
};
use hearth_store::StoreError;
use hearth_wire::{ApiError, native::sessions::SessionExportFormat};
use serde_json::{Value, json};

use super::{
    body::{branch_bodies, message_body, session_body},
    pending,
};
use crate::{Gateway, access::Caller};

/// The format's name in an exported file.
pub(super) const FORMAT: &str = "hearth-session";
/// Messages that are read at a time.
const PAGE_MAX_COUNT: u32 = 100;

impl Gateway {
    /// A session of the caller's, as the bytes of a file. If it can't be read to its end, the file ends early with an error.
    ///
    /// # Errors
    /// `not_found` if there is no such session.
    pub async fn export_session(
        &self,
        caller: &Caller,
        id: SessionId,
        format: SessionExportFormat,
    ) -> Result<impl Stream<Item = io::Result<Vec<u8>>> + Send + use<>, ApiError> {
        let session = self.session(caller, id).await?;
        Ok(match format {
            SessionExportFormat::Json => self.clone().export_json(session),
            SessionExportFormat::Markdown => self.clone().export_markdown(session),
        })
    }

    /// A session and then its messages, as lines of JSON, for the export of its user; nothing if it isn't of the organisation
    /// `only`.
    pub(crate) fn session_lines(
        &self,
        id: SessionId,
        only: Option<OrganisationId>,
    ) -> BoxStream<'static, Result<Value, StoreError>> {
        let store = self.0.store.clone();
        async_stream::try_stream! {
            let session = store.sessions().read(id).await?;
            let session = session.filter(|session| only.is_none_or(|only| session.organisation == only));
            let Some(session) = session.filter(|session| !session.is_expired(Timestamp::now())) else { return };
            yield json!({"session": session_body(&session), "branches": branch_bodies(&session)});
            let mut after = Some(0);
            while let Some(seq) = after {
                let page = store.sessions().messages(id, seq, PAGE_MAX_COUNT).await?;
                after = page.next;
                for message in page.messages.into_iter().filter(|message| message.deleted_at.is_none()) {
                    // The body has the number of the pictures alone.
                    let stored = json!(message.message);
                    yield json!({"session_id": id, "message": message_body(message), "stored": stored});
                }
            }
        }
        .boxed()
    }

    fn export_json(self, session: Session) -> BoxStream<'static, io::Result<Vec<u8>>> {
        async_stream::try_stream! {
            let head = json!({
                "format": FORMAT,
                "version": 1,
                "session": session_body(&session),
                "branches": branch_bodies(&session),
            });
            let mut head = head.to_string();
            // The messages are the last field, so that they can be written one by one.
            head.pop();
            yield format!("{head},\"messages\":[").into_bytes();
            let (mut after, mut separator) = (0, "\n");
            loop {
                let page = self.0.store.sessions().messages(session.id, after, PAGE_MAX_COUNT).await;
                let page = page.map_err(io::Error::other)?;
                let mut messages = page.messages;
                pending::settle(&self.0, session.id, &mut messages).await.map_err(io::Error::other)?;
                let mut text = String::new();
                for message in messages.into_iter().filter(|message| message.deleted_at.is_none()) {
                    let json = serde_json::to_string(&message_body(message)).map_err(io::Error::other)?;
                    text.push_str(separator);
                    text.push_str(&json);
                    separator = ",\n";
                }
                yield text.into_bytes();
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            yield b"\n]}\n".to_vec();
        }
        .boxed()
    }

    fn export_markdown(self, session: Session) -> BoxStream<'static, io::Result<Vec<u8>>> {
        async_stream::try_stream! {
            yield markdown_head(&session).into_bytes();
            // A path is read from its leaf, and written from its root: the leaves of its pages come first.
            let (mut leaves, mut next) = (Vec::new(), session.head);
            while let Some(leaf) = next {
                leaves.push(leaf);
                let path = self.0.store.sessions().path(session.id, next, PAGE_MAX_COUNT).await;
                next = path.map_err(io::Error::other)?.before;
            }
            for leaf in leaves.into_iter().rev() {
                let path = self.0.store.sessions().path(session.id, Some(leaf), PAGE_MAX_COUNT).await;
                let mut messages = path.map_err(io::Error::other)?.messages;
                pending::settle(&self.0, session.id, &mut messages).await.map_err(io::Error::other)?;
                let text: String = messages.iter().map(markdown).collect();
                yield text.into_bytes();
            }
        }
        .boxed()
    }
}

fn markdown_head(session: &Session) -> String {
    let title = session.title.as_deref().unwrap_or("Session without a title");
    let mut text = format!("# {title}\n\n{} · {}\n", session.id, session.created_at);
    if let Some(prompt) = &session.system_prompt {
        text.push_str("\n## System\n\n");
        text.push_str(prompt);
        text.push('\n');
    }
    text
}

/// A message as Markdown; nothing for a deleted one.
fn markdown(message: &SessionMessage) -> String {
    if message.deleted_at.is_some() {
        return String::new();
    }
    let author = match message.message.role {
        Role::System => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::Tool => "Tool",
    };
    let model = message.model.as_ref().map(|model| format!(" ({model})")).unwrap_or_default();
    let mut text = format!("\n## {author}{model}\n\n_{}_\n", message.created_at);
    if !message.message.content.is_empty() {
        text.push_str(&format!("\n{}\n", message.message.content));
    }
    for call in &message.message.tool_calls {
        text.push_str(&format!("\n```json\n{} {}\n```\n", call.name, call.arguments));
    }
    for artifact in &message.artifacts {
        text.push_str(&format!("\n- file {} ({})\n", artifact.id, artifact.media_type));
    }
    match message.state {
        SessionMessageState::Complete => {}
        state => text.push_str(&format!("\n_{}_\n", state.as_str())),
    }
    text
}
