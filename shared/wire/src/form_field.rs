//! Fields of a `multipart/form-data` body (RFC 7578).

use crate::ApiError;

/// Characters of a field's name that an error repeats.
const NAME_MAX_CHARS: usize = 64;

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormField {
    /// The field's name.
    pub name: String,
    /// True if the field is a file.
    pub is_file: bool,
    /// The value, or the content of the file.
    pub bytes: Vec<u8>,
}

/// Shortens the name of a field, which comes from a client, for an error.
#[must_use]
pub fn shortened_name(name: &str) -> String {
    name.chars().take(NAME_MAX_CHARS).collect()
}

/// The error of a form with two fields of the same name, of which only one could be followed.
#[must_use]
pub fn repeated_field(name: &str) -> ApiError {
    let name = shortened_name(name);
    let message = format!("the form has the field {name:?} more than once; send it once");
    ApiError::invalid(name, message)
}
