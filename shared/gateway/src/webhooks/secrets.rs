//! The sealed parts of a webhook: its address, its headers, and the secrets that sign its events.

use std::collections::BTreeMap;

use hearth_domain::{Secret, Timestamp};
use hearth_store::{
    Store, StoreError,
    key_wrapper::{KeyContext, Sealed},
    webhooks::WebhookRecord,
};
use serde::{Deserialize, Serialize};

/// The secret parts of a webhook.
#[derive(Debug, Clone, Default)]
pub(super) struct WebhookSecrets {
    /// The address of the endpoint or of Slack's webhook, or the address of email.
    pub(super) address: Option<Secret>,
    /// Headers of its owner.
    pub(super) headers: BTreeMap<String, Secret>,
    /// The secret that signs, or the integration key.
    pub(super) secret: Option<Secret>,
    /// The secret of before the rotation.
    pub(super) previous: Option<Secret>,
}

/// The JSON that is sealed.
#[derive(Serialize)]
struct Text<'a> {
    address: Option<&'a str>,
    headers: BTreeMap<&'a str, &'a str>,
    secret: Option<&'a str>,
    previous: Option<&'a str>,
}

/// The same, as it is read.
#[derive(Deserialize)]
struct Parsed {
    #[serde(default)]
    address: Option<Secret>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    #[serde(default)]
    secret: Option<Secret>,
    #[serde(default)]
    previous: Option<Secret>,
}

impl WebhookSecrets {
    /// Seals the parts of a webhook.
    ///
    /// # Errors
    /// If the data key can't be wrapped.
    pub(super) async fn seal(&self, store: &Store, context: &KeyContext) -> Result<Sealed, StoreError> {
        let text = Text {
            address: self.address.as_ref().map(Secret::expose),
            headers: self.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect(),
            secret: self.secret.as_ref().map(Secret::expose),
            previous: self.previous.as_ref().map(Secret::expose),
        };
        let text = serde_json::to_string(&text).map_err(|error| StoreError::Unsealable(error.to_string()))?;
        store.seal(context, &Secret::new(text)).await
    }

    /// Opens the parts of a webhook.
    ///
    /// # Errors
    /// If they can't be decrypted or read.
    pub(super) async fn open(store: &Store, webhook: &WebhookRecord) -> Result<Self, StoreError> {
        let text = store.open_sealed(&webhook.context(), &webhook.sealed).await?;
        let parsed: Parsed = serde_json::from_str(text.expose())
            .map_err(|_| StoreError::Unsealable("a webhook's secrets have another form".to_owned()))?;
        let Parsed { address, headers, secret, previous } = parsed;
        Ok(Self { address, headers, secret, previous })
    }

    /// The secrets that sign now, the current one first.
    pub(super) fn signing(&self, webhook: &WebhookRecord) -> Vec<Secret> {
        let overlaps = webhook.previous_secret_until.is_some_and(|until| Timestamp::now() < until);
        self.secret.iter().chain(self.previous.iter().filter(|_| overlaps)).cloned().collect()
    }
}
