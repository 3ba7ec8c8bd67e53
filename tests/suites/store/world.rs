//! A store in a temporary folder.

use std::path::Path;

use aws_emulator::AwsEmulator;
use hearth_store::{Clients, Names, Store, database::Durability, home};
use tempfile::TempDir;

const BUCKET: &str = "hearth-media";

/// A store, and the folder that it is in.
pub(crate) struct World {
    store: Store,
    kind: Kind,
    folder: TempDir,
}

#[derive(Clone, Copy)]
enum Kind {
    Home,
    Aws,
}

impl World {
    /// The stores of a home gateway.
    pub(crate) async fn at_home() -> Self {
        Self::open(Kind::Home, TempDir::new().unwrap()).await
    }

    /// Those of the cloud, answered in this process.
    pub(crate) async fn in_aws() -> Self {
        Self::open(Kind::Aws, TempDir::new().unwrap()).await
    }

    async fn open(kind: Kind, folder: TempDir) -> Self {
        let store = match kind {
            Kind::Home => home::open(folder.path(), Durability::Os).unwrap(),
            Kind::Aws => in_aws(folder.path()),
        };
        store.migrate().await.unwrap();
        Self { store, kind, folder }
    }

    /// Closes the store, and opens it again.
    pub(crate) async fn restart(self) -> Self {
        let Self { store, kind, folder } = self;
        drop(store);
        Self::open(kind, folder).await
    }

    pub(crate) fn store(&self) -> Store {
        self.store.clone()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The stores of the cloud, answered in this process, in the layout of a data folder of earlier versions.
pub(crate) fn in_aws(folder: &Path) -> Store {
    let embedded = AwsEmulator::open(folder, BUCKET).unwrap();
    let clients = Clients {
        dynamodb: embedded.dynamodb(),
        s3: embedded.s3("http://s3.test"),
        secrets: embedded.secrets(),
    };
    Store::new(clients, Names::at_home())
}
