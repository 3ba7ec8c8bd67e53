//! What every route shares: extractors, errors, middleware, and the entry points.
//!
//! A function exports its routes; [`serve::finish`] puts the shared layer around each. The router
//! that comes out doesn't know whether it runs on Lambda ([`lambda`]) or in a server.

#![warn(missing_docs)]

mod access_log;
pub mod auth;
pub mod body_budget;
pub mod cache;
mod compression;
#[cfg(feature = "lambda")]
pub mod config;
mod cors;
pub mod dialect;
pub mod error;
pub mod extract;
pub mod form;
pub mod head;
pub mod json_array;
mod json_size;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod ndjson;
mod no_route;
mod ollama_paths;
pub mod paced_body;
mod panic;
pub mod public_url;
pub mod queue;
pub mod request_id;
mod request_layer;
mod route_metrics;
pub mod serve;
pub mod sse;
mod unread;

pub use error::HttpError;
pub use extract::{JsonBody, PathParam, QueryParams};
pub use form::FormBody;
pub use public_url::PublicUrl;
pub use request_id::RequestId;
pub use request_layer::RequestLayer;
pub use serve::{AppState, Routes, finish};
