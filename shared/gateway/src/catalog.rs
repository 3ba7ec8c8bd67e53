//! The models that providers can be asked for, and what is known of them.

use std::borrow::Cow;

use hearth_domain::{Facts, KeyOwner};
use hearth_wire::{
    ErrorCode,
    native::models::{Availability, ModelBody, tell_names_apart},
};

use crate::{Gateway, discovery::Found, providers::Known};

/// A model that a provider can be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    /// The provider's name for it.
    pub(crate) model: String,
    /// What is known of it.
    pub(crate) facts: Facts,
    /// Whether it can be had.
    pub(crate) availability: Availability,
    /// When the provider had it first, in seconds since 1970.
    pub(crate) created: Option<i64>,
}

impl Gateway {
    /// The models that a provider can be asked for, by their names: those of its settings, those that it lists,
    /// and while it has listed none, though it could, those that the catalog knows.
    pub(crate) fn offers(&self, owner: KeyOwner, known: &Known, found: &Found) -> Vec<Offered> {
        let (name, kind) = (known.name(), known.kind());
        let catalog = &self.0.directory.routing().catalog;
        let is_refused = found.problem == Some(ErrorCode::ProviderAuth);
        let mut models: Vec<String> = known.models.clone();
        models.extend(catalog.named_by_operator(name).map(str::to_owned));
        match &found.models {
            Some(listed) => {
                let served = listed.iter().filter(|listed| !catalog.is_unserved(kind, &listed.id));
                models.extend(served.map(|listed| listed.id.clone()));
            }
            None if known.is_usable() && known.provider.lists_models() && !is_refused => {
                models.extend(catalog.models_of(name, kind).into_iter().map(|(model, _)| model));
            }
            None => {}
        }
        models.sort_unstable();
        models.dedup();
        let offer = |model: String| {
            let listed = found.listed(&model);
            let facts = match listed {
                Some(listed) => catalog.facts_of(name, kind, listed),
                None => catalog.facts(name, kind, &model).unwrap_or_default().into_owned(),
            };
            let is_listed = found.models.as_ref().map(|_| listed.is_some());
            let availability = match self.availability(owner, known, &model, &facts, is_listed) {
                Availability::Unknown if is_refused => Availability::NoKey,
                availability => availability,
            };
            Offered { availability, created: listed.and_then(|listed| listed.created), facts, model }
        };
        models.into_iter().map(offer).collect()
    }

    /// The models of a provider that serve where none is named, those to be tried first coming first: those of its
    /// settings; else those that it lists, as far as it has, in the catalog's order.
    pub(crate) fn choosable(&self, owner: KeyOwner, known: &Known) -> Vec<String> {
        if !known.models.is_empty() {
            return known.models.clone();
        }
        let (name, kind) = (known.name(), known.kind());
        let catalog = &self.0.directory.routing().catalog;
        let mut models: Vec<String> =
            catalog.models_of(name, kind).into_iter().map(|(model, _)| model).collect();
        if let Some(listed) = self.found(owner, known).models {
            models.retain(|model| listed.iter().any(|listed| listed.id == *model));
            let others = listed.iter().map(|listed| &listed.id);
            let others: Vec<String> = others
                .filter(|model| !models.contains(model) && !catalog.is_unserved(kind, model))
                .cloned()
                .collect();
            models.extend(others);
        }
        models
    }

    /// What is known of a provider's model, without waiting for anybody.
    pub(crate) fn facts(&self, owner: KeyOwner, known: &Known, model: &str) -> Option<Facts> {
        let (name, kind) = (known.name(), known.kind());
        let catalog = &self.0.directory.routing().catalog;
        match self.found(owner, known).listed(model) {
            Some(listed) if listed.tells() => Some(catalog.facts_of(name, kind, listed)),
            _ => catalog.facts(name, kind, model).map(Cow::into_owned),
        }
    }

    /// The models of the provider of this name, or of all, as clients see them.
    pub(crate) async fn models_of_providers(&self, owner: KeyOwner, only: Option<&str>) -> Vec<ModelBody> {
        let mut providers = self.providers().await.to_vec();
        providers.retain(|known| only.is_none_or(|only| known.name() == only));
        let found = self.discover_all(owner, &providers).await;
        let mut models = Vec::new();
        for (known, found) in providers.iter().zip(&found) {
            let offers = self.offers(owner, known, found).into_iter().map(|offered| {
                let Offered { model, facts, availability, created } = offered;
                ModelBody::offered(known.name(), &model, facts, availability, created)
            });
            let mut offers: Vec<_> = offers.collect();
            tell_names_apart(&mut offers);
            models.extend(offers);
        }
        models
    }
}
