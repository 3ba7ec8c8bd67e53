//! Errors of reading a header.

/// A reason why a file can't be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file can't be read.
    #[error("the model file can't be read: {0}")]
    Io(#[from] std::io::Error),
    /// It isn't GGUF. The message has none of its bytes: a link in the model folder may point to any file.
    #[error("not a GGUF file: it doesn't begin with \"GGUF\"")]
    NotGguf,
    /// Its version isn't supported.
    #[error("GGUF version {0} isn't supported; versions 2 and 3 are")]
    Version(u32),
    /// It is shorter than its header requires.
    #[error("the model file is truncated: it has {actual} bytes and needs {needed}; download it again")]
    Truncated {
        /// Its size.
        actual: u64,
        /// The minimum size by its header.
        needed: u64,
    },
    /// Its chat template is longer than any template in use.
    #[error("the chat template has more than 1 MiB")]
    LongTemplate,
    /// Its header contradicts itself.
    #[error("the model file is corrupt: {0}; download it again")]
    Corrupt(String),
}
