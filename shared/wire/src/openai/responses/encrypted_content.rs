//! The field `encrypted_content` of a reasoning item: the parts of the reasoning that the client returns unread.
//!
//! OpenAI puts encrypted reasoning there. Vendors that sign their reasoning instead have no field of their own in this
//! API, so the signature goes into the same field, on a first line that begins with `signature:`.

use hearth_domain::Reasoning;

const SIGNATURE_PREFIX: &str = "signature:";

/// Encodes the signature and the encrypted text of `block`; `None` if it has neither.
pub(super) fn encode(block: &Reasoning) -> Option<String> {
    match (&block.signature, &block.encrypted) {
        (None, encrypted) => encrypted.clone(),
        (Some(signature), None) => Some(format!("{SIGNATURE_PREFIX}{signature}")),
        (Some(signature), Some(encrypted)) => Some(format!("{SIGNATURE_PREFIX}{signature}\n{encrypted}")),
    }
}

/// Decodes the signature and the encrypted text.
pub(super) fn decode(text: String) -> (Option<String>, Option<String>) {
    match text.strip_prefix(SIGNATURE_PREFIX).map(|rest| rest.split_once('\n').ok_or(rest)) {
        None => (None, Some(text)),
        Some(Err(signature)) => (Some(signature.to_owned()), None),
        Some(Ok((signature, encrypted))) => (Some(signature.to_owned()), Some(encrypted.to_owned())),
    }
}
