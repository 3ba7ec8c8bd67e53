//! The choice of the messages of a session that a turn's prompt contains: those that fit in the model's context.
//!
//! No I/O: tokens are estimated, and corrected by the counted tokens of the session's latest answer.

use hearth_domain::{ContextOverflow, Message, Role};
use hearth_wire::{ApiError, ErrorCode};

/// Share of the context that is left to the answer, as a divisor, unless the request limits its tokens.
const ANSWER_SHARE: u32 = 4;
/// Share of the context that is left for an estimate that is too low, as a divisor.
const ESTIMATE_MARGIN: u32 = 64;
/// Share of the prompt that is left out at once, as a divisor: the prompts of the next turns then begin alike, so that the model
/// has their beginning in its cache.
const REMOVAL_STEP: u32 = 8;
/// The same with a summary, which is a request of its own.
const SUMMARY_STEP: u32 = 4;
/// Limit of the tokens that are left to an answer without a limit of its own.
const ANSWER_MAX_TOKENS: u32 = 2048;
/// Bytes of text for a token, unless the session's latest answer has counted tokens: a low number, so that the prompt rather
/// fits.
const TOKEN_BYTES: u32 = 3;
/// Tokens around each message.
const FRAME_TOKENS: u32 = 5;
/// Tokens of an image.
const IMAGE_TOKENS: u32 = 1600;

/// A shorter prompt corrects nothing: the tokens around its messages count for too much.
const CORRECTION_MIN_TOKENS: u32 = 32;

/// Estimate of tokens, with the factor by which counted tokens differ from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TokenEstimate {
    factor: f64,
}

impl Default for TokenEstimate {
    fn default() -> Self {
        Self { factor: 1.0 }
    }
}

impl TokenEstimate {
    /// An estimate corrected by a prompt that was estimated without correction, and whose tokens were counted.
    pub(super) fn of_counts(estimated: u32, counted: u32) -> Self {
        if estimated < CORRECTION_MIN_TOKENS || counted == 0 {
            return Self::default();
        }
        Self { factor: (f64::from(counted) / f64::from(estimated)).clamp(0.25, 4.0) }
    }

    /// The tokens of messages.
    pub(super) fn of_messages(self, messages: &[Message]) -> u32 {
        let sum: u32 = messages.iter().map(estimated_tokens).fold(0, u32::saturating_add);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the product is positive, and the cast saturates"
        )]
        let tokens = (f64::from(sum) * self.factor).ceil() as u32;
        tokens
    }
}

fn estimated_tokens(message: &Message) -> u32 {
    let calls: usize =
        message.tool_calls.iter().map(|call| call.name.len() + call.arguments.len() + 16).sum();
    let bytes = u32::try_from(message.content.len() + calls).unwrap_or(u32::MAX);
    let images = u32::try_from(message.images.len()).unwrap_or(u32::MAX).saturating_mul(IMAGE_TOKENS);
    bytes.div_ceil(TOKEN_BYTES).saturating_add(images).saturating_add(FRAME_TOKENS)
}

/// The room for a prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Tokens of the model's context.
    pub(super) context: u32,
    /// Tokens that the prompt may have.
    pub(super) prompt: u32,
}

impl Room {
    /// The room in a context of this length, for an answer of at most `max_tokens`, if the request limits it.
    pub(super) fn of(context: u32, max_tokens: Option<u32>) -> Self {
        let answer = max_tokens.unwrap_or(ANSWER_MAX_TOKENS).min(context / ANSWER_SHARE);
        Self { context, prompt: context.saturating_sub(answer).saturating_sub(context / ESTIMATE_MARGIN) }
    }
}

/// The history of a turn, in exchanges: each begins with a user's message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fitted {
    /// The messages that remain, oldest first.
    pub(super) messages: Vec<Message>,
    /// The messages that don't fit, oldest first.
    pub(super) left_out: Vec<Message>,
    /// Number of messages at the beginning of the history that are left out, if those are all.
    pub(super) left_out_at_start: usize,
}

/// Chooses the messages of `history` that fit beside `fixed`, the system prompt and the input.
///
/// # Errors
/// `context_length_exceeded` with the policy [`ContextOverflow::Error`], if they don't all fit.
pub(super) fn fit(
    policy: ContextOverflow,
    history: Vec<Message>,
    fixed: &[Message],
    room: Room,
    estimate: TokenEstimate,
) -> Result<Fitted, ApiError> {
    let fixed_tokens = estimate.of_messages(fixed);
    let total = fixed_tokens.saturating_add(estimate.of_messages(&history));
    if total <= room.prompt {
        return Ok(Fitted { messages: history, ..Fitted::default() });
    }
    if policy == ContextOverflow::Error {
        return Err(exceeded(total, room));
    }
    let exchanges = into_exchanges(history);
    let sizes: Vec<u32> = exchanges.iter().map(|exchange| estimate.of_messages(exchange)).collect();
    let mut excess = i64::from(total) - i64::from(room.prompt);
    if policy == ContextOverflow::Summarise {
        // The summary takes room too.
        excess += i64::from(summary_tokens(room));
    }
    let divisor = if policy == ContextOverflow::Summarise { SUMMARY_STEP } else { REMOVAL_STEP };
    let step = i64::from(room.prompt / divisor).max(1);
    excess = (excess + step - 1) / step * step;
    let mut is_out = vec![false; exchanges.len()];
    for index in removal_order(policy, exchanges.len()) {
        if excess <= 0 {
            break;
        }
        is_out[index] = true;
        excess -= i64::from(sizes[index]);
    }
    let mut fitted = Fitted::default();
    let mut is_start = true;
    for (exchange, is_out) in exchanges.into_iter().zip(is_out) {
        is_start &= is_out;
        if is_out {
            fitted.left_out_at_start += if is_start { exchange.len() } else { 0 };
            fitted.left_out.extend(exchange);
        } else {
            fitted.messages.extend(exchange);
        }
    }
    Ok(fitted)
}

