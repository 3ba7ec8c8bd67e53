//! The table, the bucket and the secrets. Each aggregate has a file; only this crate writes key strings, and it decides no
//! rules.
//!
//! The aggregates use four seams, each with two real implementations: [`database`] is DynamoDB or SQLite, [`bucket`] S3
//! or files, [`secrets`] Secrets Manager or a sealed file, [`key_wrapper`] KMS or a master key. The feature `aws` has the
//! first of each, `home` the second.

#![warn(missing_docs)]

pub mod access_keys;
mod aggregates;
pub mod artifacts;
pub mod audit;
#[cfg(feature = "backup")]
pub mod backup;
pub mod batches;
pub mod bucket;
pub mod budgets;
pub mod cached_answers;
#[cfg(feature = "aws")]
mod clients;
pub mod configuration;
pub mod consents;
pub mod conversations;
pub mod credential_uses;
#[cfg(feature = "profiles")]
mod credentials;
pub mod database;
pub mod definitions;
pub mod discoveries;
pub mod erasures;
mod error;
pub mod event_outbox;
pub mod files;
#[cfg(feature = "home")]
pub mod home;
pub mod identities;
mod import_mark;
pub mod invites;
mod item_migrations;
pub mod jobs;
pub mod key_wrapper;
pub mod limit_events;
pub mod limits;
pub mod login_attempts;
pub mod logins;
pub mod models;
pub mod node_codes;
pub mod node_presence;
pub mod nodes;
pub mod one_time_codes;
mod operator;
pub mod organisations;
pub mod owned;
pub mod provider_credentials;
pub mod quota;
pub mod rate_buckets;
pub mod registry;
pub mod relay;
mod rewrap;
pub mod run_requests;
pub mod runs;
mod schema;
pub mod secrets;
pub mod sessions;
pub mod signing_keys;
pub mod sockets;
mod table;
pub mod tokens;
mod unconnected;
pub mod usage;
pub mod users;
pub mod webhooks;

#[cfg(feature = "aws")]
pub use clients::Clients;
#[cfg(feature = "profiles")]
pub use credentials::CredentialsError;
pub use error::{DiskProblem, StoreError};
pub use item_migrations::{MigrationOptions, StepReport};
pub use rewrap::Rewrapped;
pub use secrets::NewSecret;
pub use table::Table;

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use bucket::Bucket;
use database::Database;
use key_wrapper::KeyWrapper;
use secrets::Secrets;
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
    /// The ARN of the key of KMS that wraps data keys. Empty: no secret can be sealed.
    pub kms_key: String,
}

impl Names {
    /// The names in a data folder, which has one table and one bucket.
    #[must_use]
    pub fn at_home() -> Self {
        let (secret, provider_keys) = ("hearth/gateway".to_owned(), "hearth/provider-keys".to_owned());
        let (table, bucket) = ("hearth".to_owned(), "hearth-media".to_owned());
        Self { table, bucket, secret, provider_keys, kms_key: String::new() }
    }
}

/// The gateway's stores. Clones share them.
#[derive(Debug, Clone)]
pub struct Store {
    table: Table,
    bucket: Arc<dyn Bucket>,
    secrets: Arc<dyn Secrets>,
    key_wrapper: Arc<dyn KeyWrapper>,
    /// Locked copies of the audit log.
    audit_archive: Option<Arc<dyn Bucket>>,
    names: Names,
    /// Time for which a run's record, request and conversation are stored.
    record_ttl: Duration,
    /// Quotas of users and organisations.
    quotas: quota::StoreQuotas,
    /// The lock of the data folder: dropped with the last clone, after the fields above.
    _guard: Option<Arc<dyn Guard>>,
}

/// A value that is dropped with the store.
trait Guard: std::fmt::Debug + Any + Send + Sync {}

impl<T: std::fmt::Debug + Any + Send + Sync> Guard for T {}

