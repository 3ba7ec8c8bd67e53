//! The stores of a data folder, and the gateway over them.

use std::path::Path;

use anyhow::Result;
use hearth_auth::Keys;
use hearth_gateway::{Gateway, HttpClients, Options, Routing};
use hearth_settings::{Durability, GatewaySettings};
use hearth_store::{Store, home};

use super::data_lock::when_free;

/// The stores of one data folder, which is locked for this process while they exist.
pub(crate) struct Stores(Store);

impl Stores {
    /// Opens the stores, and creates a missing folder.
    pub(crate) fn open(data: &Path, durability: Durability) -> Result<Self> {
        Ok(Self(home::open(data, durability)?))
    }

    /// The same; waits for a process that has them open and is about to end.
    pub(crate) async fn open_when_free(data: &Path, durability: Durability) -> Result<Self> {
        Ok(Self(when_free(|| home::open(data, durability)).await?))
    }

    /// Commits all pending writes and closes the database; later writes fail.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    /// Migrates the table, and builds the gateway over the stores.
    pub(crate) async fn gateway(&self, routing: Routing, settings: GatewaySettings) -> Result<Gateway> {
        self.0.migrate().await?;
        let options = Options {
            private_nodes: true,
            long_lived: true,
            new_secret: Some(Keys::generate_secret),
            sockets: None,
            jobs: None,
            settings,
        };
        let gateway = Gateway::new(self.0.clone(), HttpClients::new()?, options, routing);
        // Create the secret of a new data folder now: `/ready` fails without it, and no request may need it for long.
        gateway.keys().await?;
        Ok(gateway)
    }
}
