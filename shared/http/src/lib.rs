//! What every route shares: extractors, errors, middleware, and the entry points.
//!
//! A function exports its routes; [`serve::finish`] puts the shared layers around them. The router
//! that comes out doesn't know whether it runs on Lambda ([`lambda`]) or in a server.

#![warn(missing_docs)]

mod access_log;
pub mod auth;
pub mod body_budget;
pub mod cache;
pub mod config;
pub mod dialect;
pub mod error;
pub mod extract;
pub mod form;
pub mod head;
mod json_size;
pub mod lambda;
mod no_route;
pub mod paced_body;
pub mod public_url;
pub mod queue;
pub mod request_id;
pub mod serve;
pub mod sse;
mod unread;

pub use auth::require;
pub use error::HttpError;
pub use extract::{JsonBody, PathParam, QueryParams};
pub use form::FormBody;
pub use public_url::PublicUrl;
pub use request_id::RequestId;
pub use serve::{AppState, Routes, finish};
