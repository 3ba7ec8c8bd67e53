//! The embedded stores of a data folder, and the gateway over them.

use std::path::Path;

use anyhow::Result;
use hearth_auth::Keys;
use hearth_embedded::Embedded;
use hearth_gateway::{Gateway, HttpClients, Options, Routing};
use hearth_store::{Clients, Names, Store};

const TABLE: &str = "hearth";
const BUCKET: &str = "hearth-media";
const SECRET: &str = "hearth/gateway";
const PROVIDER_KEYS: &str = "hearth/provider-keys";

/// The stores of one data folder, which is this process' own while they live.
pub(crate) struct Stores(Embedded);

impl Stores {
    /// Opens them; the folder is made if it isn't there.
    pub(crate) fn open(data: &Path) -> Result<Self> {
        Ok(Self(Embedded::open(data, BUCKET)?))
    }

    /// The gateway over them, which asks those in `routing`; what `options` say of where it runs is overruled.
    pub(crate) async fn gateway(&self, routing: Routing, options: Options) -> Result<Gateway> {
        let s3 = self.0.s3("http://s3.embedded");
        let clients = Clients { dynamodb: self.0.dynamodb(), s3, secrets: self.0.secrets() };
        let names = Names {
            table: TABLE.to_owned(),
            bucket: BUCKET.to_owned(),
            secret: SECRET.to_owned(),
            provider_keys: PROVIDER_KEYS.to_owned(),
        };
        let store = Store::new(clients, names);
        store.migrate().await?;
        let options = Options {
            private_nodes: true,
            long_lived: true,
            new_secret: Some(Keys::generate_secret),
            ..options
        };
        let gateway = Gateway::new(store, HttpClients::new()?, options, routing);
        // A new data folder's secret is made now: nothing else may need it for long, and it isn't ready without.
        gateway.keys().await?;
        Ok(gateway)
    }
}
