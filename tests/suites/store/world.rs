//! A store of a test's own.

use std::path::Path;

use aws_emulator::AwsEmulator;
use hearth_store::{Clients, Names, Store, database::Durability, home};
use hearth_tests::Moto;
use tempfile::TempDir;

const BUCKET: &str = "hearth-media";

/// A store and its folder.
pub(crate) struct World {
    store: Store,
    kind: Kind,
    folder: TempDir,
}

#[derive(Clone)]
enum Kind {
    Home,
    Aws,
    Moto(Box<Moto>),
}

impl World {
    /// Opens the stores of a home gateway.
    pub(crate) async fn at_home() -> Self {
        Self::open(Kind::Home, TempDir::new().unwrap()).await
    }

    /// Opens the stores of the cloud, in the emulator of this process.
    pub(crate) async fn in_aws() -> Self {
        Self::open(Kind::Aws, TempDir::new().unwrap()).await
    }

    /// Opens the stores of the cloud in a moto server, with the clients of the functions.
    pub(crate) async fn in_moto() -> Self {
        let moto = Box::new(Moto::connect().await);
        Self::open(Kind::Moto(moto), TempDir::new().unwrap()).await
    }

    async fn open(kind: Kind, folder: TempDir) -> Self {
        let store = match kind.clone() {
            Kind::Home => home::open(folder.path(), Durability::Os).unwrap(),
            Kind::Aws => in_aws(folder.path()),
            Kind::Moto(moto) => moto.store(),
        };
        store.migrate().await.unwrap();
        Self { store, kind, folder }
    }

    /// Closes the store and opens it again.
    pub(crate) async fn restart(self) -> Self {
        let Self { store, kind, folder } = self;
        drop(store);
        Self::open(kind, folder).await
    }

    pub(crate) fn store(&self) -> Store {
        self.store.clone()
    }

    /// Counts the objects of the bucket.
    pub(crate) async fn count_objects(&self) -> usize {
        match &self.kind {
            Kind::Home | Kind::Aws => std::fs::read_dir(self.folder.path().join("objects")).unwrap().count(),
            Kind::Moto(moto) => moto.count_objects().await,
        }
    }
}

/// Opens the stores of the cloud, in the emulator of this process. Its folder has the layout of earlier versions.
pub(crate) fn in_aws(folder: &Path) -> Store {
    let embedded = AwsEmulator::open(folder, BUCKET).unwrap();
    let clients = Clients {
        dynamodb: embedded.dynamodb(),
        s3: embedded.s3("http://s3.test"),
        secrets: embedded.secrets(),
    };
    Store::new(clients, Names::at_home())
}
