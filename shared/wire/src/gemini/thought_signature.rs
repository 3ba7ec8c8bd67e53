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
//! A block with the signature of a text stands right after the text, one with that of a call right before the call.
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

/// A signature of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSignature<'a> {
    /// First byte of the signed text.
    pub from: usize,
    /// First byte behind the signed text.
    pub to: usize,
    /// The signature.
    pub signature: &'a str,
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

/// Splits a text where signatures begin and end, each piece with its signature. `start` is the text's first byte in the message's
/// text, and `signatures` are in order. A signature whose place the text doesn't have is on an empty piece.
#[must_use]
pub fn split_text<'a>(
    text: &'a str,
    start: usize,
    signatures: &[TextSignature<'a>],
) -> Vec<(&'a str, Option<&'a str>)> {
    let mut pieces = Vec::new();
    let mut end = 0;
    for signature in signatures {
        let (from, to) = (signature.from.wrapping_sub(start), signature.to.wrapping_sub(start));
        match text.get(end..from).zip(text.get(from..to)) {
            Some((unsigned, signed)) => {
                pieces.extend((!unsigned.is_empty()).then_some((unsigned, None)));
                pieces.push((signed, Some(signature.signature)));
                end = to;
            }
            None => pieces.push(("", Some(signature.signature))),
        }
    }
    let unsigned = text.get(end..).filter(|rest| !rest.is_empty());
    pieces.extend(unsigned.map(|rest| (rest, None)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_split_where_signatures_begin_and_end() {
        let split = |places: &[(usize, usize)]| {
            let signatures =
                places.iter().map(|(from, to)| TextSignature { from: *from, to: *to, signature: "S" });
            split_text("h\u{e9}llo", 10, &signatures.collect::<Vec<_>>())
        };
        let signed = |text| (text, Some("S"));
        assert_eq!(split(&[]), [("h\u{e9}llo", None)]);
        assert_eq!(split(&[(10, 16)]), [signed("h\u{e9}llo")]);
        assert_eq!(
            split(&[(13, 13), (13, 15), (16, 16)]),
            [("h\u{e9}", None), signed(""), signed("ll"), ("o", None), signed("")]
        );
        // Places within a character, outside of the text, and in a signed text.
        assert_eq!(
            split(&[(12, 13), (3, 11), (10, 13), (11, 14), (16, 17)]),
            [signed(""), signed(""), signed("h\u{e9}"), signed(""), signed(""), ("llo", None)]
        );
        assert_eq!(split_text("", 0, &[]), []);
    }
}
