//! HTTP layer of every route: extractors, errors, authentication and middleware.
//!
//! A function exports its routes; [`serve::finish`] puts the shared layer around each. The resulting router is the same on
//! Lambda and in a server.

#![warn(missing_docs)]

mod access_log;
pub mod auth;
pub mod body_budget;
pub mod cache_control;
mod compression;
mod cors;
pub mod deadline;
pub mod dialect;
pub mod documented_routes;
mod drain_body;
pub mod error;
pub mod extract;
pub mod form;
pub mod json_array;
mod json_size;
pub mod late_answer;
pub mod ndjson;
mod no_route;
mod ollama_paths;
pub mod paced_body;
mod panic;
pub mod prefer_async;
pub mod public_url;
pub mod request_id;
mod request_layer;
mod request_span;
pub mod response_headers;
mod route_metrics;
pub mod serve;
pub mod sse;
mod state;

pub use deadline::Deadline;
pub use documented_routes::Routes;
pub use error::HttpError;
pub use extract::{JsonBody, PathParam, QueryParams};
pub use form::FormBody;
pub use late_answer::WholeAnswer;
pub use public_url::PublicUrl;
pub use request_id::RequestId;
pub use request_layer::RequestLayer;
pub use serve::finish;
pub use state::AppState;
#[doc(hidden)]
pub use utoipa_axum;
