//! Wire formats: the native API, the dialects of OpenAI, Anthropic, Google and Ollama, run events, the node link, and
//! errors.
//!
//! Types here parse requests of clients and render responses, and convert both to and from `domain` types. There is
//! no I/O; a dialect's renderer converts run events to frames.

#![warn(missing_docs)]

pub mod answer;
pub mod anthropic;
mod base64_bytes;
mod base64_f32;
pub mod content;
pub mod deadline;
mod definition_options;
mod dialect_param;
mod effort;
pub mod error;
pub mod event;
pub mod event_batch;
pub mod extension;
mod field_names;
pub mod form_field;
mod forms;
pub mod gemini;
pub mod json_body;
pub mod json_scanner;
mod json_size;
pub mod logprobs;
mod message_fields;
mod message_parts;
pub mod native;
pub mod node;
pub mod node_downloads;
pub mod node_limits;
mod offered_tools;
pub mod ollama;
pub mod openai;
pub mod option_hints;
mod plain_reason;
pub mod reasoning;
pub mod relay;
mod required;
pub mod response_format;
pub mod run_options;
pub mod runtime_status;
mod seed;
pub mod stop;
pub mod stream;
pub mod structured;
mod template_kwargs;
mod token_estimate;
pub mod tool_choice;
pub mod tools;
mod unknown_fields;
mod vectors;

pub use dialect_param::dialect_param;
pub use error::{ApiError, ErrorCode};
pub use event::{RunEvent, RunEventBody};
pub use field_names::field_name;
pub use plain_reason::{field_of_reason, plain_reason};
