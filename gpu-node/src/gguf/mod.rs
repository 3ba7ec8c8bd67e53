//! Reads GGUF headers, before llama.cpp opens the file.
//!
//! llama.cpp trusts its files: a flipped byte can abort the process, and a truncated file is noticed late. So this reads
//! the header with every length bounded, and compares the tensors' extents with the file's size. Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3.

mod error;
mod header;
mod reader;
mod shape;
mod tensor;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod written;

pub use error::GgufError;
pub use header::Header;
pub use shape::{Experts, Layer, Shape};
