//! Changes of the registry: explicit entries are registered, changed and removed.

use std::sync::Arc;

use hearth_domain::{Modality, RunId, Timestamp, route::provider_and_model};
use hearth_providers::config::LOCAL;
use hearth_store::{StoreError, registry::RegistryEntry};
use hearth_wire::{
    ApiError, ErrorCode,
    native::{
        hub::ModelCard,
        models::{ModelBody, ModelRemoved},
        registry::{ModelRegistration, check_id},
    },
};
use serde_json::Value;

use super::{
    Models,
    registry::{RegistrySnapshot, target_of},
};
use crate::{access::Caller, error};

/// Limit of the explicit entries of an organisation: each process has them in memory.
const ENTRY_MAX_COUNT: usize = 500;
/// Limit of the bytes of a card's text.
const CARD_TEXT_MAX_BYTES: usize = 8 << 10;
/// Attempts at a change while others change the entry at the same time.
const CHANGE_ATTEMPT_MAX_COUNT: usize = 8;

impl Models {
    /// Registers an entry, which is checked by itself already. `card`: the model's card, if it could be fetched.
    ///
    /// # Errors
    /// `invalid_request`, naming the field; `conflict` if there is an entry with its id, or too many entries; `forbidden` for a
    /// path from another organisation than the operator's.
    pub(crate) async fn register(
        &self,
        caller: &Caller,
        registration: ModelRegistration,
        card: Option<ModelCard>,
    ) -> Result<ModelBody, ApiError> {
        let registry = self.registries.refresh(caller.organisation).await;
        if registry.entries.contains_key(&registration.id) {
            return Err(is_registered(&registration.id));
        }
        if registry.entries.len() >= ENTRY_MAX_COUNT {
            let message = format!("an organisation may have at most {ENTRY_MAX_COUNT} explicit entries");
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let now = Timestamp::now();
        let entry = RegistryEntry {
            registration,
            file_model: None,
            card: card.map(shortened),
            revision: new_revision(),
            author: caller.credential_id(),
            created_at: now,
            updated_at: now,
        };
        let entry = self.resolved(caller, entry, &registry).await?;
        let id = entry.registration.id.clone();
        let result = self.store.registry(caller.organisation).insert(&entry).await;
        let result = match result {
            Err(StoreError::Conflict) => Err(is_registered(&id)),
            result => result.map_err(error::store),
        };
        self.complete(caller, &entry, result).await
    }

    /// Changes an entry by a JSON merge patch.
    ///
    /// # Errors
    /// `model_not_found` without such an entry; `invalid_request`, naming the field; `conflict` while others change it.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        id: &str,
        patch: &Value,
    ) -> Result<ModelBody, ApiError> {
        // It would be too long for a key.
        check_id(id).map_err(|_| no_such_entry(id))?;
        let registry = self.registries.refresh(caller.organisation).await;
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let store = self.store.registry(caller.organisation);
            let before = store.entry(id).await.map_err(error::store)?.ok_or_else(|| no_such_entry(id))?;
            let registration = before.registration.patched(patch)?;
            registration.check()?;
            let entry = RegistryEntry {
                registration,
                revision: new_revision(),
                author: caller.credential_id(),
                updated_at: Timestamp::now(),
                ..before.clone()
            };
            let entry = self.resolved(caller, entry, &registry).await?;
            match store.replace(&entry, &before.revision).await {
                Err(StoreError::Conflict) => {}
                result => return self.complete(caller, &entry, result.map_err(error::store)).await,
            }
        }
        let message = "others change this entry at the same time; try again";
        Err(ApiError::new(ErrorCode::Conflict, message))
    }

    /// True if there is an explicit entry with this id now, whichever process has registered it.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(super) async fn is_registered(&self, caller: &Caller, id: &str) -> Result<bool, ApiError> {
        if check_id(id).is_err() {
            return Ok(false);
        }
        let entry = self.store.registry(caller.organisation).entry(id).await;
        Ok(entry.map_err(error::store)?.is_some())
    }

    /// Removes an entry. Files, and a model of a provider or a node with its id, remain.
    ///
    /// # Errors
    /// `model_not_found` without such an entry.
    pub(crate) async fn unregister(&self, caller: &Caller, id: &str) -> Result<ModelRemoved, ApiError> {
        check_id(id).map_err(|_| no_such_entry(id))?;
        match self.store.registry(caller.organisation).delete(id).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => {
                self.registries.refresh(caller.organisation).await;
                return Err(no_such_entry(id));
            }
            Err(error) => return Err(error::store(error)),
        }
        let registry = self.registries.refresh(caller.organisation).await;
        self.local.configure(caller, &registry).await;
        Ok(ModelRemoved {
            model: id.to_owned(),
            removed: true,
            freed_bytes: 0,
            link: false,
            registration: true,
        })
    }

    /// Puts a written entry in force, and returns its body.
    async fn complete(
        &self,
        caller: &Caller,
        entry: &RegistryEntry,
        written: Result<(), ApiError>,
    ) -> Result<ModelBody, ApiError> {
        if written.is_ok() && entry.registration.default {
            self.end_other_defaults(caller, entry).await?;
        }
        let registry = self.registries.refresh(caller.organisation).await;
        // After a failure too: a node may have been asked to look at a file.
        self.local.configure(caller, &registry).await;
        written?;
        self.get(caller, &entry.registration.id).await
    }

    /// Ends the other defaults of the entry's modality: there is one.
    async fn end_other_defaults(&self, caller: &Caller, entry: &RegistryEntry) -> Result<(), ApiError> {
        let modality = |entry: &RegistryEntry| entry.registration.modality.unwrap_or(Modality::Text);
        let registry = self.registries.refresh(caller.organisation).await;
        let others = registry.entries.values().filter(|other| {
            other.registration.id != entry.registration.id
                && other.registration.default
                && modality(other) == modality(entry)
                // Of two at once the later one remains.
                && (other.updated_at, &other.registration.id) < (entry.updated_at, &entry.registration.id)
        });
        for other in others {
            let mut ended = RegistryEntry::clone(other);
            ended.registration.default = false;
            ended.revision = new_revision();
            match self.store.registry(caller.organisation).replace(&ended, &other.revision).await {
                // Another change of it is newer than this one.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        Ok(())
    }

    /// The entry with the model of its file, and with its target's modality, after checks of both.
    async fn resolved(
        &self,
        caller: &Caller,
        mut entry: RegistryEntry,
        registry: &RegistrySnapshot,
    ) -> Result<RegistryEntry, ApiError> {
        entry.file_model = None;
        if let Some(path) = entry.registration.path.clone() {
            if !caller.is_operator {
                let message = "only the operator's organisation may register files of the gateway's machine";
                return Err(ApiError::new(ErrorCode::Forbidden, message).at("path"));
            }
            let model = self.local.add_file(caller, &path, registry).await?;
            entry.file_model = Some(format!("{LOCAL}:{model}"));
        }
        let target = target_of(&entry).to_owned();
        let field = if entry.registration.path.is_some() { "path" } else { "target" };
        // An entry may lie over the target under its own name.
        let stands_for_other = |other: &Arc<RegistryEntry>| target_of(other) != target;
        if target != entry.registration.id && registry.entries.get(&target).is_some_and(stands_for_other) {
            let message = format!("{target} is itself an explicit entry; name the model that it stands for");
            return Err(ApiError::invalid(field, message));
        }
        match self.unregistered_model(caller, &target, registry).await {
            Ok(model) => {
                let modality = *entry.registration.modality.get_or_insert(model.modality);
                if modality != model.modality {
                    let message = format!("{target} makes {}", model.modality.as_str());
                    return Err(ApiError::invalid("modality", message));
                }
            }
            // A provider may have models that it doesn't list.
            Err(_) if self.has_provider(caller, &target).await? => {}
            Err(error) => return Err(ApiError::invalid(field, error.message)),
        }
        Ok(entry)
    }

    /// True if a name begins with a provider that is set up.
    async fn has_provider(&self, caller: &Caller, name: &str) -> Result<bool, ApiError> {
        let Some((provider, _)) = provider_and_model(name) else { return Ok(false) };
        let routing = self.configuration.current().await;
        let providers = self.providers.configured_for(caller, &routing).await?;
        Ok(providers.iter().any(|one| one.name() == provider))
    }
}

/// The card with the beginning of its text: each process has it in memory.
fn shortened(mut card: ModelCard) -> Box<ModelCard> {
    if let Some(text) = &mut card.text {
        text.truncate(text.floor_char_boundary(CARD_TEXT_MAX_BYTES));
    }
    Box::new(card)
}

/// A text that no other write of an entry has.
fn new_revision() -> String {
    RunId::new().to_string()
}

fn is_registered(id: &str) -> ApiError {
    let message = format!("the model {id} is registered already; PATCH /v1/models/{id} changes it");
    ApiError::new(ErrorCode::Conflict, message).at("id")
}

fn no_such_entry(id: &str) -> ApiError {
    let shown: String = id.chars().take(100).collect();
    let message = format!("there is no explicit entry {shown:?}; POST /v1/models registers one");
    ApiError::new(ErrorCode::ModelNotFound, message).at("model")
}
