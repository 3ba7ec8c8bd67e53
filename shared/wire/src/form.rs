//! Forms with files (RFC 7578), as a client sends them.

/// A field of a form, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormField {
    /// What it is called.
    pub name: String,
    /// Whether it came as a file.
    pub is_file: bool,
    /// Its value, or the file.
    pub bytes: Vec<u8>,
}
