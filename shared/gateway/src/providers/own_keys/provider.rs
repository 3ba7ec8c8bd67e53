//! A provider that is called by a stored credential, which is opened when the first request is sent.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use hearth_domain::{ClientDialect, Credits, RunId};
use hearth_providers::{Call, EventStream, HttpProvider, Provider, ProviderSettings};
use hearth_store::provider_credentials::CredentialRecord;
use hearth_wire::ApiError;

use super::accounts::Accounts;

/// A provider with a stored credential.
#[derive(Debug)]
pub(crate) struct CredentialProvider {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) record: CredentialRecord,
    /// The operator's settings of the provider of this name.
    pub(crate) settings: Option<ProviderSettings>,
    /// The provider without its key, for its facts.
    pub(crate) facts: HttpProvider,
    /// The provider that this request was sent to.
    pub(crate) called: OnceLock<HttpProvider>,
}

#[async_trait]
impl Provider for CredentialProvider {
    fn name(&self) -> &str {
        self.facts.name()
    }

    fn kind(&self) -> &str {
        self.facts.kind()
    }

    fn server_address(&self) -> Option<String> {
        self.facts.server_address()
    }

    fn credits(&self) -> Option<Credits> {
        self.called.get().unwrap_or(&self.facts).credits()
    }

    fn speaks(&self, client: ClientDialect) -> bool {
        self.facts.speaks(client)
    }

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        let provider = self.accounts.open(&self.record, self.settings.as_ref()).await?;
        let provider = self.called.get_or_init(|| provider);
        provider.generate(call).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        match self.called.get() {
            Some(provider) => provider.cancel(run).await,
            None => Ok(false),
        }
    }
}
