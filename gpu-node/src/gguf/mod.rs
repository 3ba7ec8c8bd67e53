//! GGUF headers, read in Rust before llama.cpp sees the file.
//!
//! llama.cpp trusts its files: a flipped byte can abort the process, and a truncated file is found
//! late. So the header is read here with every length bounded, and the tensors' extents are compared
//! with the file's size. Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3.

mod header;
mod reader;
mod shape;
mod tensor;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod written;

pub use header::Header;
pub use shape::{Experts, Layer, Shape};

/// Why a file can't be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// It can't be read.
    #[error("the model file can't be read: {0}")]
    Io(#[from] std::io::Error),
    /// It isn't GGUF. The message has none of its bytes: a link in the model folder may point to any file.
    #[error("not a GGUF file: it doesn't begin with \"GGUF\"")]
    NotGguf,
    /// A version that isn't known here.
    #[error("GGUF version {0} isn't supported; versions 2 and 3 are")]
    Version(u32),
    /// It ends too early.
    #[error("the model file is truncated: it has {actual} bytes and needs {needed}; download it again")]
    Truncated {
        /// Its size.
        actual: u64,
        /// The least size that its header speaks of.
        needed: u64,
    },
    /// Its header contradicts itself.
    #[error("the model file is corrupt: {0}; download it again")]
    Corrupt(String),
}
