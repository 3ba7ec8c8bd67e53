//! The table, the bucket and the secrets. One file per aggregate; nothing outside this crate writes a key string, and no
//! rule is decided here.
//!
//! The aggregates use three seams, each with two real implementations: [`database`] is DynamoDB or SQLite, [`bucket`] S3
//! or files, [`secrets`] Secrets Manager or a key file. The feature `aws` has the former of each, `home` the latter.

#![warn(missing_docs)]

pub mod artifacts;
pub mod bucket;
pub mod cached_answers;
#[cfg(feature = "aws")]
mod clients;
pub mod conversations;
pub mod database;
pub mod discoveries;
mod error;
#[cfg(feature = "home")]
pub mod home;
pub mod models;
pub mod nodes;
mod operator;
pub mod runs;
mod schema;
pub mod secrets;
mod table;
pub mod tokens;
mod unconnected;

#[cfg(feature = "aws")]
pub use clients::Clients;
pub use error::{DiskProblem, StoreError};
pub use secrets::NewSecret;
pub use table::Table;

use std::{any::Any, sync::Arc, time::Duration};

use artifacts::Artifacts;
use bucket::Bucket;
use cached_answers::CachedAnswers;
use conversations::Conversations;
use database::Database;
use discoveries::Discoveries;
use models::Models;
use nodes::Nodes;
use runs::Runs;
use secrets::Secrets;
use tokens::Tokens;
use unconnected::Unconnected;

/// The names of table, bucket and secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The table.
    pub table: String,
    /// The bucket.
    pub bucket: String,
    /// The name or ARN of the secret that the gateway's keys are derived from.
    pub secret: String,
    /// The name or ARN of the secret that holds the providers' keys.
    pub provider_keys: String,
}

impl Names {
    /// The names in a data folder, which has one table and one bucket, and needs no names for those.
    #[must_use]
    pub fn at_home() -> Self {
        let (secret, provider_keys) = ("hearth/gateway".to_owned(), "hearth/provider-keys".to_owned());
        Self { table: "hearth".to_owned(), bucket: "hearth-media".to_owned(), secret, provider_keys }
    }
}

/// Everything that is stored. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    table: Table,
    bucket: Arc<dyn Bucket>,
    secrets: Arc<dyn Secrets>,
    names: Names,
    /// Dropped with the last clone, after the others.
    _held: Option<Arc<dyn Held>>,
}

/// What a store keeps alive.
trait Held: std::fmt::Debug + Any + Send + Sync {}

impl<T: std::fmt::Debug + Any + Send + Sync> Held for T {}

impl Store {
    /// The store in AWS, through `clients`, under `names`.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn new(clients: Clients, names: Names) -> Self {
        let table = database::dynamodb::DynamoDb::new(clients.dynamodb, names.table.clone());
        let bucket = bucket::s3::S3::new(clients.s3, names.bucket.clone());
        let secrets = secrets::secrets_manager::SecretsManager(clients.secrets);
        Self::over(Arc::new(table), Arc::new(bucket), Arc::new(secrets), names)
    }

    /// A store that reaches nothing: for what describes the API without serving it.
    #[must_use]
    pub fn unconnected() -> Self {
        Self::over(Arc::new(Unconnected), Arc::new(Unconnected), Arc::new(Unconnected), Names::default())
    }

    /// The store over these implementations of the seams.
    #[must_use]
    pub fn over(
        database: Arc<dyn Database>,
        bucket: Arc<dyn Bucket>,
        secrets: Arc<dyn Secrets>,
        names: Names,
    ) -> Self {
        Self { table: Table(database), bucket, secrets, names, _held: None }
    }

    /// The same, which keeps `held` until its last clone is dropped.
    #[cfg(feature = "home")]
    fn holding(self, held: impl std::fmt::Debug + Send + Sync + 'static) -> Self {
        Self { _held: Some(Arc::new(held)), ..self }
    }

    /// The table, in words of the database: for tests of the seam.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        &*self.table.0
    }

    /// The age of the oldest write that is queued and not committed yet: zero where writes aren't queued, as in the
    /// cloud, or where none waits.
    #[must_use]
    pub fn writer_lag(&self) -> Duration {
        self.table.0.writer_lag()
    }

    /// Returns when every write that was queued before the call is committed, or has failed.
    pub async fn flush(&self) {
        self.table.0.flush().await;
    }

    /// Commits what waits and leaves the files of a data folder in order, at an orderly stop; nothing can be written
    /// after that.
    pub async fn close(&self) {
        self.table.0.close().await;
    }

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
        Runs { table: &self.table, bucket: &*self.bucket }
    }

    /// What providers were found to have.
    #[must_use]
    pub fn discoveries(&self) -> Discoveries<'_> {
        Discoveries(&self.table)
    }

    /// Files that runs have made.
    #[must_use]
    pub fn artifacts(&self) -> Artifacts<'_> {
        Artifacts { table: &self.table, bucket: &*self.bucket }
    }

    /// What was said up to the end of a run.
    #[must_use]
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations { table: &self.table, bucket: &*self.bucket }
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
        secrets::get_or_create(&*self.secrets, &self.names.secret, new).await
    }

    /// The providers' keys, a JSON text; none if none was ever kept.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn provider_keys(&self) -> Result<Option<hearth_domain::Secret>, StoreError> {
        self.secrets.get(&self.names.provider_keys).await
    }

    /// Keeps the providers' keys, a JSON text, in place of those before.
    ///
    /// # Errors
    /// If they can't be written.
    pub async fn put_provider_keys(&self, keys: &hearth_domain::Secret) -> Result<(), StoreError> {
        self.secrets.put(&self.names.provider_keys, keys).await
    }

    /// Checks that table, bucket and secret can be reached; with `writes`, that table and bucket take a write: a full
    /// disk can be read. Each with its problem, if it has one.
    pub async fn check(&self, writes: bool) -> Vec<(&'static str, Option<StoreError>)> {
        let (table, bucket) = (self.table.check(writes), bucket::check(&*self.bucket, writes));
        // The SDK's futures are of several kilobytes each.
        let (table, bucket) = (Box::pin(table), Box::pin(bucket));
        let (table, bucket, secret) = tokio::join!(table, bucket, Box::pin(self.secret(None)));
        vec![("table", table.err()), ("bucket", bucket.err()), ("secret", secret.err())]
    }
}
