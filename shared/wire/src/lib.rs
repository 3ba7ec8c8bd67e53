//! What goes over the wire: the native API, the dialects of OpenAI, Anthropic, Google and Ollama, run events, the node link,
//! errors.
//!
//! Types here parse what clients send and render what they get, and turn both into `domain` types.
//! They do no I/O; a dialect's renderer takes the one stream of run events and gives frames.

#![warn(missing_docs)]

pub mod answer;
pub mod anthropic;
pub mod error;
pub mod event;
pub mod event_batch;
mod fields;
mod file;
pub mod form;
pub mod gemini;
pub mod json_scanner;
pub mod native;
pub mod node;
pub mod ollama;
pub mod openai;
mod parts;
mod passed_on;
pub mod stream;
pub mod structured;
mod token_estimate;
pub mod vector;

pub use error::{ApiError, ErrorCode};
pub use event::{RunEvent, RunEventBody};
pub use fields::field_name;
