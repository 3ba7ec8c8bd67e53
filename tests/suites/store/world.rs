//! A store of a test's own.

use std::path::Path;

use aws_emulator::AwsEmulator;
use hearth_store::{Clients, Names, Store, database::Durability, home};
use hearth_tests::Moto;
use tempfile::TempDir;

pub(crate) const BUCKET: &str = "hearth-media";

/// A store and its folder.
pub(crate) struct World {
    store: Store,
    /// The emulator of a world in AWS.
    emulator: Option<AwsEmulator>,
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
        let (store, emulator) = match kind.clone() {
            Kind::Home => (home::open(folder.path(), Durability::Os).unwrap(), None),
            Kind::Aws => {
                let emulator = AwsEmulator::open(folder.path(), BUCKET).unwrap();
                (over(&emulator, "one"), Some(emulator))
            }
            Kind::Moto(moto) => (moto.store(), None),
        };
        store.migrate().await.unwrap();
        Self { store, emulator, kind, folder }
    }

    /// Closes the store and opens it again.
    pub(crate) async fn restart(self) -> Self {
        let Self { store, emulator, kind, folder } = self;
        drop((store, emulator));
        Self::open(kind, folder).await
    }

    pub(crate) fn store(&self) -> Store {
        self.store.clone()
    }

    /// The same store of the emulator, with another key of KMS.
    pub(crate) fn with_kms_key(&self, id: &str) -> Store {
        let Some(embedded) = &self.emulator else { panic!("the world has no emulator") };
        over(embedded, id)
    }

    /// True if the store is in moto.
    pub(crate) fn is_moto(&self) -> bool {
        matches!(self.kind, Kind::Moto(_))
    }

    /// Runs futures at the same time; in moto one after the other, since its writes aren't isolated from each other: a transaction
    /// that fails takes back what another has written meanwhile, and of two conditional updates one may be lost.
    pub(crate) async fn concurrently<F: Future>(&self, futures: impl Iterator<Item = F>) -> Vec<F::Output> {
        if !self.is_moto() {
            return futures::future::join_all(futures).await;
        }
        let mut results = Vec::new();
        for future in futures {
            results.push(future.await);
        }
        results
    }

    /// Deletes every object of the bucket. Returns false if that can't be done here: in moto.
    pub(crate) async fn delete_objects(&self) -> bool {
        match (&self.kind, &self.emulator) {
            (Kind::Home, _) => {
                for file in std::fs::read_dir(self.folder.path().join("objects")).unwrap() {
                    std::fs::remove_file(file.unwrap().path()).unwrap();
                }
            }
            (Kind::Aws, Some(emulator)) => {
                let s3 = emulator.s3("http://s3.test");
                let listed = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
                for key in listed.contents().iter().filter_map(|object| object.key()) {
                    s3.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
                }
            }
            _ => return false,
        }
        true
    }

    /// Counts the objects of the bucket.
    pub(crate) async fn count_objects(&self) -> usize {
        match &self.kind {
            Kind::Home | Kind::Aws => count_files(&self.folder.path().join("objects")),
            Kind::Moto(moto) => moto.count_objects().await,
        }
    }
}

/// Opens the stores of the cloud, in the emulator of this process. Its folder has the layout of earlier versions.
pub(crate) fn in_aws(folder: &Path) -> Store {
    over(&AwsEmulator::open(folder, BUCKET).unwrap(), "one")
}

/// Counts the files below a folder.
fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

pub(crate) fn over(embedded: &AwsEmulator, kms_key: &str) -> Store {
    let clients = Clients {
        dynamodb: embedded.dynamodb(),
        kms: embedded.kms(),
        s3: embedded.s3("http://s3.test"),
        secrets: embedded.secrets(),
    };
    Store::new(clients, Names { kms_key: AwsEmulator::kms_key_arn(kms_key), ..Names::at_home() })
}
