//! Encrypted thoughts of OpenAI. In a conversation they have a prefix, so that they are sent back to OpenAI only: other
//! vendors would refuse the whole request because of them.

const PREFIX: &str = "openai:";

/// Adds the prefix to encrypted thoughts.
pub(super) fn with_prefix(encrypted: &str) -> String {
    format!("{PREFIX}{encrypted}")
}

/// Removes the prefix from encrypted thoughts; `None` if they are another vendor's.
pub(super) fn without_prefix(encrypted: &str) -> Option<&str> {
    encrypted.strip_prefix(PREFIX)
}

/// Returns whether encrypted thoughts are OpenAI's.
pub(in crate::dialect) fn is_openai(encrypted: &str) -> bool {
    encrypted.starts_with(PREFIX)
}
