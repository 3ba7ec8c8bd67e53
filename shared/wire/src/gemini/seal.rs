//! Where Google's seals on thoughts belong.
//!
//! Gemini puts a `thoughtSignature` on the part of an answer that its thoughts led to: a text, a call of a tool,
//! or the thoughts themselves. It wants it back on the same part, and from its third family on refuses a call
//! that has lost it (<https://ai.google.dev/gemini-api/docs/thought-signatures>). In a conversation only blocks
//! of thoughts have signatures. So each seal gets a block, and the block's signature says where it belongs:
//!
//! | signature | the seal's part |
//! |---|---|
//! | `gemini:thought:SEAL` | the thoughts in the block |
//! | `gemini:text:FROM-TO:SEAL` | these bytes of the message's text, which may be none |
//! | `gemini:call:ID:SEAL` | the call with this id |
//!
//! It also tells Google's seals from those of other makers, who must not be shown them, nor the reverse.

/// What every signature of Google's begins with.
const PREFIX: &str = "gemini:";

/// The part of a message that a seal belongs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The thoughts in the same block.
    Thought,
    /// The text between these bytes.
    Text(usize, usize),
    /// The call of this id.
    Call(&'a str),
}

/// The signature of a block with a seal that belongs on `place`.
#[must_use]
pub fn signature(place: Place<'_>, seal: &str) -> String {
    match place {
        Place::Thought => format!("{PREFIX}thought:{seal}"),
        Place::Text(from, to) => format!("{PREFIX}text:{from}-{to}:{seal}"),
        Place::Call(id) => format!("{PREFIX}call:{id}:{seal}"),
    }
}

/// The seal in a signature and where it belongs; none if it isn't Google's. A seal is in base64, so it has no
/// colon, though an id may.
#[must_use]
pub fn read(signature: &str) -> Option<(Place<'_>, &str)> {
    let (place, seal) = signature.strip_prefix(PREFIX)?.rsplit_once(':')?;
    let place = match place.split_once(':') {
        None if place == "thought" => Place::Thought,
        Some(("text", range)) => {
            let (from, to) = range.split_once('-')?;
            Place::Text(from.parse().ok()?, to.parse().ok()?)
        }
        Some(("call", id)) => Place::Call(id),
        _ => return None,
    };
    Some((place, seal))
}

/// Whether a signature is Google's.
#[must_use]
pub fn is_googles(signature: &str) -> bool {
    signature.starts_with(PREFIX)
}
