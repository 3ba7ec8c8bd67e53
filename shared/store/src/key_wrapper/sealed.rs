//! Sealed secrets: AES-256-GCM under a data key of their own, which is stored beside them, wrapped.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_domain::Secret;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{DataKey, KEY_BYTES, KeyContext, KeyWrapper, WrappedKey, unsealable};
use crate::StoreError;

/// The field of an item that has a sealed secret. It is one text, so a write can be conditional on it.
pub(crate) const FIELD: &str = "sealed";

/// A secret in the form in which it is stored: one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed {
    /// The secret that this is, for a rotation. To open it takes the context of the place where it is read.
    pub context: KeyContext,
    /// The id of the key that wraps the data key.
    pub key_id: String,
    /// The wrapped data key, in base64.
    pub wrapped_key: String,
    /// The nonce and the ciphertext of the secret, in base64.
    pub ciphertext: String,
}

/// The text's JSON.
#[derive(Serialize, Deserialize)]
struct Parts {
    #[serde(flatten)]
    context: KeyContext,
    key_id: String,
    wrapped_key: String,
    ciphertext: String,
}

impl TryFrom<String> for Sealed {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let Parts { context, key_id, wrapped_key, ciphertext } = serde_json::from_str(&text)?;
        Ok(Self { context, key_id, wrapped_key, ciphertext })
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        let Sealed { context, key_id, wrapped_key, ciphertext } = sealed;
        let parts = Parts { context, key_id, wrapped_key, ciphertext };
        // A struct of texts is always JSON.
        serde_json::to_string(&parts).unwrap_or_default()
    }
}

impl Sealed {
    /// Seals a secret under a new data key.
    ///
    /// # Errors
    /// If the key can't be wrapped.
    pub async fn seal(
        wrapper: &dyn KeyWrapper,
        context: &KeyContext,
        secret: &Secret,
    ) -> Result<Self, StoreError> {
        let key = DataKey::generate()?;
        let wrapped = wrapper.wrap(context, &key).await?;
        Self::with_key(context, &key, wrapped, secret)
    }

    /// Opens the secret.
    ///
    /// # Errors
    /// `Unsealable` if it is another secret's, is damaged, or the key that wraps its data key isn't there.
    pub async fn open(&self, wrapper: &dyn KeyWrapper, context: &KeyContext) -> Result<Secret, StoreError> {
        self.check(context)?;
        let key = wrapper.unwrap(context, &self.wrapped()?).await?;
        self.open_with(context, &key)
    }

    /// The same secret with its data key wrapped by the current key; `None` if it is already.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub async fn rewrap(&self, wrapper: &dyn KeyWrapper) -> Result<Option<Self>, StoreError> {
        let wrapped = wrapper.rewrap(&self.context, &self.wrapped()?).await?;
        Ok(wrapped.map(|wrapped| Self {
            context: self.context.clone(),
            key_id: wrapped.key_id,
            wrapped_key: BASE64_STANDARD.encode(wrapped.bytes),
            ciphertext: self.ciphertext.clone(),
        }))
    }

    pub(super) fn with_key(
        context: &KeyContext,
        key: &DataKey,
        wrapped: WrappedKey,
        secret: &Secret,
    ) -> Result<Self, StoreError> {
        let ciphertext = encrypt(key.expose(), context, secret.expose().as_bytes())?;
        Ok(Self {
            context: context.clone(),
            key_id: wrapped.key_id,
            wrapped_key: BASE64_STANDARD.encode(wrapped.bytes),
            ciphertext: BASE64_STANDARD.encode(ciphertext),
        })
    }

    /// Refuses a context that isn't this secret's, which the ciphertexts would refuse too.
    pub(super) fn check(&self, context: &KeyContext) -> Result<(), StoreError> {
        if self.context == *context { Ok(()) } else { Err(unsealable("it is another secret's")) }
    }

    pub(super) fn open_with(&self, context: &KeyContext, key: &DataKey) -> Result<Secret, StoreError> {
        let ciphertext = decode(&self.ciphertext)?;
        let plain = decrypt(key.expose(), context, ciphertext)?;
        let text = std::str::from_utf8(&plain).map_err(|_| unsealable("it is no text"))?;
        Ok(Secret::new(text))
    }

    pub(super) fn wrapped(&self) -> Result<WrappedKey, StoreError> {
        Ok(WrappedKey { key_id: self.key_id.clone(), bytes: decode(&self.wrapped_key)? })
    }
}

fn decode(text: &str) -> Result<Vec<u8>, StoreError> {
    BASE64_STANDARD.decode(text).map_err(|_| unsealable("it isn't in base64"))
}

/// Encrypts `plain`. Returns a random nonce, the ciphertext and the tag.
pub(super) fn encrypt(
    key: &[u8; KEY_BYTES],
    context: &KeyContext,
    plain: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let failed = |_| unsealable("it can't be encrypted");
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(failed)?;
    // With the room for all of it, so that no part of the plain text is left in a smaller buffer.
    let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
    sealed.extend(nonce);
    sealed.extend(plain);
    let tag = cipher(key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context.to_bytes()),
            &mut sealed[NONCE_LEN..],
        )
        .map_err(failed)?;
    sealed.extend(tag.as_ref());
    Ok(sealed)
}

/// Decrypts what [`encrypt`] returned for the same context.
pub(super) fn decrypt(
    key: &[u8; KEY_BYTES],
    context: &KeyContext,
    sealed: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut sealed = Zeroizing::new(sealed);
    let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN).ok_or_else(|| unsealable("it is cut off"))?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unsealable("it is cut off"))?;
    let plain = cipher(key)?
        .open_in_place(nonce, Aad::from(context.to_bytes()), body)
        .map_err(|_| unsealable("it is damaged, or another secret's"))?;
    Ok(Zeroizing::new(plain.to_vec()))
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey, StoreError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| unsealable("its key isn't one of 32 bytes"))?;
    Ok(LessSafeKey::new(key))
}
