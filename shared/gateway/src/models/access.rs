//! The models and their registry, for the routes.

use std::time::Duration;

use hearth_domain::{EventKind, Generation};
use hearth_wire::{
    ApiError,
    native::{
        hub::ModelCard,
        model_schemas::{PutSchema, SchemaBody, SchemaHistory, SchemaQuery},
        models::{ModelBody, ModelQuery, ModelRemoved},
        registry::ModelRegistration,
        request::Parameters,
    },
    runtime_status::RuntimeStatus,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::ModelPage;
use crate::{Gateway, access::Caller, events::Event};

/// Timeout of the request for a card: a registration waits for it.
const CARD_TIMEOUT: Duration = Duration::from_secs(3);

impl Gateway {
    /// A page of the models that a query selects.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_models(&self, caller: &Caller, query: ModelQuery) -> Result<ModelPage, ApiError> {
        self.0.models.list(caller, query).await
    }

    /// All models that a query selects, without pages. Waits a few seconds at most for a provider that hasn't listed its
    /// models yet.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn every_model(&self, caller: &Caller, query: &ModelQuery) -> Result<Vec<ModelBody>, ApiError> {
        self.0.models.select(caller, query).await
    }

    /// One model.
    ///
    /// # Errors
    /// `model_not_found`.
    #[crate::boxed_future]
    pub async fn model(&self, caller: &Caller, id: &str) -> Result<ModelBody, ApiError> {
        self.0.models.get(caller, id).await
    }

    /// The model id for a name of Ollama's clients: without the tag `latest`, or that of a downloaded model with another tag.
    #[crate::boxed_future]
    pub async fn without_latest_tag(&self, caller: &Caller, name: &str) -> String {
        self.0.models.without_latest_tag(caller, name).await
    }

    /// The models in memory, or on their way there.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn loaded_models(&self, caller: &Caller) -> Result<Vec<ModelBody>, ApiError> {
        self.0.models.loaded(caller).await
    }

    /// Begins to load a model on its node; returns its status after that.
    ///
    /// # Errors
    /// `model_not_found`, `model_load_failed`, `no_model_available` if there is no room.
    #[crate::boxed_future]
    pub async fn load_model(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        self.0.models.load(caller, id).await
    }

    /// Begins to unload a model; returns its status after that.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use.
    #[crate::boxed_future]
    pub async fn unload_model(&self, caller: &Caller, id: &str) -> Result<Option<RuntimeStatus>, ApiError> {
        self.0.models.unload(caller, id).await
    }

    /// Registers an explicit entry of the organisation's registry.
    ///
    /// # Errors
    /// `invalid_request`, naming the field; `conflict` if there is an entry with its id; `forbidden` for a path from another
    /// organisation than the operator's.
    #[crate::boxed_future]
    pub async fn register_model(
        &self,
        caller: &Caller,
        registration: ModelRegistration,
    ) -> Result<ModelBody, ApiError> {
        registration.check()?;
        let card = self.card_of(caller, &registration).await;
        let model = self.0.models.register(caller, registration, card).await?;
        let data = json!({ "model": model.id, "by": caller.user });
        let event = Event::new(EventKind::ModelRegistered, model.id.to_string(), data);
        self.0.events.publish(caller.owner(), event).await;
        Ok(model)
    }

    /// Removes an explicit entry; without one, and unless `only_registration` is set, a local model's file from its node.
    ///
    /// # Errors
    /// `model_not_found`, or `conflict` if it is in use, a default model, no local one, or lies outside of the folder.
    #[crate::boxed_future]
    pub async fn remove_model(
        &self,
        caller: &Caller,
        id: &str,
        only_registration: bool,
    ) -> Result<ModelRemoved, ApiError> {
        let removed = self.0.models.remove(caller, id, only_registration).await?;
        let data = json!({ "model": removed.model, "registration": removed.registration, "by": caller.user });
        let event = Event::new(EventKind::ModelRemoved, removed.model.clone(), data);
        self.0.events.publish(caller.owner(), event).await;
        Ok(removed)
    }

    /// The card of a model that was obtained from Hugging Face. A failure is logged, and keeps no model from being registered.
    async fn card_of(&self, caller: &Caller, registration: &ModelRegistration) -> Option<ModelCard> {
        let source = registration.source_url.as_deref()?;
        let named = source.strip_prefix("huggingface:");
        let is_hub = named.is_some() || source.starts_with("hf:") || source.starts_with("https://");
        let repository = self.0.hub.repository_of(named.unwrap_or(source)).filter(|_| is_hub)?;
        let log = |error: &ApiError| {
            tracing::warn!(repository, %error, "the card of a registered model can't be fetched");
        };
        let card = timeout(CARD_TIMEOUT, self.model_card(caller, &repository)).await.ok()?;
        card.inspect_err(log).ok()
    }

    /// Changes an explicit entry by a JSON merge patch.
    ///
    /// # Errors
    /// `model_not_found` without such an entry; `invalid_request`, naming the field; `conflict` while others change it.
    #[crate::boxed_future]
    pub async fn change_model(
        &self,
        caller: &Caller,
        id: &str,
        patch: &Value,
    ) -> Result<ModelBody, ApiError> {
        self.0.models.change(caller, id, patch).await
    }

    /// The schema of a model's parameters; without a model, that of the parameters of every model.
    ///
    /// # Errors
    /// `model_not_found`; `not_found` for a version that isn't stored.
    #[crate::boxed_future]
    pub async fn model_schema(&self, caller: &Caller, query: &SchemaQuery) -> Result<SchemaBody, ApiError> {
        self.0.models.schema(caller, query).await
    }

    /// The versions of a model's edited schema, the newest first.
    ///
    /// # Errors
    /// `model_not_found`.
    #[crate::boxed_future]
    pub async fn model_schema_history(&self, caller: &Caller, id: &str) -> Result<SchemaHistory, ApiError> {
        self.0.models.schema_history(caller, id).await
    }

    /// Stores the next version of the schema of a model's parameters.
    ///
    /// # Errors
    /// `model_not_found`; `invalid_request`, naming the field; `conflict` if the request follows another version than the
    /// current one.
    #[crate::boxed_future]
    pub async fn put_model_schema(
        &self,
        caller: &Caller,
        id: &str,
        request: PutSchema,
    ) -> Result<SchemaBody, ApiError> {
        self.0.models.put_schema(caller, id, request).await
    }

    /// Checks the parameters of a request by the edited schema of the model that it names, if there is one.
    ///
    /// # Errors
    /// `invalid_request`, naming the field and the rule that it breaks.
    #[crate::boxed_future]
    pub async fn check_parameters(
        &self,
        caller: &Caller,
        model: Option<&str>,
        parameters: &Parameters,
    ) -> Result<(), ApiError> {
        self.0.models.check_parameters(caller, model, parameters).await
    }

    /// Checks a text request of another dialect in the same way.
    ///
    /// # Errors
    /// As for [`Gateway::check_parameters`].
    #[crate::boxed_future]
    pub async fn check_generation(&self, caller: &Caller, generation: &Generation) -> Result<(), ApiError> {
        self.0.models.check_generation(caller, generation).await
    }
}
