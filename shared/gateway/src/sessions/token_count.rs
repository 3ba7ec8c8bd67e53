//! Counts of the messages of a session by the tokenizer of the model's node, where an estimate doesn't show that they fit.

use std::time::Duration;

use hearth_domain::{Message, TextTask};
use hearth_wire::{ApiError, ErrorCode, node::NodeCountBody};
use tokio::time::{Instant, timeout_at};

use super::context::{IMAGE_TOKENS, PromptSizes, Room, TokenEstimate, most_tokens};
use crate::routing::Candidate;

/// Bytes of the texts of one request: an item of the relay has to hold it.
const CHUNK_MAX_BYTES: usize = 150 << 10;
/// Tokens that a chat template puts around a message, at most in most templates.
const FRAME_TOKENS: u32 = 8;
/// Time for all counts of a turn, with the load of the model, which the turn needs in any case.
const COUNT_TIMEOUT: Duration = Duration::from_secs(60);

/// The sizes of a prompt's parts, counted by the candidate's node if they may not fit, and estimated otherwise.
///
/// `fixed`: the task with the messages that remain in any case.
pub(super) async fn prompt_sizes(
    candidate: &Candidate,
    fixed: TextTask,
    history: &[Message],
    room: Room,
    estimate: TokenEstimate,
) -> PromptSizes {
    let estimated = PromptSizes::estimated(estimate, &fixed.messages, &fixed.tools, history);
    let most = most_tokens(&fixed.messages)
        .saturating_add(most_tokens(history))
        .saturating_add(estimate.of_tools(&fixed.tools).saturating_mul(2));
    if candidate.node.is_none() || most <= room.prompt {
        return estimated;
    }
    let counter = Counter { candidate, deadline: Instant::now() + COUNT_TIMEOUT };
    match counter.count(fixed, history, room, &estimated).await {
        Ok(counted) => counted,
        Err(error) => {
            tracing::debug!(%error, "the tokens of a session can't be counted; they are estimated");
            estimated
        }
    }
}

struct Counter<'a> {
    candidate: &'a Candidate,
    deadline: Instant,
}

impl Counter<'_> {
    /// Counts the first exchange and then the latest messages, until the prompt is full: what is before them doesn't fit.
    async fn count(
        &self,
        mut fixed: TextTask,
        history: &[Message],
        room: Room,
        estimated: &PromptSizes,
    ) -> Result<PromptSizes, ApiError> {
        let images = fixed.messages.iter().map(|message| message.images.len()).sum();
        fixed.messages.iter_mut().for_each(|message| message.images.clear());
        let bytes: usize = fixed.messages.iter().map(|message| message.content.len()).sum();
        let mut sizes = estimated.clone();
        // A longer one is refused by the model in any case.
        if bytes <= CHUNK_MAX_BYTES {
            let count = self.request(Some(fixed), Vec::new()).await?;
            sizes.fixed = count.0.unwrap_or(sizes.fixed).saturating_add(images_tokens(images));
        }
        let first = history.len().min(2);
        let order: Vec<usize> = (0..first).chain((first..history.len()).rev()).collect();
        let mut sum = sizes.fixed;
        let mut next = 0;
        while next < order.len() && sum <= room.prompt {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            while let Some(index) = order.get(next + chunk.len()) {
                let text = text_of(&history[*index]);
                bytes += text.len();
                if bytes > CHUNK_MAX_BYTES && !chunk.is_empty() {
                    break;
                }
                chunk.push(text);
            }
            // A single longer text is counted by its beginning.
            for text in &mut chunk {
                text.truncate(text.floor_char_boundary(CHUNK_MAX_BYTES));
            }
            let count = chunk.len();
            let (_, tokens) = self.request(None, chunk).await?;
            for (index, tokens) in order[next..next + count].iter().zip(tokens) {
                let message = &history[*index];
                let frames = FRAME_TOKENS * (1 + u32::try_from(message.tool_calls.len()).unwrap_or(0) * 2);
                let cut = u32::from(message.content.len() > CHUNK_MAX_BYTES) * room.prompt;
                sizes.history[*index] = tokens
                    .saturating_add(cut)
                    .saturating_add(frames)
                    .saturating_add(images_tokens(message.images.len()));
                sum = sum.saturating_add(sizes.history[*index]);
            }
            next += count;
        }
        Ok(sizes)
    }

    /// Counts at the node, which may have to load the model first.
    async fn request(
        &self,
        task: Option<TextTask>,
        texts: Vec<String>,
    ) -> Result<(Option<u32>, Vec<u32>), ApiError> {
        let body = NodeCountBody { model: self.candidate.model.to_string(), task, texts };
        loop {
            let count = timeout_at(self.deadline, self.candidate.provider.count_tokens(&body)).await;
            let slow = || ApiError::new(ErrorCode::ProviderTimeout, "the node takes too long to count");
            match count.map_err(|_| slow())? {
                Ok(Some(count)) => return Ok((count.prompt, count.texts)),
                Ok(None) => {
                    let message = "the provider can't count tokens";
                    return Err(ApiError::new(ErrorCode::ProviderError, message));
                }
                // The model is still being loaded.
                Err(error) if error.code == ErrorCode::ProviderTimeout && Instant::now() < self.deadline => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The text of a message, with that of its calls.
fn text_of(message: &Message) -> String {
    let mut text = message.content.clone();
    for call in &message.tool_calls {
        text.push_str(&call.name);
        text.push_str(&call.arguments);
    }
    text
}

fn images_tokens(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(IMAGE_TOKENS)
}
