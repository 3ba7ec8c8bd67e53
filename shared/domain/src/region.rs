//! Regions in which requests are processed.

/// Maximum length of a region's name in bytes.
pub const REGION_MAX_BYTES: usize = 32;

/// Rules of a region's name, for error messages.
pub const REGION_RULE: &str =
    "a region is 1 to 32 lower-case letters, digits and dashes, such as eu-central-1";

/// Returns whether a text can be the name of a region. Names are the operator's choice; they are compared as texts.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=REGION_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}
