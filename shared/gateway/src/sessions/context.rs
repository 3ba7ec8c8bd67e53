//! The choice of the messages of a session that a turn's prompt contains: those that fit in the model's context.
//!
//! No I/O: the sizes of the messages are estimated, and corrected by the counted tokens of the session's latest answer; where the
//! estimate is near the limit and the model's node can count, `token_count` has counted them.

use hearth_domain::{ContextOverflow, Message, Role, Tool};
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
pub(super) const IMAGE_TOKENS: u32 = 1600;
/// Characters without a space from which on a text isn't words: digits, Base64, addresses.
const DENSE_MIN_CHARS: usize = 24;

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
        self.corrected(messages.iter().map(estimated_tokens).fold(0, u32::saturating_add))
    }

    /// The tokens of descriptions of tools.
    pub(super) fn of_tools(self, tools: &[Tool]) -> u32 {
        if tools.is_empty() {
            return 0;
        }
        let bytes = serde_json::to_string(tools).map_or(0, |json| json.len());
        self.corrected(u32::try_from(bytes).unwrap_or(u32::MAX).div_ceil(TOKEN_BYTES))
    }

    fn corrected(self, sum: u32) -> u32 {
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
    let calls = u32::try_from(calls).unwrap_or(u32::MAX).div_ceil(TOKEN_BYTES);
    let images = u32::try_from(message.images.len()).unwrap_or(u32::MAX).saturating_mul(IMAGE_TOKENS);
    text_tokens(&message.content).saturating_add(calls).saturating_add(images).saturating_add(FRAME_TOKENS)
}

/// Estimate of a text's tokens: three bytes for each in words, and half as many in other scripts than the Latin one, and in long
/// strings of letters and digits.
fn text_tokens(text: &str) -> u32 {
    let weight = |word: &str| {
        let dense = word.len() >= DENSE_MIN_CHARS && word.bytes().any(|byte| byte.is_ascii_digit());
        let others = word.bytes().filter(|byte| !byte.is_ascii()).count();
        if dense { word.len() * 2 } else { word.len() + others }
    };
    let spaces = text.bytes().filter(u8::is_ascii_whitespace).count();
    let weight = text.split_ascii_whitespace().map(weight).fold(spaces, usize::saturating_add);
    u32::try_from(weight).unwrap_or(u32::MAX).div_ceil(TOKEN_BYTES)
}

/// The most tokens that messages nearly always have: one for each byte of other scripts, and for each byte and a half of others.
pub(super) fn most_tokens(messages: &[Message]) -> u32 {
    let most = |message: &Message| {
        let texts = message.tool_calls.iter().flat_map(|call| [call.name.as_str(), call.arguments.as_str()]);
        let halves = |text: &str| text.bytes().map(|byte| if byte.is_ascii() { 2 } else { 3 }).sum::<usize>();
        let thirds: usize = texts.chain([message.content.as_str()]).map(halves).sum();
        let images = message.images.len().saturating_mul(IMAGE_TOKENS as usize);
        thirds.div_ceil(3).saturating_add(images).saturating_add(4 * FRAME_TOKENS as usize)
    };
    let sum = messages.iter().map(most).fold(0, usize::saturating_add);
    u32::try_from(sum).unwrap_or(u32::MAX)
}

/// The tokens of the parts of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PromptSizes {
    /// Of the system prompt, the input, and the tools.
    pub(super) fixed: u32,
    /// Of each message of the history.
    pub(super) history: Vec<u32>,
}

impl PromptSizes {
    /// The sizes by an estimate.
    pub(super) fn estimated(
        estimate: TokenEstimate,
        fixed: &[Message],
        tools: &[Tool],
        history: &[Message],
    ) -> Self {
        let fixed = estimate.of_messages(fixed).saturating_add(estimate.of_tools(tools));
        let of_one = |message| estimate.of_messages(std::slice::from_ref(message));
        Self { fixed, history: history.iter().map(of_one).collect() }
    }

    /// The sum.
    pub(super) fn total(&self) -> u32 {
        self.history.iter().fold(self.fixed, |sum, tokens| sum.saturating_add(*tokens))
    }
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

/// Chooses the messages of `history` that fit beside the system prompt and the input.
///
/// # Errors
/// `context_length_exceeded` with the policy [`ContextOverflow::Error`], if they don't all fit.
pub(super) fn fit(
    policy: ContextOverflow,
    history: Vec<Message>,
    sizes: &PromptSizes,
    room: Room,
) -> Result<Fitted, ApiError> {
    let total = sizes.total();
    if total <= room.prompt {
        return Ok(Fitted { messages: history, ..Fitted::default() });
    }
    if policy == ContextOverflow::Error {
        return Err(exceeded(total, room));
    }
    let exchanges = into_exchanges(history);
    let mut remaining = sizes.history.as_slice();
    let mut size_of = |exchange: &Vec<Message>| {
        let (of_exchange, rest) = remaining.split_at(exchange.len().min(remaining.len()));
        remaining = rest;
        of_exchange.iter().fold(0, |sum: u32, tokens| sum.saturating_add(*tokens))
    };
    let sizes: Vec<u32> = exchanges.iter().map(&mut size_of).collect();
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
        let history: Vec<Message> = (0..5).flat_map(exchange).collect();
        let fixed = [Message::new(Role::User, "now")];
        let sizes = PromptSizes::estimated(TokenEstimate::default(), &fixed, &[], &history);
        fit(policy, history, &sizes, Room::of(context, Some(10)))
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
    fn dense_texts_and_other_scripts_count_for_more_than_words() {
        let words = text_tokens(&"some plain words ".repeat(60));
        let hexadecimal = text_tokens(&"0f1e2d3c4b5a69788796a5b4c3d2e1f0".repeat(32));
        let japanese = text_tokens(&"日本語の文章".repeat(57));
        assert!(hexadecimal > words * 3 / 2 && japanese > words * 3 / 2, "{words} {hexadecimal} {japanese}");
        let message = Message::new(Role::User, "日本語".repeat(100));
        assert!(most_tokens(std::slice::from_ref(&message)) >= 900);
    }

    #[test]
    fn counted_sizes_decide_which_messages_fit() {
        let history: Vec<Message> = (0..5).flat_map(exchange).collect();
        let sizes = PromptSizes { fixed: 20, history: vec![100; 10] };
        let fitted = fit(ContextOverflow::TruncateOldest, history, &sizes, Room::of(512, Some(10))).unwrap();
        assert_eq!(questions(&fitted), ["3", "4"]);
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
