//! The field `thoughtSignature`: a signature of Gemini's, or packed reasoning of another vendor.
//!
//! Clients of this dialect send a part's signature back unread with the next turn. So the reasoning of other vendors,
//! with its signatures and encrypted parts, is packed into one signature. Some clients decode it and encode it again with
//! the other base64 alphabet.

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use hearth_domain::Reasoning;

/// First bytes of packed reasoning; JSON follows.
const PACKED_PREFIX: &[u8] = b"hearth:";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL_BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// A `thoughtSignature` that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClientSignature {
    /// A signature of Gemini's.
    Gemini(String),
    /// Reasoning of another vendor.
    Packed(Vec<Reasoning>),
}

/// Packs reasoning blocks; `None` if all are empty.
pub(super) fn pack(blocks: &[Reasoning]) -> Option<String> {
    let is_not_empty = |block: &&Reasoning| {
        !block.text.is_empty()
            || block.encrypted.is_some()
            || block.signature.as_ref().is_some_and(|s| !s.is_empty())
    };
    let blocks: Vec<&Reasoning> = blocks.iter().filter(is_not_empty).collect();
    if blocks.is_empty() {
        return None;
    }
    let json = serde_json::to_vec(&blocks).ok()?;
    Some(STANDARD_BASE64.encode([PACKED_PREFIX, &json].concat()))
}

/// Parses a client's signature.
pub(super) fn parse(signature: String) -> ClientSignature {
    let bytes = STANDARD_BASE64.decode(&signature).or_else(|_| URL_BASE64.decode(&signature)).ok();
    let packed = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(PACKED_PREFIX));
    match packed.and_then(|json| serde_json::from_slice(json).ok()) {
        Some(blocks) => ClientSignature::Packed(blocks),
        None => ClientSignature::Gemini(signature),
    }
}

/// Returns the number of `blocks` that belong to each of a turn's `thoughts`, which are the texts of the blocks where the client has
/// them. A block without a text belongs to the thoughts before it.
pub(super) fn blocks_of_thoughts(blocks: &[Reasoning], thoughts: &[Reasoning]) -> Vec<usize> {
    let mut counts = vec![0; thoughts.len()];
    let mut next = thoughts.iter().map(|thought| thought.text.as_str()).enumerate();
    let (mut number, mut rest) = (None, "");
    for block in blocks {
        while rest.is_empty()
            && !block.text.is_empty()
            && let Some((following, text)) = next.next()
        {
            (number, rest) = (Some(following), text);
        }
        rest = rest.strip_prefix(block.text.as_str()).unwrap_or(rest);
        if let Some(count) = number.and_then(|number| counts.get_mut(number)) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_reasoning_is_parsed_in_either_alphabet() {
        let block =
            Reasoning { text: "Hm? >>>???~~~".into(), signature: Some("sig".into()), encrypted: None };
        let packed = pack(&[Reasoning::default(), block.clone()]).unwrap();
        let url_safe = packed.replace('+', "-").replace('/', "_").replace('=', "");
        for signature in [packed, url_safe] {
            assert_eq!(parse(signature), ClientSignature::Packed(vec![block.clone()]));
        }
        assert_eq!(pack(&[Reasoning::default()]), None);
    }

    #[test]
    fn blocks_belong_to_the_thoughts_with_their_text() {
        let blocks = |texts: &[&str]| -> Vec<Reasoning> {
            texts.iter().map(|text| Reasoning { text: (*text).to_owned(), ..Reasoning::default() }).collect()
        };
        let counts = |packed: &[&str], shown: &[&str]| blocks_of_thoughts(&blocks(packed), &blocks(shown));
        assert_eq!(counts(&["a", "b", "c"], &["ab", "c"]), [2, 1]);
        assert_eq!(counts(&["", "a", "", "b"], &["a", "b"]), [2, 1]);
        assert!(counts(&["a", "b"], &[]).is_empty());
        // A client has changed the thoughts.
        assert_eq!(counts(&["a", "b"], &["x", "b"]), [2, 0]);
    }

    #[test]
    fn signature_of_gemini_stays_as_it_is() {
        for signature in
            ["c2VhbGVk", "skip_thought_signature_validator", "no base64!", "aGVhcnRoOm5vIGpzb24="]
        {
            assert_eq!(parse(signature.to_owned()), ClientSignature::Gemini(signature.to_owned()));
        }
    }
}
