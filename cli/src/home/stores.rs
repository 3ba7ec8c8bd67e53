//! The stores of a data folder, and the gateway over them.

use std::path::Path;

use anyhow::Result;
use hearth_auth::Keys;
use hearth_gateway::{Gateway, HttpClients, Options, Routing};
use hearth_store::{Store, database::Durability, home};

/// The stores of one data folder, which is this process' own while they live.
pub(crate) struct Stores(Store);

impl Stores {
    /// Opens them; the folder is made if it isn't there.
    pub(crate) fn open(data: &Path, durability: Durability) -> Result<Self> {
        Ok(Self(home::open(data, durability)?))
    }

    /// Commits what waits and leaves the files in order; nothing can be stored after that.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    /// The gateway over them, which asks those in `routing`; what `options` say of where it runs is overruled.
    pub(crate) async fn gateway(&self, routing: Routing, options: Options) -> Result<Gateway> {
        self.0.migrate().await?;
        let options = Options {
            private_nodes: true,
            long_lived: true,
            new_secret: Some(Keys::generate_secret),
            ..options
        };
        let gateway = Gateway::new(self.0.clone(), HttpClients::new()?, options, routing);
        // A new data folder's secret is made now: nothing else may need it for long, and it isn't ready without.
        gateway.keys().await?;
        Ok(gateway)
    }
}
