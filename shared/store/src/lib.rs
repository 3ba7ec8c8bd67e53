//! The table, the bucket and the secret, through the AWS SDK. One file per aggregate; nothing outside
//! this crate writes a key string, and no rule is decided here.

#![warn(missing_docs)]

pub mod artifacts;
pub mod cached_answers;
mod clients;
pub mod conversations;
pub mod discoveries;
mod error;
mod item;
pub mod models;
pub mod nodes;
mod operator;
pub mod runs;
mod schema;
mod secret;
mod table;
pub mod tokens;

pub use clients::{Clients, Names};
pub use error::StoreError;
pub use secret::NewSecret;
pub use table::Table;

use std::time::Duration;

use artifacts::Artifacts;
use cached_answers::CachedAnswers;
use conversations::Conversations;
use discoveries::Discoveries;
use models::Models;
use nodes::Nodes;
use runs::Runs;
use tokens::Tokens;

/// The object that a check writes, and its size: more than a file system keeps in a file's own entry.
const PROBE_KEY: &str = "probe";
const PROBE_BYTES: usize = 64 << 10;

/// Everything that is stored.
#[derive(Debug, Clone)]
pub struct Store {
    clients: Clients,
    names: Names,
    table: Table,
}

impl Store {
    /// The store behind `clients`, under `names`.
    #[must_use]
    pub fn new(clients: Clients, names: Names) -> Self {
        let table = Table::new(clients.dynamodb.clone(), names.table.clone());
        Self { clients, names, table }
    }

    /// The age of the oldest write that is queued and not committed yet: zero where writes aren't queued, as in the
    /// cloud, or where none waits.
    #[must_use]
    pub fn writer_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns when every write that was queued before the call is committed, or has failed.
    pub async fn flush(&self) {}

    /// API tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens(&self.table)
    }

    /// The model registry.
    #[must_use]
    pub fn models(&self) -> Models<'_> {
        Models(&self.table)
    }

    /// Nodes and their heartbeats.
    #[must_use]
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes(&self.table)
    }

    /// Runs and their events.
    #[must_use]
    pub fn runs(&self) -> Runs<'_> {
        Runs { table: &self.table, s3: &self.clients.s3, bucket: &self.names.bucket }
    }

    /// What providers were found to have.
    #[must_use]
    pub fn discoveries(&self) -> Discoveries<'_> {
        Discoveries(&self.table)
    }

    /// Files that runs have made.
    #[must_use]
    pub fn artifacts(&self) -> Artifacts<'_> {
        Artifacts { table: &self.table, s3: &self.clients.s3, bucket: &self.names.bucket }
    }

    /// What was said up to the end of a run.
    #[must_use]
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations { table: &self.table, s3: &self.clients.s3, bucket: &self.names.bucket }
    }

    /// Answers that are kept for when the same is asked again.
    #[must_use]
    pub fn cached_answers(&self) -> CachedAnswers<'_> {
        CachedAnswers(&self.table)
    }

    /// The user who operates this gateway, and owns what is made without an account.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn operator(&self) -> Result<hearth_domain::UserId, StoreError> {
        operator::get_or_create(&self.table).await
    }

    /// Makes the table where it isn't there, and checks its version.
    ///
    /// # Errors
    /// If the table can't be made, or was made by a newer version.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.table).await
    }

    /// The gateway's secret; made with `new` where there is none and `new` is given.
    ///
    /// # Errors
    /// If it can't be read or made.
    pub async fn secret(&self, new: Option<NewSecret>) -> Result<hearth_domain::Secret, StoreError> {
        secret::get(&self.clients.secrets, &self.names.secret, new).await
    }

    /// The providers' keys, a JSON text; none if none was ever kept.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn provider_keys(&self) -> Result<Option<hearth_domain::Secret>, StoreError> {
        secret::find(&self.clients.secrets, &self.names.provider_keys).await
    }

    /// Keeps the providers' keys, a JSON text, in place of those before.
    ///
    /// # Errors
    /// If they can't be written.
    pub async fn put_provider_keys(&self, keys: &hearth_domain::Secret) -> Result<(), StoreError> {
        secret::put(&self.clients.secrets, &self.names.provider_keys, keys).await
    }

    /// Checks that table, bucket and secret can be reached; with `writes`, that table and bucket take a write: a full
    /// disk can be read. Each with its problem, if it has one.
    pub async fn check(&self, writes: bool) -> Vec<(&'static str, Option<StoreError>)> {
        let table = async { if writes { self.table.check_write().await } else { self.table.check().await } };
        // The SDK's futures are of several kilobytes each.
        let (table, bucket) = (Box::pin(table), Box::pin(self.check_bucket(writes)));
        let (table, bucket, secret) = tokio::join!(table, bucket, Box::pin(self.secret(None)));
        vec![("table", table.err()), ("bucket", bucket.err()), ("secret", secret.err())]
    }

    async fn check_bucket(&self, writes: bool) -> Result<(), StoreError> {
        let (s3, bucket) = (&self.clients.s3, &self.names.bucket);
        if writes {
            let put = s3.put_object().bucket(bucket).key(PROBE_KEY);
            let put = put.body(vec![b'.'; PROBE_BYTES].into()).send().await;
            return put.map(drop).map_err(|error| StoreError::unavailable("put_object", &error));
        }
        let head = s3.head_bucket().bucket(bucket).send().await;
        head.map(drop).map_err(|error| StoreError::unavailable("head_bucket", &error))
    }
}
