//! Options that depend on where the gateway runs, and the HTTP clients of its outgoing requests.

use std::sync::Arc;

use hearth_providers::AllowedAddresses;
use hearth_settings::GatewaySettings;
use hearth_store::NewSecret;

use crate::{jobs::engine::queue::JobQueue, sockets::SocketService};

/// HTTP clients of outgoing requests.
#[derive(Debug, Clone)]
pub struct HttpClients {
    /// For nodes.
    pub nodes: reqwest::Client,
    /// For vendors.
    pub vendors: hearth_providers::VendorClient,
    /// For servers whose addresses users have set.
    pub user_servers: hearth_providers::VendorClient,
}

impl HttpClients {
    /// The clients of a gateway whose operator may name any address, with their default timeouts.
    ///
    /// # Errors
    /// If the TLS roots can't be read.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::for_addresses(AllowedAddresses::All)
    }

    /// The clients, which connect to these addresses only: those for users' servers to public ones in any case.
    ///
    /// # Errors
    /// If the TLS roots can't be read.
    pub fn for_addresses(allowed: AllowedAddresses) -> Result<Self, reqwest::Error> {
        Ok(Self {
            nodes: hearth_providers::http_client(allowed)?,
            vendors: hearth_providers::VendorClient::for_addresses(allowed)?,
            user_servers: hearth_providers::VendorClient::public_only()?,
        })
    }
}

/// Options of a gateway.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Allows nodes with private and loopback addresses. A node's address is one that the gateway connects to, so the
    /// cloud refuses these by default.
    pub private_nodes: bool,
    /// The process runs on after a response. On Lambda it is frozen then.
    pub long_lived: bool,
    /// Creates the gateway's secret where there is none. In the cloud the template creates it.
    pub new_secret: Option<NewSecret>,
    /// The service that has the sockets of nodes and clients; none: this process has them itself.
    pub sockets: Option<SocketService>,
    /// The queue of jobs that processes share; none: this process has one of its own.
    pub jobs: Option<Arc<dyn JobQueue>>,
    /// The operator's settings.
    pub settings: GatewaySettings,
}
