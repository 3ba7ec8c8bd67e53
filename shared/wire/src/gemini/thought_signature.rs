//! Gemini's thought signatures in a domain message.
//!
//! Gemini puts a `thoughtSignature` on a part of its answer: on a text, a function call, or the reasoning itself. The
//! signature must come back on the same part; models since Gemini 3 refuse a call without its signature
//! (<https://ai.google.dev/gemini-api/docs/thought-signatures>). A domain message has signatures on reasoning blocks
//! only. So each signature becomes the signature of a reasoning block, encoded with the part that it belongs to:
//!
//! | encoded signature | signed part |
//! |---|---|
//! | `gemini:thought:SIGNATURE` | the block's own text |
//! | `gemini:text:FROM-TO:SIGNATURE` | these bytes of the message's text, which may be none |
//! | `gemini:call:ID:SIGNATURE` | the call with this id |
//!
//! The prefix also distinguishes Gemini's signatures from other vendors', since no vendor may get another's.

/// Prefix of every encoded signature.
const PREFIX: &str = "gemini:";

/// The part of a message that a signature belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedPart<'a> {
    /// The text of the reasoning block.
    Thought,
    /// These bytes of the message's text.
    Text(usize, usize),
    /// The call with this id.
    Call(&'a str),
}

/// Encodes a signature of `part`, as the signature of a reasoning block.
#[must_use]
pub fn encode(part: SignedPart<'_>, signature: &str) -> String {
    match part {
        SignedPart::Thought => format!("{PREFIX}thought:{signature}"),
        SignedPart::Text(from, to) => format!("{PREFIX}text:{from}-{to}:{signature}"),
        SignedPart::Call(id) => format!("{PREFIX}call:{id}:{signature}"),
    }
}

/// Decodes a reasoning block's signature; `None` if it is not Gemini's. Gemini's signatures are base64 and so have no
/// colon, but a call's id may have one.
#[must_use]
pub fn decode(encoded: &str) -> Option<(SignedPart<'_>, &str)> {
    let (part, signature) = encoded.strip_prefix(PREFIX)?.rsplit_once(':')?;
    let part = match part.split_once(':') {
        None if part == "thought" => SignedPart::Thought,
        Some(("text", range)) => {
            let (from, to) = range.split_once('-')?;
            SignedPart::Text(from.parse().ok()?, to.parse().ok()?)
        }
        Some(("call", id)) => SignedPart::Call(id),
        _ => return None,
    };
    Some((part, signature))
}

/// Returns whether a reasoning block's signature is Gemini's.
#[must_use]
pub fn is_gemini(encoded: &str) -> bool {
    encoded.starts_with(PREFIX)
}
