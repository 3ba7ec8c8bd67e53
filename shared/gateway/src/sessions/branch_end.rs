//! The end of a branch, read backwards within limits of number and bytes.

use hearth_domain::{ImageSource, Message, SessionId, SessionMessage, SessionMessageId};
use hearth_store::sessions::SessionPath;
use hearth_wire::ApiError;

use super::pending;
use crate::{components::Components, error};

/// Largest number of messages of a branch that one prompt is made of. Older ones are left out.
pub(super) const HISTORY_MAX_COUNT: usize = 1000;
/// Bytes of messages after which no older one is read.
const HISTORY_MAX_BYTES: usize = 8 << 20;
/// Messages that are read at once.
const PAGE_MESSAGES: u32 = 64;

/// The last messages of the branch that ends with `head`, oldest first; deleted ones too. Answers of processes that have died
/// are ended.
///
/// # Errors
/// `internal` if the store fails.
pub(super) async fn read_branch_end(
    gateway: &Components,
    session: SessionId,
    head: Option<SessionMessageId>,
) -> Result<SessionPath, ApiError> {
    let (mut newest_first, mut bytes, mut next) = (Vec::new(), 0, head);
    while next.is_some() && newest_first.len() < HISTORY_MAX_COUNT && bytes < HISTORY_MAX_BYTES {
        let page = gateway.store.sessions().path(session, next, PAGE_MESSAGES).await.map_err(error::store)?;
        if page.messages.is_empty() {
            next = None;
            break;
        }
        next = page.before;
        bytes += page.messages.iter().map(message_bytes).sum::<usize>();
        newest_first.extend(page.messages.into_iter().rev());
    }
    newest_first.reverse();
    let mut messages: Vec<SessionMessage> = newest_first;
    pending::settle(gateway, session, &mut messages).await?;
    Ok(SessionPath { messages, before: next })
}

/// True if the message is in the branch that ends with `head`.
///
/// # Errors
/// `internal` if the store fails.
pub(super) async fn is_in_branch(
    gateway: &Components,
    session: SessionId,
    head: Option<SessionMessageId>,
    message: SessionMessageId,
) -> Result<bool, ApiError> {
    let mut next = head;
    // A parent has a smaller number than its children.
    while let Some(leaf) = next.filter(|leaf| leaf.seq() >= message.seq()) {
        let page =
            gateway.store.sessions().path(session, Some(leaf), PAGE_MESSAGES).await.map_err(error::store)?;
        if page.messages.iter().any(|stored| stored.id == message) {
            return Ok(true);
        }
        next = page.before;
    }
    Ok(false)
}

/// Bytes of a message's text and pictures.
pub(super) fn message_bytes(stored: &SessionMessage) -> usize {
    let Message { content, images, tool_calls, .. } = &stored.message;
    let pictures = images.iter().map(|placed| match &placed.image.source {
        ImageSource::Data { data, .. } => data.len(),
        ImageSource::Url(url) => url.len(),
    });
    let calls = tool_calls.iter().map(|call| call.arguments.len());
    content.len() + pictures.sum::<usize>() + calls.sum::<usize>()
}