/// Tokens of a summary at most.
pub(super) fn summary_tokens(room: Room) -> u32 {
    (room.prompt / 8).clamp(16, 512)
}

/// The exchanges in the order in which they are left out.
fn removal_order(policy: ContextOverflow, count: usize) -> Vec<usize> {
    match policy {
        // The first exchange often has the instructions: it goes last.
        ContextOverflow::TruncateMiddle if count > 1 => (1..count).chain([0]).collect(),
        _ => (0..count).collect(),
    }
}

fn into_exchanges(history: Vec<Message>) -> Vec<Vec<Message>> {
    let mut exchanges: Vec<Vec<Message>> = Vec::new();
    for message in history {
        match exchanges.last_mut() {
            Some(last) if message.role != Role::User => last.push(message),
            _ => exchanges.push(vec![message]),
        }
    }
    exchanges
}

fn exceeded(tokens: u32, room: Room) -> ApiError {
    let Room { context, prompt } = room;
    let message = format!(
        "the session has about {tokens} tokens, and {prompt} of the {context} tokens of the model's context are for the \
         prompt; reset the session, use a model with a longer context, or set context_overflow to truncate_middle, \
         truncate_oldest or summarise"
    );
    let error = ApiError::new(ErrorCode::ContextLengthExceeded, message).at("context_overflow");
    error.with("prompt_tokens", tokens).with("context_length", context)
}

/// The warning about messages that a prompt lacks.
pub(super) fn left_out_warning(count: usize, room: Room, is_summarised: bool) -> String {
    let messages = if count == 1 {
        "1 earlier message was".to_owned()
    } else {
        format!("{count} earlier messages were")
    };
    let what = if is_summarised { "replaced by a summary" } else { "left out of the prompt" };
    format!("{messages} {what}: the session no longer fits in the model's context of {} tokens", room.context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(number: usize) -> [Message; 2] {
        [
            Message::new(Role::User, format!("question {number} {}", "x".repeat(90))),
            Message::new(Role::Assistant, format!("answer {number} {}", "y".repeat(90))),
        ]
    }

    fn fitted(policy: ContextOverflow, context: u32) -> Result<Fitted, ApiError> {
        let history = (0..5).flat_map(exchange).collect();
        let fixed = [Message::new(Role::User, "now")];
        fit(policy, history, &fixed, Room::of(context, Some(10)), TokenEstimate::default())
    }

    fn questions(fitted: &Fitted) -> Vec<&str> {
        let users = fitted.messages.iter().filter(|message| message.role == Role::User);
        users.map(|message| &message.content["question ".len().."question 0".len()]).collect()
    }

    #[test]
    fn everything_that_fits_is_in_the_prompt() {
        for policy in [ContextOverflow::Error, ContextOverflow::TruncateOldest, ContextOverflow::Summarise] {
            let all = fitted(policy, 4096).unwrap();
            assert_eq!((all.messages.len(), all.left_out.len()), (10, 0));
        }
    }

    #[test]
    fn oldest_or_middle_exchanges_are_left_out_whole() {
        let oldest = fitted(ContextOverflow::TruncateOldest, 256).unwrap();
        assert_eq!(questions(&oldest), ["2", "3", "4"]);
        assert_eq!((oldest.left_out.len(), oldest.left_out_at_start), (4, 4));
        let middle = fitted(ContextOverflow::TruncateMiddle, 256).unwrap();
        assert_eq!(questions(&middle), ["0", "3", "4"]);
        assert_eq!((middle.left_out.len(), middle.left_out_at_start), (4, 0));
    }

    #[test]
    fn summary_leaves_room_for_itself() {
        let summarised = fitted(ContextOverflow::Summarise, 256).unwrap();
        let oldest = fitted(ContextOverflow::TruncateOldest, 256).unwrap();
        assert!(summarised.messages.len() <= oldest.messages.len());
        assert_eq!(summarised.left_out_at_start, summarised.left_out.len());
    }

    #[test]
    fn error_names_both_numbers() {
        let error = fitted(ContextOverflow::Error, 256).unwrap_err();
        assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
        assert_eq!(error.details["context_length"], 256);
    }

    #[test]
    fn counted_tokens_correct_the_estimate() {
        let messages: Vec<_> = (0..5).flat_map(exchange).collect();
        let plain = TokenEstimate::default().of_messages(&messages);
        let corrected = TokenEstimate::of_counts(plain, plain * 2);
        assert_eq!(corrected.of_messages(&messages), plain * 2);
        assert_eq!(TokenEstimate::of_counts(20, 500), TokenEstimate::default());
    }

    #[test]
    fn results_of_tools_stay_with_their_exchange() {
        let history = vec![
            Message::new(Role::User, "u"),
            Message::new(Role::Assistant, "a"),
            Message::new(Role::Tool, "t"),
            Message::new(Role::User, "v"),
        ];
        assert_eq!(into_exchanges(history).iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    }
}
