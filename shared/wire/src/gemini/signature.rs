//! What stands in `thoughtSignature`: Google's own seals as they are, and the thoughts of other makers packed, so that
//! they go back to their maker with the next turn.
//!
//! Clients of this dialect keep a signature with its part and send it back unread. Some decode it on the way and encode it
//! again, in the other alphabet of base64.

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use hearth_domain::Reasoning;

/// The first bytes of packed thoughts: JSON follows.
const PACKED_PREFIX: &[u8] = b"hearth:";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL_BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// A signature that a client sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signature {
    /// One of Google's.
    Google(String),
    /// Thoughts of another maker.
    Packed(Vec<Reasoning>),
}

/// The signature that carries thoughts back to their maker; none if there are none.
pub(super) fn pack(blocks: &[Reasoning]) -> Option<String> {
    let says_something = |block: &&Reasoning| {
        !block.text.is_empty()
            || block.encrypted.is_some()
            || block.signature.as_ref().is_some_and(|s| !s.is_empty())
    };
    let blocks: Vec<&Reasoning> = blocks.iter().filter(says_something).collect();
    if blocks.is_empty() {
        return None;
    }
    let json = serde_json::to_vec(&blocks).ok()?;
    Some(STANDARD_BASE64.encode([PACKED_PREFIX, &json].concat()))
}

/// Reads a signature.
pub(super) fn read(signature: String) -> Signature {
    let bytes = STANDARD_BASE64.decode(&signature).or_else(|_| URL_BASE64.decode(&signature)).ok();
    let packed = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(PACKED_PREFIX));
    match packed.and_then(|json| serde_json::from_slice(json).ok()) {
        Some(blocks) => Signature::Packed(blocks),
        None => Signature::Google(signature),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_come_back_in_either_alphabet() {
        let block =
            Reasoning { text: "Hm? >>>???~~~".into(), signature: Some("sig".into()), encrypted: None };
        let packed = pack(&[Reasoning::default(), block.clone()]).unwrap();
        let url_safe = packed.replace('+', "-").replace('/', "_").replace('=', "");
        for signature in [packed, url_safe] {
            assert_eq!(read(signature), Signature::Packed(vec![block.clone()]));
        }
        assert_eq!(pack(&[Reasoning::default()]), None);
    }

    #[test]
    fn googles_seals_stay_as_they_are() {
        for seal in ["c2VhbGVk", "skip_thought_signature_validator", "no base64!", "aGVhcnRoOm5vIGpzb24="] {
            assert_eq!(read(seal.to_owned()), Signature::Google(seal.to_owned()));
        }
    }
}
