//! The secrets' seam: texts under names.

#[cfg(feature = "home")]
pub(crate) mod key_file;
#[cfg(feature = "aws")]
pub(crate) mod secrets_manager;

use std::fmt;

use async_trait::async_trait;
use hearth_domain::Secret;

use crate::StoreError;

/// Makes the text of a new secret.
pub type NewSecret = fn() -> Secret;

/// A place for secrets.
#[async_trait]
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The secret of this name, if there is one.
    async fn get(&self, name: &str) -> Result<Option<Secret>, StoreError>;

    /// Writes the secret of this name in place of the one that is there.
    async fn put(&self, name: &str, secret: &Secret) -> Result<(), StoreError>;
}

/// The secret of this name; made with `new` where there is none and `new` is given.
pub(crate) async fn get_or_create(
    secrets: &dyn Secrets,
    name: &str,
    new: Option<NewSecret>,
) -> Result<Secret, StoreError> {
    if let Some(secret) = secrets.get(name).await? {
        return Ok(secret);
    }
    let new = new.ok_or_else(|| StoreError::Unreadable(format!("the secret {name} isn't there")))?;
    let secret = new();
    secrets.put(name, &secret).await?;
    Ok(secret)
}
