//! The data of GGUF headers that the node uses. `hearth_worker::gguf` reads and checks them.

mod header;
mod shape;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod written;

pub use header::Header;
pub use hearth_worker::gguf::GgufError;
pub use shape::{Experts, Layer, Shape};
