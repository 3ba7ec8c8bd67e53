//! Data keys wrapped by a key of AWS KMS, through the AWS SDK.
//!
//! The data key is generated here and encrypted by KMS: a function that stores secrets needs no permission that would
//! also let it decrypt, as `GenerateDataKey` does by its answer.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_kms::{Client, error::SdkError, operation::decrypt::DecryptError, primitives::Blob};
use zeroize::Zeroizing;

use super::{DataKey, KeyContext, KeyWrapper, WrappedKey, unsealable};
use crate::{StoreError, clients::failed};

/// KMS with the current key.
#[derive(Debug, Clone)]
pub(crate) struct Kms {
    pub(crate) client: Client,
    /// The ARN of the current key. Empty: none is set up.
    pub(crate) key: String,
}

impl Kms {
    fn key(&self) -> Result<&str, StoreError> {
        if self.key.is_empty() {
            return Err(unsealable(
                "no key of KMS is set up: set HEARTH_KMS_KEY to the ARN of one, an output of the stack",
            ));
        }
        Ok(&self.key)
    }
}

#[async_trait]
impl KeyWrapper for Kms {
    async fn wrap(&self, context: &KeyContext, key: &DataKey) -> Result<WrappedKey, StoreError> {
        let call = self.client.encrypt().key_id(self.key()?).plaintext(Blob::new(key.expose().as_slice()));
        let answer = call.set_encryption_context(Some(encryption_context(context))).send().await;
        let answer = answer.map_err(|error| failed("encrypt", &error))?;
        wrapped(answer.key_id, answer.ciphertext_blob)
    }

    async fn unwrap(&self, context: &KeyContext, key: &WrappedKey) -> Result<DataKey, StoreError> {
        let call = self.client.decrypt().key_id(&key.key_id).ciphertext_blob(Blob::new(key.bytes.as_slice()));
        let answer = call.set_encryption_context(Some(encryption_context(context))).send().await;
        let answer = answer.map_err(|error| refused(&error, &key.key_id))?;
        let plain = answer.plaintext.map(|plain| Zeroizing::new(plain.into_inner()));
        DataKey::from_bytes(&plain.unwrap_or_default())
    }

    /// The data key doesn't leave KMS.
    async fn rewrap(&self, context: &KeyContext, key: &WrappedKey) -> Result<Option<WrappedKey>, StoreError> {
        let current = self.key()?;
        if key.key_id == current {
            return Ok(None);
        }
        let context = encryption_context(context);
        let answer = self
            .client
            .re_encrypt()
            .ciphertext_blob(Blob::new(key.bytes.as_slice()))
            .source_key_id(&key.key_id)
            .set_source_encryption_context(Some(context.clone()))
            .destination_key_id(current)
            .set_destination_encryption_context(Some(context))
            .send()
            .await
            .map_err(|error| failed("re_encrypt", &error))?;
        wrapped(answer.key_id, answer.ciphertext_blob).map(Some)
    }
}

fn encryption_context(context: &KeyContext) -> HashMap<String, String> {
    HashMap::from([
        ("purpose".to_owned(), context.purpose.as_str().to_owned()),
        ("owner".to_owned(), context.owner.clone()),
        ("id".to_owned(), context.id.clone()),
    ])
}

fn wrapped(key_id: Option<String>, ciphertext: Option<Blob>) -> Result<WrappedKey, StoreError> {
    match (key_id, ciphertext) {
        (Some(key_id), Some(ciphertext)) => Ok(WrappedKey { key_id, bytes: ciphertext.into_inner() }),
        _ => Err(unsealable("KMS returned no ciphertext")),
    }
}

/// An error of `Decrypt`. A failing service is another matter than a ciphertext that no retry decrypts.
fn refused(error: &SdkError<DecryptError>, key: &str) -> StoreError {
    match error.as_service_error() {
        Some(
            DecryptError::InvalidCiphertextException(_)
            | DecryptError::IncorrectKeyException(_)
            | DecryptError::NotFoundException(_)
            | DecryptError::DisabledException(_)
            | DecryptError::KmsInvalidStateException(_),
        ) => {
            let reason = failed("decrypt", error);
            unsealable(format!(
                "{reason}; it is encrypted by {key}: enable that key, or remove the secret and store it again"
            ))
        }
        _ => failed("decrypt", error),
    }
}
