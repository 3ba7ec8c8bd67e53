//! Providers of generations: the [`Provider`] trait, the link to a node, and vendors behind HTTP.
//!
//! A vendor is a short file in [`vendor`]: its facts, among them the [`dialect`] that its API speaks.

#![warn(missing_docs)]

mod answer_error;
mod answer_schema;
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
mod json_document;
mod json_tree;
mod lenient;
pub mod media;
pub mod model_info;
pub mod model_list;
pub mod node;
mod post;
mod provider;
pub mod reader;
mod redact;
mod retry_after;
mod rules;
mod sigv4;
mod strict_schema;
mod token_exchange;
mod transport;
mod transport_error;
mod url_path;
pub mod vendor;
mod verify;

pub use config::ProviderSettings;
pub use decoder::{Decoder, Frame};
pub use defaults::{Defaults, FurtherSampling};
pub use endpoint::{Endpoint, Timeouts};
pub use framing::{FRAME_MAX_BYTES, Framing};
pub use http::HttpProvider;
pub use model_info::ModelInfoTable;
pub use node::{
    LinkEvents, LinkRequest, LinkResponse, LinkTransport, LocalNode, NodeLink, http_client,
    pinned_http_client,
};
pub use post::{PostAnswer, PostError};
pub use provider::{Call, EventStream, Provider};
pub use token_exchange::{ServiceAccount, TokenAnswer, request_token};
pub use transport::{AllowedAddresses, PinnedKey, VendorClient};
pub use vendor::Vendor;
pub use verify::KeyCheck;

/// Builds the HTTP clients for vendors. Their timeouts are in each provider's settings.
///
/// # Errors
/// As [`VendorClient::new`].
pub fn vendor_client() -> Result<VendorClient, reqwest::Error> {
    VendorClient::new()
}
