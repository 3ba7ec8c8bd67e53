//! Thoughts that only OpenAI can read. In a conversation they are marked as OpenAI's, so that they go back to it
//! and to no other maker, who would refuse the whole request for them.

/// What the mark is.
const PREFIX: &str = "openai:";

/// Encrypted thoughts with the mark.
pub(super) fn marked(encrypted: &str) -> String {
    format!("{PREFIX}{encrypted}")
}

/// Encrypted thoughts without the mark; none if they are another maker's.
pub(super) fn read(encrypted: &str) -> Option<&str> {
    encrypted.strip_prefix(PREFIX)
}

/// Whether encrypted thoughts are OpenAI's.
pub(in crate::dialect) fn is_openais(encrypted: &str) -> bool {
    read(encrypted).is_some()
}
