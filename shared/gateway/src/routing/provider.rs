//! Candidates among the providers' models.

use hearth_domain::{Modality, ModelId, ModelInfo, Selection, route::provider_and_model};
use hearth_wire::{ApiError, ErrorCode};

use super::candidates::Candidate;
use crate::{error::no_such_model, providers::ConfiguredProvider};

/// A provider's model as a candidate.
///
/// # Errors
/// `provider_auth` if the provider has no key for its address, or one that can't be used.
pub(super) fn provider_candidate(
    provider: &ConfiguredProvider,
    model: &str,
    info: Option<ModelInfo>,
    modality: Modality,
    reason: &str,
) -> Result<Candidate, ApiError> {
    let name = provider.name();
    if provider.has_withheld_key {
        let message = format!(
            "the key that is stored for {name} is for another kind or address than {name} has now; store the key of this \
             address with `hearth key set {name}`, or remove the stored one with `hearth key remove {name}`"
        );
        return Err(ApiError::new(ErrorCode::ProviderAuth, message));
    }
    let to_call = provider.to_call()?;
    if !provider.is_usable() {
        let message = format!("there is no key for {name}; set one with `hearth key set {name}`");
        return Err(ApiError::new(ErrorCode::ProviderAuth, message));
    }
    let model_name = info.as_ref().and_then(|info| info.name.clone());
    Ok(Candidate {
        provider: to_call,
        account: provider.account().to_owned(),
        is_members_machine: provider.own_key.as_ref().is_some_and(|key| key.is_at_members_address),
        node: None,
        model: ModelId::new(model),
        info,
        selected: Selection {
            model: ModelId::new(model),
            model_name: model_name.unwrap_or_else(|| model.to_owned()),
            provider: name.to_owned(),
            node: None,
            payer: Some(provider.payer()),
            modality,
            reason: reason.to_owned(),
            fallback_used: false,
            fallback_reason: None,
            resumed: false,
        },
        defaults: provider.defaults.clone(),
        loads_at: None,
        exhausted: None,
        placement: None,
        energy: None,
    })
}

/// The provider of this name.
///
/// # Errors
/// `invalid_request`, with the names of those that there are.
pub(super) fn provider_of_name<'a>(
    providers: &'a [ConfiguredProvider],
    name: &str,
) -> Result<&'a ConfiguredProvider, ApiError> {
    providers.iter().find(|provider| provider.name() == name).ok_or_else(|| {
        let names: Vec<&str> = providers.iter().map(ConfiguredProvider::name).collect();
        let present =
            if names.is_empty() { "none is".to_owned() } else { format!("{} are", names.join(", ")) };
        let message =
            format!("no provider {name:?} is set up, but {present}; set it up with `hearth key set {name}`");
        ApiError::invalid("provider", message)
    })
}

/// The error for a model that neither a node nor a provider has.
pub(super) fn unknown_model(name: &str, providers: &[ConfiguredProvider]) -> ApiError {
    let mut error = no_such_model(name);
    if let Some((provider, _)) = provider_and_model(name)
        && hearth_providers::vendor::of_kind(provider).is_some()
    {
        error.message =
            format!("no provider {provider:?} is set up; set its key with `hearth key set {provider}`");
    } else if let Some(provider) = providers.first() {
        error.message =
            format!("{}; a provider's model is named as {}:MODEL", error.message, provider.name());
    }
    error
}
