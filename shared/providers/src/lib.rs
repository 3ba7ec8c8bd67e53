//! Who carries out a generation: the [`Provider`] trait, the node, and the vendors behind HTTP.
//!
//! A vendor is a short file in [`vendor`]: whose [`dialect`] it speaks, and how it differs.

#![warn(missing_docs)]

pub mod catalog;
pub mod config;
mod credits;
mod decompress;
mod defaults;
pub mod dialect;
pub mod discovery;
mod error_response;
pub mod framing;
pub mod http;
mod lenient;
pub mod media;
pub mod node;
pub mod reader;
mod redact;
mod retry_after;
mod rules;
mod sigv4;
mod transport;
mod transport_error;
mod url_path;
pub mod vendor;

use std::{fmt::Debug, pin::Pin, sync::Arc};

use futures::Stream;
use hearth_domain::{ClientDialect, Credits, Generation, ModelId, RunId};
use hearth_wire::{ApiError, RunEventBody};

pub use catalog::Catalog;
pub use config::ProviderConfig;
pub use defaults::Defaults;
pub use framing::{FRAME_MAX_BYTES, Framing};
pub use http::{Endpoint, HttpProvider, Timeouts};
pub use node::{LocalNode, NodeLink};
pub use transport::VendorClient;
pub use vendor::Vendor;

/// A run's events from its provider: without `Selected`, ending with a terminal one.
pub type EventStream = Pin<Box<dyn Stream<Item = RunEventBody> + Send>>;

/// What a provider is asked to do.
#[derive(Debug, Clone)]
pub struct Call {
    /// The run's id.
    pub run: RunId,
    /// The model, under the provider's name for it.
    pub model: ModelId,
    /// What to generate. It may be large, and is asked of several.
    pub generation: Arc<Generation>,
}

/// Something that generates: a node, or a commercial API.
#[async_trait::async_trait]
pub trait Provider: Debug + Send + Sync {
    /// The name that clients see.
    fn name(&self) -> &str;

    /// Whose API it is: a vendor's kind, or [`config::LOCAL`].
    fn kind(&self) -> &str;

    /// What is left of its credit, as far as it has told; nothing of who takes none.
    fn credits(&self) -> Option<Credits> {
        None
    }

    /// Whether it speaks the dialect of these clients itself.
    fn speaks(&self, _client: ClientDialect) -> bool {
        false
    }

    /// Begins a generation. An error here, or as the stream's first event, has cost nothing yet, so
    /// another provider may be tried.
    ///
    /// # Errors
    /// Why it can't begin.
    async fn generate(&self, call: Call) -> Result<EventStream, ApiError>;

    /// Stops a run; whether there was something to stop. Its stream then ends.
    ///
    /// # Errors
    /// If the provider can't be reached.
    async fn cancel(&self, run: RunId) -> Result<bool, ApiError>;
}

/// How long an answer may be silent. Whoever streams and has nothing to say sends a comment meanwhile,
/// a node each 10 s: so it is bytes that are waited for, and not events.
const BETWEEN_BYTES_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// How long a connection may take.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
const USER_AGENT: &str = concat!("hearth/", env!("CARGO_PKG_VERSION"));

/// The HTTP client that nodes are called through. Its connections don't wait to fill packets: a token is small.
///
/// # Errors
/// If it can't be made.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(transport::tls_config())
        .tcp_nodelay(true)
        .read_timeout(BETWEEN_BYTES_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
        .build()
}

/// The HTTP clients that vendors are called through: how long one may be silent is for its settings to say.
///
/// # Errors
/// As [`VendorClient::new`].
pub fn vendor_client() -> Result<VendorClient, reqwest::Error> {
    VendorClient::new()
}
