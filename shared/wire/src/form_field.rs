//! Fields of a `multipart/form-data` body (RFC 7578).

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
