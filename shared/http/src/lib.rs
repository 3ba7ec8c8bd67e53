//! HTTP layer of every route: extractors, errors, authentication and middleware.
//!
//! A function exports its routes; [`serve::finish`] puts the shared layer around each. The resulting router is the same on
//! Lambda and in a server.

#![warn(missing_docs)]

mod access_log;
pub mod audit;
pub mod auth;
pub mod body_budget;
pub mod cache_control;
pub mod client_address;
mod compression;
mod cors;
pub mod deadline;
pub mod dialect;
pub mod documented_routes;
mod drain_body;
pub mod error;
mod error_format;
pub mod extract;
pub mod form;
pub mod json_array;
pub mod late_answer;
pub mod ndjson;
mod no_route;
mod node_auth;
mod ollama_paths;
pub mod paced_body;
mod panic;
pub mod prefer_async;
pub mod public_url;
pub mod rate_headers;
pub mod request_id;
mod request_layer;
mod request_span;
pub mod response_headers;
mod route_metrics;
pub mod security_headers;
pub mod serve;
pub mod socket_credential;
pub mod socket_violation;
pub mod sse;
mod state;
pub mod upload;
mod wildcard;

pub use audit::AuditNote;
pub use client_address::ClientAddress;
pub use deadline::Deadline;
pub use documented_routes::Routes;
pub use error::HttpError;
pub use extract::{JsonBody, OptionalJsonBody, PathParam, QueryParams};
pub use form::FormBody;
pub use late_answer::WholeAnswer;
pub use node_auth::SignedNode;
pub use public_url::PublicUrl;
pub use request_id::RequestId;
pub use request_layer::RequestLayer;
pub use security_headers::SecureTransport;
pub use serve::finish;
pub use state::AppState;
pub use upload::UploadForm;
#[doc(hidden)]
pub use utoipa_axum;
