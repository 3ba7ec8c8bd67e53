//! The function of each target. The suite `providers` calls them with the seeds, so that a change of what they use is noticed: the
//! targets themselves are compiled by cargo-fuzz alone.

use hearth_providers::{
    Framing,
    dialect::{Dialect, openai_chat::COMMON},
};

use super::{check_answer, check_frames, credentials};

/// Any text as the access token of a login, and any claims under a good signature.
pub fn access_token(data: &[u8]) {
    credentials::check_access_token(data);
}

/// An answer in the dialect of Anthropic's messages.
pub fn anthropic(data: &[u8]) {
    check_answer(Dialect::Anthropic, data);
}

/// An answer in the dialect of Amazon Bedrock's `ConverseStream`.
pub fn bedrock(data: &[u8]) {
    check_answer(Dialect::Bedrock, data);
}

/// Any text as an API token, an access key, a refresh token and a one-time code.
pub fn credential(text: &str) {
    credentials::check_credential(text);
}

/// Any text as a list's cursor.
pub fn cursor(text: &str) {
    credentials::check_cursor(text);
}

/// The frames of a body: server-sent events or AWS's messages, by the first bit.
pub fn framing(data: &[u8]) {
    let Some((framing, data)) = data.split_first() else { return };
    check_frames(if framing & 1 == 0 { Framing::ServerSentEvents } else { Framing::AwsEventStream }, data);
}

/// An answer in the dialect of Google's `generateContent`.
pub fn gemini(data: &[u8]) {
    check_answer(Dialect::Gemini, data);
}

/// Any text as a token of an identity provider, any header and claims under a good signature, and any set of keys.
pub fn issuer_token(data: &[u8]) {
    credentials::check_issuer_token(data);
}

/// An answer in the dialect of OpenAI's chat completions.
pub fn openai_chat(data: &[u8]) {
    check_answer(Dialect::OpenAiChat(&COMMON), data);
}

/// An answer in the dialect of OpenAI's responses.
pub fn openai_responses(data: &[u8]) {
    check_answer(Dialect::OpenAiResponses, data);
}
