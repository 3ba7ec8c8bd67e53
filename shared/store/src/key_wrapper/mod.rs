//! The seam of key wrapping: a key that never leaves its place encrypts the data keys of secrets.
//!
//! - [`Sealed`] is a secret under a data key of its own, with that key wrapped (envelope encryption).
//! - `kms` wraps data keys by a key of AWS KMS, `master_key` by the keys in a file of the data folder.
//!
//! Both authenticate the [`KeyContext`]: a sealed secret that was copied to another owner, or stored under another
//! id, can't be opened there.

#[cfg(feature = "aws")]
pub(crate) mod kms;
#[cfg(feature = "home")]
pub mod master_key;
mod sealed;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hearth_domain::Secret;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Store, StoreError};

pub(crate) use sealed::FIELD as SEALED_FIELD;
pub use sealed::Sealed;

/// Bytes of a data key, and of a master key: AES-256.
pub const KEY_BYTES: usize = 32;

/// The purpose of a secret. In AWS, a function's permission to decrypt is for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A key of a provider.
    ProviderCredential,
    /// A key that signs tokens.
    Signing,
    /// The address, headers and secrets of a webhook.
    Webhook,
    /// A secret of the gateway itself, at home.
    Gateway,
}

impl Purpose {
    /// The purpose's name, as in KMS' encryption context.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderCredential => "provider_credential",
            Self::Signing => "signing",
            Self::Webhook => "webhook",
            Self::Gateway => "gateway",
        }
    }
}

/// The secret that a data key is for. It is authenticated, and isn't secret itself: AWS logs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyContext {
    /// The secret's purpose.
    pub purpose: Purpose,
    /// The id of the secret's owner: a user, a team, an organisation, or `gateway`.
    pub owner: String,
    /// The secret's id or name.
    pub id: String,
}

impl KeyContext {
    /// The context of the secret `id` of `owner`.
    pub fn new(purpose: Purpose, owner: impl Into<String>, id: impl Into<String>) -> Self {
        Self { purpose, owner: owner.into(), id: id.into() }
    }

    /// The context as bytes, which no other context has.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"hearth envelope 1".to_vec();
        for part in [self.purpose.as_str(), &self.owner, &self.id] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

/// The key of one secret. Its bytes are overwritten when it is dropped.
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// Generates a key.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate() -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new().fill(&mut *bytes).map_err(|_| unsealable("the system has no random numbers"))?;
        Ok(Self(bytes))
    }

    /// The key with these bytes.
    ///
    /// # Errors
    /// If there aren't 32 of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return Err(unsealable("its key isn't one of 32 bytes"));
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(hidden)")
    }
}

/// A data key that is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The id of the key that encrypts it.
    pub key_id: String,
    /// The ciphertext.
    pub bytes: Vec<u8>,
}

/// A place that encrypts data keys.
#[async_trait]
pub trait KeyWrapper: fmt::Debug + Send + Sync {
    /// Encrypts the data key of a secret by the current key.
    async fn wrap(&self, context: &KeyContext, key: &DataKey) -> Result<WrappedKey, StoreError>;

    /// Decrypts the data key of a secret. `Unsealable` if it is another secret's, is damaged, or its key isn't there.
    async fn unwrap(&self, context: &KeyContext, wrapped: &WrappedKey) -> Result<DataKey, StoreError>;

    /// Encrypts a data key by the current key instead of the one before; `None` if the current key encrypts it already.
    async fn rewrap(
        &self,
        context: &KeyContext,
        wrapped: &WrappedKey,
    ) -> Result<Option<WrappedKey>, StoreError>;
}

impl Store {
    /// The store with this key wrapper.
    #[must_use]
    pub fn with_key_wrapper(self, key_wrapper: Arc<dyn KeyWrapper>) -> Self {
        Self { key_wrapper, ..self }
    }

    /// Seals a secret under a data key of its own (envelope encryption).
    ///
    /// # Errors
    /// If the data key can't be wrapped.
    pub async fn seal(&self, context: &KeyContext, secret: &Secret) -> Result<Sealed, StoreError> {
        Sealed::seal(&*self.key_wrapper, context, secret).await
    }

    /// Opens a sealed secret.
    ///
    /// # Errors
    /// `Unsealable` if it is another secret's, is damaged, or the key that wraps its data key isn't there.
    pub async fn open_sealed(&self, context: &KeyContext, sealed: &Sealed) -> Result<Secret, StoreError> {
        sealed.open(&*self.key_wrapper, context).await
    }
}

/// The error of a secret that can't be sealed or opened.
fn unsealable(reason: impl Into<String>) -> StoreError {
    StoreError::Unsealable(reason.into())
}
