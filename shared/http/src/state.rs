//! State that every function's routes share.

use hearth_gateway::Gateway;

/// State that handlers extract.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Gateway that serves all requests.
    pub gateway: Gateway,
}
