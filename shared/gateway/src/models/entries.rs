//! Explicit entries of the registry in the list of models: they lie over the models that they stand for.

use std::sync::Arc;

use hearth_domain::ModelInfo;
use hearth_store::registry::RegistryEntry;
use hearth_wire::native::models::{Availability, ModelBody, ModelOrigin};

use super::{
    aliases::find_named,
    registry::{RegistrySnapshot, target_of},
};

/// Provider of an entry whose target isn't listed.
const REGISTRY: &str = "registry";

/// Lays the explicit entries over `models`, the models that the caller may use. An entry takes the place of a model with its
/// id. `lists_unknown`: an entry is listed too if its target isn't.
pub(super) fn lay_over(
    mut models: Vec<ModelBody>,
    registry: &RegistrySnapshot,
    lists_unknown: bool,
) -> Vec<ModelBody> {
    let mut entries = Vec::new();
    for entry in registry.entries.values() {
        let target = find_named(target_of(entry), &models);
        if target.is_some() || lists_unknown {
            entries.push(body(entry, target));
        }
    }
    models.retain(|model| !registry.entries.contains_key(&model.id));
    models.splice(0..0, entries);
    for model in &mut models {
        model.schema_version = registry.schemas.get(&model.id).map(|schema| schema.version.version());
    }
    models
}

/// The list's entry: that of the target, with the fields of the registration.
fn body(entry: &Arc<RegistryEntry>, target: Option<&ModelBody>) -> ModelBody {
    let registration = &entry.registration;
    let unknown =
        || ModelBody::offered(REGISTRY, &registration.id, ModelInfo::default(), Availability::Unknown, None);
    let target = target.cloned().unwrap_or_else(unknown);
    ModelBody {
        id: registration.id.clone(),
        created: entry.created_at.unix(),
        name: registration.name.clone().unwrap_or_else(|| registration.id.clone()),
        version: registration.version.clone().or(target.version),
        modality: registration.modality.unwrap_or(target.modality),
        capabilities: registration.capabilities.clone().unwrap_or(target.capabilities),
        context_length: registration.context_length.or(target.context_length),
        source: ModelOrigin::Registered,
        description: registration.description.clone(),
        source_url: registration.source_url.clone(),
        registration: Some(Box::new(registration.clone())),
        card: entry.card.clone(),
        ..target
    }
}
