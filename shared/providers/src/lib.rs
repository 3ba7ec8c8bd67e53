//! Providers of generations: the [`Provider`] trait, the link to a node, and vendors behind HTTP.
//!
//! A vendor is a short file in [`vendor`]: its facts, among them the [`dialect`] that its API speaks.

#![warn(missing_docs)]

mod answer_error;
mod balance;
pub mod config;
mod credits;
mod decoder;
mod decompress;
mod defaults;
pub mod dialect;
mod endpoint;
mod error_response;
pub mod framing;
pub mod http;
mod identity;
mod json_body;
mod lenient;
pub mod media;
pub mod model_info;
pub mod model_list;
pub mod node;
mod provider;
pub mod reader;
mod redact;
mod retry_after;
mod rules;
mod sigv4;
mod strict_schema;
mod transport;
mod transport_error;
mod url_path;
pub mod vendor;

pub use config::ProviderSettings;
pub use decoder::{Decoder, Frame};
pub use defaults::Defaults;
pub use endpoint::{Endpoint, Timeouts};
pub use framing::{FRAME_MAX_BYTES, Framing};
pub use http::HttpProvider;
pub use model_info::ModelInfoTable;
pub use node::{LocalNode, NodeLink, http_client};
pub use provider::{Call, EventStream, Provider};
pub use transport::VendorClient;
pub use vendor::Vendor;

/// Builds the HTTP clients for vendors. Their timeouts are in each provider's settings.
///
/// # Errors
/// As [`VendorClient::new`].
pub fn vendor_client() -> Result<VendorClient, reqwest::Error> {
    VendorClient::new()
}
