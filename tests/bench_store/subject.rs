//! The measured stores.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use aws_emulator::AwsEmulator;
use hearth_store::{Clients, Names, Store, database::Durability, home};
use tempfile::TempDir;

/// A store in a folder of its own.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) store: Store,
    /// Number of runs in it.
    count: AtomicUsize,
    _folder: TempDir,
}

impl Subject {
    /// Opens the store of `hearth up`; with `fsync`, each commit is synced before it is acknowledged.
    pub(super) fn ours(fsync: bool) -> Result<Self> {
        let folder = TempDir::new()?;
        let (name, durability) =
            if fsync { ("SQLite, fsync", Durability::Fsync) } else { ("SQLite, os", Durability::Os) };
        let store = home::open(folder.path(), durability)?;
        Ok(Self { name, store, count: AtomicUsize::new(0), _folder: folder })
    }

    /// Opens the earlier store: DynamoDB's protocol over SQLite, through the AWS SDK.
    pub(super) async fn earlier() -> Result<Self> {
        let folder = TempDir::new()?;
        let names = Names::at_home();
        let embedded = AwsEmulator::open(folder.path(), &names.bucket)?;
        let clients = Clients {
            dynamodb: embedded.dynamodb(),
            kms: embedded.kms(),
            s3: embedded.s3("http://s3.embedded"),
            secrets: embedded.secrets(),
        };
        let store = Store::new(clients, names);
        store.migrate().await?;
        Ok(Self { name: "DynamoDB's protocol (earlier)", store, count: AtomicUsize::new(0), _folder: folder })
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, runs: usize) {
        self.count.fetch_add(runs, Ordering::Relaxed);
    }
}
