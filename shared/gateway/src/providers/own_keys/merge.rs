//! The providers of a caller: the operator's, with the caller's keys in the place of his.

use std::sync::{Arc, OnceLock};

use hearth_domain::Payer;
use hearth_providers::{Defaults, HttpProvider, ProviderSettings};
use hearth_store::provider_credentials::CredentialRecord;
use hearth_wire::{ApiError, ErrorCode};

use super::{OwnKey, SEPARATOR, account_of, provider::CredentialProvider};
use crate::{
    access::Caller,
    configuration::RoutingSnapshot,
    providers::{ConfiguredProvider, Providers},
};

impl Providers {
    /// The providers of this routing for a caller. Each has the caller's own key, a team's, the organisation's, or the
    /// operator's.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn configured_for(
        &self,
        caller: &Caller,
        routing: &Arc<RoutingSnapshot>,
    ) -> Result<Arc<[ConfiguredProvider]>, ApiError> {
        let operators = self.configured_by(routing).await;
        let records = self.stored_keys.of_caller(caller).await?;
        let is_refused = |name: &str| !caller.is_operator && !self.accounts.settings().serves_others(name);
        if records.is_empty() && !operators.iter().any(|provider| is_refused(provider.name())) {
            return Ok(operators);
        }
        let mut providers: Vec<ConfiguredProvider> = operators
            .iter()
            .map(|provider| match is_refused(provider.name()) {
                true => without_key(provider),
                false => provider.clone(),
            })
            .collect();
        for record in records {
            let settings = routing.providers.get(&record.provider);
            let provider = self.with_key(record, settings);
            match providers.iter_mut().find(|other| other.name() == provider.name()) {
                Some(other) => *other = provider,
                None => providers.push(provider),
            }
        }
        Ok(providers.into())
    }

    /// The same for a list of models. A process that runs on opens the keys, so that their models can be listed.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn listed_for(
        &self,
        caller: &Caller,
        routing: &Arc<RoutingSnapshot>,
    ) -> Result<Arc<[ConfiguredProvider]>, ApiError> {
        if self.background.outlives_response() {
            for record in self.stored_keys.of_caller(caller).await? {
                let settings = routing.providers.get(&record.provider);
                if let Err(error) = self.accounts.open(&record, settings).await {
                    tracing::debug!(credential = %record.id, code = error.code.as_str(), "a key can't be opened");
                }
            }
        }
        self.configured_for(caller, routing).await
    }

    /// Fetches the list of models of a stored key, if it is due.
    pub(crate) async fn refresh_models_of(&self, record: CredentialRecord, routing: &RoutingSnapshot) {
        let settings = routing.providers.get(&record.provider);
        self.model_lists.refresh(&self.with_key(record, settings)).await;
    }

    /// The provider of a stored key.
    fn with_key(&self, record: CredentialRecord, settings: Option<&ProviderSettings>) -> ConfiguredProvider {
        let opened = self.accounts.opened(&record);
        let is_open = opened.is_some();
        let facts = opened.map_or_else(|| self.accounts.facts(&record, settings), Ok);
        let (facts, problem) = match facts {
            Ok(facts) => (facts, None),
            Err(error) => (self.accounts.unusable(&record.provider), Some(error)),
        };
        let (payer, secret_id) = (record.owner.payer(), Some(record.secret_id));
        let account = account_of(&record.provider, record.id);
        let is_at_members_address = record.base_url.is_some();
        let settings = settings.cloned();
        let (models, defaults) = settings
            .as_ref()
            .map(|settings| (settings.models.clone(), Defaults::from(settings)))
            .unwrap_or_default();
        let called = CredentialProvider {
            accounts: Arc::clone(&self.accounts),
            record,
            settings,
            facts: facts.clone(),
            called: OnceLock::new(),
        };
        let provider = match problem {
            Some(error) => Err(error),
            None => Ok(Arc::new(called) as _),
        };
        let own_key = OwnKey { account, payer, secret_id, is_at_members_address, is_open, provider };
        ConfiguredProvider {
            provider: facts,
            models,
            defaults,
            has_withheld_key: false,
            own_key: Some(own_key),
        }
    }
}

/// An operator's provider for a caller whom his key doesn't serve.
fn without_key(provider: &ConfiguredProvider) -> ConfiguredProvider {
    let name = provider.name();
    let message = format!(
        "the operator's key of {name} is for his own organisation; store one of your own with `hearth key set {name} --user`"
    );
    let error = ApiError::new(ErrorCode::ProviderAuth, message).with("provider", name);
    let own_key = OwnKey {
        // No account has this name: its health and its list of models aren't those of the operator's.
        account: format!("{name}{SEPARATOR}"),
        payer: Payer::Operator,
        secret_id: None,
        is_at_members_address: false,
        is_open: false,
        provider: Err(error),
    };
    ConfiguredProvider { own_key: Some(own_key), ..provider.clone() }
}

impl super::accounts::Accounts {
    /// The provider of a credential without its key.
    fn facts(
        &self,
        record: &CredentialRecord,
        settings: Option<&ProviderSettings>,
    ) -> Result<HttpProvider, ApiError> {
        let vendor = record.vendor.as_deref().unwrap_or(&record.provider);
        let base_url = record.base_url.as_deref();
        let base_url =
            base_url.or_else(|| hearth_providers::vendor::of_kind(vendor)?.base_url).unwrap_or_default();
        let (endpoint, client) = self.endpoint(&record.provider, vendor, base_url, settings)?;
        Ok(HttpProvider::new(endpoint, client))
    }
}
