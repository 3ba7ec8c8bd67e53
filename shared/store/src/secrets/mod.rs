//! The secrets' seam: texts under names.

#[cfg(feature = "home")]
pub(crate) mod plain_file;
#[cfg(feature = "home")]
pub(crate) mod sealed_file;
#[cfg(feature = "aws")]
pub(crate) mod secrets_manager;

use std::fmt;

use async_trait::async_trait;
use hearth_domain::Secret;

use crate::StoreError;

/// Generates the text of a new secret.
pub type NewSecret = fn() -> Secret;

/// A store of secrets.
#[async_trait]
pub trait Secrets: fmt::Debug + Send + Sync {
    /// Reads the secret of this name, if there is one.
    async fn get(&self, name: &str) -> Result<Option<Secret>, StoreError>;

    /// Writes the secret of this name, in place of an earlier one.
    async fn put(&self, name: &str, secret: &Secret) -> Result<(), StoreError>;

    /// Checks that the secret of this name is there, without its text where the store can do that.
    async fn check(&self, name: &str) -> Result<(), StoreError>;
}

/// Reads the secret of this name. If there is none, `new` generates it, and it is stored.
pub(crate) async fn get_or_create(
    secrets: &dyn Secrets,
    name: &str,
    new: Option<NewSecret>,
) -> Result<Secret, StoreError> {
    if let Some(secret) = secrets.get(name).await? {
        return Ok(secret);
    }
    let new = new.ok_or_else(|| missing(name))?;
    let secret = new();
    secrets.put(name, &secret).await?;
    Ok(secret)
}

fn missing(name: &str) -> StoreError {
    StoreError::Unreadable(format!("the secret {name} isn't there"))
}
