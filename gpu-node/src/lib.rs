//! the node
pub mod catalog;
pub mod engines;
pub mod frames;
pub mod gguf;
