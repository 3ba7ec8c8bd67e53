//! Options that depend on where the gateway runs, and the HTTP clients of its outgoing requests.

use hearth_settings::GatewaySettings;
use hearth_store::NewSecret;

/// HTTP clients of outgoing requests.
#[derive(Debug, Clone)]
pub struct HttpClients {
    /// For nodes.
    pub nodes: reqwest::Client,
    /// For vendors.
    pub vendors: hearth_providers::VendorClient,
}

impl HttpClients {
    /// Both clients, with their default timeouts.
    ///
    /// # Errors
    /// If the TLS roots can't be read.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { nodes: hearth_providers::http_client()?, vendors: hearth_providers::vendor_client()? })
    }
}

/// Options of a gateway.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Allows nodes with private and loopback addresses. A node's address is one that the gateway connects to, so the
    /// cloud refuses these by default.
    pub private_nodes: bool,
    /// The process runs on after a response. On Lambda it is frozen then.
    pub long_lived: bool,
    /// Creates the gateway's secret where there is none. In the cloud the template creates it.
    pub new_secret: Option<NewSecret>,
    /// The operator's settings.
    pub settings: GatewaySettings,
}