impl Store {
    /// The store in AWS, through `clients`, under `names`.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn new(clients: Clients, names: Names) -> Self {
        let table = database::dynamodb::DynamoDb::new(clients.dynamodb, names.table.clone());
        let bucket = bucket::s3::S3::new(clients.s3, names.bucket.clone());
        let secrets = secrets::secrets_manager::SecretsManager(clients.secrets);
        let key_wrapper = key_wrapper::kms::Kms { client: clients.kms, key: names.kms_key.clone() };
        let store = Self::over(Arc::new(table), Arc::new(bucket), Arc::new(secrets), names);
        store.with_key_wrapper(Arc::new(key_wrapper))
    }

    /// A store whose every operation fails: for programs that describe the API without serving it.
    #[must_use]
    pub fn unconnected() -> Self {
        Self::over(Arc::new(Unconnected), Arc::new(Unconnected), Arc::new(Unconnected), Names::default())
    }

    /// The store over these implementations of the seams. It has no key wrapper.
    #[must_use]
    pub fn over(
        database: Arc<dyn Database>,
        bucket: Arc<dyn Bucket>,
        secrets: Arc<dyn Secrets>,
        names: Names,
    ) -> Self {
        let (table, key_wrapper) = (Table(database), Arc::new(Unconnected));
        let record_ttl = runs::RECORD_TTL;
        let quotas = quota::StoreQuotas::default();
        Self {
            table,
            bucket,
            secrets,
            key_wrapper,
            audit_archive: None,
            names,
            record_ttl,
            quotas,
            _guard: None,
        }
    }

    /// Sets the quotas of users and organisations; without them there are none.
    #[must_use]
    pub fn with_quotas(self, quotas: quota::StoreQuotas) -> Self {
        Self { quotas, ..self }
    }

    /// Has `guard` dropped with the last clone of the store.
    #[cfg(feature = "home")]
    fn with_guard(self, guard: impl std::fmt::Debug + Send + Sync + 'static) -> Self {
        Self { _guard: Some(Arc::new(guard)), ..self }
    }

    /// The database under the aggregates: for tests of the seam.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        &*self.table.0
    }

    /// The age of the oldest write that is queued and not yet committed. Zero if the queue is empty, and in the cloud,
    /// where writes aren't queued.
    #[must_use]
    pub fn writer_lag(&self) -> Duration {
        self.table.0.writer_lag()
    }

    /// Returns when every write that was queued before the call is committed, or has failed.
    pub async fn flush(&self) {
        self.table.0.flush().await;
    }

    /// Commits the queued writes and closes the files of a data folder, at an orderly stop. Later writes fail.
    pub async fn close(&self) {
        self.table.0.close().await;
    }

    /// The user who operates this gateway, and owns everything that has no account.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn operator(&self) -> Result<hearth_domain::UserId, StoreError> {
        operator::get_or_create(&self.table).await
    }

    /// The operator, if there is one already.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn find_operator(&self) -> Result<Option<hearth_domain::UserId>, StoreError> {
        operator::find(&self.table).await
    }

    /// Creates the table if it doesn't exist, and checks its version.
    ///
    /// # Errors
    /// If the table can't be created, or was created by a newer version; `UnfinishedImport` if an import into it was
    /// interrupted.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.table).await?;
        self.check_import().await
    }

    /// Checks that no import into the store was interrupted.
    ///
    /// # Errors
    /// `UnfinishedImport` if one was, or if the table can't be read.
    pub async fn check_import(&self) -> Result<(), StoreError> {
        import_mark::refuse(&self.table).await
    }

    /// The gateway's secret. If there is none, `new` generates it.
    ///
    /// # Errors
    /// If it can't be read or written, or if there is none and `new` is `None`.
    pub async fn secret(&self, new: Option<NewSecret>) -> Result<hearth_domain::Secret, StoreError> {
        secrets::get_or_create(&*self.secrets, &self.names.secret, new).await
    }

    /// The providers' keys, a JSON text; `None` if none was ever stored.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn provider_keys(&self) -> Result<Option<hearth_domain::Secret>, StoreError> {
        self.secrets.get(&self.names.provider_keys).await
    }

    /// Stores the providers' keys, a JSON text, in place of the earlier ones.
    ///
    /// # Errors
    /// If they can't be written.
    pub async fn put_provider_keys(&self, keys: &hearth_domain::Secret) -> Result<(), StoreError> {
        self.secrets.put(&self.names.provider_keys, keys).await
    }

    /// Checks that table, bucket and secret can be reached. With `writes` it also writes to table and bucket: reading doesn't
    /// find a full disk.
    pub async fn check(&self, writes: bool) -> Vec<StoreCheck> {
        let (table, bucket) = (self.table.check(writes), bucket::check(&*self.bucket, writes));
        // The SDK's futures are of several kilobytes each.
        let (table, bucket) = (Box::pin(table), Box::pin(bucket));
        let secret = self.secrets.check(&self.names.secret);
        let checks = (timed("table", table), timed("bucket", bucket), timed("secret", secret));
        let (table, bucket, secret) = tokio::join!(checks.0, checks.1, checks.2);
        vec![table, bucket, secret]
    }
}

/// The result of a check of one store.
#[derive(Debug)]
pub struct StoreCheck {
    /// `table`, `bucket` or `secret`.
    pub name: &'static str,
    /// The error, if it can't be used.
    pub problem: Option<StoreError>,
    /// Time that the check took.
    pub took: Duration,
}

async fn timed(name: &'static str, check: impl Future<Output = Result<(), StoreError>>) -> StoreCheck {
    let began = Instant::now();
    let problem = check.await.err();
    StoreCheck { name, problem, took: began.elapsed() }
}
